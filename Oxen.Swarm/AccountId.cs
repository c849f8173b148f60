using System.Buffers;
using System.Buffers.Binary;

namespace Oxen.Swarm;

// Whose messages are stored. docs/protocol/swarm.md#accounts
//
//   0         1                33
//   +---------+----------------+      network: 0x05 a person (the key is X25519), 0x03 a group, others: Ed25519 keys
//   | network | key 32         |      text: 66 hexadecimal digits; 64 on a test network, whose network byte is 0
//   +---------+----------------+

/// <summary>An account of the messenger: a network byte and a 32-byte key.</summary>
public readonly struct AccountId : IEquatable<AccountId>
{
    /// <summary>Length in bytes, the network byte included.</summary>
    public const int Bytes = 33;

    /// <summary>The network byte of a person's account.</summary>
    public const byte PersonNetwork = 0x05;

    /// <summary>The network byte of a group.</summary>
    public const byte GroupNetwork = 0x03;

    /// <summary>The network byte of accounts without one, on test networks.</summary>
    public const byte TestNetwork = 0x00;

    private const int KeyBytes = 32;

    // The key as four big-endian words, most significant first.
    private readonly ulong _a, _b, _c, _d;

    private AccountId(ReadOnlySpan<byte> key, byte network)
    {
        Network = network;
        _a = BinaryPrimitives.ReadUInt64BigEndian(key);
        _b = BinaryPrimitives.ReadUInt64BigEndian(key[8..]);
        _c = BinaryPrimitives.ReadUInt64BigEndian(key[16..]);
        _d = BinaryPrimitives.ReadUInt64BigEndian(key[24..]);
    }

    /// <summary>The first byte. It tells the kind of key and has no part in the position.</summary>
    public byte Network { get; }

    /// <summary>Where the account lies on the ring of swarms: the exclusive or of the key's four words.</summary>
    public ulong Position => _a ^ _b ^ _c ^ _d;

    /// <summary>Reads 33 bytes, or 32 where test networks are allowed. False for any other length.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, bool allowTestNetwork, out AccountId account)
    {
        account = default;
        if (bytes.Length == Bytes) account = new AccountId(bytes[1..], bytes[0]);
        else if (allowTestNetwork && bytes.Length == KeyBytes) account = new AccountId(bytes, TestNetwork);
        else return false;
        return true;
    }

    /// <summary>Reads 66 hexadecimal digits, small or capital, or 64 where test networks are allowed. False for any other text.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, bool allowTestNetwork, out AccountId account)
    {
        account = default;
        if (text.Length is not (2 * Bytes or 2 * KeyBytes)) return false;
        Span<byte> bytes = stackalloc byte[Bytes];
        return Convert.FromHexString(text, bytes, out _, out int written) == OperationStatus.Done && TryRead(bytes[..written], allowTestNetwork, out account);
    }

    public static bool operator ==(AccountId left, AccountId right) => left.Equals(right);

    public static bool operator !=(AccountId left, AccountId right) => !left.Equals(right);

    /// <summary>Writes the 33 bytes.</summary>
    public void CopyTo(Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, Bytes);
        destination[0] = Network;
        BinaryPrimitives.WriteUInt64BigEndian(destination[1..], _a);
        BinaryPrimitives.WriteUInt64BigEndian(destination[9..], _b);
        BinaryPrimitives.WriteUInt64BigEndian(destination[17..], _c);
        BinaryPrimitives.WriteUInt64BigEndian(destination[25..], _d);
    }

    /// <summary>66 small hexadecimal digits. An account is private: this is for the wire, not for logs.</summary>
    public string ToHex()
    {
        Span<byte> bytes = stackalloc byte[Bytes];
        CopyTo(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    public bool Equals(AccountId other) => Network == other.Network && _a == other._a && _b == other._b && _c == other._c && _d == other._d;

    public override bool Equals(object? obj) => obj is AccountId other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Network, _a, _b, _c, _d);
}
