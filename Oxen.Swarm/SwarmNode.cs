using Oxen.Swarm.Api;
using Oxen.Swarm.Apps;
using Oxen.Swarm.Doors;
using Oxen.Swarm.Duties;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Onion;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Replication;
using Oxen.Swarm.Storage;

namespace Oxen.Swarm;

// A storage node: everything of this library joined.
//
//   doors -> OnionService -> SwarmApi -> ReplicaService -> MessageStore        what happens here
//                               `-> Coordinator -> PeerLink -> peers           what happens in the swarm
//   SwarmSync, Reachability: what the node does without being asked

/// <summary>A running storage node.</summary>
public sealed class SwarmNode : IAsyncDisposable
{
    private readonly SwarmNodeOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _tasks = [];
    private readonly PeerSeal _seal;
    private readonly IPeerTransport _transport, _byHttps;
    private readonly QuicPeerTransport? _byQuic;
    private readonly HttpOnionProxy? _proxy;
    private readonly HttpClient _tester;
    private readonly FileServer? _files;
    private HttpsDoor? _door;
    private QuicDoor? _quic;
    private bool _disposed;

    private SwarmNode(SwarmNodeOptions options, MessageStore store, IPeerTransport? transport)
    {
        _options = options;
        Store = store;
        var clock = new SwarmClock(options.Time);
        _seal = new PeerSeal(options.Identity);
        _byHttps = transport ?? new HttpsPeerTransport(options.Identity, _seal, clock);
        _byQuic = transport is null && options.ListenQuic is not null ? new QuicPeerTransport(_byHttps, clock) : null;
        _transport = _byQuic ?? _byHttps;
        Core = new NodeCore(options.Identity, store, clock, options.Directory, _transport, options.Times);
        Settings = new SwarmSettings();
        Monitor = new MonitorService(clock, () => Core.View, (account, token) => store.IsRevoked(account, token));
        Replica = new ReplicaService(options.Identity, store, clock, () => Core.Votes, Monitor.Notify);
        Coordinator = new Coordinator(Core, Replica);
        var parser = new RequestParser(options.TestNetwork);
        Api = new SwarmApi(Core, Replica, Coordinator, parser, Settings, options.Ledger);
        _proxy = options.Proxy ? new HttpOnionProxy(options.ProxyHosts, trustAnyCertificate: true) : null;
        Limits = new OnionLimits(options.OnionRates, options.Time);
        Onion = new OnionService(Core, Api, _proxy, Limits);
        Peers = new PeerService(Core, Replica, parser, hop => Onion.HandleHopAsync(hop));
        Sync = new SwarmSync(Core);
        if (options.FilesFolder is { } folder)
        {
            ProProof? proofs = options.ProBackendKey.Length == 32 ? new ProProof(options.ProBackendKey) : null;
            if (proofs is not null && options.ProRevocationsFile is { } revoked) Revocations = new ProRevocations(revoked, proofs);
            Revocations?.Look();
            _files = new FileServer(new FileServerOptions { Folder = folder, MaxBytes = options.MaxFileBytes, MaxProBytes = options.MaxProFileBytes }, proofs, options.Time);
            Applications = new ServerOnion(options.Identity, async request => await _files.HandleAsync(request).ConfigureAwait(false) ?? ServerReply.Code(404));
        }

        _tester = new HttpClient(HttpsPeerTransport.CreateHandler());
    }

    /// <summary>The port of the HTTPS door; 0 without one.</summary>
    public int HttpsPort => _door?.Port ?? 0;

    /// <summary>The port of the QUIC door; 0 without one.</summary>
    public int QuicPort => _quic?.Port ?? 0;

    /// <summary>Why clients are refused at the moment; empty if they are served.</summary>
    public IReadOnlyList<string> NotReady => Api.NotReady();

    /// <summary>What is wrong with the database, the disk or a file, and what to do; empty when nothing is.</summary>
    public string Trouble => Store.Trouble ?? Revocations?.Trouble ?? "";

    /// <summary>Messages can be stored and retrieved: nothing is wrong with the database or the disk.</summary>
    public bool IsSound => Store.Trouble is null;

    internal QuicDoor? Quic => _quic;

    /// <summary>Requests to other nodes by QUIC, and by HTTPS; null without a QUIC door.</summary>
    internal (long Quic, long Https)? PeerCalls => _byQuic?.Calls;

    internal NodeCore Core { get; }

    internal MessageStore Store { get; }

    internal SwarmSettings Settings { get; }

    internal MonitorService Monitor { get; }

    internal ReplicaService Replica { get; }

    internal Coordinator Coordinator { get; }

    internal SwarmApi Api { get; }

    internal OnionLimits Limits { get; }

    internal OnionService Onion { get; }

    internal PeerService Peers { get; }

    internal SwarmSync Sync { get; }

    internal ServerOnion? Applications { get; }

    internal ProRevocations? Revocations { get; }

    /// <summary>Opens the store and the door and begins to work.</summary>
    /// <exception cref="StoreException">The database cannot be used; the text says why.</exception>
    /// <exception cref="IOException">The address is taken or not ours.</exception>
    public static Task<SwarmNode> StartAsync(SwarmNodeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return StartAsync(options, null, null);
    }

