using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Testing;

/// <summary>What one simulated router is.</summary>
internal sealed record SimRouterOptions
{
    public required string Name { get; init; }

    public required UdpAddress Address { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>A relay's; null for a client.</summary>
    public RouterIdentity? Identity { get; init; }

    public OnionKeyRing? OnionKeys { get; init; }

    public ClientPathOptions? Client { get; init; }

    /// <summary>A directory of its own, which follows the network; null: the world's, which stays as it is.</summary>
    public DirectoryOptions? Directory { get; init; }

    public TimeSpan ClockSkew { get; init; }

    public LinkOptions Links { get; init; } = new();

    public BuildBudgetOptions Budget { get; init; } = new();

    public BuildPolicy Builds { get; init; } = BuildPolicy.Default;

    public ShardOptions Shard { get; init; } = new()
    {
        ReceiveSlots = 1, ControlSlots = 64, DeliverySlots = 256, OriginationSlots = 256, MaxReceivers = 256, MaxSenders = 256,
        MaxPaths = 512, MaxClientPaths = 16, ReplayFilterBytes = 1 << 20,
    };

    public int Shards { get; init; } = 1;

    /// <summary>Of bad will: what it does to the packets of others, and whether it lies about the network. Null: honest.</summary>
    public SimMaliceOptions? Malice { get; init; }

    /// <summary>An end of a tunnel, with a TUN device in memory for each shard. At an exit, the world answers each packet with its echo.</summary>
    public TunnelOptions? Tunnel { get; init; }
}

/// <summary>Sees content that a router reads; the bytes are good for the call.</summary>
internal delegate void SimContentTap(SimRouter at, ReadOnlySpan<byte> content);

/// <summary>Sees what comes to a router's sessions; the bytes are good for the call.</summary>
internal delegate void SimDeliveryTap(int shard, PacketTag tag, ReadOnlySpan<byte> content);

/// <summary>
/// A whole router on a simulated network, single-threaded and in virtual time: the shards, the control core and the session
/// core of a real one, joined as RouterNode joins them, without sockets and threads. At the exit, streams are echoed and UDP
/// records sent back.
/// </summary>
internal sealed partial class SimRouter : ISimNode, IControlEvents, IClientSessionEvents, IExitSessionEvents, IDisposable
{
    private readonly SimNetwork _network;
    private readonly ShardCore[] _shards;
    private readonly PathOutlet[] _outlets;
    private readonly TlsIdentity? _exitIdentity;
    private readonly Queue<Action<Instant>> _toSessions = new();
    private readonly Queue<Action<Instant>> _toControl = new();
    private readonly Dictionary<(QuicConnection, long), SimEcho> _echoes = [];
    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly byte[] _late = new byte[2048];
    private bool _dead;

    public SimRouter(SimNetwork network, SimRouterOptions options, NodeDirectory directory)
    {
        _network = network;
        Options = options;
        Address = options.Address;
        Nodes = options.Directory is null ? directory : NodeDirectory.Empty;
        var entropy = new SeededEntropy(options.Seed);
        Clock = new NetworkClock(SimClock.StartUnixNanoseconds + options.ClockSkew.Ticks * 100);
        _shards = [.. Enumerable.Range(0, options.Shards).Select(i => new ShardCore(options.Shard with { Shard = i, ShardCount = options.Shards, Tunnel = options.Tunnel }, Clock, entropy))];
        TunnelControl? tunnel = null;
        TunnelLeases? leases = null;
        if (options.Tunnel is { } tun)
        {
            tunnel = new TunnelControl(_shards, static _ => { });
            if (!tun.IsClient) leases = new TunnelLeases(tun.First, tun.Peers);
            Tuns = [.. _shards.Select(_ => new MemoryTun(queue: 4096))];
            for (int i = 0; i < Tuns.Length; i++)
            {
                _shards[i].Tunnel!.Connect(_shards, static _ => { });
                Tuns[i].OnReadable = () => _network.Wake(this);
            }
        }

        DataPlane = new DataPlane(_shards, options.Shard, entropy);
        _outlets = [.. _shards.Select(s => new PathOutlet(s.Originations, SessionDrops))];
        if (options.Client is not null)
        {
            Client = new ClientSessions(RouterNode.PathTransport, _outlets, this, entropy, SessionDrops, tunnel);
            Hidden = NewHidden(directory);
        }
        else
        {
            _exitIdentity = TlsIdentity.FromSeed(options.Identity!.Seed);
            Exit = new ExitSessions(_exitIdentity, RouterNode.PathTransport, _outlets, this, entropy, SessionDrops, leases: leases, tunnel: tunnel);
            Rendezvous = new RendezvousSessions(_outlets, SessionDrops, join: (one, other) => _shards[one.Shard].Post(new JoinPaths(one.Number, other.Number)));
            _requests = RequestDispatcher.Create([new IntrosetPlugin()], new SimServices(this));
            _echoesStreams = directory.TryGet(options.Identity.Id, out RouterContact? contact) && contact.IsExit;
        }

        Control = new ControlCore(
            new ControlOptions { Links = options.Links, Identity = options.Identity, OnionKeys = options.OnionKeys, Builds = options.Builds, Budget = options.Budget, Client = options.Client, Directory = options.Directory },
            DataPlane,
            Nodes,
            Clock,
            this,
            entropy,
            network.Now);
        if (options.Malice is { } malice)
        {
            Malice = new SimMalice(network, malice, options.Address, options.Seed);
            if (malice.Lies && Control.Directory is { } told) told.Server.Distort = Malice.Lie;
        }

        network.Attach(options.Address, this);
    }

