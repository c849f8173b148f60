using System.Buffers.Binary;
using System.Text;
using NSec.Cryptography;

namespace Oxen.Ons;

// What the ledger knows of a name: BLAKE2b-256, without key or salt, of its folded UTF-8 text (lokinet: with `.loki`).
// Texts of a hash: 44 characters of base64 (RPC, database), 43 without the padding, or 64 hexadecimal digits.
// docs/protocol/ons.md#hash

/// <summary>The 32-byte hash that stands for a name.</summary>
public readonly struct NameHash : IEquatable<NameHash>
{
    /// <summary>Length in bytes.</summary>
    public const int Bytes = 32;

    private const int HexLength = 2 * Bytes;
    private const int Base64Length = 44;

    // Four big-endian words, most significant first.
    private readonly ulong _a, _b, _c, _d;

    private NameHash(ReadOnlySpan<byte> hash)
    {
        _a = BinaryPrimitives.ReadUInt64BigEndian(hash);
        _b = BinaryPrimitives.ReadUInt64BigEndian(hash[8..]);
        _c = BinaryPrimitives.ReadUInt64BigEndian(hash[16..]);
        _d = BinaryPrimitives.ReadUInt64BigEndian(hash[24..]);
    }

    /// <summary>The first eight bytes, for tables.</summary>
    internal ulong Head => _a;

    /// <summary>True for the two hashes that no ledger takes: that of the empty name, and 32 zero bytes.</summary>
    public bool IsForbidden => this == default || this == Of("");

    /// <summary>The hash of a name; capital ASCII letters count as small ones. The name is not checked.</summary>
    public static NameHash Of(string name)
    {
        Span<byte> hash = stackalloc byte[Bytes];
        HashAlgorithm.Blake2b_256.Hash(Encoding.UTF8.GetBytes(NameRules.Fold(name)), hash);
        return new NameHash(hash);
    }

    /// <summary>A hash from its 32 bytes.</summary>
    public static NameHash FromBytes(ReadOnlySpan<byte> hash)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(hash.Length, Bytes);
        return new NameHash(hash);
    }

    /// <summary>Reads 64 hexadecimal digits, or 43 or 44 characters of base64. False for any other text.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out NameHash hash)
    {
        hash = default;
        Span<byte> bytes = stackalloc byte[Bytes];
        if (text.Length == HexLength)
        {
            if (Convert.FromHexString(text, bytes, out _, out int written) != System.Buffers.OperationStatus.Done || written != Bytes) return false;
            hash = new NameHash(bytes);
            return true;
        }

        if (text.Length is not (Base64Length or Base64Length - 1)) return false;
        Span<char> padded = stackalloc char[Base64Length];
        padded[^1] = '=';
        text.CopyTo(padded);

        // The decoder forgives white space and stray last bits; comparing with our own text does not.
        if (!Convert.TryFromBase64Chars(padded, bytes, out int decoded) || decoded != Bytes) return false;
        var read = new NameHash(bytes);
        if (!padded.SequenceEqual(read.ToBase64())) return false;
        hash = read;
        return true;
    }

    public static bool operator ==(NameHash left, NameHash right) => left.Equals(right);

    public static bool operator !=(NameHash left, NameHash right) => !left.Equals(right);

    /// <summary>Writes the 32 bytes.</summary>
    public void CopyTo(Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, Bytes);
        BinaryPrimitives.WriteUInt64BigEndian(destination, _a);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], _b);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], _c);
        BinaryPrimitives.WriteUInt64BigEndian(destination[24..], _d);
    }

    /// <summary>The 44 characters that RPC and databases use.</summary>
    public string ToBase64()
    {
        Span<byte> bytes = stackalloc byte[Bytes];
        CopyTo(bytes);
        return Convert.ToBase64String(bytes);
    }

    /// <summary>64 small hexadecimal digits.</summary>
    public string ToHex()
    {
        Span<byte> bytes = stackalloc byte[Bytes];
        CopyTo(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    /// <summary>As <see cref="ToBase64"/>.</summary>
    public override string ToString() => ToBase64();

    public bool Equals(NameHash other) => _a == other._a && _b == other._b && _c == other._c && _d == other._d;

    public override bool Equals(object? obj) => obj is NameHash other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_a, _b, _c, _d);
}
