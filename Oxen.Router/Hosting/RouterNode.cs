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
using Oxen.Router.Udp;

namespace Oxen.Router.Hosting;

// One running router:
//
//   shard threads    UdpDriver -> ShardCore              packets; one socket each
//   control thread   ControlLoop -> ControlCore          links, path builds
//   session thread   SessionLoop -> ClientSessions or ExitSessions, StreamBridges
//
// joined by packet rings (no lock) and posted work. This class makes them, starts them and stops them in order.
internal sealed class RouterNode : IControlEvents, IAsyncDisposable
{
    private readonly RouterNodeOptions _options;
    private readonly ShardCore[] _shards;
    private readonly UdpDriver<ShardHost>[] _drivers;
    private readonly ControlLoop _control;
    private readonly SessionLoop _sessions;
    private readonly ExitHost? _exit;
    private readonly RequestStreamHandler? _requests;
    private readonly TlsIdentity? _exitIdentity;
    private readonly IEntropy _controlEntropy;
    private readonly CancellationTokenSource _stop = new();
    private bool _started, _stopped;

    /// <summary>Opens the sockets; nothing runs until <see cref="Start"/>.</summary>
    /// <exception cref="IOException">The address is taken, not ours, or forbidden.</exception>
    public RouterNode(RouterNodeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if ((options.Identity is null) == (options.Client is null)) throw new ArgumentException("a router is a relay (identity) or a client, not both", nameof(options));
        if (options.Tunnel is { } wanted && (wanted.Queues.Count != options.Shards || wanted.Options.IsClient != options.Client is not null)) throw new ArgumentException("a tunnel has one queue for each shard, and the end that the router is", nameof(options));
        _options = options;
        Clock = new MonotonicClock(options.Time);
        NetworkClock = Clock.StartNetworkClock();
        IUdpSocket[] sockets = UdpSocketFactory.Open(options.Listen, options.Shards, options.Socket);
        LocalAddress = sockets[0].LocalAddress;
        IUdpSender controlSender = sockets[0].OpenSender();

        _controlEntropy = options.Entropy();
        _shards = [.. Enumerable.Range(0, options.Shards).Select(i => new ShardCore(options.Shard with { Shard = i, ShardCount = options.Shards, Tunnel = options.Tunnel?.Options }, NetworkClock, options.Entropy()))];
        foreach (ShardCore shard in _shards) shard.Tunnel?.Connect(_shards, WakeShard);
        TunnelControl? tunnel = options.Tunnel is null ? null : new TunnelControl(_shards, WakeShard);
        var dataPlane = new DataPlane(_shards, options.Shard, _controlEntropy);
        _control = new ControlLoop($"{options.Name} control", Clock, _shards, dataPlane, controlSender, WakeShard, OnFault);
        _sessions = new SessionLoop($"{options.Name} sessions", Clock, _shards, WakeShard, OnFault);
        _drivers = [.. sockets.Select((socket, i) => new UdpDriver<ShardHost>(
            new ShardHost(_shards[i], _control.Wake, _sessions.Wake),
            socket,
            _shards[i].Receives,
            Clock,
            new UdpDriverOptions { Name = $"{options.Name} shard {i}", Nice = options.Nice, OnEvent = OnDriverEvent },
            options.Tunnel?.Queues[i],
            _shards[i].Tunnel))];

        DataPlane = dataPlane;
        if (options.Client is not null)
        {
            _sessions.Client = new ClientSessions(PathTransport, _sessions.Outlets, _sessions, options.Entropy(), _sessions.Drops, tunnel) { TokenFor = exit => options.Tokens.GetValueOrDefault(exit) };
            Client = new ClientService(this, _sessions, _control, options.Exits, anyExit: options.Client.Exit.IsNone);
            Hidden = new HiddenHost(options, NetworkClock, _sessions, _control);
            Client.UseServices(Hidden.Clients);
        }
        else
        {
            _requests = new RequestStreamHandler(RequestDispatcher.Create(options.Plugins, new RouterServices(options.Time)), options.Time);
            _exitIdentity = TlsIdentity.FromSeed(options.Identity!.Seed);
            TunnelLeases? leases = options.Tunnel is { } offered ? new TunnelLeases(offered.Options.First, offered.Options.Peers) : null;
            _sessions.Exit = new ExitSessions(_exitIdentity, PathTransport, _sessions.Outlets, _sessions, options.Entropy(), _sessions.Drops, leases: leases, tunnel: tunnel, tokens: new ExitTokens(options.ExitTokens, options.ExitPolicy is not null));
            _sessions.Rendezvous = new RendezvousSessions(_sessions.Outlets, _sessions.Drops, join: Join);
            _exit = new ExitHost(options, _sessions, _requests, _stop.Token);
        }
    }

