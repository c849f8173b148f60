using System.Buffers.Binary;
using System.Net;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Hidden;

/// <summary>The service's end of IP packets: who gets which address, and what is refused.</summary>
public sealed class ServicePacketTests
{
    private static readonly InnerAddresses Own = InnerAddresses.From(IPAddress.Parse("10.96.0.1"), IPAddress.Parse("fd6f:7865:6e00:4::1"));
    private static readonly InnerAddresses First = InnerAddresses.From(IPAddress.Parse("10.96.0.2"), IPAddress.Parse("fd6f:7865:6e00:4::2"));

    [Theory, InlineData(4), InlineData(6)]
    public void A_clients_packet_gets_the_clients_own_address_and_the_answer_finds_back(int version)
    {
        var gate = new ServicePacketGate(Own, First, 100);
        foreach (long session in (long[])[7, 9, 7])
        {
            byte[] packet = Udp(version, ServicePackets.Client, ServicePackets.Service, "question");
            Assert.Equal(DropReason.None, gate.Inward(session, packet, out Span<byte> inward));
            Assert.Equal(packet.Length, inward.Length);
            IpPacket p = Valid(inward);
            UInt128 lease = Of(First, version) + (session == 7 ? 0u : 1u);
            Assert.Equal((lease, Of(Own, version)), (p.Source, p.Destination));

            byte[] answer = Udp(version, With(version, lease), Own, "answer", swap: true);
            Assert.Equal(DropReason.None, gate.Outward(answer, out Span<byte> outward, out long to));
            Assert.Equal(session, to);
            p = Valid(outward);
            Assert.Equal((Of(ServicePackets.Service, version), Of(ServicePackets.Client, version)), (p.Source, p.Destination));
        }

        Assert.Equal(2, gate.Leased);
    }

    [Theory, InlineData(4), InlineData(6)]
    public void Other_addresses_are_refused_on_both_sides(int version)
    {
        var gate = new ServicePacketGate(Own, First, 100);
        Assert.Equal(DropReason.TunnelAddress, gate.Inward(1, Udp(version, Own, ServicePackets.Service, "x"), out _));
        Assert.Equal(DropReason.TunnelAddress, gate.Inward(1, Udp(version, ServicePackets.Client, Own, "x"), out _)); // not to other machines behind the service
        Assert.Equal(DropReason.TunnelAddress, gate.Inward(1, Udp(version, ServicePackets.Service, ServicePackets.Client, "x"), out _));
        Assert.Equal(0, gate.Leased);
        Assert.Equal(DropReason.None, gate.Inward(1, Udp(version, ServicePackets.Client, ServicePackets.Service, "x"), out _));
        Assert.Equal(DropReason.TunnelAddress, gate.Outward(Udp(version, ServicePackets.Service, First, "x"), out _, out _)); // another source than the interface's
        Assert.Equal(DropReason.TunnelAddress, gate.Outward(Udp(version, Own, With(version, Of(First, version) + 100), "x"), out _, out _));
        Assert.Equal(DropReason.TunnelAddress, gate.Outward(Udp(version, Own, With(version, Of(First, version) - 1), "x"), out _, out _));
        Assert.Equal(DropReason.UnknownSession, gate.Outward(Udp(version, Own, With(version, Of(First, version) + 1), "x"), out _, out _));
    }

    [Fact]
    public void Hostile_records_cost_nothing()
    {
        var gate = new ServicePacketGate(Own, First, 100);
        byte[] good = Udp(4, ServicePackets.Client, ServicePackets.Service, new string('x', 1320 - 28));
        Assert.Equal(1320, good.Length);
        for (int length = 0; length < good.Length; length++) Assert.NotEqual(DropReason.None, gate.Inward(1, good.AsSpan(0, length).ToArray(), out _));
        Assert.Equal(DropReason.BadIpHeader, gate.Inward(1, (byte[])[.. good, 0], out _)); // something behind the packet
        Assert.Equal(DropReason.TooLarge, gate.Inward(1, Udp(4, ServicePackets.Client, ServicePackets.Service, new string('x', 1321 - 28)), out _));
        byte[] redirect = Icmp4(ServicePackets.Client, ServicePackets.Service, type: 5);
        Assert.Equal(DropReason.IcmpType, gate.Inward(1, redirect, out _));
        Assert.Equal(0, gate.Leased);
        Assert.Equal(DropReason.None, gate.Inward(1, good, out _));
    }

    [Fact]
    public void Addresses_run_out_and_are_given_again_only_behind_all_others()
    {
        var gate = new ServicePacketGate(Own, First, 3);
        for (int session = 1; session <= 3; session++) Assert.Equal(DropReason.None, In(session, out _));
        Assert.Equal(DropReason.NoTunnel, In(4, out _));
        gate.Gone(2);
        gate.Gone(2);
        gate.Gone(77); // it had none
        Assert.Equal(DropReason.UnknownSession, gate.Outward(Udp(4, Own, With(4, First.IPv4 + 1), "late"), out _, out _));
        Assert.Equal(DropReason.None, In(4, out UInt128 source));
        Assert.Equal((UInt128)(First.IPv4 + 1), source);
        Assert.Equal(DropReason.NoTunnel, In(2, out _));

        DropReason In(long session, out UInt128 from)
        {
            DropReason reason = gate.Inward(session, Udp(4, ServicePackets.Client, ServicePackets.Service, "x"), out Span<byte> packet);
            from = reason == DropReason.None ? Valid(packet).Source : 0;
            return reason;
        }
    }

