using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Router.Tests.Core.Tunnel;

/// <summary>Every reason for which the tunnel drops a packet, by packets that differ from good ones in that alone; and what is near and passes.</summary>
public sealed class TunnelDropTests
{
    private static readonly byte[] Tcp = [1, 2, 3, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0x50, 16, 1, 0, 0, 0, 0, 0];
    private static readonly byte[] Udp = [1, 2, 3, 4, 0, 8, 0, 0];

    private static readonly Dictionary<string, (byte[] Bytes, DropReason Reason)> Packets = new()
    {
        ["TCP over IPv4"] = (V4(6, Tcp), DropReason.None),
        ["UDP over IPv4"] = (V4(17, Udp), DropReason.None),
        ["echo over IPv4"] = (V4(1, [8, 0, 0, 0, 0, 1, 0, 1]), DropReason.None),
        ["router alert over IPv4"] = (V4(6, Tcp, options: [148, 4, 0, 0]), DropReason.None),
        ["what follows the end of options is no option"] = (V4(6, Tcp, options: [0, 7, 0, 0]), DropReason.None),
        ["TCP over IPv6"] = (V6(6, Tcp), DropReason.None),
        ["no next header"] = (V6(59, []), DropReason.None),
        ["eight extension headers"] = (V6(60, Chain(8, Tcp)), DropReason.None),
        ["UDP shorter than its packet"] = (V4(17, [.. Udp, 1, 2, 3, 4]), DropReason.None),
        ["SCTP over IPv6"] = (V6(132, new byte[12]), DropReason.None),
        ["ESP over IPv4"] = (V4(50, new byte[8]), DropReason.None),
        ["Packet Too Big"] = (V6(58, [2, 0, 0, 0, 0, 0, 5, 0]), DropReason.None),

        ["nothing"] = ([], DropReason.BadIpHeader),
        ["version 5"] = (With(V4(6, Tcp), 0, 0x55), DropReason.BadIpHeader),
        ["an IPv4 header of four words"] = (With(V4(6, Tcp), 0, 0x44), DropReason.BadIpHeader),
        ["an IPv4 header cut off"] = (V4(6, Tcp)[..19], DropReason.BadIpHeader),
        ["an IPv4 length beyond what there is"] = (V4(6, Tcp)[..39], DropReason.BadIpHeader),
        ["an IPv4 length within the header"] = (Summed(With(V4(6, Tcp), 3, 19)), DropReason.BadIpHeader),
        ["a wrong header checksum"] = (With(V4(6, Tcp), 8, 63), DropReason.BadIpHeader),
        ["the reserved IPv4 flag"] = (V4(6, Tcp, fragment: 0x8000), DropReason.BadIpHeader),
        ["an option without a length"] = (V4(6, Tcp, options: [1, 1, 1, 148]), DropReason.BadIpHeader),
        ["an option of one byte"] = (V4(6, Tcp, options: [148, 1, 0, 0]), DropReason.BadIpHeader),
        ["an option beyond the header"] = (V4(6, Tcp, options: [148, 5, 0, 0]), DropReason.BadIpHeader),
        ["an IPv6 header cut off"] = (V6(6, Tcp)[..39], DropReason.BadIpHeader),
        ["an IPv6 length beyond what there is"] = (V6(6, Tcp)[..59], DropReason.BadIpHeader),
        ["a jumbogram"] = (V6(0, [6, 0, 0xC2, 4, 0, 1, 0, 0, .. Tcp]), DropReason.BadIpHeader),
        ["nine extension headers"] = (V6(60, Chain(9, Tcp)), DropReason.BadIpHeader),
        ["hop-by-hop options in the second place"] = (V6(60, [0, 0, 1, 4, 0, 0, 0, 0, .. Chain(1, Tcp)]), DropReason.BadIpHeader),
        ["an extension header cut off"] = (V6(60, [6, 0, 1, 4, 0, 0, 0]), DropReason.BadIpHeader),
        ["an extension header beyond the packet"] = (V6(60, [6, 1, 1, 4, 0, 0, 0, 0]), DropReason.BadIpHeader),
        ["an IPv6 option beyond its header"] = (V6(60, [6, 0, 1, 5, 0, 0, 0, 0, .. Tcp]), DropReason.BadIpHeader),
        ["an IPv6 option without a length"] = (V6(60, [6, 0, 1, 3, 0, 0, 0, 1, .. Tcp]), DropReason.BadIpHeader),

        ["GRE over IPv4"] = (V4(47, Tcp), DropReason.UnknownIpProtocol),
        ["IPv6's ICMP over IPv4"] = (V4(58, [128, 0, 0, 0, 0, 1, 0, 1]), DropReason.UnknownIpProtocol),
        ["IPv4's ICMP over IPv6"] = (V6(1, [8, 0, 0, 0, 0, 1, 0, 1]), DropReason.UnknownIpProtocol),
        ["no next header over IPv4"] = (V4(59, []), DropReason.UnknownIpProtocol),
        ["IPv6 over IPv4"] = (V4(41, V6(6, Tcp)), DropReason.UnknownIpProtocol),
        ["an experimental extension header"] = (V6(253, Chain(1, Tcp)), DropReason.UnknownIpProtocol),

        ["record route"] = (V4(6, Tcp, options: [7, 3, 4, 0]), DropReason.AddressBoundHeader),
        ["timestamp"] = (V4(6, Tcp, options: [68, 4, 5, 0]), DropReason.AddressBoundHeader),
        ["loose source route"] = (V4(6, Tcp, options: [1, 131, 3, 4]), DropReason.AddressBoundHeader),
        ["strict source route"] = (V4(6, Tcp, options: [137, 3, 4, 0]), DropReason.AddressBoundHeader),
        ["AH over IPv4"] = (V4(51, new byte[24]), DropReason.AddressBoundHeader),
        ["AH over IPv6"] = (V6(51, new byte[24]), DropReason.AddressBoundHeader),
        ["mobility"] = (V6(135, new byte[8]), DropReason.AddressBoundHeader),
        ["HIP"] = (V6(139, new byte[8]), DropReason.AddressBoundHeader),
        ["shim6"] = (V6(140, new byte[8]), DropReason.AddressBoundHeader),
        ["a routing header of type 0"] = (V6(43, [6, 0, 0, 0, 0, 0, 0, 0, .. Tcp]), DropReason.AddressBoundHeader),
        ["a routing header with a segment left"] = (V6(43, [6, 0, 4, 1, 0, 0, 0, 0, .. Tcp]), DropReason.AddressBoundHeader),
        ["the home address option"] = (V6(60, [6, 2, 0xC9, 16, .. new byte[16], 1, 2, 0, 0, .. Tcp]), DropReason.AddressBoundHeader),

        ["a fragment of IPv4 without data"] = (V4(17, [], fragment: 0x2000), DropReason.BadFragment),
        ["a first fragment that is no multiple of 8"] = (V4(17, [.. Udp, 1], fragment: 0x2000), DropReason.BadFragment),
        ["a fragment of IPv4 beyond 65535"] = (V4(17, new byte[16], fragment: 8188), DropReason.BadFragment),
        ["a fragment inside the TCP header"] = (V4(6, new byte[24], fragment: 1), DropReason.BadFragment),
        ["a fragment inside the TCP header over IPv6"] = (V6(44, [6, 0, 0, 8, 0, 0, 0, 1, .. new byte[24]]), DropReason.BadFragment),
        ["a fragment of IPv6 beyond 65535"] = (V6(44, [17, 0, 0xFF, 0xF8, 0, 0, 0, 1, .. new byte[8]]), DropReason.BadFragment),
        ["a second fragment header"] = (V6(44, [44, 0, 0, 1, 0, 0, 0, 1, 17, 0, 0, 1, 0, 0, 0, 1, .. Udp]), DropReason.BadFragment),
        ["extension headers behind a later fragment"] = (V6(44, [60, 0, 0, 16, 0, 0, 0, 1, .. Chain(1, Tcp)]), DropReason.BadFragment),

        ["TCP cut off"] = (V4(6, Tcp[..19]), DropReason.BadTransportHeader),
        ["a TCP data offset of four words"] = (V4(6, With(Tcp, 12, 0x40)), DropReason.BadTransportHeader),
        ["a TCP data offset beyond the packet"] = (V6(6, With(Tcp, 12, 0x60)), DropReason.BadTransportHeader),
        ["TCP options that are not in the first fragment"] = (V4(6, With([.. Tcp, 0, 0, 0, 0], 12, 0x70), fragment: 0x2000), DropReason.BadTransportHeader),
        ["UDP cut off"] = (V4(17, Udp[..7]), DropReason.BadTransportHeader),
        ["a UDP length of seven"] = (V4(17, With(Udp, 5, 7)), DropReason.BadTransportHeader),
        ["a UDP length beyond the packet"] = (V6(17, With(Udp, 5, 9)), DropReason.BadTransportHeader),
        ["SCTP cut off"] = (V4(132, new byte[11]), DropReason.BadTransportHeader),
        ["ESP cut off"] = (V6(50, new byte[7]), DropReason.BadTransportHeader),
        ["ICMP cut off"] = (V4(1, [8, 0, 0, 0, 0, 0, 0]), DropReason.BadTransportHeader),
        ["IPv6 without the transport that it names"] = (V6(6, []), DropReason.BadTransportHeader),

        ["a redirect"] = (V4(1, [5, 1, 0, 0, 0, 0, 0, 0]), DropReason.IcmpType),
        ["a router advertisement of IPv4"] = (V4(1, [9, 0, 0, 0, 0, 0, 0, 0]), DropReason.IcmpType),
        ["a neighbour solicitation"] = (V6(58, [135, 0, 0, 0, 0, 0, 0, 0]), DropReason.IcmpType),
        ["a listener query"] = (V6(58, [130, 0, 0, 0, 0, 0, 0, 0]), DropReason.IcmpType),
    };

