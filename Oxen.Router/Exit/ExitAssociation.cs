using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Exit;

/// <summary>
/// One UDP association at the exit: a socket for both IP families, and the addresses it has spoken to. Datagrams from
/// anybody else are dropped (address-restricted, any port).
/// </summary>
internal sealed class ExitAssociation : IDisposable
{
    private readonly long _session;
    private readonly ushort _number;
    private readonly Socket _socket;
    private readonly IExitRecordSink _sink;
    private readonly SharedDropCounters _drops;
    private readonly int _contactLimit;

    // Written by the session thread, read by the receiving one.
    private readonly Lock _contactsLock = new();
    private readonly HashSet<(ulong, ulong, UdpFamily)> _contacts = [];
    private readonly Queue<(ulong, ulong, UdpFamily)> _contactOrder = new();
    private int _heard, _broken, _disposed;

    private ExitAssociation(long session, ushort number, Socket socket, ExitLimits limits, IExitRecordSink sink, SharedDropCounters drops)
    {
        _session = session;
        _number = number;
        _socket = socket;
        _sink = sink;
        _drops = drops;
        _contactLimit = limits.ContactsPerAssociation;
    }

    public Instant LastUse { get; set; }

    public bool Broken => Volatile.Read(ref _broken) != 0;

    public bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    /// <returns>null if the machine gives no socket.</returns>
    public static ExitAssociation? TryOpen(long session, ushort number, ExitLimits limits, IExitRecordSink sink, SharedDropCounters drops)
    {
        Socket? socket = null;
        try
        {
            if (Socket.OSSupportsIPv6)
            {
                socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp) { DualMode = true };
                socket.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
            }
            else
            {
                socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
                socket.Bind(new IPEndPoint(IPAddress.Any, 0));
            }
        }
        catch (SocketException)
        {
            socket?.Dispose();
            return null;
        }

        socket.Blocking = false;
        var association = new ExitAssociation(session, number, socket, limits, sink, drops);
        _ = association.ReceiveAsync();
        return association;
    }

    /// <summary>Sends to an address that the policy has passed. Never blocks.</summary>
    public void Send(in UdpAddress to, ReadOnlySpan<byte> payload)
    {
        Remember(to);
        IPEndPoint endPoint = to.ToIPEndPoint();
        if (_socket.AddressFamily == AddressFamily.InterNetworkV6 && endPoint.AddressFamily == AddressFamily.InterNetwork) endPoint.Address = endPoint.Address.MapToIPv6();
        try
        {
            _socket.SendTo(payload, SocketFlags.None, endPoint);
        }
        catch (SocketException e)
        {
            _drops.Count(e.SocketErrorCode == SocketError.WouldBlock ? DropReason.SendQueueFull : DropReason.DestinationRefused);
        }
        catch (ObjectDisposedException)
        {
            _drops.Count(DropReason.DestinationRefused);
        }
    }

    /// <summary>Did anything come back since the last question?</summary>
    public bool TakeHeard() => Interlocked.Exchange(ref _heard, 0) != 0;

    public void Dispose()
    {
        Volatile.Write(ref _disposed, 1);
        _socket.Dispose();
    }

    private void Remember(in UdpAddress to)
    {
        (ulong, ulong, UdpFamily) key = (to.High, to.Low, to.Family);
        lock (_contactsLock)
        {
            if (!_contacts.Add(key)) return;
            _contactOrder.Enqueue(key);
            if (_contacts.Count > _contactLimit) _contacts.Remove(_contactOrder.Dequeue());
        }
    }

    private async Task ReceiveAsync()
    {
        // One more byte than a record holds: a longer datagram is seen to be too long, not cut.
        byte[] datagram = GC.AllocateUninitializedArray<byte>(ProxyWire.MaxRecordBytes + 1);
        byte[] record = GC.AllocateUninitializedArray<byte>(ProxyWire.MaxRecordBytes);
        var from = new SocketAddress(_socket.AddressFamily);
        var any = new IPEndPoint(_socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        int errors = 0;
        while (true)
        {
            int length;
            try
            {
                length = await _socket.ReceiveFromAsync(datagram, SocketFlags.None, from).ConfigureAwait(false);
                errors = 0;
            }
            catch (SocketException e) when (!IsDisposed)
            {
                // "Refused" is an ICMP answer to an earlier datagram; a socket that says nothing else is broken.
                _drops.Count(DropReason.DestinationRefused);
                if (e.SocketErrorCode is SocketError.ConnectionRefused or SocketError.ConnectionReset or SocketError.HostUnreachable or SocketError.NetworkUnreachable || ++errors < 16) continue;
                Volatile.Write(ref _broken, 1);
                return;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                return;
            }

            UdpAddress sender = UdpAddress.From((IPEndPoint)any.Create(from));
            if (!IsContact(sender))
            {
                _drops.Count(DropReason.WrongAddress);
                continue;
            }

            Volatile.Write(ref _heard, 1);
            int written = ProxyWire.WriteRecord(_number, ProxyDestination.FromAddress(sender), datagram.AsSpan(0, length), record);
            if (written == 0) _drops.Count(DropReason.TooLarge);
            else _sink.Send(_session, record.AsSpan(0, written));
        }
    }

    private bool IsContact(in UdpAddress sender)
    {
        lock (_contactsLock) return _contacts.Contains((sender.High, sender.Low, sender.Family));
    }
}
