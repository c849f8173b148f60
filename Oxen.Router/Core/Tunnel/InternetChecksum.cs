using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Oxen.Router.Core.Tunnel;

// The Internet checksum (RFC 1071, updates by RFC 1624): the ones' complement of the ones' complement sum of 16-bit words.
//
// Partial sums are plain numbers of type uint in which big-endian words were added up: sums of neighbouring parts are added
// with +, Fold brings the result to 16 bits, Finish complements it. A part that begins at an odd offset goes through
// AtOddOffset first. Sum and CopyAndSum return folded values, so some 65 000 of them fit into a uint.
internal static class InternetChecksum
{
    private const int BlockBytes = 128;

    /// <summary>The words' sum, folded. An odd last byte counts as the upper half of a word.</summary>
    public static uint Sum(ReadOnlySpan<byte> data) => Vector512.IsHardwareAccelerated ? Sum512(data) : Sum256(data);

    /// <summary>The scalar twin of <see cref="Sum"/>, and the faster one for a header's few bytes.</summary>
    public static uint SumScalar(ReadOnlySpan<byte> data) => ToWord(SumTail(data));

    /// <summary>Copies and sums in one pass. The spans must not overlap.</summary>
    public static uint CopyAndSum(ReadOnlySpan<byte> source, Span<byte> destination)
        => Vector512.IsHardwareAccelerated ? CopyAndSum512(source, destination) : CopyAndSum256(source, destination);

    // The kernels by name, for the tests: each gives the same on every machine, at whatever speed.
    internal static uint Sum512(ReadOnlySpan<byte> data)
    {
        int blocks = data.Length / BlockBytes;
        ulong sum = blocks == 0 ? 0 : Blocks512(ref MemoryMarshal.GetReference(data), (nuint)blocks);
        return ToWord(sum + SumTail(data[(blocks * BlockBytes)..]));
    }

    internal static uint Sum256(ReadOnlySpan<byte> data)
    {
        int blocks = data.Length / BlockBytes;
        ulong sum = blocks == 0 ? 0 : Blocks256(ref MemoryMarshal.GetReference(data), (nuint)blocks);
        return ToWord(sum + SumTail(data[(blocks * BlockBytes)..]));
    }