    public static TheoryData<string> Names => [.. Packets.Keys];

    [Theory, MemberData(nameof(Names))]
    public void A_packet_is_let_through_or_dropped_for_its_own_reason(string name)
    {
        (byte[] bytes, DropReason expected) = Packets[name];
        DropReason reason = IpClassifier.Read(bytes, out IpPacket p);
        if (reason == DropReason.None) reason = IcmpRules.Check(in p);
        Assert.Equal(expected, reason);
    }

    [Fact]
    public void What_a_segmenter_refuses_has_its_reasons_too()
    {
        byte[] packet = V4(6, [.. Tcp, .. new byte[3000]]);
        IpClassifier.Read(packet, out IpPacket p);
        Assert.Equal(DropReason.TooLarge, default(Segmenter).Begin(p, default));
        Assert.Equal(DropReason.TooLarge, default(Segmenter).Begin(p, new VirtioHeader { Segmentation = VirtioHeader.Tcp4, SegmentBytes = 1281 }));
        Assert.Equal(DropReason.BadVirtioHeader, default(Segmenter).Begin(p, new VirtioHeader { Segmentation = VirtioHeader.Tcp6, SegmentBytes = 1280 }));
        Assert.Equal(DropReason.None, default(Segmenter).Begin(p, new VirtioHeader { Segmentation = VirtioHeader.Tcp4, SegmentBytes = 1280 }));
    }

