namespace Oxen.Ons.Ledger;

// Who owns a compatible name, as the payload of a transaction writes it:
//
//   varint type    0 wallet     spend key 32, view key 32, is subaddress 1
//                  1 ed25519    public key 32

/// <summary>An owner or backup owner of a compatible name.</summary>
internal sealed class NameOwner : IEquatable<NameOwner>
{
    private const int WalletBytes = 65;

    private readonly byte[] _bytes;

    private NameOwner(bool isKey, byte[] bytes) => (IsKey, _bytes) = (isKey, bytes);

    /// <summary>True: an Ed25519 key; false: a wallet's address.</summary>
    public bool IsKey { get; }

    /// <summary>The Ed25519 key.</summary>
    public Bytes32 KeyId => IsKey ? new Bytes32(_bytes) : default;

    /// <summary>The bytes that signatures cover: 64 of a wallet, without its flag; 32 of a key.</summary>
    public ReadOnlySpan<byte> SignedBytes => IsKey ? _bytes : _bytes.AsSpan(0, WalletBytes - 1);

    /// <summary>64 digits of a key; 130 of a wallet: spend key, view key, flag.</summary>
    public string Text => Convert.ToHexStringLower(_bytes);

    public static NameOwner Of(Bytes32 key) => new(true, key.ToArray());

    public static NameOwner Wallet(ReadOnlySpan<byte> spend, ReadOnlySpan<byte> view, bool isSubaddress) => new(false, [.. spend, .. view, isSubaddress ? (byte)1 : (byte)0]);

    public static NameOwner? Parse(string hex)
    {
        if (Bytes32.TryParse(hex, out Bytes32 key)) return Of(key);
        byte[] bytes = new byte[WalletBytes];
        return hex.Length == 2 * WalletBytes && Convert.FromHexString(hex, bytes, out _, out _) == System.Buffers.OperationStatus.Done && bytes[^1] <= 1 ? new NameOwner(false, bytes) : null;
    }

    public static NameOwner? Read(ref LedgerReader reader)
    {
        ulong type = reader.Varint();
        if (reader.Failed || type > 1) return null;
        byte[] bytes = reader.Bytes(type == 1 ? Bytes32.Length : WalletBytes).ToArray();
        return reader.Failed || (type == 0 && bytes[^1] > 1) ? null : new NameOwner(type == 1, bytes);
    }

    public void Write(LedgerWriter writer) => writer.Varint(IsKey ? 1UL : 0).Bytes(_bytes);

    public bool Equals(NameOwner? other) => other is not null && IsKey == other.IsKey && _bytes.AsSpan().SequenceEqual(other._bytes);

    public override bool Equals(object? obj) => Equals(obj as NameOwner);

    public override int GetHashCode() => _bytes[0] | _bytes[1] << 8 | _bytes[2] << 16 | (IsKey ? 1 << 24 : 0);

    public override string ToString() => Text;
}
