using System.Buffers.Binary;
using System.Net;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Exit;
using Oxen.Testing;

namespace Oxen.Router.Tests.Exit;

/// <summary>Raw packets of a tunnel are judged as streams and datagrams are; packets are built here byte by byte.</summary>
public sealed class ExitPacketPolicyTests
{
    private static readonly IPNetwork Pool4 = IPNetwork.Parse("10.97.0.0/16"), Pool6 = IPNetwork.Parse("fd6f:7865:6e00:1::/64");

    private static readonly string[] Destinations =
    [
        "1.1.1.1", "8.7.6.5", "9.9.9.9", "10.0.0.1", "10.9.9.9", "127.0.0.1", "169.254.169.254", "192.168.1.1", "224.0.0.1", "255.255.255.255", "100.64.0.1", "172.16.0.1", "172.32.0.1",
        "2600::1", "2600::5", "::1", "fd00:ec2::254", "fe80::1", "ff02::1", "2001::1", "2001:db8::1", "::10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::1.1.1.1", "64:ff9b::8.7.6.5", "64:ff9b:1::1.1.1.1", "2002:a00:1::1", "2002:101:101::1", "2606::5efe:192.168.0.1", "2606:4700::1111",
    ];

    private static ExitPolicy Policy(string[] rules, params string[] exceptions) =>
        new(rules.Select(ExitRule.Parse), exceptions.Select(ExitRule.Parse), [IPAddress.Parse("8.7.6.5"), IPAddress.Parse("2600::5")]);

    public static TheoryData<string, string> Policies => new()
    {
        { "deny *:25|allow *:*", "" },
        { "allow *:80,443 tcp|allow *:53 udp", "" },
        { "allow *:*", "allow 10.9.9.9:8080 tcp|allow 127.0.0.1:* udp" },
        { "deny 1.0.0.0/8:*|deny [2600::/16]:80 tcp|allow *:*", "deny 9.9.9.9:53 udp" },
        { "allow 1.1.1.1:*|allow [64:ff9b::/96]:*", "" },
        { "deny *:*", "allow [2600::5]:443" },
        { "", "" },
    };

    [Theory]
    [MemberData(nameof(Policies))]
    public void A_packet_passes_exactly_where_a_stream_or_a_datagram_does(string rules, string exceptions)
    {
        ExitPolicy policy = Policy(rules.Split('|', StringSplitOptions.RemoveEmptyEntries), exceptions.Split('|', StringSplitOptions.RemoveEmptyEntries));
        var packets = new ExitPacketPolicy(policy, Pool4, Pool6);
        int allowed = 0;
        for (int round = 0; round < 2; round++) // the second time from what is known
        {
            foreach (string destination in Destinations)
            {
                foreach (ushort port in new ushort[] { 1, 25, 53, 80, 443, 8080, 65535 })
                {
                    foreach (ExitProtocol protocol in new[] { ExitProtocol.Tcp, ExitProtocol.Udp })
                    {
                        bool stream = policy.Allows(UdpAddress.From(new IPEndPoint(IPAddress.Parse(destination), port)), protocol);
                        byte[] packet = Packet(destination, protocol == ExitProtocol.Tcp ? IpProtocol.Tcp : IpProtocol.Udp, port);
                        Assert.True(stream == Passes(packets, packet), $"{destination} {port} {protocol} under {rules}; exceptions {exceptions}");
                        if (stream) allowed++;
                    }
                }
            }
        }

        Assert.Equal(rules.Contains("allow", StringComparison.Ordinal) || exceptions.Contains("allow", StringComparison.Ordinal), allowed > 0);
    }

    [Fact]
    public void Port_zero_passes_no_more_than_it_does_for_a_stream()
    {
        var packets = new ExitPacketPolicy(Policy(["allow *:*"]), Pool4, Pool6);
        Assert.False(Passes(packets, Packet("1.1.1.1", IpProtocol.Tcp, 0)));
        Assert.False(Passes(packets, Packet("1.1.1.1", IpProtocol.Udp, 0)));
    }

    [Theory]
    [InlineData("allow *:*", true)]
    [InlineData("deny *:25|allow *:*", true)]
    [InlineData("allow *:80", false)]
    [InlineData("allow *:* tcp", false)]
    [InlineData("allow *:* icmp", true)]
    [InlineData("deny *:* icmp|allow *:*", false)]
    [InlineData("deny 1.1.0.0/16:*|deny [2606::/16]:* icmp|allow *:*", false)]
    [InlineData("deny *:* udp|allow *:*", true)]
    public void Echo_is_judged_by_the_rules_of_icmp_and_of_everything(string rules, bool passes)
    {
        var packets = new ExitPacketPolicy(Policy(rules.Split('|')), Pool4, Pool6);
        Assert.Equal(passes, Passes(packets, Echo("1.1.1.1")));
        Assert.Equal(passes, Passes(packets, Echo("2606:4700::1111")));
        Assert.False(Passes(packets, Echo("10.0.0.1")));
        Assert.False(Passes(packets, Echo("64:ff9b::10.0.0.1")));
        Assert.False(Passes(packets, Echo("8.7.6.5"))); // own
        Assert.False(Passes(packets, Echo("1.1.1.1", reply: true)));
    }

