using System.Collections.Concurrent;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Udp;

namespace Oxen.Router.Hosting;

/// <summary>
/// The session thread of a router: what the shards deliver in, what is to be originated out. It owns either a client's
/// sessions or a terminal's, and the bridges between their QUIC streams and the application's pipes.
/// </summary>
internal sealed class SessionLoop : LoopThread, IClientSessionEvents, IExitSessionEvents, Exit.IExitRecordSink, IStreamBridgeHost
{
    private static readonly TimeSpan TickEvery = TimeSpan.FromMilliseconds(500);
    private const int DeliveriesPerTurn = 128;
    private static readonly TimeSpan StallRetry = TimeSpan.FromMicroseconds(100);

    private readonly ShardCore[] _shards;
    private readonly PathOutlet[] _outlets;
    private readonly Action<int> _wakeShard;
    private readonly Dictionary<QuicConnection, Dictionary<long, StreamBridge>> _bridges = [];
    private int _streams; // in all of them
    private readonly ConcurrentQueue<RecordOut> _recordsOut = new();
    private int _recordsWaiting;
    private Instant _stalledUntil = Instant.Never;
    private Instant _nextTick = Instant.Zero;

    /// <param name="Hidden">The <see cref="HiddenClient"/> or <see cref="HiddenService"/> that it is of; null: a group's or a terminal session's.</param>
    private readonly record struct RecordOut(object? Hidden, long Owner, RecordType Type, byte[] Record, int Length);

    public SessionLoop(string name, MonotonicClock clock, ShardCore[] shards, Action<int> wakeShard, Action<string, Exception> onFault)
        : base(name, clock, onFault)
    {
        _shards = shards;
        _wakeShard = wakeShard;
        _outlets = [.. shards.Select(s => new PathOutlet(s.Originations, Drops))];
    }

    public DropCounters Drops { get; } = new();

    public PathOutlet[] Outlets => _outlets;

    public ClientSessions? Client { get; set; }

    public ExitSessions? Exit { get; set; }

    /// <summary>A client's: its hidden services, and those of others that it reaches.</summary>
    public HiddenSessions? Hidden { get; set; }

    /// <summary>A relay's: introductions and rendezvous of others' hidden services.</summary>
    public RendezvousSessions? Rendezvous { get; set; }

    // ---- what the host hears, on the session thread ----

    /// <summary>A stream that the peer opened: the session (client: group) number and the bridge.</summary>
    public Action<long, StreamBridge, Instant>? StreamOpened { get; set; }

    /// <summary>A stream that a client of a service of ours opened.</summary>
    public Action<HiddenServiceSession, StreamBridge, Instant>? ServiceStreamOpened { get; set; }

    public Action<long, ReadOnlyMemory<byte>, Instant>? UdpArrived { get; set; }

    public Action<ClientGroup, Instant>? GroupReady { get; set; }

    public Action<ClientGroup, string, Instant>? GroupLost { get; set; }

    public Action<ClientGroup, Instant>? TunnelReady { get; set; }

    public Action<PathRef, string, int>? PathFailed { get; set; }

    public Action<PathMeasurement>? PathMeasured { get; set; }

    public Action<ClientGroup, TimeSpan, Instant>? PathSwitched { get; set; }

    public Action<QuicConnection, Instant>? StreamsAvailable { get; set; }

    public Action<long, Instant>? SessionClosed { get; set; }

    /// <summary>Called twice a second.</summary>
    public Action<Instant>? Tick { get; set; }

    protected override Instant NextDeadline
    {
        get
        {
            Instant next = Client?.NextDeadline ?? Instant.Never;
            if (Tick is not null) next = Instant.Earlier(next, _nextTick);
            if (Exit is not null) next = Instant.Earlier(next, Exit.NextDeadline);
            if (Hidden is not null) next = Instant.Earlier(next, Hidden.NextDeadline);
            if (Rendezvous is not null) next = Instant.Earlier(next, Rendezvous.NextDeadline);

            // With full rings nothing can be sent whatever is due: look again when they have drained a little.
            return _stalledUntil.IsNever ? next : Instant.Later(_stalledUntil, Instant.Earlier(next, _stalledUntil));
        }
    }

    /// <summary>Sends a UDP record for a client's group or a terminal's session. Any thread; the bytes are copied.</summary>
    public bool TrySendUdp(long owner, ReadOnlySpan<byte> record) => TrySend(null, owner, RecordType.Udp, record);

    /// <summary>Sends a record of datagrams or an IP packet to a hidden service. Any thread; the bytes are copied.</summary>
    public bool TrySendHidden(HiddenClient client, RecordType type, ReadOnlySpan<byte> record) => TrySend(client, 0, type, record);

