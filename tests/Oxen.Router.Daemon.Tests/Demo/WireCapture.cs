using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>
/// Everything that crosses the loopback device, or all devices of a network namespace, taken with a packet socket (root alone may). The kernel's segmentation offload
/// shows a train of equal datagrams as one long one: a captured length is then a multiple of the datagram's.
/// </summary>
internal sealed class WireCapture : IAsyncDisposable
{
    private const int SolPacket = 263, PacketStatistics = 6; // packet(7)
    private const int BufferBytes = 512 << 20;
    private const int SolSocket = 1, SoReceiveBufferForce = 33; // socket(7)

    private readonly Socket _socket;
    private readonly bool _loopback;
    private readonly Task _reading;
    private readonly List<Packet> _packets = [];
    private volatile bool _stop, _abandoned;

    private WireCapture(Socket socket, bool loopback)
    {
        _socket = socket;
        _loopback = loopback;
        _reading = Task.Factory.StartNew(Read, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <param name="space">A network namespace: of its loopback and cables everything, both families; null: this one's loopback, IPv4.</param>
    /// <summary>Null where this is not permitted.</summary>
    public static WireCapture? TryOpen(string? space = null)
    {
        try
        {
            // SOCK_DGRAM: packets begin at the IP header. 0x0008: ETH_P_IP in network order, 0x0300: ETH_P_ALL.
            Socket socket = space is null ? Open(0x0008) : LinuxNamespace.Run(space, () => Open(0x0300));
            socket.SetRawSocketOption(SolSocket, SoReceiveBufferForce, BitConverter.GetBytes(BufferBytes));
            socket.ReceiveTimeout = 100;
            return new WireCapture(socket, space is null);
        }
        catch (SocketException)
        {
            return null;
        }
    }

    /// <param name="FromPort">0 where there is none.</param>
    /// <param name="Payload">Of TCP and UDP; of others all behind the IP header.</param>
    public sealed record Packet(IPAddress From, IPAddress To, ushort FromPort, ushort ToPort, byte Protocol, byte[] Payload)
    {
        public bool Tcp => Protocol == 6;

        public bool Udp => Protocol == 17;
    }

    /// <summary>Ends the capture once all that waits in the socket's buffer was read. `lost`: packets that the kernel could not give us.</summary>
    public async Task<(List<Packet> Packets, uint Lost)> StopAsync()
    {
        _stop = true;
        await _reading;
        byte[] statistics = new byte[8];
        _socket.GetRawSocketOption(SolPacket, PacketStatistics, statistics);
        return (_packets, BitConverter.ToUInt32(statistics, 4));
    }

    public async ValueTask DisposeAsync()
    {
        _stop = true;
        _abandoned = true;
        await _reading;
        _socket.Dispose();
    }

    private void Read()
    {
        byte[] buffer = new byte[1 << 17];
        long readable = BufferBytes; // once stopped: what the buffer may still hold; the traffic goes on behind it
        while (!_abandoned && readable > 0)
        {
            if (_stop) _socket.Blocking = false;
            int length;
            try
            {
                length = _socket.Receive(buffer);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
            {
                if (_stop) return;
                continue;
            }

            if (_stop) readable -= length;

            Keep(buffer.AsSpan(0, length));
        }
    }

    private static Socket Open(int protocol) => new(AddressFamily.Packet, SocketType.Dgram, (ProtocolType)protocol);

    private void Keep(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < 28) return;
        bool six = packet[0] >> 4 == 6;
        if (_loopback && (six || packet[12] != 127 || packet[16] != 127)) return;
        if (packet[0] >> 4 != 4 && !(six && packet.Length > 40)) return; // ARP
        int header = six ? 40 : (packet[0] & 15) * 4;
        byte protocol = packet[six ? 6 : 9];
        bool ports = protocol is 6 or 17;
        if (_loopback && !ports) return;
        bool fragment = !six && (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0;
        Assert.False(_loopback && fragment, "a fragment");
        ports &= !fragment;
        ReadOnlySpan<byte> transport = packet[header..];
        int payload = !ports ? 0 : protocol == 6 ? (transport[12] >> 4) * 4 : 8;
        if (ports && transport.Length <= payload) return;
        _packets.Add(new Packet(
            new IPAddress(six ? packet.Slice(8, 16) : packet.Slice(12, 4)),
            new IPAddress(six ? packet.Slice(24, 16) : packet.Slice(16, 4)),
            ports ? BinaryPrimitives.ReadUInt16BigEndian(transport) : (ushort)0,
            ports ? BinaryPrimitives.ReadUInt16BigEndian(transport[2..]) : (ushort)0,
            protocol,
            transport[payload..].ToArray()));
    }
}
