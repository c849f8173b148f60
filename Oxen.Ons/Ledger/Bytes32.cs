using System.Buffers.Binary;
using System.Numerics;

namespace Oxen.Ons.Ledger;

/// <summary>32 bytes that name something: a key, a hash. Ordered as bytes are.</summary>
internal readonly struct Bytes32 : IEquatable<Bytes32>, IComparable<Bytes32>
{
    public const int Length = 32;
    public const int Bits = 8 * Length;

    // Big-endian words, most significant first.
    private readonly ulong _a, _b, _c, _d;

    public Bytes32(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, Length);
        _a = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        _b = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
        _c = BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]);
        _d = BinaryPrimitives.ReadUInt64BigEndian(bytes[24..]);
    }

    public bool IsZero => (_a | _b | _c | _d) == 0;

    /// <summary>The first eight bytes as a little-endian number: what seeds generators upstream.</summary>
    public ulong Seed => BinaryPrimitives.ReverseEndianness(_a);

    public static bool operator ==(Bytes32 left, Bytes32 right) => left.Equals(right);

    public static bool operator !=(Bytes32 left, Bytes32 right) => !left.Equals(right);

    /// <summary>Reads 64 hexadecimal digits.</summary>
    public static bool TryParse(ReadOnlySpan<char> hex, out Bytes32 value)
    {
        Span<byte> bytes = stackalloc byte[Length];
        bool well = hex.Length == 2 * Length && Convert.FromHexString(hex, bytes, out _, out _) == System.Buffers.OperationStatus.Done;
        value = well ? new Bytes32(bytes) : default;
        return well;
    }

    public static Bytes32 Of(NameHash hash)
    {
        Span<byte> bytes = stackalloc byte[Length];
        hash.CopyTo(bytes);
        return new Bytes32(bytes);
    }

    public NameHash ToNameHash()
    {
        Span<byte> bytes = stackalloc byte[Length];
        CopyTo(bytes);
        return NameHash.FromBytes(bytes);
    }

    /// <summary>Bit `index`, the most significant of the first byte being 0.</summary>
    public bool Bit(int index)
    {
        ulong word = (index >> 6) switch { 0 => _a, 1 => _b, 2 => _c, _ => _d };
        return (word >> (63 - (index & 63)) & 1) != 0;
    }

    /// <summary>How many leading bits two values share.</summary>
    public int CommonBits(Bytes32 other)
    {
        if (_a != other._a) return BitOperations.LeadingZeroCount(_a ^ other._a);
        if (_b != other._b) return 64 + BitOperations.LeadingZeroCount(_b ^ other._b);
        if (_c != other._c) return 128 + BitOperations.LeadingZeroCount(_c ^ other._c);
        return 192 + BitOperations.LeadingZeroCount(_d ^ other._d);
    }

    public void CopyTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, _a);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], _b);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], _c);
        BinaryPrimitives.WriteUInt64BigEndian(destination[24..], _d);
    }

    public byte[] ToArray()
    {
        byte[] bytes = new byte[Length];
        CopyTo(bytes);
        return bytes;
    }

    public override string ToString() => Convert.ToHexStringLower(ToArray());

    public bool Equals(Bytes32 other) => _a == other._a && _b == other._b && _c == other._c && _d == other._d;

    public override bool Equals(object? obj) => obj is Bytes32 other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_a, _d);

    public int CompareTo(Bytes32 other)
    {
        int order = _a.CompareTo(other._a);
        if (order == 0) order = _b.CompareTo(other._b);
        if (order == 0) order = _c.CompareTo(other._c);
        return order != 0 ? order : _d.CompareTo(other._d);
    }
}