    public SimRouterOptions Options { get; }

    public string Name => Options.Name;

    public UdpAddress Address { get; private set; }

    public RouterId Id => Options.Identity?.Id ?? default;

    public NetworkClock Clock { get; }

    /// <summary>The network as this router sees it.</summary>
    public NodeDirectory Nodes { get; }

    public DataPlane DataPlane { get; }

    public ControlCore Control { get; }

    public ClientSessions? Client { get; }

    public ExitSessions? Exit { get; }

    public ShardCore[] Shards => _shards;

    public MemoryTun[] Tuns { get; } = [];

    public DropCounters SessionDrops { get; } = new();

    /// <summary>What happened, in words, with the time: for failure messages and for what a test counts.</summary>
    public List<(Instant At, string What)> Story { get; } = [];

    public List<SimTransfer> Transfers { get; } = [];

    /// <summary>Takes nothing and sends nothing while true, as a machine that hangs.</summary>
    public bool Frozen { get; set; }

    /// <summary>Share of sealed datagrams that are dropped before this router sees them.</summary>
    public double DropSealed { get; set; }

    /// <summary>Datagrams that <see cref="DropSealed"/> and <see cref="Frozen"/> took.</summary>
    public long Swallowed { get; private set; }

    /// <summary>Null for an honest router.</summary>
    public SimMalice? Malice { get; }

    /// <summary>Sealed datagrams after which nothing had been sent, delivered, told or counted as dropped: there must be none.</summary>
    public long Vanished { get; private set; }

    /// <summary>Sees what this router reads at an end of a path, or as a hop that is addressed.</summary>
    public SimContentTap? ContentTap { get; set; }

    public long UdpSent { get; private set; }

    public long UdpReceived { get; private set; }

    public int Echoes => _echoes.Count;

    public Action<RouterId[]>? PathBuilt { get; set; }

    public Action<string>? GroupLost { get; set; }

    public Instant NextDeadline
    {
        get
        {
            if (_dead || Frozen) return Instant.Never;
            Instant next = Control.NextDeadline;
            foreach (ShardCore shard in _shards) next = Instant.Earlier(next, shard.NextDeadline);
            if (Client is not null) next = Instant.Earlier(next, Client.NextDeadline);
            if (Exit is not null) next = Instant.Earlier(next, Exit.NextDeadline);
            if (Hidden is not null) next = Instant.Earlier(next, Hidden.NextDeadline);
            if (Rendezvous is not null) next = Instant.Earlier(next, Rendezvous.NextDeadline);
            return next;
        }
    }

    /// <summary>Drops of all parts by name.</summary>
    public SortedDictionary<string, long> Drops()
    {
        var sum = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (ShardCore shard in _shards) shard.Drops.AddTo(sum);
        SessionDrops.AddTo(sum);
        return sum;
    }

    public long Dropped(DropReason reason) => _shards.Sum(s => s.Drops[reason]) + SessionDrops[reason];

