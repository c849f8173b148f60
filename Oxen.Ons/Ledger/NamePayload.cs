using NSec.Cryptography;

namespace Oxen.Ons.Ledger;

// The payload of a compatible name operation, byte for byte the field that a transaction of type 4 carries in its extra:
//
//   0x7A | version 1 (0) | type varint | name hash 32 | previous operation 32 | fields varint
//        | [owner] [backup owner] [signature: type varint, 64] [encrypted value: length varint, bytes]
//
//   fields      1 owner, 2 backup owner, 4 signature, 8 value; what is not flagged is not there
//   buy         1 + 8 or 1 + 2 + 8, previous = 0
//   update      4 and at least one of 1, 2, 8
//   renew       0, previous != 0
//   raw types   0 session, 1 wallet, 2 lokinet for 1 year, 3 2 years, 4 5 years, 5 10 years
//
// docs/protocol/ons.md#payload

/// <summary>Which of the three shapes a payload has.</summary>
internal enum PayloadShape : byte
{
    None = 0,
    Buy = 1,
    Update = 2,
    Renew = 3,
}

/// <summary>A compatible buy, update or renewal.</summary>
internal sealed record NamePayload
{
    public const byte Tag = 0x7A;
    public const byte BurnTag = 0x79;
    public const int MaxValueBytes = 255;

    private const int OwnerField = 1, BackupField = 2, SignatureField = 4, ValueField = 8;

    public required ushort RawType { get; init; }

    public required NameHash Hash { get; init; }

    public Bytes32 Previous { get; init; }

    public NameOwner? Owner { get; init; }

    public NameOwner? Backup { get; init; }

    /// <summary>Type 1: Ed25519; 0: a wallet's.</summary>
    public ushort SignatureType { get; init; } = 1;

    public byte[]? Signature { get; init; }

    public byte[]? Value { get; init; }

    /// <summary>The type of the record, or null if there is no such raw type.</summary>
    public NameType? Type => RawType switch { 0 => NameType.Session, 1 => NameType.Wallet, <= 5 => NameType.Lokinet, _ => null };

    public int Fields => (Owner is null ? 0 : OwnerField) | (Backup is null ? 0 : BackupField) | (Signature is null ? 0 : SignatureField) | (Value is null ? 0 : ValueField);

    public PayloadShape Shape => Fields switch
    {
        OwnerField | ValueField or OwnerField | BackupField | ValueField when Previous.IsZero => PayloadShape.Buy,
        var f when (f & SignatureField) != 0 && (f & ~SignatureField) != 0 => PayloadShape.Update,
        0 when !Previous.IsZero => PayloadShape.Renew,
        _ => PayloadShape.None,
    };

    /// <summary>Null for anything but exactly one payload.</summary>
    public static NamePayload? Read(ReadOnlySpan<byte> bytes)
    {
        var reader = new LedgerReader(bytes);
        if (reader.U8() != Tag || reader.U8() != 0) return null;
        ulong type = reader.Varint();
        Bytes32 hash = reader.Bytes32(), previous = reader.Bytes32();
        ulong fields = reader.Varint();
        if (reader.Failed || type > ushort.MaxValue || fields > 15) return null;
        NameOwner? owner = (fields & OwnerField) != 0 ? NameOwner.Read(ref reader) : null;
        NameOwner? backup = (fields & BackupField) != 0 ? NameOwner.Read(ref reader) : null;
        if (((fields & OwnerField) != 0 && owner is null) || ((fields & BackupField) != 0 && backup is null)) return null;
        ulong signatureType = 1;
        byte[]? signature = null;
        if ((fields & SignatureField) != 0)
        {
            signatureType = reader.Varint();
            signature = reader.Bytes(LedgerSignature.Bytes).ToArray();
        }

        byte[]? value = (fields & ValueField) != 0 ? reader.Blob(MaxValueBytes) : null;
        if (!reader.Done || signatureType > 1) return null;
        return new NamePayload { RawType = (ushort)type, Hash = hash.ToNameHash(), Previous = previous, Owner = owner, Backup = backup, SignatureType = (ushort)signatureType, Signature = signature, Value = value };
    }

    public void Write(LedgerWriter writer)
    {
        writer.U8(Tag).U8(0).Varint(RawType).Bytes(Bytes32.Of(Hash)).Bytes(Previous).Varint((ulong)Fields);
        Owner?.Write(writer);
        Backup?.Write(writer);
        if (Signature is not null) writer.Varint(SignatureType).Bytes(Signature);
        if (Value is not null) writer.Blob(Value);
    }

    public byte[] ToBytes()
    {
        var writer = new LedgerWriter();
        Write(writer);
        return writer.ToArray();
    }

    /// <summary>The field that declares a burn beside the payload in a real transaction: tag, then the amount, 8 bytes little-endian.</summary>
    public static byte[] BurnField(ulong atomic) => new LedgerWriter(9).U8(BurnTag).U64(atomic).ToArray();

    /// <summary>
    /// What an update's signature covers: BLAKE2b-256(value || owner || backup || previous), owners as a type byte and their keys. It does
    /// not say which of the two owners a key becomes: that is upstream's fault, kept here for its bytes; our envelope mends it.
    /// </summary>
    public static Bytes32 UpdateMessage(byte[]? value, NameOwner? owner, NameOwner? backup, Bytes32 previous)
    {
        var writer = new LedgerWriter();
        if (value is not null) writer.Bytes(value);
        foreach (NameOwner? part in new[] { owner, backup })
        {
            if (part is not null) writer.U8(part.IsKey ? (byte)1 : (byte)0).Bytes(part.SignedBytes);
        }

        writer.Bytes(previous);
        Span<byte> hash = stackalloc byte[Bytes32.Length];
        HashAlgorithm.Blake2b_256.Hash(writer.Written, hash);
        return new Bytes32(hash);
    }

    public Bytes32 UpdateMessage(Bytes32 recordPrevious) => UpdateMessage(Value, Owner, Backup, recordPrevious);

    /// <summary>This update, signed by an owner's or backup owner's key.</summary>
    public NamePayload SignedBy(LedgerKey key)
    {
        Span<byte> message = stackalloc byte[Bytes32.Length];
        UpdateMessage(Previous).CopyTo(message);
        return this with { SignatureType = 1, Signature = key.Sign(message) };
    }
}
