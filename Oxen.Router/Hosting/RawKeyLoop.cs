using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Udp;

namespace Oxen.Router.Hosting;

/// <summary>The thread of a <see cref="RawKeyQuic"/> endpoint: datagrams in, QUIC, datagrams out, and the bridges of its streams.</summary>
internal sealed class RawKeyLoop : LoopThread, IStreamBridgeHost
{
    private const int MaxWaiting = 4096;
    private const int MaxDatagram = 2048; // longer ones are no QUIC of ours
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(10);

    private readonly QuicEndpoint _endpoint;
    private readonly Socket _socket;
    private readonly Action<RawKeyStream> _streamOpened;
    private readonly Action<RawKeyConnection> _closed;
    private readonly ConcurrentQueue<(byte[] Bytes, int Length, UdpAddress From)> _received = new();
    private readonly Dictionary<QuicConnection, Peer> _peers = [];
    private readonly byte[] _transmit = new byte[64 * 1024];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _receiving;
    private int _waiting, _streams;

    public RawKeyLoop(QuicEndpoint endpoint, Socket socket, TimeProvider time, Action<RawKeyStream> streamOpened, Action<RawKeyConnection> closed)
        : base("raw-key QUIC", new MonotonicClock(time), static (_, _) => { })
    {
        _endpoint = endpoint;
        _socket = socket;
        _streamOpened = streamOpened;
        _closed = closed;
        _receiving = Task.Run(ReceiveAsync);
    }

    private sealed class Peer
    {
        public RawKeyConnection? Connection { get; set; }

        /// <summary>Of a connection that we make, until it stands.</summary>
        public TaskCompletionSource<RawKeyConnection>? Connecting { get; init; }

        public Dictionary<long, StreamBridge> Streams { get; } = [];
    }

    protected override Instant NextDeadline => _endpoint.NextDeadline;