    // ---- the network ----

    public void OnDatagram(Span<byte> datagram, in UdpAddress from, in UdpAddress to, Instant now)
    {
        if (_dead || datagram.IsEmpty) return;
        bool isSealed = Demultiplexer.KindOf(datagram[0]) == DatagramKind.Sealed;
        if (Frozen || (isSealed && DropSealed > 0 && _network.NextDouble() < DropSealed))
        {
            Swallowed++;
            return;
        }

        ShardCore shard = _shards[isSealed && datagram.Length > 32 ? (int)(SealedDatagram.Index(datagram) % (uint)_shards.Length) : 0];
        datagram.CopyTo(shard.Slab.Slice(shard.Receives.Offset, datagram.Length));
        shard.Receives.Items[0] = new Received { Offset = shard.Receives.Offset, Length = datagram.Length, SegmentBytes = datagram.Length, From = from };
        shard.Receives.Count = 1;
        shard.HandleCommands(now);
        long before = Traces(shard);
        shard.HandleDatagrams(shard.Receives, now);
        if (Traces(shard) == before && shard.Tunnel is null) Vanished++;
        TunnelOf(shard, now);
        SendOf(shard);
        Pump(now);
    }

    // A datagram leaves at least one of these.
    private static long Traces(ShardCore shard) => shard.Drops.Total + shard.Transmits.Count + shard.Deliveries.Depth + shard.Events.Count + shard.Control.Depth;

    public void OnTimer(Instant now)
    {
        if (!_dead && !Frozen) Pump(now);
    }

    // ---- commands ----

    /// <summary>Keeps paths ready for a group from now on (client).</summary>
    public void Want(int group, IReadOnlyList<RouterId>? exits = null)
    {
        _toSessions.Enqueue(_ => Client!.GetOrAdd(group).WantsExit = true);
        _toControl.Enqueue(now => Control.Client!.Want(group, now, exits: exits));
        _network.Wake(this);
    }

    /// <summary>Keeps a tunnel from now on (client).</summary>
    public void WantTunnel(int group = 1)
    {
        _toSessions.Enqueue(_ => Client!.GetOrAdd(group).WantsExit = Client.GetOrAdd(group).WantsTunnel = true);
        _toControl.Enqueue(now => Control.Client!.Want(group, now, tunnel: true));
        _network.Wake(this);
    }

    public ClientGroup? Group(int number = 0) => Client!.TryGet(number, out ClientGroup? group) ? group : null;

    public bool IsReady(int group = 0) => Group(group)?.State == ClientGroupState.Ready;

    /// <summary>Sends bytes to the exit's echo and checks what comes back; the group must be ready.</summary>
    /// <param name="offered">Bytes that the program has to send at first; see <see cref="Offer"/>.</param>
    public SimTransfer Transfer(long bytes, int group = 0, long offered = long.MaxValue)
    {
        QuicConnection quic = Group(group)!.Quic!;
        if (!quic.TryOpenStream(bidirectional: true, out long stream)) throw new InvalidOperationException("no stream");
        var transfer = new SimTransfer(quic, stream, bytes, _network.Now) { Offered = offered };
        Transfers.Add(transfer);
        transfer.OnWritable();
        _network.Wake(this);
        return transfer;
    }

    /// <summary>The program has more to send.</summary>
    public void Offer(SimTransfer transfer, long more)
    {
        transfer.Offered += more;
        transfer.OnWritable();
        _network.Wake(this);
    }

    public void SendUdp(ReadOnlySpan<byte> record, int group = 0)
    {
        UdpSent++;
        Client!.SendUdp(group, record, _network.Now);
        _network.Wake(this);
    }

    public void CloseGroup(int number)
    {
        if (Client!.TryGet(number, out ClientGroup? group)) Client.Close(group!, _network.Now);
        Control.Client!.Drop(number);
        _network.Wake(this);
    }

    public void Post(Action<Instant> onControl)
    {
        _toControl.Enqueue(onControl);
        _network.Wake(this);
    }

    /// <summary>From now on it is at another address and nobody at the old one; its host tells it that the network changed.</summary>
    public void Move(in UdpAddress to)
    {
        _network.Detach(Address);
        Address = to;
        _network.Attach(to, this);
        Post(Control.HandleNetworkChange);
    }

