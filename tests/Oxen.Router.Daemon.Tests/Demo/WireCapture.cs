using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>
/// Everything that crosses the loopback device, taken with a packet socket (root alone may). The kernel's segmentation offload
/// shows a train of equal datagrams as one long one: a captured length is then a multiple of the datagram's.
/// </summary>
internal sealed class WireCapture : IAsyncDisposable
{
    private const int SolPacket = 263, PacketStatistics = 6; // packet(7)
    private const int SolSocket = 1, SoReceiveBufferForce = 33; // socket(7)

    private readonly Socket _socket;
    private readonly Task _reading;
    private readonly List<(IPAddress From, IPAddress To, ushort FromPort, ushort ToPort, bool Tcp, byte[] Payload)> _packets = [];
    private volatile bool _stop;

    private WireCapture(Socket socket)
    {
        _socket = socket;
        _reading = Task.Factory.StartNew(Read, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Null where this is not permitted.</summary>
    public static WireCapture? TryOpen()
    {
        try
        {
            // SOCK_DGRAM: packets begin at the IP header. 0x0008: ETH_P_IP in network order.
            var socket = new Socket(AddressFamily.Packet, SocketType.Dgram, (ProtocolType)0x0008);
            socket.SetRawSocketOption(SolSocket, SoReceiveBufferForce, BitConverter.GetBytes(512 << 20));
            socket.ReceiveTimeout = 100;
            return new WireCapture(socket);
        }
        catch (SocketException)
        {
            return null;
        }
    }

    public sealed record Packet(IPAddress From, IPAddress To, ushort FromPort, ushort ToPort, bool Tcp, byte[] Payload);

    /// <summary>Ends the capture. `lost`: packets that the kernel could not give us.</summary>
    public async Task<(List<Packet> Packets, uint Lost)> StopAsync()
    {
        await Task.Delay(200); // what is in the socket's buffer is read within this time or counted as lost
        _stop = true;
        await _reading;
        byte[] statistics = new byte[8];
        _socket.GetRawSocketOption(SolPacket, PacketStatistics, statistics);
        return ([.. _packets.Select(p => new Packet(p.From, p.To, p.FromPort, p.ToPort, p.Tcp, p.Payload))], BitConverter.ToUInt32(statistics, 4));
    }

    public async ValueTask DisposeAsync()
    {
        _stop = true;
        await _reading;
        _socket.Dispose();
    }

    private void Read()
    {
        byte[] buffer = new byte[1 << 17];
        while (!_stop)
        {
            int length;
            try
            {
                length = _socket.Receive(buffer);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
            {
                continue;
            }

            Keep(buffer.AsSpan(0, length));
        }
    }

    private void Keep(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < 28 || packet[0] >> 4 != 4 || packet[12] != 127 || packet[16] != 127) return;
        int header = (packet[0] & 15) * 4;
        bool tcp = packet[9] == 6;
        if (!tcp && packet[9] != 17) return;
        Assert.Equal(0, BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF); // no fragments
        ReadOnlySpan<byte> transport = packet[header..];
        int payload = tcp ? (transport[12] >> 4) * 4 : 8;
        if (transport.Length <= payload) return;
        _packets.Add((
            new IPAddress(packet.Slice(12, 4)),
            new IPAddress(packet.Slice(16, 4)),
            BinaryPrimitives.ReadUInt16BigEndian(transport),
            BinaryPrimitives.ReadUInt16BigEndian(transport[2..]),
            tcp,
            transport[payload..].ToArray()));
    }
}
