using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>
/// The local end of UDP ASSOCIATE: one socket between a SOCKS5 client and its association at the exit. Only the client's
/// own address is heard, and once its port is known (asked for, or seen on the first datagram) only that port.
/// </summary>
internal sealed class Socks5UdpRelay : IDisposable
{
    // 65 535 - 8 - 20: what a UDP datagram over IPv4 can carry. Larger than a record; too large is counted, not cut.
    private const int MaxDatagramBytes = 65_507;

    private readonly Socket _socket;
    private readonly IPAddress _client;
    private readonly IOnionAssociation _association;
    private readonly SharedDropCounters _drops;
    private readonly TaskCompletionSource _known = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile IPEndPoint? _peer;

    private Socks5UdpRelay(Socket socket, IPAddress client, IOnionAssociation association, SharedDropCounters drops)
    {
        _socket = socket;
        _client = client;
        _association = association;
        _drops = drops;
    }

    public IPEndPoint LocalEndPoint => (IPEndPoint)_socket.LocalEndPoint!;

    /// <returns>null if the machine gives no socket.</returns>
    /// <param name="clientPort">0: not known before the first datagram.</param>
    public static Socks5UdpRelay? TryBind(IPAddress local, IPAddress client, ushort clientPort, IOnionAssociation association, SharedDropCounters drops)
    {
        ArgumentNullException.ThrowIfNull(local);
        ArgumentNullException.ThrowIfNull(client);
        local = Plain(local);
        client = Plain(client);
        var socket = new Socket(local.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.Bind(new IPEndPoint(local, 0));
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }

        var relay = new Socks5UdpRelay(socket, client, association, drops);
        if (clientPort != 0) relay.Learn(new IPEndPoint(client, clientPort));
        return relay;
    }

    /// <summary>Carries datagrams both ways until cancelled or until the association ends.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task outward = OutwardAsync(either.Token);
        Task inward = InwardAsync(either.Token);
        await Task.WhenAny(outward, inward).ConfigureAwait(false);
        await either.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(outward, inward).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => _socket.Dispose();

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    private void Learn(IPEndPoint peer)
    {
        _peer = peer;
        _known.TrySetResult();
    }

    private async Task OutwardAsync(CancellationToken cancel)
    {
        byte[] buffer = GC.AllocateUninitializedArray<byte>(MaxDatagramBytes);
        var from = new SocketAddress(_socket.AddressFamily);
        var any = new IPEndPoint(_socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        while (!cancel.IsCancellationRequested)
        {
            int length;
            try
            {
                length = await _socket.ReceiveFromAsync(buffer, SocketFlags.None, from, cancel).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                continue; // an ICMP error of an earlier answer
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }

            var sender = (IPEndPoint)any.Create(from);
            if (!sender.Address.Equals(_client) || (_peer is { } peer && peer.Port != sender.Port))
            {
                _drops.Count(DropReason.WrongAddress);
                continue;
            }

            if (_peer is null) Learn(sender);
            if (!Socks5Wire.TryReadUdp(buffer.AsSpan(0, length), out ProxyDestination destination, out ReadOnlySpan<byte> payload))
            {
                _drops.Count(DropReason.BadRecord);
                continue;
            }

            _association.TrySend(destination, payload); // a drop was counted there
        }
    }

    private async Task InwardAsync(CancellationToken cancel)
    {
        byte[] buffer = GC.AllocateUninitializedArray<byte>(Socks5Wire.MaxUdpHeadBytes + ProxyWire.MaxRecordBytes);
        try
        {
            await _known.Task.WaitAsync(cancel).ConfigureAwait(false);
            SocketAddress to = _peer!.Serialize();
            await foreach (OnionDatagram datagram in _association.Received.ReadAllAsync(cancel).ConfigureAwait(false))
            {
                int head = Socks5Wire.WriteUdpHead(datagram.From, buffer);
                if (datagram.Payload.Length > buffer.Length - head)
                {
                    _drops.Count(DropReason.TooLarge);
                    continue;
                }

                datagram.Payload.CopyTo(buffer.AsMemory(head));
                try
                {
                    await _socket.SendToAsync(buffer.AsMemory(0, head + datagram.Payload.Length), SocketFlags.None, to, cancel).ConfigureAwait(false);
                }
                catch (SocketException)
                {
                    _drops.Count(DropReason.SendFailed);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The association is over.
        }
    }
}