    /// <summary>Says good-bye and goes.</summary>
    public void Stop()
    {
        Control.Stop(_network.Now);
        Pump(_network.Now);
        Kill();
    }

    /// <summary>Goes without a word.</summary>
    public void Kill()
    {
        if (_dead) return;
        _dead = true;
        _network.Detach(Address);
        Control.Dispose();
        Hidden?.Dispose();
        Client?.Dispose();
        Exit?.Dispose();
        _exitIdentity?.Dispose();
        foreach (ShardCore shard in _shards) shard.Dispose();
    }

    public bool IsDead => _dead;

    public void Dispose() => Kill();

    // ---- one turn of all threads, until nothing moves ----

    private void Pump(Instant now)
    {
        for (int turn = 0; Turn(now); turn++)
            if (turn > 10_000) throw new InvalidOperationException($"{Name} does not come to rest at {now}: control {Control.NextDeadline}, client {Client?.NextDeadline}, exit {Exit?.NextDeadline}");
    }

    private bool Turn(Instant now)
    {
        bool more = false;
        if (Control.NextDeadline <= now) Control.HandleTimeout(now);
        while (_toControl.TryDequeue(out Action<Instant>? work))
        {
            work(now);
            more = true;
        }

        for (int i = 0; i < _shards.Length; i++)
        {
            while (_shards[i].Control.TryTake(out PacketTag tag, out int offset))
            {
                Control.HandleDatagram(_shards[i].Slab.Slice(offset + PacketRing.Headroom, tag.Length), tag.From, now);
                more = true;
            }

            _shards[i].Control.ReleaseTaken();
            while (_shards[i].Events.TryTake(out ShardEvent happened))
            {
                Story.Add((now, $"shard: {happened.Kind} {happened.Path}"));
                Control.HandleShardEvent(i, happened, now);
                more = true;
            }
        }

        while (Control.TryTransmit(_buffer, out int bytes, out int segment, out UdpAddress to, now))
        {
            for (int at = 0; at < bytes; at += segment) _network.Send(_buffer.AsSpan(at, Math.Min(segment, bytes - at)), Address, to);
            more = true;
        }

        while (_toSessions.TryDequeue(out Action<Instant>? work))
        {
            work(now);
            more = true;
        }

        for (int i = 0; i < _shards.Length; i++)
        {
            while (_shards[i].Deliveries.TryTake(out PacketTag tag, out int offset))
            {
                Span<byte> content = _shards[i].Slab.Slice(offset + PacketRing.Headroom, tag.Length);
                ContentTap?.Invoke(this, content);
                Deliver(i, tag, content, now);
                more = true;
            }

            _shards[i].Deliveries.ReleaseTaken();
        }

        foreach (ShardCore shard in _shards) more |= TunnelOf(shard, now);
        if (_shards[0].Tunnel is not null) Client?.Observe();
        if (Client is not null && Client.NextDeadline <= now) Client.HandleTimeout(now);
        if (Exit is not null && Exit.NextDeadline <= now) Exit.HandleTimeout(now);
        if (Hidden is not null && Hidden.NextDeadline <= now) Hidden.HandleTimeout(now);
        if (Rendezvous is not null && Rendezvous.NextDeadline <= now) Rendezvous.HandleTimeout(now);
        more |= Flush(now);
        foreach (ShardCore shard in _shards)
        {
            if (shard.NextDeadline > now) continue;
            shard.HandleTimeout(now);
            SendOf(shard);
        }

        // What a deadline asked of another thread: it is awake at once.
        return more || _toControl.Count > 0 || _toSessions.Count > 0;
    }

    /// <summary>Sessions to shards to the network.</summary>
    private bool Flush(Instant now)
    {
        Client?.Transmit(now);
        Exit?.Transmit(now);
        Hidden?.Transmit(now);
        bool more = false;
        foreach (PathOutlet outlet in _outlets) outlet.TakeCommitted();
        foreach (ShardCore shard in _shards)
        {
            while (shard.HasPendingWork)
            {
                shard.HandleCommands(now);
                TunnelOf(shard, now);
                shard.HandleOriginations(now);
                SendOf(shard);
                more = true;
            }
        }

        return more;
    }

