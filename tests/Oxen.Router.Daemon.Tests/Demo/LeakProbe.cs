using System.Net;
using System.Net.Sockets;
using System.Text;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>One packet, or the first of a connection, as a program on the client's machine would send it. Whether it gets anywhere is not asked.</summary>
/// <param name="Send">Runs inside the namespace.</param>
internal sealed record LeakProbe(string Name, Func<Socket> Send)
{
    private const int SolSocket = 1, SoBindToDevice = 25; // socket(7)

    /// <summary>Every kind, to the target of the laboratory, to name servers, and to addresses of the map.</summary>
    public static LeakProbe[] All(LabPlan plan)
    {
        IPAddress four = plan.Target.Address, six = plan.Target.AddressIPv6;
        return
        [
            Tcp("TCP IPv4", four, 8080),
            Tcp("TCP IPv6", six, 8080),
            Udp("UDP IPv4", four, 8080),
            Udp("UDP IPv6", six, 8080),
            Icmp("ICMP IPv4", four),
            Icmp("ICMP IPv6", six),
            Udp("DNS 53 UDP IPv4", four, 53),
            Udp("DNS 53 UDP IPv6", six, 53),
            Udp("DNS 53 UDP to the gateway", plan.Client.Gateway, 53),
            Tcp("DNS 53 TCP IPv4", four, 53),
            Tcp("DNS 853 TCP IPv4", four, 853),
            Udp("DNS 853 UDP IPv4", four, 853),
            Udp("mDNS 5353 IPv4", IPAddress.Parse("224.0.0.251"), 5353, "eth0"),
            Udp("mDNS 5353 IPv6", IPAddress.Parse("ff02::fb"), 5353, "eth0"),
            Tcp("TCP bound to the card", four, 8081, "eth0"),
            Udp("UDP bound to the card", four, 8081, "eth0"),
            Tcp("TCP to a mapped address", IPAddress.Parse("10.99.0.5"), 80),
            Tcp("TCP to a mapped address, IPv6", IPAddress.Parse("fd6f:7865:6e00:3::5"), 80),
            Udp("UDP to a mapped address", IPAddress.Parse("10.99.0.5"), 53),
        ];
    }

    /// <summary>Sends it from the client's machine. The socket stays open until it is disposed: a connection is tried again by the kernel.</summary>
    public Socket? From(string space) => LinuxNamespace.Run(space, () =>
    {
        try
        {
            return Send();
        }
        catch (SocketException)
        {
            return null; // refused, or no way: that is well
        }
    });

    private static LeakProbe Tcp(string name, IPAddress to, int port, string? device = null) => new(name, () =>
    {
        Socket socket = Open(to, SocketType.Stream, ProtocolType.Tcp, device);
        socket.Blocking = false;
        try
        {
            socket.Connect(new IPEndPoint(to, port));
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            // Under way.
        }

        return socket;
    });

    private static LeakProbe Udp(string name, IPAddress to, int port, string? device = null) => new(name, () =>
    {
        Socket socket = Open(to, SocketType.Dgram, ProtocolType.Udp, device);
        socket.SendTo("a name or a word"u8, new IPEndPoint(to, port));
        return socket;
    });

    private static LeakProbe Icmp(string name, IPAddress to) => new(name, () =>
    {
        bool four = to.AddressFamily == AddressFamily.InterNetwork;
        Socket socket = Open(to, SocketType.Raw, four ? ProtocolType.Icmp : ProtocolType.IcmpV6, null);
        socket.SendTo(four ? [8, 0, 0xF7, 0xFF, 0, 0, 0, 0] : [128, 0, 0, 0, 0, 0, 0, 0], new IPEndPoint(to, 0)); // an echo request
        return socket;
    });

    private static Socket Open(IPAddress to, SocketType type, ProtocolType protocol, string? device)
    {
        var socket = new Socket(to.AddressFamily, type, protocol);
        if (device is not null) socket.SetRawSocketOption(SolSocket, SoBindToDevice, Encoding.ASCII.GetBytes(device + "\0"));
        return socket;
    }
}
