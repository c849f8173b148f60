using System.Net;
using System.Text;
using Oxen.Router.Core;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Tests.Core.Wire;

public sealed class WireTests
{
    public static TheoryData<string, int> Destinations => new()
    {
        { "1.2.3.4", 80 }, { "255.255.255.255", 65535 }, { "2001:db8::7", 443 }, { "[::1]", 1 }, { "example.org", 443 }, { new string('a', 63) + ".b", 9 }, { "x", 1 },
        { string.Join('.', Enumerable.Repeat(new string('a', 63), 4)), 7 },
    };

    private static ProxyDestination From(string host, int port)
    {
        Assert.True(ProxyDestination.TryFromHost(host, (ushort)port, out ProxyDestination destination));
        return destination;
    }

    [Fact]
    public void Fields_come_back_as_they_were_written()
    {
        Span<byte> bytes = stackalloc byte[1 + 2 + 4 + 8 + 3];
        var writer = new WireWriter(bytes);
        writer.Byte(0xAB);
        writer.UInt16(0x0102);
        writer.UInt32(0x03040506);
        writer.UInt64(0x0708090A0B0C0D0E);
        writer.Put([1, 2, 3]);
        Assert.Equal(bytes.Length, writer.Written);
        Assert.Equal<byte>([0xAB, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 1, 2, 3], writer.Bytes.ToArray());
        var reader = new WireReader(bytes);
        Assert.Equal(0xAB, reader.Byte());
        Assert.Equal(0x0102, reader.UInt16());
        Assert.Equal(0x03040506u, reader.UInt32());
        Assert.Equal(0x0708090A0B0C0D0Eul, reader.UInt64());
        Assert.Equal(3, reader.Remaining);
        Assert.False(reader.EndedWell);
        Assert.Equal<byte>([1, 2, 3], reader.Take(3).ToArray());
        Assert.True(reader.EndedWell);
    }

    [Fact]
    public void Reading_past_the_end_fails_once_and_for_all()
    {
        for (int length = 0; length < 8; length++)
        {
            var reader = new WireReader(new byte[length]);
            Assert.Equal(0ul, reader.UInt64());
            Assert.True(reader.Failed);
            Assert.Equal(0, reader.Byte());
            Assert.True(reader.Take(0).IsEmpty);
            Assert.False(reader.EndedWell);
        }

        var negative = new WireReader(new byte[4]);
        Assert.True(negative.Take(-1).IsEmpty);
        Assert.True(negative.Failed);
    }

    [Fact]
    public void Writing_past_the_end_is_our_own_mistake_and_throws() => Assert.Throws<ArgumentOutOfRangeException>(() =>
    {
        var writer = new WireWriter(new byte[3]);
        writer.UInt32(1);
    });

    [Theory]
    [MemberData(nameof(Destinations))]
    public void A_destination_survives_its_wire_form_and_no_cut_of_it_is_complete(string host, int port)
    {
        ProxyDestination destination = From(host, port);
        byte[] bytes = new byte[ProxyWire.MaxDestinationBytes];
        int length = ProxyWire.WriteDestination(destination, bytes);
        Assert.Equal(WireResult.Complete, ProxyWire.ReadDestination(bytes.AsSpan(0, length), out ProxyDestination read, out int consumed));
        Assert.Equal(destination, read);
        Assert.Equal(length, consumed);
        for (int cut = 0; cut < length; cut++)
        {
            Assert.Equal(WireResult.Incomplete, ProxyWire.ReadDestination(bytes.AsSpan(0, cut), out _, out consumed));
            Assert.Equal(0, consumed);
        }
    }