    // The turn of the TUN device: what the system sent goes into paths, what came out of them goes to the system.
    private bool TunnelOf(ShardCore shard, Instant now)
    {
        if (shard.Tunnel is not { } lane) return false;
        MemoryTun tun = Tuns[shard.Options.Shard];
        bool read = lane.WantsTunReads && tun.Read(lane.TunReads) > 0;
        lane.HandleTunnel(now);
        tun.Write(lane.TunWrites, shard.Drops);
        if (!read && lane.TunWrites.Count == 0) return lane.HasTunnelWork;
        shard.HandleOriginations(now);
        SendOf(shard);
        if (!Options.Tunnel!.IsClient)
        {
            while (tun.TryTakeWritten(out TunPacket packet)) tun.SystemSends(Echo(packet.Bytes), packet.Header);
        }

        return true;
    }

    // Source and destination change places: every checksum stays right.
    private static byte[] Echo(byte[] packet)
    {
        byte[] echo = [.. packet];
        (int address, int bytes, int header) = packet[0] >> 4 == 4 ? (12, 4, (packet[0] & 15) * 4) : (8, 16, 40);
        packet.AsSpan(address, bytes).CopyTo(echo.AsSpan(address + bytes));
        packet.AsSpan(address + bytes, bytes).CopyTo(echo.AsSpan(address));
        packet.AsSpan(header, 2).CopyTo(echo.AsSpan(header + 2));
        packet.AsSpan(header + 2, 2).CopyTo(echo.AsSpan(header));
        return echo;
    }

    private void SendOf(ShardCore shard)
    {
        TransmitBatch batch = shard.Transmits;
        for (int i = 0; i < batch.Count; i++)
        {
            Transmit t = batch.Items[i];
            if (Malice is null) _network.Send(batch.Slab.Slice(t.Offset, t.Length), Address, batch.Routes[t.Route]);
            else Malice.Send(batch.Slab.Slice(t.Offset, t.Length), batch.Routes[t.Route]);
        }

        shard.TransmitsSent();
    }

    // ---- control says ----

    void IPathEvents.OnPathReady(PathReady ready) => _toSessions.Enqueue(now =>
    {
        if (ready.End == PathEnd.Client && ready.Purpose == PathPurpose.Hidden)
        {
            Hidden!.OnPathReady(ready, now);
            PathBuilt?.Invoke(ready.Hops);
        }
        else if (ready.End == PathEnd.Client)
        {
            Story.Add((now, $"path {ready.Path.Number.Row} ready after {ready.BuildTime.TotalMilliseconds:F0} ms: {string.Join(' ', ready.Hops.Select(h => h.ToString()[..6]))}"));
            Client!.OnPathReady(ready, now);
            PathBuilt?.Invoke(ready.Hops);
        }
        else
        {
            Exit!.OnPathReady(ready, now);
            Rendezvous!.OnPathReady(ready);
        }
    });

    void IPathEvents.OnPathGone(PathEnd end, PathGone gone) => _toSessions.Enqueue(now =>
    {
        if (end == PathEnd.Client && gone.Purpose == PathPurpose.Hidden)
        {
            Hidden!.OnPathGone(gone, now);
        }
        else if (end == PathEnd.Client)
        {
            Story.Add((now, $"path {gone.Path.Number.Row} gone: {gone.Reason}"));
            Client!.OnPathGone(gone, now);
        }
        else
        {
            Story.Add((now, $"path at its end gone: {gone.Reason}"));
            Exit!.OnPathGone(gone, now);
            Rendezvous!.OnPathGone(gone);
        }
    });

    void IControlEvents.OnLinkUp(Link link) => Story.Add((_network.Now, $"link {link.Number} up with {link.Address}"));

    void IControlEvents.OnLinkDown(Link link) => Story.Add((_network.Now, $"link {link.Number} down: {link.CloseReason}"));

    void IControlEvents.OnClock(TimeSpan peerAhead, bool corrected)
    {
        if (corrected) Story.Add((_network.Now, $"clock corrected by {peerAhead.TotalSeconds:F2} s"));
        else if (peerAhead.Duration() > TimeSpan.FromSeconds(2)) Story.Add((_network.Now, $"clock off by {peerAhead.TotalSeconds:F2} s"));
    }

