using System.Net;
using System.Net.Sockets;
using Oxen.Router.Daemon.Demo.Tunnel;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>What a measuring program missed is told apart from what the way lost, by the kernel's own counts.</summary>
public sealed class ReceiveDropsTests
{
    [Fact]
    public void A_full_socket_that_closes_is_counted_and_one_that_stays_is_not()
    {
        TunDemoProcess.Needs();
        string space = $"{TunDemoProcess.NewPrefix()}-drops";
        IpProgram.Run("netns", "add", space);
        try
        {
            IpProgram.Run("-n", space, "link", "set", "lo", "up");
            using Socket stays = Bound(space);
            ReceiveDrops drops = ReceiveDrops.In(space);
            Overflow(space, stays);
            Assert.Equal(0, drops.Since());
            using (Socket program = Bound(space)) Overflow(space, program);
            Assert.InRange(drops.Since(), 1, 299);
        }
        finally
        {
            IpProgram.Run("netns", "delete", space);
        }
    }

    [Fact]
    public void Totals_are_read_by_name_and_sockets_by_inode()
    {
        Assert.Equal(7, ReceiveDrops.Total("Icmp: a\nIcmp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 1 2 8 4 7 6\nUdpLite: RcvbufErrors\nUdpLite: 9\n"));
        Assert.Equal(0, ReceiveDrops.Total(""));
        Assert.Equal(0, ReceiveDrops.Total("Udp: RcvbufErrors\nUdp:"));
        Dictionary<string, long> sockets = ReceiveDrops.Sockets([
            "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            ",
            " 1224: 0100007F:0442 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 00000000 17        ",
            "cut short"]);
        Assert.Equal(new Dictionary<string, long> { ["4242"] = 17 }, sockets);
    }

    private static Socket Bound(string space)
    {
        Socket socket = Lab.Socket(space, AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.ReceiveBufferSize = 4096;
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private static void Overflow(string space, Socket to)
    {
        using Socket from = Lab.Socket(space, AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        for (int i = 0; i < 300; i++) from.SendTo(new byte[1000], to.LocalEndPoint!);
    }
}