    internal static uint CopyAndSum512(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, source.Length, nameof(destination));
        int blocks = source.Length / BlockBytes;
        ulong sum = blocks == 0 ? 0 : CopyBlocks512(ref MemoryMarshal.GetReference(source), ref MemoryMarshal.GetReference(destination), (nuint)blocks);
        return CopyTail(sum, source, destination, blocks);
    }

    internal static uint CopyAndSum256(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, source.Length, nameof(destination));
        int blocks = source.Length / BlockBytes;
        ulong sum = blocks == 0 ? 0 : CopyBlocks256(ref MemoryMarshal.GetReference(source), ref MemoryMarshal.GetReference(destination), (nuint)blocks);
        return CopyTail(sum, source, destination, blocks);
    }

    /// <summary>To 16 bits. 0 only if everything summed was 0; what includes a correct checksum gives 0xFFFF.</summary>
    public static ushort Fold(uint sum)
    {
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)(sum + (sum >> 16));
    }

    /// <summary>The checksum of what was summed. (UDP sends 0xFFFF in place of 0.)</summary>
    public static ushort Finish(uint sum) => (ushort)~Fold(sum);

    /// <summary>What a part's sum is worth when the part begins at an odd offset of the whole (RFC 1071 section 2 (B)).</summary>
    public static uint AtOddOffset(uint sum) => BinaryPrimitives.ReverseEndianness(Fold(sum));

    /// <param name="length">Of transport header and payload.</param>
    public static uint PseudoHeader4(uint source, uint destination, byte protocol, int length)
        => Words(source) + Words(destination) + protocol + (uint)length;

    /// <param name="length">Of transport header and payload.</param>
    public static uint PseudoHeader6(UInt128 source, UInt128 destination, byte protocol, int length)
        => Words(source) + Words(destination) + protocol + (uint)length;

    /// <summary>The sum of the pseudo header for a transport of `length` bytes in this packet; 0 for ICMP of IPv4, which has none.</summary>
    public static uint PseudoHeader(in IpPacket packet, int length) => packet.Version switch
    {
        4 when packet.Protocol == IpProtocol.Icmp => 0,
        4 => PseudoHeader4(packet.Source4, packet.Destination4, packet.Protocol, length),
        _ => PseudoHeader6(packet.Source, packet.Destination, packet.Protocol, length),
    };

    /// <summary>
    /// The transport's checksum is right, or absent by the rules (UDP over IPv4 without, protocols with none that we know).
    /// Not for fragments, nor for a checksum that is still partial.
    /// </summary>
    public static bool IsTransportValid(ReadOnlySpan<byte> bytes, in IpPacket packet)
    {
        int at = packet.ChecksumOffset;
        if (at == 0) return true;

        // RFC 768; over IPv6 a checksum of 0 is none (RFC 8200 section 8.1).
        if (packet.Protocol == IpProtocol.Udp && (bytes[at] | bytes[at + 1]) == 0) return packet.Version == 4;
        return Fold(PseudoHeader(in packet, packet.TransportBytes) + Sum(bytes.Slice(packet.HeaderBytes, packet.TransportBytes))) == 0xFFFF;
    }

    /// <summary>Writes the transport's checksum anew, over what the packet holds now. Does nothing to protocols without one that we know.</summary>
    public static void WriteTransport(Span<byte> bytes, in IpPacket packet)
    {
        int at = packet.ChecksumOffset;
        if (at == 0) return;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[at..], 0);
        ushort checksum = Finish(PseudoHeader(in packet, packet.TransportBytes) + Sum(bytes.Slice(packet.HeaderBytes, packet.TransportBytes)));
        BinaryPrimitives.WriteUInt16BigEndian(bytes[at..], packet.Protocol == IpProtocol.Udp && checksum == 0 ? (ushort)0xFFFF : checksum);
    }

    /// <summary>Writes the header checksum of an IPv4 packet of at least its header's length.</summary>
    public static void WriteHeader4(Span<byte> packet)
    {
        Span<byte> header = packet[..((packet[0] & 15) * 4)];
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], Finish(SumScalar(header)));
    }

    /// <summary>What a sum gains when `before` becomes `after` (RFC 1624): worth computing once where the same change is made often.</summary>
    public static uint Change(ushort before, ushort after) => (uint)(ushort)~before + after;

    public static uint Change(uint before, uint after) => Fold(Words(~before) + Words(after));

    public static uint Change(UInt128 before, UInt128 after) => Fold(Words(~before) + Words(after));

    /// <summary>The checksum after a change of what it covers: HC' = ~(~HC + ~m + m') (RFC 1624 section 3, equation 3).</summary>
    public static ushort Update(ushort checksum, uint change) => (ushort)~Fold((ushort)~checksum + change);

    /// <summary>The same for a field that holds an uncomplemented sum: a partial checksum holds the pseudo header's.</summary>
    public static ushort UpdatePartial(ushort sum, uint change) => Fold(sum + change);

    private static uint Words(uint value) => (value >> 16) + (value & 0xFFFF);

    private static uint Words(UInt128 value)
    {
        ulong high = (ulong)(value >> 64), low = (ulong)value;
        ulong sum = (high >> 32) + (uint)high + (low >> 32) + (uint)low;
        return Fold64(sum);
    }

    // Summed in the machine's own byte order: the sum is the same but for the order of its two bytes (RFC 1071 section 2 (B)).
    private static uint ToWord(ulong sum)
    {
        uint folded = Fold64(sum);
        return BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness((ushort)folded) : folded;
    }

    private static uint Fold64(ulong sum)
    {
        sum = (sum >> 32) + (uint)sum;
        sum = (sum >> 32) + (uint)sum;
        return Fold((uint)sum);
    }

    private static uint CopyTail(ulong sum, ReadOnlySpan<byte> source, Span<byte> destination, int blocks)
    {
        source = source[(blocks * BlockBytes)..];
        source.CopyTo(destination[(blocks * BlockBytes)..]);
        return ToWord(sum + SumTail(source));
    }

    // Eight bytes as two halves of 32 bits: 64 bits hold the sum of four thousand million of them.
    private static ulong SumTail(ReadOnlySpan<byte> data)
    {
        ref byte at = ref MemoryMarshal.GetReference(data);
        nuint length = (nuint)data.Length, i = 0;
        ulong sum = 0;
        for (; i + 8 <= length; i += 8)
        {
            ulong value = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref at, i));
            sum += (uint)value;
            sum += value >> 32;
        }

        if ((length & 4) != 0)
        {
            sum += Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref at, i));
            i += 4;
        }

        if ((length & 2) != 0)
        {
            sum += Unsafe.ReadUnaligned<ushort>(ref Unsafe.Add(ref at, i));
            i += 2;
        }

        if ((length & 1) != 0)
        {
            byte last = Unsafe.Add(ref at, i);
            sum += BitConverter.IsLittleEndian ? last : (uint)last << 8;
        }

        return sum;
    }

    // Each lane of 64 bits takes both halves of eight bytes, as the scalar twin does. One loop a method and no call in it:
    // the JIT then keeps the sums in registers.
    private static ulong Blocks512(ref byte data, nuint blocks)
    {
        Vector512<ulong> low = Vector512.Create(0xFFFF_FFFFUL), a = Vector512<ulong>.Zero, b = a, c = a, d = a;
        nuint end = blocks * BlockBytes;
        for (nuint i = 0; i < end; i += BlockBytes)
        {
            Vector512<ulong> x = Vector512.LoadUnsafe(ref data, i).AsUInt64(), y = Vector512.LoadUnsafe(ref data, i + 64).AsUInt64();
            a += x & low;
            b += x >>> 32;
            c += y & low;
            d += y >>> 32;
        }

        return Vector512.Sum(a + b + c + d);
    }

    private static ulong Blocks256(ref byte data, nuint blocks)
    {
        Vector256<ulong> low = Vector256.Create(0xFFFF_FFFFUL), a = Vector256<ulong>.Zero, b = a, c = a, d = a;
        nuint end = blocks * BlockBytes;
        for (nuint i = 0; i < end; i += 64)
        {
            Vector256<ulong> x = Vector256.LoadUnsafe(ref data, i).AsUInt64(), y = Vector256.LoadUnsafe(ref data, i + 32).AsUInt64();
            a += x & low;
            b += x >>> 32;
            c += y & low;
            d += y >>> 32;
        }

        return Vector256.Sum(a + b + c + d);
    }

    private static ulong CopyBlocks512(ref byte source, ref byte destination, nuint blocks)
    {
        Vector512<ulong> low = Vector512.Create(0xFFFF_FFFFUL), a = Vector512<ulong>.Zero, b = a, c = a, d = a;
        nuint end = blocks * BlockBytes;
        for (nuint i = 0; i < end; i += BlockBytes)
        {
            Vector512<ulong> x = Vector512.LoadUnsafe(ref source, i).AsUInt64(), y = Vector512.LoadUnsafe(ref source, i + 64).AsUInt64();
            x.AsByte().StoreUnsafe(ref destination, i);
            y.AsByte().StoreUnsafe(ref destination, i + 64);
            a += x & low;
            b += x >>> 32;
            c += y & low;
            d += y >>> 32;
        }

        return Vector512.Sum(a + b + c + d);
    }

    private static ulong CopyBlocks256(ref byte source, ref byte destination, nuint blocks)
    {
        Vector256<ulong> low = Vector256.Create(0xFFFF_FFFFUL), a = Vector256<ulong>.Zero, b = a, c = a, d = a;
        nuint end = blocks * BlockBytes;
        for (nuint i = 0; i < end; i += 64)
        {
            Vector256<ulong> x = Vector256.LoadUnsafe(ref source, i).AsUInt64(), y = Vector256.LoadUnsafe(ref source, i + 32).AsUInt64();
            x.AsByte().StoreUnsafe(ref destination, i);
            y.AsByte().StoreUnsafe(ref destination, i + 32);
            a += x & low;
            b += x >>> 32;
            c += y & low;
            d += y >>> 32;
        }

        return Vector256.Sum(a + b + c + d);
    }
}
