using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Native;
using Oxen.Router.Native.Linux;
using Oxen.Router.Tun;
using Oxen.Testing;

namespace Oxen.Router.Tests.Tun;

/// <summary>A real TUN device in a network namespace of its own.</summary>
public sealed class TunInterfaceTests : IDisposable
{
    private readonly NetworkLab _lab = new();
    private string _namespace = "";

    public void Dispose() => _lab.Dispose();

    [Fact]
    public void Addresses_routes_and_rules_stand_while_it_lives_and_are_gone_after()
    {
        Need();
        string before = State();
        using (TunInterface tun = LinuxNamespace.Run(_namespace, () => TunInterface.Open(Options())))
        {
            string now = State();
            Assert.Contains("10.98.0.2/32", now);
            Assert.Contains("fd6f:7865:6e00:2::2/128", now);
            Assert.Contains("mtu 1320", now);
            Assert.Contains("qlen 256", now);
            Assert.Contains("lookup 18500", now);
            Assert.Contains("suppress_prefixlength 0", now);
            Assert.Contains("default dev oxent0", In("ip route show table 18500"));
            Assert.Contains("default dev oxent0", In("ip -6 route show table 18500"));

            // From a thread of another namespace: what is undone is undone where it was made.
        }

        Assert.Equal(before, State());
    }

    [Fact]
    public void Rules_that_a_killed_process_left_do_not_hinder_the_next_start()
    {
        Need();
        LinuxNamespace.Run(_namespace, () =>
        {
            using var netlink = new Netlink();
            foreach ((AddressFamily family, uint priority) in ((AddressFamily, uint)[])[(AddressFamily.InterNetwork, 18500), (AddressFamily.InterNetworkV6, 9000)])
            {
                netlink.AddRule(new RouteRule(family, priority, Netlink.MainTable, SuppressPrefix: 0));
                netlink.AddRule(new RouteRule(family, priority + 1, 18500, 18500, Invert: true));
            }

            using TunInterface tun = TunInterface.Open(Options());
            return 0;
        });
        Assert.DoesNotContain("18500", State());
        Assert.DoesNotContain("suppress_prefixlength", State());
    }

    [Fact]
    public void A_rule_of_another_tunnel_is_left_alone_and_told()
    {
        Need();
        LinuxNamespace.Run(_namespace, () =>
        {
            using var netlink = new Netlink();
            netlink.AddRule(new RouteRule(AddressFamily.InterNetwork, 18501, 7777, 7777, Invert: true));
            TunException taken = Assert.Throws<TunException>(() => TunInterface.Open(Options()));
            Assert.Equal(TunFault.RangeTaken, taken.Fault);
            return 0;
        });
        Assert.Contains("lookup 7777", State());
        Assert.DoesNotContain("oxent0", State());
    }

    [Fact]
    public void A_taken_name_and_a_bad_name_are_told()
    {
        Need();
        In("ip tuntap add dev oxent0 mode tun");
        TunException taken = Assert.Throws<TunException>(() => LinuxNamespace.Run(_namespace, () => TunInterface.Open(Options())));
        Assert.Equal(TunFault.NameTaken, taken.Fault);
        TunException bad = Assert.Throws<TunException>(() => TunInterface.Open(Options() with { Name = "a name with blanks" }));
        Assert.Equal(TunFault.BadName, bad.Fault);
    }

    [Fact]
    public void What_a_program_sends_is_read_and_an_answer_written_reaches_it()
    {
        Need();
        LinuxNamespace.Run(_namespace, () =>
        {
            using TunInterface tun = TunInterface.Open(Options());
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.SendTo("hello"u8.ToArray(), new IPEndPoint(IPAddress.Parse("192.0.2.9"), 7));
            using var slab = new PinnedBlock(4 * TunReadBatch.SlotBytes);
            var reads = new TunReadBatch(slab, 0, 4);
            Assert.Equal(1, tun.Queues[0].Read(reads));
            Span<byte> packet = slab.Slice(reads.Items[0].Offset, reads.Items[0].Length);
            Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket ip));
            Assert.True(ip.IsUdp);
            Assert.Equal("hello"u8, packet.Slice(ip.PayloadOffset, 5));

            // Back: addresses and ports change places, so no sum changes; the partial checksum is finished first.
            Span<byte> swap = stackalloc byte[4];
            packet.Slice(12, 4).CopyTo(swap);
            packet.Slice(16, 4).CopyTo(packet[12..]);
            swap.CopyTo(packet[16..]);
            packet.Slice(20, 2).CopyTo(swap);
            packet.Slice(22, 2).CopyTo(packet[20..]);
            swap[..2].CopyTo(packet[22..]);
            IpClassifier.Read(packet, out ip);
            InternetChecksum.WriteTransport(packet, ip);
            var writes = new TunWriteBatch(slab, 1, 1) { Count = 1, PieceCount = 1 };
            writes.Pieces[0] = new TunPiece { Offset = reads.Items[0].Offset, Length = ip.Length };
            writes.Items[0] = new TunWrite { PieceCount = 1, Length = ip.Length };
            Assert.Equal(1, tun.Queues[0].Write(writes, new DropCounters()));
            socket.ReceiveTimeout = 5000;
            byte[] answer = new byte[16];
            Assert.Equal(5, socket.Receive(answer));
            return 0;
        });
    }

    [Fact]
    public void Checksums_and_TCP_segmentation_are_left_to_us()
    {
        Need();
        LinuxNamespace.Run(_namespace, () =>
        {
            LinuxTun[] tuns = LinuxTun.Open("oxent1", 2);
            uint offloads = tuns[0].Offloads;
            foreach (LinuxTun t in tuns) t.Dispose();
            Assert.Equal(LibC.TUN_F_CSUM | LibC.TUN_F_TSO4 | LibC.TUN_F_TSO6, offloads & (LibC.TUN_F_CSUM | LibC.TUN_F_TSO4 | LibC.TUN_F_TSO6));
            return 0;
        });
    }

    private static TunInterfaceOptions Options() => new()
    {
        Name = "oxent0",
        Mtu = TunnelConstants.InnerMtu,
        Addresses = [Parse("10.98.0.2/32"), Parse("fd6f:7865:6e00:2::2/128")],
        Ranges = [IPNetwork.Parse("0.0.0.0/0"), IPNetwork.Parse("::/0")],
        Table = 18500,
        Mark = 18500,
    };

    private static InterfaceAddress Parse(string text) => InterfaceAddress.TryParse(text, out InterfaceAddress a) ? a : throw new FormatException(text);

    private void Need()
    {
        if (NetworkLab.Missing is { } missing) Assert.Skip(missing);
        Assert.SkipUnless(File.Exists("/dev/net/tun"), "this machine has no /dev/net/tun");
        _namespace = _lab.Add("tun");
    }

    private string State() => In("ip addr; ip rule; ip -6 rule");

    private string In(string command) => NetworkLab.Shell(_namespace, command);
}