    [Fact]
    public void The_table_names_every_reason_of_the_packets_themselves()
    {
        IEnumerable<DropReason> ofPackets = Enum.GetValues<DropReason>().Where(r => r is >= DropReason.BadIpHeader and <= DropReason.IcmpType);
        Assert.Empty(ofPackets.Except(Packets.Values.Select(p => p.Reason)));
    }

    // Found by IpClassifierFuzz: the 8 bytes of the fragment header were counted as part of the reassembled packet, in which it
    // does not stand (RFC 8200 section 4.5), so that the last possible fragment was refused.
    [Fact]
    public void The_fragment_header_does_not_count_towards_the_length_of_the_reassembled_packet()
    {
        Assert.Equal(DropReason.None, IpClassifier.Read(V6(44, [17, 0, 0xFF, 0xF8, 0, 0, 0, 1, .. new byte[7]]), out IpPacket p));
        Assert.Equal(65528, p.FragmentOffset);
    }

    private static byte[] V4(byte protocol, byte[] transport, byte[]? options = null, int fragment = 0)
    {
        options ??= [];
        byte[] packet = [(byte)(0x45 + (options.Length / 4)), 0, 0, 0, 0, 7, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, .. options, .. transport];
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), (ushort)fragment);
        return Summed(packet);
    }

    private static byte[] V6(byte next, byte[] rest)
    {
        byte[] packet = [0x60, 0, 0, 0, 0, 0, next, 64, .. new byte[32], .. rest];
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)rest.Length);
        (packet[8], packet[24]) = (0xFD, 0x20);
        return packet;
    }

    // Destination options, each of 8 bytes, the last one followed by TCP.
    private static byte[] Chain(int headers, byte[] tcp)
    {
        var chain = new List<byte>();
        for (int i = 0; i < headers; i++) chain.AddRange([(byte)(i == headers - 1 ? 6 : 60), 0, 1, 4, 0, 0, 0, 0]);
        return [.. chain, .. tcp];
    }

    private static byte[] With(byte[] packet, int at, byte value)
    {
        byte[] changed = [.. packet];
        changed[at] = value;
        return changed;
    }

    private static byte[] Summed(byte[] packet)
    {
        InternetChecksum.WriteHeader4(packet);
        return packet;
    }
}
