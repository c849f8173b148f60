using System.Buffers.Binary;

namespace Oxen.Router.Core.Directory;

/// <summary>A router's name: its 32-byte Ed25519 public key.</summary>
internal readonly record struct RouterId : IComparable<RouterId>
{
    public const int Bytes = 32;

    private readonly ulong _a, _b, _c, _d;

    public RouterId(ReadOnlySpan<byte> key)
    {
        if (key.Length != Bytes) throw new ArgumentException("a router id has 32 bytes", nameof(key));
        _a = BinaryPrimitives.ReadUInt64BigEndian(key);
        _b = BinaryPrimitives.ReadUInt64BigEndian(key[8..]);
        _c = BinaryPrimitives.ReadUInt64BigEndian(key[16..]);
        _d = BinaryPrimitives.ReadUInt64BigEndian(key[24..]);
    }

    public bool IsNone => (_a | _b | _c | _d) == 0;

    public void CopyTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, _a);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], _b);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], _c);
        BinaryPrimitives.WriteUInt64BigEndian(destination[24..], _d);
    }

    /// <summary>The order of the bytes.</summary>
    public int CompareTo(RouterId other)
    {
        if (_a != other._a) return _a < other._a ? -1 : 1;
        if (_b != other._b) return _b < other._b ? -1 : 1;
        if (_c != other._c) return _c < other._c ? -1 : 1;
        return _d.CompareTo(other._d);
    }

    public byte[] ToArray()
    {
        byte[] bytes = new byte[Bytes];
        CopyTo(bytes);
        return bytes;
    }

    /// <summary>64 hexadecimal digits. For files and the operator's own screen; logs take it only inside a redaction.</summary>
    public override string ToString() => Convert.ToHexStringLower(ToArray());

    public static bool TryParse(ReadOnlySpan<char> hex, out RouterId id)
    {
        id = default;
        if (hex.Length != 2 * Bytes) return false;
        Span<byte> bytes = stackalloc byte[Bytes];
        if (Convert.FromHexString(hex, bytes, out _, out int written) != System.Buffers.OperationStatus.Done || written != Bytes) return false;
        id = new RouterId(bytes);
        return true;
    }
}