    [Fact]
    public void Icmp_has_no_ports_in_a_rule()
    {
        Assert.False(ExitRule.TryParse("allow *:80 icmp", out _, out RuleError error));
        Assert.Equal(11, error.Position);
        Assert.True(ExitRule.TryParse("allow 1.1.1.1:* icmp", out ExitRule? rule, out _));
        Assert.False(rule!.Matches(UdpAddress.From(IPEndPoint.Parse("1.1.1.1:80")), 80, ExitProtocol.Tcp));
    }

    [Theory]
    [InlineData(IpProtocol.Esp)]
    [InlineData(IpProtocol.Sctp)]
    [InlineData(IpProtocol.NoNextHeader)]
    [InlineData((byte)47)]  // GRE
    [InlineData((byte)41)]  // IPv6 in IPv4
    public void Other_protocols_are_refused_whatever_the_rules_say(byte protocol)
    {
        var packets = new ExitPacketPolicy(Policy(["allow *:*"], "allow *:*"), Pool4, Pool6);
        foreach (byte version in new byte[] { 4, 6 })
        {
            var packet = new IpPacket { Version = version, Destination = version == 4 ? 0x01010101u : (UInt128)0x26064700 << 96, Protocol = protocol, HasTransport = true, Length = 60, HeaderBytes = 20 };
            Assert.Equal(DropReason.ExitPolicy, packets.Check(packet, new byte[60]));
        }

        // ICMP of the other family is nobody's.
        Assert.Equal(DropReason.ExitPolicy, packets.Check(new IpPacket { Version = 4, Destination = 0x01010101u, Protocol = IpProtocol.IcmpV6, HasTransport = true, IcmpType = 128 }, []));
    }

    [Fact]
    public void Neighbours_in_the_pool_are_refused_even_by_an_exception()
    {
        var packets = new ExitPacketPolicy(Policy(["allow *:*"], "allow *:*"), Pool4, Pool6);
        Assert.True(Passes(packets, Packet("10.96.0.1", IpProtocol.Tcp, 80)));
        Assert.False(Passes(packets, Packet("10.97.0.1", IpProtocol.Tcp, 80)));
        Assert.False(Passes(packets, Packet("10.97.255.255", IpProtocol.Udp, 80)));
        Assert.True(Passes(packets, Packet("fd6f:7865:6e00:2::9", IpProtocol.Tcp, 80)));
        Assert.False(Passes(packets, Packet("fd6f:7865:6e00:1::9", IpProtocol.Tcp, 80)));
        Assert.False(Passes(packets, Echo("10.97.0.1")));
    }

    [Fact]
    public void An_address_that_the_machine_was_given_is_refused_from_then_on()
    {
        ExitPolicy policy = Policy(["allow *:*"]);
        var packets = new ExitPacketPolicy(policy, Pool4, Pool6);
        Assert.True(Passes(packets, Packet("9.9.9.9", IpProtocol.Tcp, 80)));
        Assert.False(Passes(packets, Packet("8.7.6.5", IpProtocol.Tcp, 80)));
        policy.SetOwnAddresses([IPAddress.Parse("9.9.9.9")]);
        Assert.False(Passes(packets, Packet("9.9.9.9", IpProtocol.Tcp, 80)));
        Assert.True(Passes(packets, Packet("8.7.6.5", IpProtocol.Tcp, 80)));
        int version = policy.Version;
        policy.SetOwnAddresses([IPAddress.Parse("9.9.9.9")]);
        Assert.Equal(version, policy.Version);
    }