    internal static async Task<SwarmNode> StartAsync(SwarmNodeOptions options, IPeerTransport? transport, StoreOptions? storeOptions)
    {
        MessageStore store = MessageStore.Open(storeOptions ?? new StoreOptions { Path = options.DatabasePath, MaxBytes = options.MaxBytes, MaxAccountBytes = options.MaxAccountBytes });
        var node = new SwarmNode(options, store, transport);
        try
        {
            await node.BeginAsync().ConfigureAwait(false);
            return node;
        }
        catch
        {
            await node.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Writes a consistent copy of the database while the node runs.</summary>
    /// <exception cref="StoreException">The copy could not be written.</exception>
    public void Backup(string path) => Store.Backup(path);

    /// <summary>What the node holds and did. While the database cannot be read, what it holds is 0, and <see cref="SwarmFigures.Trouble"/> says why.</summary>
    public SwarmFigures ReadFigures()
    {
        StoreFigures store = Count();
        SwarmView view = Core.View;
        SwarmCounters counters = Core.Counters;
        return new SwarmFigures
        {
            Node = Core.Hex,
            Swarm = SwarmRing.ToHex(view.SwarmId),
            Members = view.Size,
            Answering = view.SwarmId == SwarmRing.Unassigned ? 0 : 1 + view.Peers.Count(p => Core.LinkTo(p.Hex) is { IsSilent: false }),
            Swarms = view.Ring.Ids.Length,
            Nodes = view.Roster.Members.Count,
            NotReady = NotReady,
            Trouble = Trouble,
            Messages = store.Messages,
            Accounts = store.Accounts,
            MessageBytes = store.MessageBytes,
            Tombstones = store.Tombstones,
            Hints = store.Hints,
            DatabaseBytes = store.UsedBytes,
            MaxDatabaseBytes = store.MaxBytes,
            Stores = counters.Stores,
            Retrieves = counters.Retrieves,
            Refused = counters.Refused,
            Onions = counters.Onions,
            Proxied = counters.Proxied,
            Repaired = counters.Repaired,
            Pushed = counters.Pushed,
            HandedOver = counters.HandedOver,
        };
    }

    private StoreFigures Count()
    {
        try
        {
            return Store.Figures(Core.Clock.Now);
        }
        catch (StoreException)
        {
            return new StoreFigures(0, 0, 0, 0, 0, 0, 0, _options.MaxBytes, new Dictionary<short, long>());
        }
    }

    /// <summary>Stops the node; what was acknowledged is on disk.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        _options.Directory.Changed -= Refresh;
        await _stop.CancelAsync().ConfigureAwait(false);
        if (_door is not null) await _door.DisposeAsync().ConfigureAwait(false);
        if (_quic is not null) await _quic.DisposeAsync().ConfigureAwait(false);
        Task[] tasks;
        lock (_tasks) tasks = [.. _tasks];
        await Task.WhenAll(tasks).ConfigureAwait(false);
        await Core.DisposeAsync().ConfigureAwait(false);
        (_transport as IDisposable)?.Dispose();
        _proxy?.Dispose();
        _tester.Dispose();
        Sync.Dispose();
        _seal.Dispose();
        Store.Dispose();
        _stop.Dispose();
    }

    private async Task BeginAsync()
    {
        await Core.RefreshAsync().ConfigureAwait(false);
        _options.Directory.Changed += Refresh;
        var targets = new DoorTargets(Core, Api, Onion, Peers, _seal, Settings) { Applications = Applications, MaxFileBytes = Math.Max(_options.MaxFileBytes, _options.MaxProFileBytes), IsStopping = () => _disposed };
        if (_options.Listen is { } listen) _door = await HttpsDoor.OpenAsync(targets, new DoorOptions { Listen = listen, Seed = _options.Seed, CorsOrigins = _options.CorsOrigins, RatePerSecond = _options.RequestsPerSecond }).ConfigureAwait(false);
        if (_options.ListenQuic is { } quic)
        {
            _quic = new QuicDoor(targets, Monitor, new DoorOptions { Listen = quic, RatePerSecond = _options.RequestsPerSecond });
            _byQuic?.Use(_quic);
        }

        if (_files is not null) Run(CleanFilesAsync(_files));
        Run(Sync.RunAsync(_options.SyncInterval, _stop.Token));
        if (_options.Reports is { } reports) Run(new Reachability(Core, new DoorsReachTester(Core, _byHttps, _tester, _quic), reports, new Random()).RunAsync(_stop.Token));
    }

    private async Task CleanFilesAsync(FileServer files)
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                await Task.Delay(TimeSpan.FromSeconds(15), _options.Time, _stop.Token).ConfigureAwait(false);
                files.Clean();
                Revocations?.Look();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
        }
    }

    private void Refresh()
    {
        if (!_disposed) Run(RefreshAsync());
    }

    private async Task RefreshAsync()
    {
        try
        {
            await Core.RefreshAsync().ConfigureAwait(false);
            Monitor.Review();
            Sync.Nudge();
        }
        catch (Exception e) when (e is StoreException or ObjectDisposedException)
        {
            // the store's condition tells; the next change or comparison tries again
        }
    }

    private void Run(Task task)
    {
        lock (_tasks)
        {
            _tasks.RemoveAll(t => t.IsCompleted);
            _tasks.Add(task);
        }
    }
}
