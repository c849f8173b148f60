namespace Oxen.Router.Core.Quic.Packets;

/// <summary>Truncated packet numbers. RFC 9000 section 17.1 and appendices A.2, A.3.</summary>
internal static class PacketNumber
{
    /// <summary>How many bytes <paramref name="number"/> needs so that a peer that saw <paramref name="largestAcked"/> (-1: none) restores it.</summary>
    public static int EncodedLength(long number, long largestAcked)
    {
        long span = (number - largestAcked) * 2;
        return span < 1 << 8 ? 1 : span < 1 << 16 ? 2 : span < 1 << 24 ? 3 : 4;
    }

    public static void Write(Span<byte> to, long number, int length)
    {
        for (int i = length - 1; i >= 0; i--)
        {
            to[i] = (byte)number;
            number >>= 8;
        }
    }

    public static long ReadTruncated(ReadOnlySpan<byte> from, int length)
    {
        long value = 0;
        for (int i = 0; i < length; i++) value = (value << 8) | from[i];
        return value;
    }

    /// <summary>The full number nearest to the next expected one.</summary>
    public static long Decode(long largest, long truncated, int length)
    {
        long expected = largest + 1;
        long window = 1L << (length * 8);
        long half = window / 2;
        long candidate = (expected & ~(window - 1)) | truncated;
        if (candidate <= expected - half && candidate < (1L << 62) - window) return candidate + window;
        if (candidate > expected + half && candidate >= window) return candidate - window;
        return candidate;
    }
}