    [Fact]
    public void Without_IPv6_its_packets_are_dropped()
    {
        var gate = new ServicePacketGate(Own with { IPv6 = 0 }, First with { IPv6 = 0 }, 3);
        Assert.Equal(DropReason.TunnelAddress, gate.Inward(1, Udp(6, ServicePackets.Client, ServicePackets.Service, "x"), out _));
        Assert.Equal(DropReason.None, gate.Inward(1, Udp(4, ServicePackets.Client, ServicePackets.Service, "x"), out _));
    }

    [Fact]
    public void A_packet_allocates_nothing()
    {
        var gate = new ServicePacketGate(Own, First, 3);
        byte[] question = Udp(6, ServicePackets.Client, ServicePackets.Service, new string('x', 1000)), answer = Udp(6, With(6, First.IPv6), Own, "answer", swap: true), work = new byte[1320];
        Assert.Equal(0, AllocationAssert.Measure(() =>
        {
            question.CopyTo(work, 0);
            if (gate.Inward(5, work.AsSpan(0, question.Length), out _) != DropReason.None) throw new InvalidOperationException("refused");
            answer.CopyTo(work, 0);
            if (gate.Outward(work.AsSpan(0, answer.Length), out _, out _) != DropReason.None) throw new InvalidOperationException("refused");
        }));
    }

    private static UInt128 Of(in InnerAddresses addresses, int version) => version == 4 ? addresses.IPv4 : addresses.IPv6;

    private static InnerAddresses With(int version, UInt128 address) => version == 4 ? new InnerAddresses((uint)address, 0) : new InnerAddresses(0, address);

    // Its checksums are right: summed word by word, apart from the router's own code.
    private static IpPacket Valid(ReadOnlySpan<byte> packet)
    {
        Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket p));
        int header = p.Version == 4 ? 20 : 40;
        uint sum = (uint)(17 + packet.Length - header);
        for (int i = p.Version == 4 ? 12 : 8; i < packet.Length; i += 2) sum += (uint)(packet[i] << 8 | (i + 1 < packet.Length ? packet[i + 1] : 0));
        while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
        Assert.Equal(0xFFFFu, sum);
        return p;
    }

    private static byte[] Udp(int version, InnerAddresses source, InnerAddresses destination, string text, bool swap = false)
    {
        if (swap) (source, destination) = (destination, source);
        int header = version == 4 ? 20 : 40, udp = 8 + text.Length;
        byte[] packet = new byte[header + udp];
        Head(packet, version, 17, source, destination);
        Span<byte> b = packet.AsSpan(header);
        BinaryPrimitives.WriteUInt16BigEndian(b, 1000);
        BinaryPrimitives.WriteUInt16BigEndian(b[2..], 2000);
        BinaryPrimitives.WriteUInt16BigEndian(b[4..], (ushort)udp);
        System.Text.Encoding.ASCII.GetBytes(text, b[8..]);
        uint sum = (uint)(17 + udp);
        for (int i = version == 4 ? 12 : 8; i < packet.Length; i += 2) sum += (uint)(packet[i] << 8 | (i + 1 < packet.Length ? packet[i + 1] : 0));
        while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(b[6..], (ushort)~sum);
        return packet;
    }

    private static byte[] Icmp4(InnerAddresses source, InnerAddresses destination, byte type)
    {
        byte[] packet = new byte[28];
        Head(packet, 4, 1, source, destination);
        packet[20] = type;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(22), (ushort)~(type << 8));
        return packet;
    }

    private static void Head(Span<byte> packet, int version, byte protocol, InnerAddresses source, InnerAddresses destination)
    {
        if (version == 4)
        {
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
            (packet[8], packet[9]) = (64, protocol);
            BinaryPrimitives.WriteUInt32BigEndian(packet[12..], source.IPv4);
            BinaryPrimitives.WriteUInt32BigEndian(packet[16..], destination.IPv4);
            uint sum = 0;
            for (int i = 0; i < 20; i += 2) sum += BinaryPrimitives.ReadUInt16BigEndian(packet[i..]);
            while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
            BinaryPrimitives.WriteUInt16BigEndian(packet[10..], (ushort)~sum);
            return;
        }

        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(packet.Length - 40));
        (packet[6], packet[7]) = (protocol, 64);
        BinaryPrimitives.WriteUInt128BigEndian(packet[8..], source.IPv6);
        BinaryPrimitives.WriteUInt128BigEndian(packet[24..], destination.IPv6);
    }
}
