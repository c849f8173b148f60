using NSec.Cryptography;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Zones;

// A zone's value as it stands on the ledger:
//
//   nonce 24 | XChaCha20-Poly1305 under the name's key, the index as associated data:
//              version 1 (1) | owner 32 | sequence varint | epoch 4 | last height varint | records | signature 64
//
// The signature is the owner's over network, type, index and everything before it. So who knows the name can read a value, and
// still cannot write one; and a value of an earlier owner (epoch) or an earlier time (sequence, last height) is known as such.

/// <summary>Why a zone's value is not believed.</summary>
internal enum ContentFault : byte
{
    None = 0,

    /// <summary>The owner has published nothing.</summary>
    Empty,

    /// <summary>It does not open under this name.</summary>
    Sealed,
    Malformed,

    /// <summary>It is not the owner's signature, or another owner's.</summary>
    NotOwner,

    /// <summary>Of an owner before this one, or older than what was seen.</summary>
    Old,

    /// <summary>Its own last height is over.</summary>
    Expired,
}

/// <summary>What the owner of a zone says under its name.</summary>
internal sealed record ZoneContent(Bytes32 Owner, ulong Sequence, uint Epoch, ulong LastHeight, IReadOnlyList<ZoneRecord> Records)
{
    private const int NonceBytes = 24;
    private const int TagBytes = 16;

    private static ReadOnlySpan<byte> SignTag => "oxen-ons-v2-content"u8;

    public ZoneRecord? Find(ZoneRecordKind kind) => Records.FirstOrDefault(r => r.Kind == kind);

    /// <summary>Signs and encrypts. The nonce is 24 random bytes, never used before.</summary>
    public static byte[] Seal(ZoneIndex name, LedgerKey owner, ulong sequence, uint epoch, ulong lastHeight, IReadOnlyList<ZoneRecord> records, Bytes32 network, ReadOnlySpan<byte> nonce)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceBytes);
        var writer = new LedgerWriter();
        writer.U8(1).Bytes(owner.Id).Varint(sequence).U32(epoch).Varint(lastHeight);
        ZoneRecord.WriteAll(writer, records);
        writer.Bytes(owner.Sign(SignTag, Digest(name.Type, name.Index, writer.Written, network)));
        using Key key = Key.Import(AeadAlgorithm.XChaCha20Poly1305, name.Key, KeyBlobFormat.RawSymmetricKey);
        byte[] stored = new byte[NonceBytes + writer.Length + TagBytes];
        nonce.CopyTo(stored);
        AeadAlgorithm.XChaCha20Poly1305.Encrypt(key, nonce, name.Index.ToArray(), writer.Written, stored.AsSpan(NonceBytes));
        return stored.Length <= ZoneEntry.MaxValueBytes ? stored : throw new ArgumentException($"the records take {stored.Length} bytes, and {ZoneEntry.MaxValueBytes} are the most", nameof(records));
    }

    /// <summary>Opens a zone's value and checks that its owner of now wrote it. `height` is the ledger's, for the content's own end.</summary>
    public static ContentFault Open(ZoneEntry zone, ZoneIndex name, Bytes32 network, ulong height, out ZoneContent? content)
    {
        content = null;
        if (zone.Value.Length == 0) return ContentFault.Empty;
        if (zone.Value.Length < NonceBytes + TagBytes) return ContentFault.Malformed;
        using Key key = Key.Import(AeadAlgorithm.XChaCha20Poly1305, name.Key, KeyBlobFormat.RawSymmetricKey);
        byte[]? plain = AeadAlgorithm.XChaCha20Poly1305.Decrypt(key, zone.Value.AsSpan(0, NonceBytes), name.Index.ToArray(), zone.Value.AsSpan(NonceBytes));
        if (plain is null) return ContentFault.Sealed;
        var reader = new LedgerReader(plain);
        byte version = reader.U8();
        Bytes32 owner = reader.Bytes32();
        ulong sequence = reader.Varint();
        uint epoch = reader.U32();
        ulong last = reader.Varint();
        ZoneRecord[]? records = ZoneRecord.ReadAll(ref reader);
        ReadOnlySpan<byte> signature = reader.Bytes(LedgerSignature.Bytes);
        if (records is null || !reader.Done || version != 1) return ContentFault.Malformed;
        if (owner != zone.Owner || !LedgerSignature.Verify(owner, SignTag, Digest(zone.Type, zone.Index, plain.AsSpan(0, plain.Length - LedgerSignature.Bytes), network), signature)) return ContentFault.NotOwner;
        if (epoch != zone.Epoch || sequence > zone.Sequence) return ContentFault.Old;
        if (last != 0 && height > last) return ContentFault.Expired;
        content = new ZoneContent(owner, sequence, epoch, last, records);
        return ContentFault.None;
    }

    private static Bytes32 Digest(NameType type, Bytes32 index, ReadOnlySpan<byte> unsigned, Bytes32 network)
        => LedgerHash.Of(SignTag, new LedgerWriter().Bytes(network).U8((byte)type).Bytes(index).Written, unsigned);
}
