using System.Buffers.Binary;

namespace Oxen.Router.Core.Wire;

/// <summary>
/// Reads big-endian fields from bytes of a stranger. Reading past the end sets <see cref="Failed"/> and gives zeros or
/// empty spans from then on, so that a parser checks once, at its end.
/// </summary>
internal ref struct WireReader(ReadOnlySpan<byte> bytes)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private int _at;

    public bool Failed { get; private set; }

    public readonly int Remaining => _bytes.Length - _at;

    public readonly ReadOnlySpan<byte> Rest => _bytes[_at..];

    /// <summary>Everything was read and nothing was missing.</summary>
    public readonly bool EndedWell => !Failed && _at == _bytes.Length;

    public ReadOnlySpan<byte> Take(int length)
    {
        if (Failed || (uint)length > (uint)Remaining)
        {
            Failed = true;
            return default;
        }

        ReadOnlySpan<byte> part = _bytes.Slice(_at, length);
        _at += length;
        return part;
    }

    public byte Byte()
    {
        ReadOnlySpan<byte> b = Take(1);
        return b.IsEmpty ? (byte)0 : b[0];
    }

    public ushort UInt16()
    {
        ReadOnlySpan<byte> b = Take(2);
        return b.IsEmpty ? (ushort)0 : BinaryPrimitives.ReadUInt16BigEndian(b);
    }

    public uint UInt32()
    {
        ReadOnlySpan<byte> b = Take(4);
        return b.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32BigEndian(b);
    }

    public ulong UInt64()
    {
        ReadOnlySpan<byte> b = Take(8);
        return b.IsEmpty ? 0 : BinaryPrimitives.ReadUInt64BigEndian(b);
    }
}