    public async Task<RawKeyConnection> ConnectAsync(UdpAddress to, TlsClientOptions tls, CancellationToken cancel)
    {
        var connecting = new TaskCompletionSource<RawKeyConnection>(TaskCreationOptions.RunContinuationsAsynchronously);
        QuicConnection quic = await InvokeAsync(now =>
        {
            QuicConnection made = _endpoint.Connect(to, tls, null, now);
            _peers.Add(made, new Peer { Connecting = connecting });
            return made;
        }).ConfigureAwait(false);
        try
        {
            return await connecting.Task.WaitAsync(ConnectPatience, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            Post(now => quic.Close(0, "", now));
            if (e is TimeoutException) throw new IOException("the peer does not answer");
            throw;
        }
    }

    public Task<RawKeyStream> OpenStreamAsync(RawKeyConnection connection) => InvokeAsync(now =>
    {
        if (connection.IsClosed || !connection.Quic.TryOpenStream(bidirectional: true, out long id)) throw new IOException(connection.IsClosed ? "the connection is over" : "the peer allows no more streams now");
        StreamBridge bridge = Add(_peers[connection.Quic], connection.Quic, id);
        bridge.Start(now);
        return new RawKeyStream(connection, bridge);
    });

    public void Close(RawKeyConnection connection) => Post(now => connection.Quic.Close(0, "", now));

    /// <summary>Closes every connection and waits until that was said.</summary>
    public Task StopAsync() => InvokeAsync(now =>
    {
        foreach (QuicConnection quic in _peers.Keys) quic.Close(0, "", now);
        Transmit(now);
        return true;
    });

    void IStreamBridgeHost.Forget(StreamBridge bridge, QuicConnection connection)
    {
        if (_peers.TryGetValue(connection, out Peer? peer) && peer.Streams.Remove(bridge.Stream)) _streams--;
    }

    public override void Dispose()
    {
        _stop.Cancel();
        base.Dispose();
        _socket.Dispose();
        _receiving.Wait(TimeSpan.FromSeconds(2));
        foreach (Peer peer in _peers.Values) Lose(peer, "the endpoint is closed", Instant.Zero);
        _endpoint.Dispose();
        _stop.Dispose();
    }

    protected override bool Turn(Instant now)
    {
        int taken = 0;
        while (taken < 256 && _received.TryDequeue(out (byte[] Bytes, int Length, UdpAddress From) datagram))
        {
            Interlocked.Decrement(ref _waiting);
            _endpoint.HandleDatagram(datagram.Bytes.AsSpan(0, datagram.Length), datagram.From, now);
            ArrayPool<byte>.Shared.Return(datagram.Bytes);
            taken++;
        }

        if (_endpoint.NextDeadline <= now) _endpoint.HandleTimeout(now);
        while (_endpoint.TryAccept(out QuicConnection accepted)) _peers.TryAdd(accepted, new Peer { Connection = new RawKeyConnection(this, accepted) });
        while (_endpoint.TryTakeEvent(out QuicEvent happened)) Handle(happened, now);
        Transmit(now);
        return !_received.IsEmpty;
    }

    private void Handle(in QuicEvent happened, Instant now)
    {
        QuicConnection quic = happened.Connection;
        if (!_peers.TryGetValue(quic, out Peer? peer)) return;
        switch (happened.Kind)
        {
            case QuicEventKind.Connected when peer.Connecting is { } connecting:
                peer.Connection = new RawKeyConnection(this, quic);
                connecting.TrySetResult(peer.Connection);
                return;
            case QuicEventKind.StreamOpened when peer.Connection is { } connection:
                StreamBridge opened = Add(peer, quic, happened.StreamId);
                opened.Start(now);
                _streamOpened(new RawKeyStream(connection, opened));
                return;
            case QuicEventKind.Closed:
                _peers.Remove(quic);
                peer.Connecting?.TrySetException(new IOException($"the connection was not made: {quic.Stats.CloseReason}"));
                Lose(peer, "the connection ended", now);
                return;
        }

        if (peer.Streams.TryGetValue(happened.StreamId, out StreamBridge? stream)) stream.Handle(happened, now);
    }

    private void Lose(Peer peer, string reason, Instant now)
    {
        foreach (StreamBridge bridge in peer.Streams.Values.ToArray()) bridge.OnLost(reason, now);
        if (peer.Connection is not { IsClosed: false } connection) return;
        connection.IsClosed = true;
        if (connection.Quic.IsServer) _closed(connection);
    }

    private StreamBridge Add(Peer peer, QuicConnection quic, long id)
    {
        var bridge = new StreamBridge(this, quic, id, _streams++);
        peer.Streams.Add(id, bridge);
        return bridge;
    }

    private void Transmit(Instant now)
    {
        while (_endpoint.TryTransmit(_transmit, out int bytes, out int segmentBytes, out UdpAddress to, now))
        {
            var address = to.ToIPEndPoint();
            for (int at = 0; at < bytes; at += segmentBytes)
            {
                try
                {
                    _socket.SendTo(_transmit.AsSpan(at, Math.Min(segmentBytes, bytes - at)), SocketFlags.None, address);
                }
                catch (SocketException)
                {
                    // A full buffer or an unreachable peer is loss, which QUIC knows what to do about.
                }
            }
        }
    }

    private async Task ReceiveAsync()
    {
        var any = new IPEndPoint(_socket.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        while (!_stop.IsCancellationRequested)
        {
            byte[] buffer = ArrayPool<byte>.Shared.Rent(MaxDatagram);
            try
            {
                SocketReceiveFromResult got = await _socket.ReceiveFromAsync(buffer, SocketFlags.None, any, _stop.Token).ConfigureAwait(false);
                if (Volatile.Read(ref _waiting) < MaxWaiting)
                {
                    Interlocked.Increment(ref _waiting);
                    _received.Enqueue((buffer, got.ReceivedBytes, UdpAddress.From((IPEndPoint)got.RemoteEndPoint)));
                    Wake();
                    continue;
                }
            }
            catch (SocketException)
            {
                // A peer's port that is closed: ICMP. Not a reason to stop.
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }

            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
