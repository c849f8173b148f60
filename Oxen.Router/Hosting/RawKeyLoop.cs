using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Native;
using Oxen.Router.Udp;

namespace Oxen.Router.Hosting;

/// <summary>The thread of a <see cref="RawKeyQuic"/> endpoint: datagrams in, QUIC, datagrams out, and the bridges of its streams.</summary>
internal sealed class RawKeyLoop : LoopThread, IStreamBridgeHost
{
    private const int Slots = 8, Buffers = 8;

    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(10);

    private readonly QuicEndpoint _endpoint;
    private readonly IUdpSocket _socket;
    private readonly PinnedBlock _slab = new((Slots + Buffers) * ReceiveBatch.SlotBytes);
    private readonly ReceiveBatch _received;
    private readonly TransmitBatch _batch;
    private readonly DropCounters _drops = new();
    private readonly Action<RawKeyStream> _streamOpened;
    private readonly Action<RawKeyConnection> _closed;
    private readonly Dictionary<QuicConnection, Peer> _peers = [];
    private int _streams;

    public RawKeyLoop(QuicEndpoint endpoint, IUdpSocket socket, TimeProvider time, Action<RawKeyStream> streamOpened, Action<RawKeyConnection> closed)
        : base("raw-key QUIC", new MonotonicClock(time), static (_, _) => { })
    {
        _endpoint = endpoint;
        _socket = socket;
        _streamOpened = streamOpened;
        _closed = closed;
        _received = new ReceiveBatch(_slab, 0, Slots);
        _batch = new TransmitBatch(_slab, 1024) { Routes = new UdpAddress[Buffers] };
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
        while (Transmit(now))
        {
        }

        return true;
    });

    void IStreamBridgeHost.Forget(StreamBridge bridge, QuicConnection connection)
    {
        if (_peers.TryGetValue(connection, out Peer? peer) && peer.Streams.Remove(bridge.Stream)) _streams--;
    }

    public override void Wake() => _socket.Wake();

    public override void Dispose()
    {
        base.Dispose();
        foreach (Peer peer in _peers.Values) Lose(peer, "the endpoint is closed", Instant.Zero);
        _socket.Dispose();
        _endpoint.Dispose();
        _slab.Dispose();
    }

    protected override void Sleep(TimeSpan time) => _socket.Wait(time);

    protected override bool Turn(Instant now)
    {
        int taken = _socket.Receive(_received);
        for (int i = 0; i < taken; i++)
        {
            ref Received r = ref _received.Items[i];
            for (int at = 0; at < r.Length; at += r.SegmentBytes) _endpoint.HandleDatagram(_slab.Slice(r.Offset + at, Math.Min(r.SegmentBytes, r.Length - at)), r.From, now);
        }

        if (_endpoint.NextDeadline <= now) _endpoint.HandleTimeout(now);
        while (_endpoint.TryAccept(out QuicConnection accepted)) _peers.TryAdd(accepted, new Peer { Connection = new RawKeyConnection(this, accepted) });
        while (_endpoint.TryTakeEvent(out QuicEvent happened)) Handle(happened, now);
        return Transmit(now) || taken == Slots;
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

    // What the socket does not take is loss, which QUIC knows what to do about.
    private bool Transmit(Instant now)
    {
        int buffer = 0;
        for (; buffer < Buffers; buffer++)
        {
            int offset = (Slots + buffer) * ReceiveBatch.SlotBytes;
            if (!_endpoint.TryTransmit(_slab.Slice(offset, ReceiveBatch.SlotBytes), out int bytes, out int segmentBytes, out _batch.Routes[buffer], now)) break;
            for (int at = 0; at < bytes; at += segmentBytes) _batch.TryAdd(offset + at, Math.Min(segmentBytes, bytes - at), buffer);
        }

        if (_batch.Count == 0) return false;
        _socket.Send(_batch, _drops);
        _batch.Clear();
        return buffer == Buffers;
    }
}