    [Fact]
    public void A_later_fragment_passes_where_some_port_does()
    {
        var packets = new ExitPacketPolicy(Policy(["deny 1.1.1.0/24:*", "allow *:80 tcp"]), Pool4, Pool6);
        Assert.True(Passes(packets, Fragment("9.9.9.9", IpProtocol.Tcp)));
        Assert.False(Passes(packets, Fragment("9.9.9.9", IpProtocol.Udp)));
        Assert.False(Passes(packets, Fragment("1.1.1.1", IpProtocol.Tcp)));
        Assert.False(Passes(packets, Fragment("10.0.0.1", IpProtocol.Tcp)));
    }

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("2606:4700::1111")]
    public void An_error_is_judged_by_the_flow_that_it_is_about(string destination)
    {
        var packets = new ExitPacketPolicy(Policy(["allow *:443 tcp", "allow *:53 udp"]), Pool4, Pool6);
        Assert.True(Passes(packets, Error(destination, destination, IpProtocol.Tcp, 443)));
        Assert.False(Passes(packets, Error(destination, destination, IpProtocol.Tcp, 53)));
        Assert.True(Passes(packets, Error(destination, destination, IpProtocol.Udp, 53)));
        Assert.False(Passes(packets, Error(destination, destination == "1.1.1.1" ? "9.9.9.9" : "2600::9", IpProtocol.Udp, 53))); // about a packet from elsewhere
        Assert.False(Passes(packets, Error(destination, destination, IpProtocol.Esp, 443)));
        Assert.False(Passes(packets, Echo(destination)));
    }

    [Fact]
    public void Any_bytes_get_an_answer_and_nothing_is_allocated()
    {
        var dice = new SeededEntropy(0xE8A1);
        var packets = new ExitPacketPolicy(Policy(["deny *:25", "allow *:*"]), Pool4, Pool6);
        byte[][] all = [.. Enumerable.Range(0, 64).Select(i =>
        {
            byte[] packet = i % 2 == 0 ? Error(i % 4 == 0 ? "1.1.1.1" : "2600::1", i % 4 == 0 ? "1.1.1.1" : "2600::1", IpProtocol.Udp, 53) : Packet(i % 4 == 1 ? "1.1.1.1" : "2600::1", IpProtocol.Tcp, (ushort)(i + 1));
            int from = packet[0] >> 4 == 4 ? 28 : 48;
            for (int b = from; b < packet.Length; b++) if (dice.Next(4) == 0) packet[b] = (byte)dice.Next(256);
            return packet;
        })];
        int read = 0;
        void Run()
        {
            foreach (byte[] packet in all)
            {
                for (int length = packet.Length; length > 20; length -= 7)
                {
                    if (IpClassifier.Read(packet, out IpPacket p) != DropReason.None) continue;
                    p.Length = Math.Min(p.Length, length); // as if less stood there
                    packets.Check(p, packet.AsSpan(0, length));
                    read++;
                }
            }
        }

        Run();
        Assert.True(read > 200);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Run();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static bool Passes(ExitPacketPolicy policy, byte[] packet)
    {
        DropReason read = IpClassifier.Read(packet, out IpPacket ip);
        Assert.Equal(DropReason.None, read);
        DropReason reason = policy.Check(ip, packet);
        Assert.True(reason is DropReason.None or DropReason.ExitPolicy);
        return reason == DropReason.None;
    }

    // ---- packets, by hand ----

    private static byte[] Packet(string destination, byte protocol, ushort port)
    {
        byte[] transport = new byte[protocol == IpProtocol.Tcp ? 20 : 12];
        BinaryPrimitives.WriteUInt16BigEndian(transport, 40000);
        BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(2), port);
        if (protocol == IpProtocol.Tcp) transport[12] = 0x50;
        else BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(4), (ushort)transport.Length);
        return Ip(Inner(destination), destination, protocol, transport);
    }

    private static byte[] Echo(string destination, bool reply = false)
    {
        byte[] icmp = new byte[16];
        bool six = destination.Contains(':', StringComparison.Ordinal);
        icmp[0] = six ? reply ? (byte)129 : (byte)128 : reply ? (byte)0 : (byte)8;
        return Ip(Inner(destination), destination, six ? IpProtocol.IcmpV6 : IpProtocol.Icmp, icmp);
    }

    /// <summary>"Port unreachable", about a packet that came from there.</summary>
    private static byte[] Error(string destination, string about, byte protocol, ushort remotePort)
    {
        bool six = destination.Contains(':', StringComparison.Ordinal);
        byte[] transport = new byte[12];
        BinaryPrimitives.WriteUInt16BigEndian(transport, remotePort);
        byte[] icmp = [six ? (byte)1 : (byte)3, six ? (byte)4 : (byte)3, 0, 0, 0, 0, 0, 0, .. Ip(about, Inner(destination), protocol, transport)];
        return Ip(Inner(destination), destination, six ? IpProtocol.IcmpV6 : IpProtocol.Icmp, icmp);
    }

    private static byte[] Fragment(string destination, byte protocol)
    {
        byte[] packet = Ip(Inner(destination), destination, protocol, new byte[64]);
        packet[6] = 0;
        packet[7] = 16; // 128 bytes further
        Sum(packet);
        return packet;
    }

    private static string Inner(string destination) => destination.Contains(':', StringComparison.Ordinal) ? "fd6f:7865:6e00:1::2" : "10.97.0.2";

    private static byte[] Ip(string source, string destination, byte protocol, byte[] transport)
    {
        byte[] from = IPAddress.Parse(source).GetAddressBytes(), to = IPAddress.Parse(destination).GetAddressBytes();
        if (to.Length == 16)
        {
            byte[] six = [0x60, 0, 0, 0, (byte)(transport.Length >> 8), (byte)transport.Length, protocol, 64, .. from, .. to, .. transport];
            return six;
        }

        byte[] four = [0x45, 0, 0, (byte)(20 + transport.Length), 0, 1, 0x40, 0, 64, protocol, 0, 0, .. from, .. to, .. transport];
        Sum(four);
        return four;
    }

    private static void Sum(byte[] packet)
    {
        packet[10] = packet[11] = 0;
        uint sum = 0;
        for (int i = 0; i < 20; i += 2) sum += (uint)(packet[i] << 8 | packet[i + 1]);
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), (ushort)~sum);
    }
}
