using System.Text;
using NSec.Cryptography;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Zones;

// A name below a zone, signed by the key that the zone delegates to, off the ledger: it costs nothing and may be kept by anybody.
//
//   "OXSN" | lookup 32 | sequence 8 | last second 8 | nonce 24 | sealed: length varint, bytes | signature 64
//
//   lookup      BLAKE2b-256(tag; delegation key, folded label): where it is kept; says nothing without zone and label
//   sealed      records under XChaCha20-Poly1305, the key from delegation key and label, the head up to the nonce as associated data
//   signature   Ed25519 by the delegation key over everything before it
//
// docs/protocol/zones.md#names-below-a-zone

/// <summary>What stands outside of the seal: where the record is kept, which one of its name it is, and its last second.</summary>
internal sealed record SubnameHead(Bytes32 Lookup, ulong Sequence, ulong LastUnixSecond);

/// <summary>Makes and opens names below a zone.</summary>
internal static class Subname
{
    public const int MaxBytes = 2048;
    private const int NonceBytes = 24;
    private const int MaxLabel = 63;

    private static ReadOnlySpan<byte> SignTag => "oxen-ons-v2-subname"u8;

    public static bool IsLabel(string label) => label.Length is > 0 and <= MaxLabel && label.All(c => c is >= 'a' and <= 'z' or >= '0' and <= '9' or '-') && label[0] != '-' && label[^1] != '-';

    public static Bytes32 LookupOf(string label, Bytes32 delegation) => LedgerHash.Of("oxen-ons-v2-sub-lookup"u8, delegation.ToArray(), Encoding.ASCII.GetBytes(label));

    public static byte[] Seal(string label, IReadOnlyList<ZoneRecord> records, LedgerKey delegation, ulong sequence, ulong lastUnixSecond, ReadOnlySpan<byte> nonce)
    {
        if (!IsLabel(label)) throw new ArgumentException("a label has 1 to 63 of a-z 0-9 and hyphens, none at an end", nameof(label));
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceBytes);
        var inner = new LedgerWriter();
        ZoneRecord.WriteAll(inner, records);
        var writer = new LedgerWriter();
        writer.Bytes("OXSN"u8).Bytes(LookupOf(label, delegation.Id)).U64(sequence).U64(lastUnixSecond).Bytes(nonce);
        using Key key = KeyOf(label, delegation.Id);
        byte[] closed = AeadAlgorithm.XChaCha20Poly1305.Encrypt(key, nonce, writer.Written, inner.Written);
        writer.Blob(closed);
        writer.Bytes(delegation.Sign(SignTag, LedgerHash.Of(SignTag, writer.Written)));
        return writer.ToArray();
    }

    /// <summary>Opens what somebody gave us for a label. `least` is the newest sequence that was seen of it.</summary>
    public static ContentFault Open(ReadOnlySpan<byte> bytes, string label, Bytes32 delegation, ulong least, ulong nowUnixSeconds, out IReadOnlyList<ZoneRecord> records, out ulong sequence)
    {
        (records, sequence) = ([], 0);
        ContentFault fault = Take(bytes, delegation, out SubnameHead head, out ReadOnlySpan<byte> nonce, out byte[] closed);
        if (fault != ContentFault.None) return fault;
        if (head.Lookup != LookupOf(label, delegation)) return ContentFault.Sealed;
        if (head.Sequence < least) return ContentFault.Old;
        if (nowUnixSeconds > head.LastUnixSecond) return ContentFault.Expired;
        using Key key = KeyOf(label, delegation);
        byte[]? plain = AeadAlgorithm.XChaCha20Poly1305.Decrypt(key, nonce, bytes[..(4 + 32 + 16 + NonceBytes)], closed);
        if (plain is null) return ContentFault.Sealed;
        var inner = new LedgerReader(plain);
        if (ZoneRecord.ReadAll(ref inner) is not { } read || !inner.Done) return ContentFault.Malformed;
        (records, sequence) = (read, head.Sequence);
        return ContentFault.None;
    }

    /// <summary>Reads the outside of a record for whoever keeps it. Null: it is none, or not of this key.</summary>
    public static SubnameHead? ReadHead(ReadOnlySpan<byte> bytes, Bytes32 delegation) => Take(bytes, delegation, out SubnameHead head, out _, out _) == ContentFault.None ? head : null;

    private static ContentFault Take(ReadOnlySpan<byte> bytes, Bytes32 delegation, out SubnameHead head, out ReadOnlySpan<byte> nonce, out byte[] closed)
    {
        head = new SubnameHead(default, 0, 0);
        nonce = default;
        closed = [];
        if (bytes.Length > MaxBytes || bytes.Length < LedgerSignature.Bytes) return ContentFault.Malformed;
        var reader = new LedgerReader(bytes);
        bool known = reader.Bytes(4).SequenceEqual("OXSN"u8);
        head = new SubnameHead(reader.Bytes32(), reader.U64(), reader.U64());
        nonce = reader.Bytes(NonceBytes);
        closed = reader.Blob(MaxBytes);
        ReadOnlySpan<byte> signature = reader.Bytes(LedgerSignature.Bytes);
        if (!known || !reader.Done) return ContentFault.Malformed;
        return LedgerSignature.Verify(delegation, SignTag, LedgerHash.Of(SignTag, bytes[..^LedgerSignature.Bytes]), signature) ? ContentFault.None : ContentFault.NotOwner;
    }

    private static Key KeyOf(string label, Bytes32 delegation)
        => Key.Import(AeadAlgorithm.XChaCha20Poly1305, LedgerHash.Of("oxen-ons-v2-sub-key"u8, delegation.ToArray(), Encoding.ASCII.GetBytes(label)).ToArray(), KeyBlobFormat.RawSymmetricKey);
}
