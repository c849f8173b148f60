using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Carrier;

/// <summary>
/// Layout of the sealed datagram (docs/protocol/link.md#sealed), big-endian:
/// <code>
///  0            1          4                8         16
///  +------------+----------+----------------+---------+
///  | 10 epoch 6 | zero 3   | receiver index | counter |   clear; associated data, and the nonce
///  +------------+----------+--------+-------+---------+ 16
///  | path handle 8 (slot, gen.)     | epoch 2 class 1 zero 5 (bits) | flags, zero 7 |   sealed
///  +--------------------------------+-------------------------------+---------------+ 32
///  | body 1376 (full) or 1184 (reduced)                             |   sealed
///  +----------------------------------------------------------------+ 1408 or 1216
///  | tag 16                                                         |
///  +----------------------------------------------------------------+ 1424 or 1232
/// </code>
/// </summary>
internal static class SealedDatagram
{
    public const int ClearBytes = 16;
    public const int HeaderBytes = 32;
    public const int TagBytes = 16;

    public const int FullBytes = HeaderBytes + OnionLayer.FullBodyBytes + TagBytes;
    public const int ReducedBytes = HeaderBytes + OnionLayer.ReducedBodyBytes + TagBytes;

    public const byte KindMask = 0xC0;
    public const byte Kind = 0x80;
    public const byte EpochMask = 0x3F;

    public const int IndexAt = 4;
    public const int CounterAt = 8;
    public const int HandleAt = 16;
    public const int PathEpochAt = 24;

    // Bits of byte 24.
    private const int PathEpochShift = 6;
    private const int ClassShift = 5;

    public static int Bytes(SizeClass size) => size == SizeClass.Full ? FullBytes : ReducedBytes;

    public static int BodyBytes(SizeClass size) => size == SizeClass.Full ? OnionLayer.FullBodyBytes : OnionLayer.ReducedBodyBytes;

    /// <summary>Content of a body: what follows the head and the command byte.</summary>
    public static int ContentBytes(SizeClass size) => BodyBytes(size) - OnionLayer.HeadBytes - 1;

    public static uint Index(ReadOnlySpan<byte> datagram) => BinaryPrimitives.ReadUInt32BigEndian(datagram[IndexAt..]);

    public static ulong Counter(ReadOnlySpan<byte> datagram) => BinaryPrimitives.ReadUInt64BigEndian(datagram[CounterAt..]);

    /// <summary>Bytes 1 to 3 are reserved and zero.</summary>
    public static bool ReservedIsZero(ReadOnlySpan<byte> datagram) => (BinaryPrimitives.ReadUInt32BigEndian(datagram) & 0x00FFFFFF) == 0;

    public static void WriteClear(Span<byte> datagram, uint linkEpoch, uint index, ulong counter)
    {
        BinaryPrimitives.WriteUInt32BigEndian(datagram, (uint)(Kind | (linkEpoch & EpochMask)) << 24);
        BinaryPrimitives.WriteUInt32BigEndian(datagram[IndexAt..], index);
        BinaryPrimitives.WriteUInt64BigEndian(datagram[CounterAt..], counter);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteInner(Span<byte> datagram, ulong handle, uint pathEpoch, SizeClass size)
    {
        BinaryPrimitives.WriteUInt64BigEndian(datagram[HandleAt..], handle);
        BinaryPrimitives.WriteUInt64BigEndian(datagram[PathEpochAt..], (ulong)(((pathEpoch & 3) << PathEpochShift) | ((uint)size << ClassShift)) << 56);
    }

    /// <summary>Reads the opened header. False: a bit that must be zero is not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadInner(ReadOnlySpan<byte> datagram, out ulong handle, out uint epochBits, out SizeClass size)
    {
        handle = BinaryPrimitives.ReadUInt64BigEndian(datagram[HandleAt..]);
        ulong rest = BinaryPrimitives.ReadUInt64BigEndian(datagram[PathEpochAt..]);
        epochBits = (uint)(rest >> (56 + PathEpochShift));
        size = (SizeClass)((rest >> (56 + ClassShift)) & 1);
        return (rest & 0x1FFF_FFFF_FFFF_FFFF) == 0;
    }
}