    /// <summary>Sends a record of datagrams or an IP packet to a client of a service of ours. Any thread; the bytes are copied.</summary>
    public bool TrySendService(HiddenService service, long session, RecordType type, ReadOnlySpan<byte> record) => TrySend(service, session, type, record);

    private bool TrySend(object? hidden, long owner, RecordType type, ReadOnlySpan<byte> record)
    {
        if (Volatile.Read(ref _recordsWaiting) >= 4096) return false;
        byte[] copy = System.Buffers.ArrayPool<byte>.Shared.Rent(record.Length);
        record.CopyTo(copy);
        Interlocked.Increment(ref _recordsWaiting);
        _recordsOut.Enqueue(new RecordOut(hidden, owner, type, copy, record.Length));
        Wake();
        return true;
    }

    void Exit.IExitRecordSink.Send(long session, ReadOnlySpan<byte> record) => TrySendUdp(session, record);

    /// <summary>Takes what the shard has delivered until now, so that the last packets of a path are read before its end. Session thread.</summary>
    public void TakeDeliveries(int shard, Instant now) => TakeDeliveries(shard, _shards[shard].Deliveries.Depth, now);

    /// <summary>A stream that we open ourselves; null when the peer allows no more now. Session thread.</summary>
    public StreamBridge? OpenStream(QuicConnection connection, Instant now)
    {
        if (!connection.TryOpenStream(bidirectional: true, out long stream)) return null;
        StreamBridge bridge = Add(connection, stream);
        bridge.Start(now);
        return bridge;
    }

    /// <summary>Both halves are over. Session thread.</summary>
    public void Forget(StreamBridge bridge, QuicConnection connection)
    {
        if (_bridges.TryGetValue(connection, out Dictionary<long, StreamBridge>? streams) && streams.Remove(bridge.Stream)) _streams--;
    }

    /// <summary>Streams that a connection carries now. Session thread.</summary>
    public int StreamsOf(QuicConnection? connection) => connection is not null && _bridges.TryGetValue(connection, out Dictionary<long, StreamBridge>? streams) ? streams.Count : 0;

    public int OpenStreams => _streams;

    public override void Dispose()
    {
        base.Dispose();
        foreach (Dictionary<long, StreamBridge> streams in _bridges.Values.ToArray())
            foreach (StreamBridge bridge in streams.Values.ToArray()) bridge.OnLost("the router is stopping", Instant.Zero);
        Hidden?.Dispose();
        Client?.Dispose();
        Exit?.Dispose();
    }

    protected override bool Turn(Instant now)
    {
        bool more = false;
        for (int shard = 0; shard < _shards.Length; shard++) more |= TakeDeliveries(shard, DeliveriesPerTurn, now) == DeliveriesPerTurn;

        while (_recordsOut.TryDequeue(out RecordOut waiting))
        {
            Interlocked.Decrement(ref _recordsWaiting);
            ReadOnlySpan<byte> record = waiting.Record.AsSpan(0, waiting.Length);
            switch (waiting.Hidden)
            {
                case HiddenClient to:
                    to.Send(waiting.Type, record, now);
                    break;
                case HiddenService from:
                    from.Send(waiting.Owner, waiting.Type, record, now);
                    break;
                default:
                    Client?.SendUdp((int)waiting.Owner, record, now);
                    Exit?.SendUdp(waiting.Owner, record);
                    break;
            }

            System.Buffers.ArrayPool<byte>.Shared.Return(waiting.Record);
        }

        if (Client is { } client)
        {
            client.Observe();
            if (client.NextDeadline <= now) client.HandleTimeout(now);

            // Its requests are streams of the client's sessions: they say what they have to say before those transmit.
            if (Hidden is { } hidden && hidden.NextDeadline <= now) hidden.HandleTimeout(now);
            client.Transmit(now);
            Hidden?.Transmit(now);
        }

        if (Rendezvous is { } rendezvous && rendezvous.NextDeadline <= now) rendezvous.HandleTimeout(now); // what it says leaves with the exit's
        if (Exit is { } exit)
        {
            if (exit.NextDeadline <= now) exit.HandleTimeout(now);
            exit.Transmit(now);
        }

        if (Tick is not null && _nextTick <= now)
        {
            Tick(now);
            _nextTick = now + TickEvery;
        }

        _stalledUntil = Instant.Never;
        for (int shard = 0; shard < _shards.Length; shard++)
        {
            if (_outlets[shard].TakeCommitted()) _wakeShard(shard);
            if (!_outlets[shard].HasRoom(64)) _stalledUntil = now + StallRetry;
        }

        return more;
    }