    [Theory]
    [MemberData(nameof(Destinations))]
    public void Stream_headers_and_replies_survive_and_no_cut_of_them_is_complete(string host, int port)
    {
        ProxyDestination destination = From(host, port);
        byte[] bytes = new byte[ProxyWire.MaxHeaderBytes];
        int length = ProxyWire.WriteConnectHeader(destination, bytes);
        Assert.Equal(WireResult.Complete, ProxyWire.ReadStreamHeader(bytes.AsSpan(0, length), out StreamKind kind, out ProxyDestination read, out int consumed));
        Assert.Equal((StreamKind.Connect, destination, length), (kind, read, consumed));
        for (int cut = 0; cut < length; cut++) Assert.Equal(WireResult.Incomplete, ProxyWire.ReadStreamHeader(bytes.AsSpan(0, cut), out _, out _, out _));

        foreach (ProxyStatus status in Enum.GetValues<ProxyStatus>())
        {
            length = ProxyWire.WriteReply(status, destination, bytes);
            Assert.Equal(WireResult.Complete, ProxyWire.ReadReply(bytes.AsSpan(0, length), out ProxyStatus told, out ProxyDestination bound, out consumed));
            Assert.Equal((status, length), (told, consumed));
            Assert.Equal(destination.IsName ? ProxyDestination.FromIPv4(0, 0) : destination, bound);
            for (int cut = 0; cut < length; cut++) Assert.Equal(WireResult.Incomplete, ProxyWire.ReadReply(bytes.AsSpan(0, cut), out _, out _, out _));
        }
    }

    [Theory]
    [MemberData(nameof(Destinations))]
    public void Records_survive_up_to_the_largest_and_one_byte_more_is_refused(string host, int port)
    {
        ProxyDestination destination = From(host, port);
        byte[] record = new byte[ProxyWire.MaxRecordBytes];
        int head = ProxyWire.WriteRecord(9, destination, [], record);
        foreach (int payload in new[] { 0, 1, 512, ProxyWire.MaxRecordBytes - head })
        {
            byte[] bytes = new byte[payload];
            Random.Shared.NextBytes(bytes);
            int length = ProxyWire.WriteRecord(0xABCD, destination, bytes, record);
            Assert.Equal(head + payload, length);
            Assert.True(ProxyWire.TryReadRecord(record.AsSpan(0, length), out ushort association, out ProxyDestination to, out ReadOnlySpan<byte> read));
            Assert.Equal((0xABCD, destination), (association, to));
            Assert.True(read.SequenceEqual(bytes));
        }

        Assert.Equal(0, ProxyWire.WriteRecord(1, destination, new byte[ProxyWire.MaxRecordBytes - head + 1], record));
        for (int cut = 0; cut < head; cut++) Assert.False(ProxyWire.TryReadRecord(record.AsSpan(0, cut), out _, out _, out _));
    }

    [Theory]
    [InlineData(new byte[] { 2 })]                                             // no such address type
    [InlineData(new byte[] { 3, 0, 0, 80 })]                                   // an empty name
    [InlineData(new byte[] { 3, 1, 32, 0, 80 })]                               // a blank
    [InlineData(new byte[] { 3, 3, 49, 46, 49, 0, 80 })]                       // 1.1: a number in disguise
    [InlineData(new byte[] { 3, 1, 0, 0, 80 })]                                // NUL
    public void What_is_no_destination_is_malformed(byte[] bytes) => Assert.Equal(WireResult.Malformed, ProxyWire.ReadDestination(bytes, out _, out _));

    [Theory]
    [InlineData("")]
    [InlineData("a..b")]
    [InlineData(".")]
    [InlineData("127.1")]
    [InlineData("0x7f.1")]
    [InlineData("0X7F000001")]
    [InlineData("2130706433")]
    [InlineData("1.2.3.4.5")]
    [InlineData("01.2.3.4")]
    [InlineData("[1.2.3.4]")]
    [InlineData("[::1")]
    [InlineData("fe80::1%eth0")]
    [InlineData("a b")]
    [InlineData("ä.example")]
    [InlineData("a:b")]
    public void What_a_resolver_might_read_as_a_number_or_no_host_at_all_is_refused(string host) => Assert.False(ProxyDestination.TryFromHost(host, 80, out _));

    [Fact]
    public void Names_are_lower_case_without_a_last_dot_and_mapped_addresses_are_IPv4()
    {
        Assert.Equal("www.example.org", From("WWW.Example.ORG.", 80).Name);
        Assert.Equal("www.example.org:80", From("www.example.org", 80).ToString());
        Assert.Equal(From("1.2.3.4", 5), From("::ffff:1.2.3.4", 5));
        Assert.Equal(From("1.2.3.4", 5), ProxyDestination.FromAddress(UdpAddress.From(new IPEndPoint(IPAddress.Parse("::ffff:1.2.3.4"), 5))));
        Assert.False(ProxyDestination.TryFromName(Encoding.ASCII.GetBytes(new string('a', 64)), 1, out _));
        Assert.True(default(ProxyDestination).IsNone);
    }
}