    /// <summary>QUIC inside a path (docs/protocol/session.md#quic): one packet of the full class carries exactly one full datagram.</summary>
    public static QuicTransportOptions PathTransport { get; } = new()
    {
        MaxDatagramBytes = RecordLayout.MaxBytes,
        MaxReceiveBytes = RecordLayout.MaxBytes,
        InitialMaxData = 8 << 20,      // a few times MaxCongestionWindow: more is memory for whoever does not read
        InitialMaxStreamData = 4 << 20,
        MaxBidiStreams = 512,
        MaxUniStreams = 0,
        SendBufferBytes = 4 << 20,
        IdleTimeout = TimeSpan.FromSeconds(60),
        KeepAlive = TimeSpan.FromSeconds(20),
        InitialRtt = TimeSpan.FromMilliseconds(100),
        MaxProbeInterval = TimeSpan.FromSeconds(2), // the paths' own probes tell whether they are dead
        AckDelay = TimeSpan.FromMilliseconds(5),
        AckEvery = 10,
        Congestion = QuicCongestion.Cubic,
        InitialWindowPackets = 32,
        PacingBurst = 45,
        MaxCongestionWindow = 2 << 20, // no more in flight than the rings of a router hold
    };

    public string Name => _options.Name;

    public TimeProvider Time => _options.Time;

    public MonotonicClock Clock { get; }

    public NetworkClock NetworkClock { get; }

    public DataPlane DataPlane { get; }

    public UdpAddress LocalAddress { get; }

    /// <summary>What the proxy doors need; null for a relay.</summary>
    public ClientService? Client { get; }

    /// <summary>Hidden services of a client; null for a relay.</summary>
    public HiddenHost? Hidden { get; }

    public CancellationToken Stopping => _stop.Token;

    /// <param name="directory">Who is a relay; an address that the system chose can be published before. With <see cref="RouterNodeOptions.Directory"/> the router has one of its own.</param>
    public void Start(NodeDirectory directory)
    {
        _started = true;
        DirectoryOptions? own = _options.Directory;
        if (own is not null)
        {
            directory = NodeDirectory.Empty;
            if (_options.Nodes is { } source) own = own with { Roster = RosterSource.Of(source.Current), RosterUntilUnixSeconds = long.MaxValue };
        }

        _control.Core = new ControlCore(
            new ControlOptions
            {
                Links = _options.Links,
                Identity = _options.Identity,
                OnionKeys = _options.OnionKeys,
                Builds = _options.Builds,
                Budget = _options.Budget,
                Client = _options.Client,
                Directory = own,
            },
            DataPlane,
            directory,
            NetworkClock,
            this,
            _controlEntropy,
            Clock.Now);
        if (own is not null && _options.Nodes is { } nodes) nodes.Changed += OnNodesChanged;
        foreach (UdpDriver<ShardHost> driver in _drivers) driver.Start();
        _sessions.Start();
        _control.Start();
        if (_options.Client is not null) Client!.Start(_options.Proxied, _options.Tunnel is not null);
    }

    /// <summary>Whether another router answers a ping on a link. False as well when it is nowhere to be found.</summary>
    /// <param name="address">Where it is if the directory does not know it (any more).</param>
    public async Task<bool> TestRelayAsync(RouterId relay, UdpAddress address, CancellationToken cancel)
    {
        byte[] message = new byte[1 + RequestFraming.MaxRequestHeadBytes];
        message[0] = (byte)RequestKind.Plugin;
        int length = 1 + RequestFraming.WriteRequestHead("ping"u8, 0, message.AsSpan(1));
        var told = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        _control.Post(now => _control.Core.Test(relay, address, message[..length], RequestFraming.ResponseHeadBytes + PingPlugin.AnswerBytes, answered => told.TrySetResult(answered), now));
        return await told.Task.WaitAsync(cancel).ConfigureAwait(false);
    }

    /// <summary>The directory as a file, and its version: equal as long as nothing changed.</summary>
    public Task<(int Version, byte[] Bytes)> ExportDirectoryAsync(ReadOnlyMemory<byte> networkId) =>
        _control.InvokeAsync(now => _control.Core.Directory is { } directory ? (directory.Version, directory.Export(networkId.Span, now)) : (0, []));