    // ---- from the sessions ----

    void ISessionEvents.OnQuic(in QuicEvent happened, Instant now)
    {
        if (Hidden?.Requests.OnQuic(happened, now) != true) HandleQuic(happened, now);
    }

    /// <summary>What happened to a connection whose streams have bridges here.</summary>
    public void HandleQuic(in QuicEvent happened, Instant now)
    {
        QuicConnection connection = happened.Connection;
        switch (happened.Kind)
        {
            case QuicEventKind.StreamOpened:
                StreamBridge opened = Add(connection, happened.StreamId);
                if (connection.Tag is HiddenServiceSession client) ServiceStreamOpened?.Invoke(client, opened, now);
                else if (StreamOpened is { } take) take(connection.Tag is long session ? session : 0, opened, now);
                else opened.Abort(); // nobody opens streams to a client
                opened.Start(now);
                return;
            case QuicEventKind.StreamsAvailable:
                StreamsAvailable?.Invoke(connection, now);
                return;
            case QuicEventKind.Closed:
                if (!_bridges.Remove(connection, out Dictionary<long, StreamBridge>? lost)) return;
                _streams -= lost.Count;
                foreach (StreamBridge bridge in lost.Values.ToArray()) bridge.OnLost("the connection through the path ended", now);
                return;
        }

        if (_bridges.TryGetValue(connection, out Dictionary<long, StreamBridge>? streams) && streams.TryGetValue(happened.StreamId, out StreamBridge? stream)) stream.Handle(happened, now);
    }

    void ISessionEvents.OnUdp(long owner, ReadOnlySpan<byte> record, Instant now) => UdpArrived?.Invoke(owner, record.ToArray(), now);

    void IClientSessionEvents.OnGroupReady(ClientGroup group, Instant now)
    {
        if (RelayRequests.Owns(group.Number)) Hidden?.Requests.OnGroupReady(group, now);
        else GroupReady?.Invoke(group, now);
    }

    void IClientSessionEvents.OnGroupLost(ClientGroup group, string reason, Instant now)
    {
        if (RelayRequests.Owns(group.Number)) Hidden?.Requests.OnGroupLost(group, now);
        else GroupLost?.Invoke(group, reason, now);
    }

    void IClientSessionEvents.OnTunnelReady(ClientGroup group, Instant now) => TunnelReady?.Invoke(group, now);

    void IClientSessionEvents.OnPathFailed(PathRef path, string reason, int suspect, Instant now) => PathFailed?.Invoke(path, reason, suspect);

    void IClientSessionEvents.OnPathMeasured(in PathMeasurement measured, Instant now) => PathMeasured?.Invoke(measured);

    void IClientSessionEvents.OnPathSwitched(ClientGroup group, ClientPathState from, ClientPathState to, TimeSpan sinceLastHeard, Instant now) =>
        PathSwitched?.Invoke(group, sinceLastHeard, now);

    void IExitSessionEvents.OnSessionClosed(long session, Instant now) => SessionClosed?.Invoke(session, now);

    // ---- inside ----

    private int TakeDeliveries(int shard, int most, Instant now)
    {
        PacketRing ring = _shards[shard].Deliveries;
        int taken = 0;
        while (taken < most && ring.TryTake(out PacketTag tag, out int offset))
        {
            Span<byte> content = ring.Slab.Slice(offset + PacketRing.Headroom, tag.Length);
            if (Hidden is not null && IsHidden(shard, tag)) Hidden.HandleDelivery(shard, tag, content, now);
            else if (Client is not null) Client.HandleDelivery(shard, tag, content, now);
            else if (Rendezvous is not null && tag.Command is EndCommand.Joined or EndCommand.Meeting) Rendezvous.HandleDelivery(shard, tag, content, now);
            else Exit?.HandleDelivery(shard, tag, content, now);
            taken++;
        }

        if (taken > 0) ring.ReleaseTaken();
        return taken;
    }

    // Records are a session's, packets of a joint a hidden service's; an answer to a probe may be either's.
    private bool IsHidden(int shard, in PacketTag tag) => tag.Command switch
    {
        EndCommand.Joined or EndCommand.Meeting => true,
        EndCommand.Records => false,
        _ => Hidden!.Owns(shard, tag),
    };

    private StreamBridge Add(QuicConnection connection, long stream)
    {
        if (!_bridges.TryGetValue(connection, out Dictionary<long, StreamBridge>? streams)) _bridges.Add(connection, streams = []);
        var bridge = new StreamBridge(this, connection, stream, _streams++);
        streams.Add(stream, bridge);
        return bridge;
    }
}
