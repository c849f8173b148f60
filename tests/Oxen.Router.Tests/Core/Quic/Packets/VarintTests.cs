using Oxen.Router.Core.Quic.Packets;

namespace Oxen.Router.Tests.Core.Quic.Packets;

public sealed class VarintTests
{
    // RFC 9000 appendix A.1
    [Theory]
    [InlineData("c2197c5eff14e88c", 151288809941952652UL)]
    [InlineData("9d7f3e7d", 494878333UL)]
    [InlineData("7bbd", 15293UL)]
    [InlineData("25", 37UL)]
    public void Appendix_A1_is_read_and_written(string hex, ulong value)
    {
        byte[] bytes = Convert.FromHexString(hex);
        ReadOnlySpan<byte> from = bytes;
        Assert.True(Varint.TryRead(ref from, out ulong read));
        Assert.Equal(value, read);
        Assert.True(from.IsEmpty);
        byte[] to = new byte[8];
        Assert.Equal(bytes.Length, Varint.Write(to, value));
        Assert.Equal(bytes, to[..bytes.Length]);
    }

    [Fact]
    public void A_longer_form_than_needed_is_read_too()
    {
        ReadOnlySpan<byte> from = [0x40, 0x25];
        Assert.True(Varint.TryRead(ref from, out ulong value));
        Assert.Equal(37UL, value);
    }

    [Fact]
    public void A_cut_integer_is_refused_and_not_consumed()
    {
        byte[] whole = Convert.FromHexString("c2197c5eff14e88c");
        for (int n = 0; n < 8; n++)
        {
            ReadOnlySpan<byte> from = whole.AsSpan(0, n);
            Assert.False(Varint.TryRead(ref from, out _));
            Assert.Equal(n, from.Length);
        }
    }

    [Fact]
    public void Every_length_border_survives_a_round_trip()
    {
        byte[] to = new byte[8];
        foreach (ulong value in (ulong[])[0, 63, 64, 16383, 16384, (1 << 30) - 1, 1 << 30, Varint.Max])
        {
            int n = Varint.Write(to, value);
            Assert.Equal(Varint.Length(value), n);
            ReadOnlySpan<byte> from = to.AsSpan(0, n);
            Assert.True(Varint.TryRead(ref from, out ulong read));
            Assert.Equal(value, read);
        }
    }

    // RFC 9000 appendix A.2
    [Theory]
    [InlineData(0xac5c02L, 0xabe8b3L, 2)]
    [InlineData(0xace8feL, 0xabe8b3L, 3)]
    [InlineData(0L, -1L, 1)]
    public void Appendix_A2_packet_number_lengths(long number, long acked, int length) => Assert.Equal(length, PacketNumber.EncodedLength(number, acked));

    // RFC 9000 appendix A.3
    [Fact]
    public void Appendix_A3_packet_number_is_restored() => Assert.Equal(0xa82f9b32L, PacketNumber.Decode(0xa82f30ea, 0x9b32, 2));

    [Theory]
    [InlineData(-1L)]
    [InlineData(254L)]
    [InlineData(65_533L)]
    [InlineData((1L << 62) - 70_000)]
    public void Numbers_near_the_expected_one_are_restored_at_every_length(long largest)
    {
        byte[] bytes = new byte[4];
        for (int length = 1; length <= 4; length++)
        {
            int reach = length == 1 ? 100 : 1000;
            for (long number = Math.Max(0, largest - reach); number < largest + reach; number++)
            {
                PacketNumber.Write(bytes, number, length);
                Assert.Equal(number, PacketNumber.Decode(largest, PacketNumber.ReadTruncated(bytes, length), length));
            }
        }
    }
}