    /// <summary>Null for a router whose directory stays as it was started.</summary>
    public Task<DirectoryView?> ReadDirectoryAsync() => _control.InvokeAsync(_ => _control.Core.ReadDirectory() is { } d
        ? new DirectoryView(d.Members, d.Known, d.Relays, d.Exits, _control.Core.Directory!.Fetch?.CurrentAsOfUnixSeconds ?? 0)
        : null);

    /// <summary>The newest contacts of routers that keep messages; none for a router whose directory stays as it was started.</summary>
    public Task<IReadOnlyList<RouterContact>> ReadStorageContactsAsync() => _control.InvokeAsync<IReadOnlyList<RouterContact>>(_ => [.. _control.Core.KnownContacts.Where(c => c.IsStorage)]);

    /// <summary>Another contact list: who may be a relay until when, and contacts to find them by.</summary>
    public void SetRoster(RelayRoster roster, long untilUnixSeconds, IReadOnlyList<RouterContact> contacts)
    {
        if (_options.Nodes is null) _control.Post(now => _control.Core.SetRoster(roster, untilUnixSeconds, contacts, now));
    }

    /// <summary>To be called every few seconds: so the router notices that the machine slept or its clock was set.</summary>
    public void TellWallClock() => _control.Post(now => _control.Core.HandleWallClock((_options.Time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100, now));

    /// <summary>The machine's addresses changed: a client's links are looked at, and what did not answer is tried again at once.</summary>
    public void TellNetworkChanged() => _control.Post(now => _control.Core.HandleNetworkChange(now));

    /// <summary>What the router has done so far.</summary>
    public RouterFigures ReadFigures()
    {
        var drops = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (ShardCore shard in _shards) shard.Drops.AddTo(drops);
        _control.Drops.AddTo(drops);
        _sessions.Drops.AddTo(drops);
        _exit?.AddDrops(drops);
        Client?.Drops.AddTo(drops);
        Hidden?.Drops.AddTo(drops);
        Hidden?.Clients.Drops.AddTo(drops);
        return new RouterFigures
        {
            Router = Name,
            TunnelPacketsRead = _drivers.Sum(d => d.Counters.TunRead),
            TunnelPacketsWritten = _drivers.Sum(d => d.Counters.TunWritten),
            DatagramsReceived = _drivers.Sum(d => d.Counters.Datagrams),
            DatagramsSent = _drivers.Sum(d => d.Counters.Sent),
            BytesReceived = _drivers.Sum(d => d.Counters.BytesReceived),
            BytesSent = _drivers.Sum(d => d.Counters.Sent) * SealedDatagram.FullBytes,
            DriverBytesAllocated = _drivers.Sum(d => d.Counters.AllocatedBytes),
            SessionBytesAllocated = _sessions.AllocatedBytes,
            Paths = DataPlane.PathCount,
            Drops = drops,
        };
    }

    /// <summary>
    /// Takes no new paths, and waits until the old ones (a relay) or the open streams (a client) have ended or the time is over.
    /// </summary>
    public async Task DrainAsync(TimeSpan patience, CancellationToken cancel)
    {
        long begin = _options.Time.GetTimestamp();
        _control.Post(_ => _control.Core.Relay?.Drain());
        while (_options.Time.GetElapsedTime(begin) < patience)
        {
            bool idle = Client is null ? DataPlane.PathCount == 0 : await _sessions.InvokeAsync(_ => _sessions.OpenStreams == 0).ConfigureAwait(false);
            if (idle) return;
            await Task.Delay(TimeSpan.FromMilliseconds(20), _options.Time, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>Tells the peers, lets what is under way end as far as it does in time, stops the threads.</summary>
    public async Task StopAsync(TimeSpan patience)
    {
        if (_stopped) return;
        _stopped = true;
        if (_options.Nodes is { } nodes) nodes.Changed -= OnNodesChanged;
        try
        {
            if (_started && Hidden is not null) await Hidden.StopAsync().WaitAsync(patience).ConfigureAwait(false);
            if (_started) await _control.StopCoreAsync().WaitAsync(patience).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The control thread hangs; the threads are ended all the same.
        }

        await _stop.CancelAsync().ConfigureAwait(false);
    }

    /// <summary>Ends the threads without a word to anybody, as if the machine had lost power. For tests and for the demo's repair check.</summary>
    public void Kill()
    {
        _stopped = true;
        foreach (UdpDriver<ShardHost> driver in _drivers) driver.Dispose();
        _stop.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(TimeSpan.FromSeconds(2)).ConfigureAwait(false);
        _control.Dispose();
        _sessions.Dispose();
        _exit?.Dispose();
        foreach (UdpDriver<ShardHost> driver in _drivers) driver.Dispose();
        foreach (ShardCore shard in _shards) shard.Dispose();
        _exitIdentity?.Dispose();
        _stop.Dispose();
    }

    // ---- from the control thread ----

    void IPathEvents.OnPathReady(PathReady ready)
    {
        _sessions.Post(now =>
        {
            if (ready.End == PathEnd.Client)
            {
                if (ready.Purpose == PathPurpose.Hidden) _sessions.Hidden!.OnPathReady(ready, now);
                else _sessions.Client!.OnPathReady(ready, now);
                return;
            }

            _sessions.Exit!.OnPathReady(ready, now);
            _sessions.Rendezvous!.OnPathReady(ready);
        });
        if (ready.End == PathEnd.Client) Notice(RouterNoticeKind.PathReady, $"a path of {ready.Hops.Length} hops is ready", ready.BuildTime);
    }

    void IPathEvents.OnPathGone(PathEnd end, PathGone gone)
    {
        _sessions.Post(now =>
        {
            _sessions.TakeDeliveries(gone.Path.Shard, now);
            if (end == PathEnd.Client)
            {
                if (gone.Purpose == PathPurpose.Hidden) _sessions.Hidden!.OnPathGone(gone, now);
                else _sessions.Client!.OnPathGone(gone, now);
                return;
            }

            _sessions.Exit!.OnPathGone(gone, now);
            _sessions.Rendezvous!.OnPathGone(gone);
        });
        if (end == PathEnd.Client) Notice(RouterNoticeKind.PathLost, gone.Reason);
    }

    void IControlEvents.OnLinkUp(Link link) => Notice(RouterNoticeKind.LinkUp, "a link is up");

    void IControlEvents.OnLinkDown(Link link) => Notice(link.ShowedWrongKey ? RouterNoticeKind.WrongPeerKey : RouterNoticeKind.LinkDown, link.CloseReason);

    void IControlEvents.OnOwnClockOff(TimeSpan by) => Notice(RouterNoticeKind.OwnClockOff, $"most relays say that this machine's clock is off by {by.TotalSeconds:F1} s", by);

    void IControlEvents.OnClock(TimeSpan peerAhead, bool corrected)
    {
        if (corrected) Notice(RouterNoticeKind.ClockCorrected, $"this machine's clock was off by {peerAhead.TotalSeconds:F1} s against the network; corrected inside this program", peerAhead);
        else if (peerAhead.Duration() > _options.Links.ClockTolerance) Notice(RouterNoticeKind.ClockOff, $"a peer's clock differs from ours by {peerAhead.TotalSeconds:F1} s", peerAhead);
    }

    void IControlEvents.OnPluginRequest(LinkRequest request, byte[] message)
    {
        if (_requests is not { } handler)
        {
            _control.Core.Links.Refuse(request);
            return;
        }

        _ = Task.Run(async () =>
        {
            byte[] reply = await RequestOnLink.ServeAsync(handler, message, _stop.Token).ConfigureAwait(false);
            _control.Post(_ =>
            {
                if (reply.Length == 0) _control.Core.Links.Refuse(request);
                else _control.Core.Reply(request, reply);
            });
        });
    }

    // ---- inside ----

    private void OnNodesChanged() => _control.Post(now => _control.Core.SetRoster(RosterSource.Of(_options.Nodes!.Current), long.MaxValue, [], now));

    private void Join(PathRef one, PathRef other)
    {
        _shards[one.Shard].Post(new JoinPaths(one.Number, other.Number));
        WakeShard(one.Shard);
    }

    internal void Notice(RouterNoticeKind kind, string text, TimeSpan time = default, Exception? exception = null) =>
        _options.OnNotice?.Invoke(new RouterNotice(kind, Name, text, time, exception));

    private void WakeShard(int shard) => _drivers[shard].Wake();

    private void OnFault(string thread, Exception e) => Notice(RouterNoticeKind.Fault, $"{thread}: {e.Message}", exception: e);

    private void OnDriverEvent(UdpDriverEvent happened)
    {
        if (happened.Kind == UdpDriverEventKind.TunLost) Notice(RouterNoticeKind.TunnelLost, happened.Exception?.Message ?? "", exception: happened.Exception);
        else if (happened.Kind != UdpDriverEventKind.Stopped) Notice(RouterNoticeKind.Fault, $"{happened.Driver}: {happened.Kind} {happened.Exception?.Message}", exception: happened.Exception);
    }
}
