using System.Buffers.Binary;

namespace Oxen.Router.Core.Quic.Packets;

/// <summary>
/// QUIC's variable-length integer: the two high bits of the first byte give the length (1, 2, 4, 8 bytes), the rest is
/// the value in network order. RFC 9000 section 16.
/// </summary>
internal static class Varint
{
    public const ulong Max = (1UL << 62) - 1;

    public static int Length(ulong value) => value < 1 << 6 ? 1 : value < 1 << 14 ? 2 : value < 1 << 30 ? 4 : 8;

    /// <summary>Reads one integer off the front of <paramref name="from"/>; false (and nothing consumed) when it is cut off.</summary>
    public static bool TryRead(ref ReadOnlySpan<byte> from, out ulong value)
    {
        value = 0;
        if (from.IsEmpty) return false;
        int length = 1 << (from[0] >> 6);
        if (from.Length < length) return false;
        value = length switch
        {
            1 => from[0],
            2 => (ulong)BinaryPrimitives.ReadUInt16BigEndian(from) & 0x3FFF,
            4 => BinaryPrimitives.ReadUInt32BigEndian(from) & 0x3FFF_FFFF,
            _ => BinaryPrimitives.ReadUInt64BigEndian(from) & Max,
        };
        from = from[length..];
        return true;
    }

    /// <summary>Writes <paramref name="value"/> in its shortest form and returns how many bytes that took.</summary>
    public static int Write(Span<byte> to, ulong value)
    {
        switch (Length(value))
        {
            case 1:
                to[0] = (byte)value;
                return 1;
            case 2:
                BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)(value | 0x4000));
                return 2;
            case 4:
                BinaryPrimitives.WriteUInt32BigEndian(to, (uint)value | 0x8000_0000);
                return 4;
            default:
                if (value > Max) throw new ArgumentOutOfRangeException(nameof(value), "a QUIC integer has 62 bits");
                BinaryPrimitives.WriteUInt64BigEndian(to, value | 0xC000_0000_0000_0000);
                return 8;
        }
    }

    /// <summary>Writes a value below 16384 in two bytes, whatever its size: for lengths that are known only later.</summary>
    public static void WriteTwo(Span<byte> to, int value) => BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)(value | 0x4000));
}