    void IControlEvents.OnOwnClockOff(TimeSpan by) => Story.Add((_network.Now, $"own clock off by {by.TotalSeconds:F2} s"));

    void IControlEvents.OnPluginRequest(LinkRequest request, byte[] message) => Control.Reply(request, message);

    // ---- sessions say ----

    void ISessionEvents.OnQuic(in QuicEvent happened, Instant now)
    {
        QuicConnection quic = happened.Connection;
        if (Hidden is not null && Hidden.Requests.OnQuic(happened, now)) return;
        if (_requests is not null && !_echoesStreams)
        {
            ServeRequest(happened);
            return;
        }

        if (happened.Kind == QuicEventKind.Closed)
        {
            foreach ((QuicConnection Quic, long Stream) key in _echoes.Keys.Where(k => k.Item1 == quic).ToArray()) _echoes.Remove(key);
            foreach (SimTransfer t in Transfers.Where(t => t.Quic == quic)) t.OnLost();
            return;
        }

        if (Client is not null)
        {
            long stream = happened.StreamId;
            SimTransfer? transfer = Transfers.Find(t => t.Quic == quic && t.Stream == stream);
            if (happened.Kind == QuicEventKind.StreamReadable) transfer?.OnReadable(now);
            else if (happened.Kind == QuicEventKind.StreamWritable) transfer?.OnWritable();
            else if (happened.Kind is QuicEventKind.StreamReset or QuicEventKind.StreamStopped) transfer?.OnLost();
            return;
        }

        if (happened.Kind == QuicEventKind.StreamOpened) _echoes[(quic, happened.StreamId)] = new SimEcho(quic, happened.StreamId);
        if (!_echoes.TryGetValue((quic, happened.StreamId), out SimEcho? echo)) return;
        echo.Move();
        if (echo.Done || happened.Kind is QuicEventKind.StreamReset or QuicEventKind.StreamStopped) _echoes.Remove((quic, happened.StreamId));
    }

    void ISessionEvents.OnUdp(long owner, ReadOnlySpan<byte> record, Instant now)
    {
        UdpReceived++;
        if (Exit is null) return;
        record.CopyTo(_late);
        Exit.SendUdp(owner, _late.AsSpan(0, record.Length));
    }

    void IClientSessionEvents.OnGroupReady(ClientGroup group, Instant now)
    {
        if (RelayRequests.Owns(group.Number)) Hidden!.Requests.OnGroupReady(group, now);
        else Story.Add((now, $"group {group.Number} ready, {(now - group.OpenedAt).TotalMilliseconds:F0} ms after OPEN"));
    }

    void IClientSessionEvents.OnTunnelReady(ClientGroup group, Instant now) => Story.Add((now, $"tunnel ready: {group.Leased}"));

    void IClientSessionEvents.OnGroupLost(ClientGroup group, string reason, Instant now)
    {
        if (RelayRequests.Owns(group.Number))
        {
            Hidden!.Requests.OnGroupLost(group, now);
            return;
        }

        Story.Add((now, $"group {group.Number} lost: {reason}"));
        GroupLost?.Invoke(reason);
        _toControl.Enqueue(t => Control.Client!.OnGroupLost(group.Number, reason, t));
    }

    void IClientSessionEvents.OnPathFailed(PathRef path, string reason, int suspect, Instant now)
    {
        Story.Add((now, $"path {path.Number.Row} failed: {reason}, suspect {suspect}"));
        _toControl.Enqueue(t => Control.Client!.OnPathFailed(path, suspect, t));
    }

    void IClientSessionEvents.OnPathMeasured(in PathMeasurement measured, Instant now)
    {
        PathMeasurement copy = measured;
        _toControl.Enqueue(_ => Control.Client!.OnPathMeasured(copy));
    }

    void IClientSessionEvents.OnPathSwitched(ClientGroup group, ClientPathState from, ClientPathState to, TimeSpan sinceLastHeard, Instant now) =>
        Story.Add((now, $"group {group.Number} moved from path {from.Path.Number.Row} to {to.Path.Number.Row}, silent for {sinceLastHeard.TotalMilliseconds:F0} ms"));

    void IExitSessionEvents.OnSessionClosed(long session, Instant now) => Story.Add((now, $"session {session} closed"));
}
