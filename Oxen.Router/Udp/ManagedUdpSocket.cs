using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Udp;

/// <summary>
/// The fallback: System.Net.Sockets, one datagram a call. Works wherever .NET does, at a twentieth of the speed. A second
/// socket on loopback wakes the waiter.
/// </summary>
internal sealed class ManagedUdpSocket : IUdpSocket
{
    private readonly Socket _socket;
    private readonly Socket _bell;
    private readonly SocketAddress _bellAddress;
    private readonly SocketAddress _from;
    private readonly Sender _sender;
    private readonly List<Socket> _watched = new(2);
    private int _rung;

    public ManagedUdpSocket(UdpAddress local, bool dualStack = false, int receiveBufferBytes = 4 << 20, int sendBufferBytes = 4 << 20)
    {
        AddressFamily family = local.Family == UdpFamily.IPv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
        _socket = new Socket(family, SocketType.Dgram, ProtocolType.Udp) { Blocking = false };
        _bell = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { Blocking = false };
        try
        {
            if (family == AddressFamily.InterNetworkV6) _socket.DualMode = dualStack;
            else _socket.DontFragment = true;
            _socket.ReceiveBufferSize = receiveBufferBytes;
            _socket.SendBufferSize = sendBufferBytes;
            _socket.Bind(local.ToIPEndPoint());
            LocalAddress = UdpAddress.From((IPEndPoint)_socket.LocalEndPoint!);
            _from = new SocketAddress(family);
            _sender = new Sender(_socket, dualStack);
            _bell.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _bellAddress = _bell.LocalEndPoint!.Serialize();
            DualStack = dualStack;
        }
        catch (SocketException e)
        {
            _socket.Dispose();
            _bell.Dispose();
            throw new IOException($"the UDP address cannot be bound: {e.Message}", e);
        }
    }

    public UdpAddress LocalAddress { get; }

    private bool DualStack { get; }

    private static ReadOnlySpan<byte> MappedPrefix => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];

    public int Receive(ReceiveBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        int n = 0;
        batch.KernelDrops = 0;
        while (n < batch.Slots && _socket.Poll(0, SelectMode.SelectRead))
        {
            int offset = batch.Offset + n * ReceiveBatch.SlotBytes;
            int length;
            try
            {
                length = _socket.ReceiveFrom(batch.Slab.Slice(offset, ReceiveBatch.SlotBytes), SocketFlags.None, _from);
            }
            catch (SocketException)
            {
                break; // an answer (ICMP) to an earlier send, or nothing there after all
            }

            ref Received r = ref batch.Items[n++];
            r.Offset = offset;
            r.Length = length;
            r.SegmentBytes = Math.Max(1, length);
            r.From = Read(_from);
        }

        batch.Count = n;
        return n;
    }

    public void Wait(TimeSpan timeout)
    {
        if (Interlocked.Exchange(ref _rung, 0) == 0)
        {
            _watched.Clear();
            _watched.Add(_socket);
            _watched.Add(_bell);
            long us = timeout == Timeout.InfiniteTimeSpan ? -1 : Math.Clamp((timeout.Ticks + 9) / 10, 0, int.MaxValue);
            Socket.Select(_watched, null, null, (int)us);
            Interlocked.Exchange(ref _rung, 0);
        }

        Span<byte> sound = stackalloc byte[1];
        while (_bell.Poll(0, SelectMode.SelectRead))
        {
            try
            {
                _bell.Receive(sound, SocketFlags.None);
            }
            catch (SocketException)
            {
                break;
            }
        }
    }

    public void AlsoWaitFor(int pollHandle)
    {
        if (pollHandle >= 0) throw new NotSupportedException("a tunnel needs batched sockets");
    }

    public void Wake()
    {
        if (Interlocked.Exchange(ref _rung, 1) != 0) return;
        try
        {
            _bell.SendTo([1], SocketFlags.None, _bellAddress);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // A full bell rings already; nobody waits on a closed one.
        }
    }

    public int Send(TransmitBatch batch, DropCounters drops) => _sender.Send(batch, drops);

    public IUdpSender OpenSender() => new Sender(_socket, DualStack);

    public void Dispose()
    {
        _socket.Dispose();
        _bell.Dispose();
    }

    // struct sockaddr as .NET keeps it on every system: family 2, port 2, then IPv4 4 | IPv6 flow 4, address 16, scope 4.
    private static UdpAddress Read(SocketAddress a)
    {
        ReadOnlySpan<byte> bytes = a.Buffer.Span;
        ushort port = (ushort)(bytes[2] << 8 | bytes[3]);
        if (a.Family == AddressFamily.InterNetwork) return UdpAddress.FromBytes(bytes.Slice(4, 4), port);
        ReadOnlySpan<byte> address = bytes.Slice(8, 16);
        if (address.StartsWith(MappedPrefix)) return UdpAddress.FromBytes(address[12..], port);
        return UdpAddress.FromBytes(address, port, BitConverter.ToUInt32(bytes.Slice(24, 4)));
    }

    private sealed class Sender(Socket socket, bool dualStack) : IUdpSender
    {
        // The socket's address of each route, remade when the route's address changes.
        private UdpAddress[] _known = [];
        private SocketAddress?[] _addresses = [];

        public int Send(TransmitBatch batch, DropCounters drops)
        {
            ArgumentNullException.ThrowIfNull(batch);
            ArgumentNullException.ThrowIfNull(drops);
            int sent = 0;
            foreach (ref readonly Transmit t in batch.Items.AsSpan(0, batch.Count))
            {
                try
                {
                    if (AddressOf(batch.Routes, t.Route) is not { } to)
                    {
                        drops.Count(DropReason.SendFailed);
                        continue;
                    }

                    socket.SendTo(batch.Slab.Slice(t.Offset, t.Length), SocketFlags.None, to);
                    sent++;
                }
                catch (SocketException e)
                {
                    drops.Count(e.SocketErrorCode is SocketError.WouldBlock or SocketError.NoBufferSpaceAvailable ? DropReason.SendQueueFull : DropReason.SendFailed);
                }
            }

            return sent;
        }

        public void Dispose()
        {
        }

        private SocketAddress? AddressOf(UdpAddress[] routes, int route)
        {
            if (_known.Length < routes.Length)
            {
                Array.Resize(ref _known, routes.Length);
                Array.Resize(ref _addresses, routes.Length);
            }

            if (_known[route] == routes[route]) return _addresses[route];
            _known[route] = routes[route];
            return _addresses[route] = Make(routes[route]);
        }

        private SocketAddress? Make(UdpAddress to)
        {
            if (to.Family is not (UdpFamily.IPv4 or UdpFamily.IPv6)) return null;
            IPEndPoint e = to.ToIPEndPoint();
            if (socket.AddressFamily == AddressFamily.InterNetworkV6 && to.Family == UdpFamily.IPv4)
            {
                if (!dualStack) return null;
                e = new IPEndPoint(e.Address.MapToIPv6(), e.Port);
            }

            return e.AddressFamily == socket.AddressFamily ? e.Serialize() : null;
        }
    }
}
