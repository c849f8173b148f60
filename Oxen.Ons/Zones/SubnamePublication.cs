using Oxen.Ons.Ledger;

namespace Oxen.Ons.Zones;

// What is handed to a ledger that keeps names below zones. The record alone would let anybody fill its disk; so the zone's owner
// says once whose records the zone has, and a zone costs money.
//
//   "OXSP" | zone's index 32 | delegation key 32 | grant: the owner's signature 64 | record ("OXSN" ...)
//
//   grant   Ed25519 by the zone's owner over BLAKE2b-256(tag; network, index, epoch 4, delegation key)
//
// docs/protocol/zones.md#keeping-names-below-a-zone

/// <summary>A name below a zone with the owner's word that its key may publish there.</summary>
internal sealed record SubnamePublication(Bytes32 Zone, Bytes32 Delegation, byte[] Grant, byte[] Record)
{
    public const int MaxBytes = 4 + 2 * Bytes32.Length + LedgerSignature.Bytes + Subname.MaxBytes;

    private static ReadOnlySpan<byte> GrantTag => "oxen-ons-v2-sub-grant"u8;

    /// <summary>The owner's word; it ends with the owner (the epoch).</summary>
    public static byte[] GrantOf(LedgerKey owner, Bytes32 zone, uint epoch, Bytes32 delegation, Bytes32 network) => owner.Sign(GrantTag, Message(zone, epoch, delegation, network));

    public bool IsGrantedBy(Bytes32 owner, uint epoch, Bytes32 network) => LedgerSignature.Verify(owner, GrantTag, Message(Zone, epoch, Delegation, network), Grant);

    public byte[] ToBytes() => new LedgerWriter(MaxBytes).Bytes("OXSP"u8).Bytes(Zone).Bytes(Delegation).Bytes(Grant).Bytes(Record).ToArray();

    /// <summary>Null: these bytes are none.</summary>
    public static SubnamePublication? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes) return null;
        var reader = new LedgerReader(bytes);
        bool known = reader.Bytes(4).SequenceEqual("OXSP"u8);
        Bytes32 zone = reader.Bytes32(), delegation = reader.Bytes32();
        byte[] grant = reader.Bytes(LedgerSignature.Bytes).ToArray(), record = reader.Bytes(reader.Left).ToArray();
        return known && !reader.Failed ? new SubnamePublication(zone, delegation, grant, record) : null;
    }

    private static Bytes32 Message(Bytes32 zone, uint epoch, Bytes32 delegation, Bytes32 network)
        => LedgerHash.Of(GrantTag, new LedgerWriter().Bytes(network).Bytes(zone).U32(epoch).Bytes(delegation).Written);
}
