namespace Oxen.Ons.Zones;

/// <summary>What a record of a zone is; the numbers stand in its content.</summary>
internal enum ZoneRecordKind : byte
{
    /// <summary>A .loki address: Ed25519 key 32.</summary>
    Address = 1,

    /// <summary>A messenger account: 33.</summary>
    Session = 2,

    /// <summary>An OXEN address: 65 or 73.</summary>
    Wallet = 3,

    /// <summary>Text, UTF-8.</summary>
    Text = 4,

    /// <summary>A service: `_proto port target`, ASCII.</summary>
    Service = 5,

    /// <summary>Another name that stands for the same, ASCII.</summary>
    Alias = 6,

    /// <summary>A public key of the owner's, any bytes.</summary>
    PublicKey = 7,

    /// <summary>The Ed25519 key 32 that signs names below this one, off the ledger.</summary>
    Delegation = 8,
}

/// <summary>One record.</summary>
internal sealed record ZoneRecord(ZoneRecordKind Kind, byte[] Data)
{
    public const int MaxDataBytes = 255;

    public static ZoneRecord Address(ReadOnlySpan<byte> key) => new(ZoneRecordKind.Address, key.ToArray());

    public static ZoneRecord Text(string text) => new(ZoneRecordKind.Text, System.Text.Encoding.UTF8.GetBytes(text));

    /// <summary>Whether the data are what the kind says.</summary>
    public bool IsSound => Kind switch
    {
        ZoneRecordKind.Address or ZoneRecordKind.Delegation => Data.Length == 32,
        ZoneRecordKind.Session => NameValue.Read(Data, NameType.Session, out _) == ValueFault.None,
        ZoneRecordKind.Wallet => NameValue.Read(Data, NameType.Wallet, out _) == ValueFault.None,
        ZoneRecordKind.Text or ZoneRecordKind.PublicKey => Data.Length <= MaxDataBytes,
        ZoneRecordKind.Service or ZoneRecordKind.Alias => Data.Length is > 0 and <= MaxDataBytes && Data.All(b => b is >= 0x20 and <= 0x7E),
        _ => false,
    };

    public bool Equals(ZoneRecord? other) => other is not null && Kind == other.Kind && Data.AsSpan().SequenceEqual(other.Data);

    public override int GetHashCode() => HashCode.Combine(Kind, Data.Length);

    internal static void WriteAll(Ledger.LedgerWriter writer, IReadOnlyList<ZoneRecord> records)
    {
        writer.Varint((ulong)records.Count);
        foreach (ZoneRecord record in records) writer.U8((byte)record.Kind).Blob(record.Data);
    }

    internal static ZoneRecord[]? ReadAll(ref Ledger.LedgerReader reader)
    {
        var records = new ZoneRecord[reader.Count(MaxRecords)];
        for (int i = 0; i < records.Length; i++)
        {
            records[i] = new ZoneRecord((ZoneRecordKind)reader.U8(), reader.Blob(MaxDataBytes));
            if (reader.Failed || !records[i].IsSound) return null;
        }

        return reader.Failed ? null : records;
    }

    private const int MaxRecords = 32;
}
