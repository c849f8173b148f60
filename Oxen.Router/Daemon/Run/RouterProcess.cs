using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Oxen.Ons.Rpc;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Contacts;
using Oxen.Router.Daemon.Doors;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Names;
using Oxen.Router.Daemon.Services;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Dns;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Udp;

namespace Oxen.Router.Daemon.Run;

// What one configuration runs, from the first file read to the last socket closed:
//   1 contact list and state    2 keys, compared with the list    3 sockets    4 threads    5 proxies    6 status socket
// and back: proxies and new paths refused, what runs gets a little time, peers are told, threads end, keys are wiped.

/// <summary>The routers of one process. A relay and a client beside it are two nodes that share nothing but the directory.</summary>
internal sealed class RouterProcess : IAsyncDisposable
{
    /// <summary>What is under way may end within this time; then it is ended. A stop takes less than 5 s in all.</summary>
    public static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(2);

    // Paths to exits, and to the rendezvous and keepers of services that are reached.
    private const int ClientPaths = 128;
    private const int PathsOfAService = 64;

    private static readonly TimeSpan FirstComplaint = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan NextComplaint = TimeSpan.FromSeconds(60);

    private readonly RouterConfig _config;
    private readonly ILogger _log;
    private readonly NoticeLog _notices;
    private readonly TimeProvider _time;
    private readonly TaskCompletionSource<UserException> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SharedDropCounters _doorDrops = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly long _started;
    private RouterKeys? _keys;
    private DirectoryKeeper? _keeper;
    private RouterNode? _relay;
    private RouterNode? _client;
    private TunnelEnd? _clientTunnel, _exitTunnel;
    private SwarmEnd? _swarm;
    private ProxyDoors? _doors;
    private DnsEnd? _dns;
    private LedgerEnd? _ledger;
    private OxendNodeSource? _nodeServer;
    private NameEnd? _names;
    private StatusSocket? _status;
    private readonly List<ServiceRunner> _services = [];
    private readonly Dictionary<ServiceAddress, byte[]> _serviceKeys = [];
    private Task _watch = Task.CompletedTask;

    private RouterProcess(RouterConfig config, ILogger log, TimeProvider time)
    {
        _config = config;
        _log = log;
        _time = time;
        _notices = new NoticeLog(log, config.Client.Hops);
        _started = time.GetTimestamp();
    }

    /// <summary>Completes when the process cannot do its work any more, with the reason.</summary>
    public Task<UserException> Failed => _failed.Task;

    public UdpAddress? RelayAddress => _relay?.LocalAddress;

    public IPEndPoint? Socks => _doors?.Socks;

    public IPEndPoint? Http => _doors?.Http;

    /// <summary>The first address that the resolver listens on.</summary>
    public IPEndPoint? Dns => _dns?.Service.EndPoints[0];

    /// <summary>The ledger's JSON-RPC; null: it has none.</summary>
    public Uri? LedgerRpc => _ledger?.Rpc;

    /// <summary>Short names; null: there are none.</summary>
    public INameSource? Names => _names?.Source;

    /// <summary>Names and addresses of the hidden services that this process hosts.</summary>
    public IEnumerable<(string Name, string Address)> Services => _services.Select(s => (s.Name, s.Address.ToString()));

    /// <exception cref="UserException">Something of the configuration does not fit this machine, its files or the network.</exception>
    public static async Task<RouterProcess> StartAsync(RouterConfig config, ILogger log, TimeProvider time, CancellationToken cancel)
    {
        var process = new RouterProcess(config, log, time);
        try
        {
            await process.BeginAsync(cancel).ConfigureAwait(false);
            return process;
        }
        catch
        {
            await process.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Refuses what is new, gives what runs a little time, tells the peers, and ends.</summary>
    public async Task StopAsync()
    {
        RouterLog.Stopping(_log, DrainTime.TotalSeconds);
        await _stop.CancelAsync().ConfigureAwait(false);
        if (_keeper is not null) await _keeper.SaveAsync().ConfigureAwait(false);
        Task doors = _doors?.StopAsync(DrainTime) ?? Task.CompletedTask;
        await Task.WhenAll(doors, Drain(_client), Drain(_relay)).ConfigureAwait(false);
        await DisposeAsync().ConfigureAwait(false);
        RouterLog.Stopped(_log);

        static Task Drain(RouterNode? node) => node?.DrainAsync(DrainTime, CancellationToken.None) ?? Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        NetworkChange.NetworkAddressChanged -= OnAddressChanged;
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watch.ConfigureAwait(false);
        if (_keeper is not null) await _keeper.DisposeAsync().ConfigureAwait(false);
        if (_status is not null) await _status.DisposeAsync().ConfigureAwait(false);
        if (_dns is not null) await _dns.DisposeAsync().ConfigureAwait(false);
        if (_doors is not null) await _doors.DisposeAsync().ConfigureAwait(false);
        _names?.Dispose();
        foreach (ServiceRunner service in _services) await service.DisposeAsync().ConfigureAwait(false);
        _services.Clear();
        if (_client is not null) await _client.DisposeAsync().ConfigureAwait(false);
        _clientTunnel?.Dispose();
        if (_relay is not null) await _relay.DisposeAsync().ConfigureAwait(false);
        _exitTunnel?.Dispose();
        if (_nodeServer is not null) await _nodeServer.DisposeAsync().ConfigureAwait(false);
        if (_ledger is not null) await _ledger.DisposeAsync().ConfigureAwait(false);
        (_names, _nodeServer, _ledger) = (null, null, null);
        (_clientTunnel, _exitTunnel) = (null, null);
        if (_swarm is not null) await _swarm.DisposeAsync().ConfigureAwait(false);
        _swarm = null;
        _keys?.Dispose();
        foreach (byte[] secret in _serviceKeys.Values) CryptographicOperations.ZeroMemory(secret);
        (_keeper, _status, _dns, _doors, _client, _relay, _keys) = (null, null, null, null, null, null, null);
    }

    public async Task<StatusReport> ReportAsync()
    {
        RouterFigures[] figures = [.. new[] { _relay, _client }.OfType<RouterNode>().Select(n => n.ReadFigures())];
        ClientView? view = _client?.Client is { } client ? await client.ReadViewAsync(probeHops: true).ConfigureAwait(false) : null;
        return new StatusReport
        {
            Version = CommandTree.Version,
            Roles = RolesInWords(_config.Roles),
            Process = Environment.ProcessId,
            UptimeSeconds = Math.Round(_time.GetElapsedTime(_started).TotalSeconds, 3),
            Routers = figures,
            Paths = view is null ? [] : StatusReport.PathsOf(view),
            Services = await Task.WhenAll(_services.Select(s => s.ReadStatusAsync())).ConfigureAwait(false),
            ServiceClients = _client?.Hidden is { } hidden ? StatusReport.ServiceClientsOf(await hidden.Clients.ReadViewAsync(probeHops: true).ConfigureAwait(false)) : [],
            Tunnel = _clientTunnel is { } tunnel && view?.Groups.FirstOrDefault(g => g.Tunnel) is { } group
                ? new TunnelStatus(tunnel.Name, group.Leased, group.Switches, figures[^1].TunnelPacketsRead, figures[^1].TunnelPacketsWritten)
                : null,
            Dns = _dns?.Status(),
            Trouble = _client?.Client?.Trouble ?? "",
            Network = await NetworkAsync().ConfigureAwait(false),
            Swarm = _swarm?.ReadStatus(),
        };
    }

    private Task<PingReport> PingAsync(string name, CancellationToken cancel) => _client is { } client
        ? PingReport.MeasureAsync(name, client, _names?.Source, cancel)
        : Task.FromResult(new PingReport { Name = name, Trouble = "this process is no client: it has no paths of its own" });

    private async Task<IReadOnlyList<NetworkStatus>> NetworkAsync()
    {
        var known = new List<NetworkStatus>();
        foreach (RouterNode node in new[] { _relay, _client }.OfType<RouterNode>())
        {
            if (await node.ReadDirectoryAsync().ConfigureAwait(false) is { } view) known.Add(new NetworkStatus(node.Name, view.Members, view.Known, view.Relays, view.Exits, view.AskedUnixSeconds));
        }

        return known;
    }

    public static string RolesInWords(RouterRoles roles) => roles.ToString().ToLowerInvariant();

    // ---- the start ----

    private async Task BeginAsync(CancellationToken cancel)
    {
        _keeper = LoadDirectory(_config, _log, _time);
        NodeDirectory directory = _keeper.ListDirectory();

        await OpenLedgerAsync(cancel).ConfigureAwait(false);
        if (_config.Roles.HasFlag(RouterRoles.Relay))
        {
            _keys = RouterKeys.Load(_config, directory, _time.GetUtcNow());
            if (_config.Swarm is { } swarm) _swarm = await SwarmEnd.OpenAsync(swarm, _keys.Identity, Nodes, LedgerOfSwarm(), _keeper, _log, _time).ConfigureAwait(false);
            OpenRelay(_keys);
        }

        if (_config.Roles.HasFlag(RouterRoles.Client)) OpenClient();
        _names = NameEnd.Open(_config.Names, _ledger, _client?.Client, _time);
        _client?.Client!.UseNames(_names?.Source);
        _relay?.Start(directory);
        if (_relay is not null) _ledger?.ServeNode(_relay, _keys!.Identity, _config.ReachedAt, _swarm, _time);
        _client?.Start(directory);
        if (_relay is not null) _keeper.Keep(_relay, isClient: false);
        if (_client is not null) _keeper.Keep(_client, isClient: true);
        _keeper.Start();
        if (_client?.Client is { } client)
        {
            // Without one of them, Kestrel would open a port of its own choice.
            if (_config.Client.Socks is not null || _config.Client.Http is not null)
            {
                _doors = await ProxyDoors.OpenAsync(client, new ServiceReach(_client.Hidden!.Clients, _client.Hidden.Clients, _names?.Source), _config.Client.Socks, _config.Client.Http, _config.Client.Users, _doorDrops, cancel).ConfigureAwait(false);
                if (_doors.Socks is { } socks) RouterLog.DoorOpen(_log, "SOCKS5", socks.ToString());
                if (_doors.Http is { } http) RouterLog.DoorOpen(_log, "HTTP", http.ToString());
            }

            foreach (ServiceConfig service in _config.Services) _services.Add(await ServiceRunner.StartAsync(service, _client.Hidden!, _config.Exit, _client.Hidden!.Drops, _log, _time, cancel).ConfigureAwait(false));
            if (_config.Dns is { } dns)
            {
                var reach = new ServiceReach(_client.Hidden!.Clients, _client.Hidden.Clients, _names?.Source);
                _dns = await DnsEnd.OpenAsync(WithOwnService(dns), client, reach, new ServiceAnnouncements(_client.Hidden.Clients, OwnAnnouncements()), _client.Hidden.Clients, _client.Hidden.Drops, trouble => RouterLog.PacketsLost(_log, dns.Packets!, trouble.Message), _time).ConfigureAwait(false);
                if (_dns.Recovered) RouterLog.MappedRecovered(_log);
                RouterLog.ResolverOpen(_log, string.Join(", ", _dns.Service.EndPoints), dns.Service.Forward.ToString().ToLowerInvariant());
            }

            _watch = Task.Run(() => WatchPathsAsync(client), CancellationToken.None);
            NetworkChange.NetworkAddressChanged += OnAddressChanged;
        }

        if (_config.StatusSocket is { } path) _status = StatusSocket.Open(path, ReportAsync, PingAsync);
        RouterLog.Started(_log, CommandTree.Version, RolesInWords(_config.Roles));
    }

    private async Task OpenLedgerAsync(CancellationToken cancel)
    {
        if (_config.Ledger is { } ledger)
        {
            _ledger = await LedgerEnd.OpenAsync(ledger, trouble => RouterLog.LedgerTrouble(_log, trouble), _time, cancel).ConfigureAwait(false);
            RouterLog.LedgerOpen(_log, _ledger.Host.Engine, _ledger.Host.State.Height, _ledger.Rpc?.ToString() ?? "off");
        }

        if (_config.Directory.NodesServer is not { } server) return;
        _nodeServer = new OxendNodeSource(server, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(20), _time);
        await _nodeServer.StartAsync(cancel).ConfigureAwait(false);
        if (_nodeServer.Trouble.Length > 0) RouterLog.NodesTrouble(_log, _nodeServer.Trouble);
    }

    /// <summary>Who may be a relay, where that is not the contact list's affair.</summary>
    private INodeSource? Nodes => _config.Directory.Nodes switch { NodesFrom.Ledger => _ledger!.Nodes, NodesFrom.Server => _nodeServer, _ => null };

    // Storage clients ask their node for names.
    private SwarmLedger? LedgerOfSwarm() =>
        _ledger is { } own ? new SwarmLedger(own.Call) : _config.Directory is { Nodes: NodesFrom.Server, NodesServer: { } server } ? SwarmLedger.Behind(server) : null;

    // `localhost.loki` is the first service of our own. With a door it has a mapped address, as it has for everybody else.
    private DnsConfig WithOwnService(DnsConfig dns)
    {
        if (_services.Count == 0) return dns;
        byte[] key = _services[0].Address.ToArray();
        OnionZoneOptions zones = dns.Service.Zones with { OwnService = new OnionAddress(OnionKind.Service, key) };
        return dns with { Service = dns.Service with { Zones = dns.Mapped ? zones with { OwnIPv4 = null, OwnIPv6 = null } : zones } };
    }

    private Dictionary<ServiceAddress, ServiceRecords> OwnAnnouncements()
    {
        var own = new Dictionary<ServiceAddress, ServiceRecords>();
        foreach ((ServiceConfig config, ServiceRunner runner) in _config.Services.Zip(_services)) own[runner.Address] = ServiceAnnouncements.From([.. config.Ports.Select(p => p.Port)], config.Records, [.. config.Texts.Select(System.Text.Encoding.ASCII.GetBytes)], config.Tunnel is not null);
        return own;
    }

    private void OpenRelay(RouterKeys keys)
    {
        int shards = UdpSocketFactory.BatchesMissing is not null ? 1 : _config.Shards == 0 ? Math.Clamp(Environment.ProcessorCount, 1, 16) : _config.Shards;
        bool exit = _config.Roles.HasFlag(RouterRoles.Exit);
        ExitPolicy? policy = null;
        if (exit)
        {
            policy = new ExitPolicy(_config.Exit.Rules, _config.Exit.Except, ExitPolicy.MachineAddresses());
            if (_config.Exit.Tunnel is { } tunnel)
            {
                _exitTunnel = TunnelEnd.OpenExit(tunnel, policy, shards);
                policy.SetOwnAddresses(ExitPolicy.MachineAddresses()); // the interface's too
                if (_exitTunnel.Recovered) RouterLog.TunnelRecovered(_log);
                RouterLog.TunnelOpen(_log, _exitTunnel.Name, _exitTunnel.HasIPv6 ? "IPv4 and IPv6" : "IPv4 alone");
            }
        }

        _relay = Open(_config.Listen, new RouterNodeOptions
        {
            Name = exit ? "exit" : "relay",
            Listen = UdpAddress.From(_config.Listen),
            Identity = keys.Identity,
            OnionKeys = keys.OnionKeys,
            ExitPolicy = policy,
            ExitTokens = _config.Exit.Tokens,
            Tunnel = _exitTunnel?.Router,
            Directory = _keeper!.ForRelay(OwnRouter()),
            Nodes = Nodes,
            ExitLimits = new ExitLimits { ConnectTime = _config.Exit.ConnectTime, AssociationIdle = _config.Exit.UdpIdle },
            Plugins = [new PingPlugin(), new IntrosetPlugin(), .. new[] { _ledger?.Plugin, _swarm?.Plugin }.OfType<IRouterPlugin>()],
            Shards = shards,
            Shard = new ShardOptions { ReplayFilterBytes = _config.Relay.ReplayFilterBytes },

            // The onion key lasts, the replay cache does not: builds from before the start are not taken again.
            Builds = BuildPolicy.Default with { FirstEpoch = (uint)(_time.GetUtcNow().ToUnixTimeMilliseconds() * 1_000_000 / NetworkClock.EpochNanoseconds) },
            Socket = new UdpSocketOptions { DualStack = IPAddress.IPv6Any.Equals(_config.Listen.Address) },
            Nice = _config.Nice,
            Time = _time,
            OnNotice = OnNotice,
        });
        RouterLog.Listening(_log, _relay.LocalAddress.ToString(), shards);
        if (exit) RouterLog.ExitOpen(_log, _config.Exit.Rules.Count, _config.Exit.Except.Count);
    }

    /// <summary>The files of the network that a configuration names.</summary>
    public static DirectoryKeeper LoadDirectory(RouterConfig config, ILogger log, TimeProvider time) => DirectoryKeeper.Load(
        new DirectoryKeeperOptions
        {
            ContactsFile = config.ContactsFile,
            ContactsKey = config.ContactsKey,
            Network = config.Network,
            Gossip = config.Directory.Gossip,
            StateDirectory = config.Directory.StateDirectory,
            Fetch = new FetchOptions { Sources = config.Directory.Sources, Agree = config.Directory.Agree },
        },
        log,
        time);

    /// <summary>What the relay says of itself, and how its next onion key is written down.</summary>
    private OwnRouter OwnRouter() => new()
    {
        Capabilities = _config.Capabilities,
        Addresses = [UdpAddress.From(_config.ReachedAt)],
        Region = _config.Relay.Region,
        Operator = _config.Relay.Operator,
        Ranges = _config.AnnouncedRanges,
        StoreOnionKey = seed =>
        {
            try
            {
                OnionKeyFile.Rotate(_config.OnionKeyFile, seed);
                RouterLog.OnionKeyRotated(_log);
                return true;
            }
            catch (OxenException e)
            {
                RouterLog.StateTrouble(_log, $"the next onion key cannot be written, the old one stays in use: {e.Message}");
                return false;
            }
        },
    };

    /// <summary>The user's rules about paths.</summary>
    /// <exception cref="UserException">The table of networks cannot be read.</exception>
    private static PathRules Rules(RouterConfig config)
    {
        ClientRules rules = config.Client.Rules;
        return new PathRules
        {
            ExcludedRouters = rules.Routers.ToHashSet(),
            ExcludedNetworks = rules.Networks,
            ExcludedCountries = rules.Countries.ToHashSet(StringComparer.Ordinal),
            Regions = rules.Regions.ToHashSet(StringComparer.Ordinal),
            PrefersQuick = rules.PrefersQuick,
            Networks = config.Directory.NetworksFile.Length > 0 ? NetworkFile.Read(config.Directory.NetworksFile) : null,
        };
    }

    private void OpenClient()
    {
        const int shards = 1;
        foreach ((ServiceAddress address, string file) in _config.Client.ServiceKeys) _serviceKeys.Add(address, ServiceKeyFile.LoadClient(file));
        if (_config.Tun is { } tun)
        {
            if (tun.KillSwitch) KillSwitch.Set(tun); // first of all: nothing leaves while the rest is set up
            _clientTunnel = TunnelEnd.OpenClient(tun, shards);
            RouterLog.TunnelOpen(_log, _clientTunnel.Name, _clientTunnel.HasIPv6 ? "IPv4 and IPv6" : "IPv4 alone");
        }

        bool proxied = _config.Client.Socks is not null || _config.Client.Http is not null || _config.Dns?.Service.Forward == DnsForward.Exit;
        _client = OpenClient(_config, _keeper!, Nodes, _time, proxied, _clientTunnel?.Router, OnNotice, _serviceKeys);
    }

    /// <summary>A client's router, not started.</summary>
    /// <param name="nodes">Says who may be a relay; null: the contact list does.</param>
    /// <param name="proxied">Its doors will ask for paths.</param>
    /// <param name="serviceKeys">By which hidden services let it in.</param>
    public static RouterNode OpenClient(RouterConfig config, DirectoryKeeper keeper, INodeSource? nodes, TimeProvider time, bool proxied, RouterTunnel? tunnel, Action<RouterNotice>? notice, IReadOnlyDictionary<ServiceAddress, byte[]>? serviceKeys = null)
    {
        // Its own socket on a free port: from outside, a client beside a relay is not to be told from any other client.
        var any = new IPEndPoint(config.Listen.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        return Open(any, new RouterNodeOptions
        {
            Name = "client",
            Listen = UdpAddress.From(any),
            Tunnel = tunnel,
            Proxied = proxied,
            Links = new LinkOptions { Transport = LinkOptions.TransportFor(config.Client.PacketSize) },
            Client = new ClientPathOptions
            {
                Hops = config.Client.Hops,
                Spares = config.Client.Spares,
                Exit = config.Client.Exit ?? default,
                Class = config.Client.PacketSize,
                Rules = Rules(config),
                Guards = new GuardOptions { Primary = config.Client.Guards },
                GuardStore = keeper.GuardStore,
                SecondLayerStore = keeper.SecondLayerStore,
                Tokens = config.Client.ExitMap.Where(e => e.Token.Length > 0).SelectMany(e => e.Exits).ToHashSet(),
            },
            Exits = ExitMapOf(config.Client),
            Tokens = TokensOf(config.Client),
            Directory = keeper.ForClient(),
            Nodes = nodes,
            NetworkId = NetworkId(config),
            ServiceKeys = serviceKeys ?? new Dictionary<ServiceAddress, byte[]>(),
            Shard = ClientShard(config),
            Socket = new UdpSocketOptions { DualStack = any.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6, Mark = config.Tun?.Mark ?? 0 },
            Nice = config.Nice,
            Time = time,
            OnNotice = notice,
        });
    }

    private static byte[] NetworkId(RouterConfig config)
    {
        ContactWords.TryNetworkId(config.Network, out byte[] id);
        return id;
    }

    // A hidden service has a path to each of its clients, and some to those that it is meeting, its introduction relays and its keepers.
    private static ShardOptions ClientShard(RouterConfig config)
    {
        int paths = ClientPaths + config.Services.Sum(s => s.Sessions + PathsOfAService);
        return new ShardOptions { ReplayFilterBytes = 4 << 20, MaxClientPaths = paths, MaxPaths = Math.Max(1024, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)paths)) };
    }

    private static ExitMap ExitMapOf(ClientConfig client)
    {
        RouterId[] usual = [.. client.Exit is { } one ? new[] { one } : [], .. client.ExitMap.Where(e => e.Ranges.Count == 0).SelectMany(e => e.Exits)];
        string[] services = [.. client.ExitMap.Where(e => e.Ranges.Count == 0).SelectMany(e => e.Services).Distinct(StringComparer.Ordinal)];
        return new ExitMap([.. usual.Distinct()], services, [.. client.ExitMap.Where(e => e.Ranges.Count > 0).Select(e => new ExitRoute(e.Ranges, e.Exits, e.Services))]);
    }

    private static Dictionary<RouterId, ReadOnlyMemory<byte>> TokensOf(ClientConfig client)
    {
        var tokens = new Dictionary<RouterId, ReadOnlyMemory<byte>>();
        foreach (ExitMapEntry entry in client.ExitMap)
            foreach (RouterId exit in entry.Exits) if (entry.Token.Length > 0) tokens.TryAdd(exit, entry.Token);
        return tokens;
    }

    private static RouterNode Open(IPEndPoint listen, RouterNodeOptions options)
    {
        try
        {
            return new RouterNode(options);
        }
        catch (IOException e)
        {
            throw UserException.CannotBind("UDP", listen.ToString(), e);
        }
    }

    // ---- while it runs ----

    // A client without a path keeps trying: the network may come back. It says why, first after half a minute.
    private async Task WatchPathsAsync(ClientService client)
    {
        try
        {
            TimeSpan patience = FirstComplaint;
            while (true)
            {
                await Task.Delay(patience, _time, _stop.Token).ConfigureAwait(false);
                patience = NextComplaint;
                ClientView view = await client.ReadViewAsync(probeHops: false).ConfigureAwait(false);
                bool carries = view.Groups.Count == 0 ? _client!.DataPlane.PathCount > 0 : view.Groups.Any(g => g.Paths.Any(p => p.Attached));
                if (!carries) RouterLog.NoPath(_log, client.Trouble.Length > 0 ? client.Trouble : "no answer yet");
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    private void OnAddressChanged(object? sender, EventArgs change) => _client?.TellNetworkChanged();

    private void OnNotice(RouterNotice notice)
    {
        _notices.Add(notice);
        if (notice.Kind == RouterNoticeKind.OwnClockOff) _failed.TrySetResult(UserException.ClockOff(notice.Time));
        if (notice.Kind != RouterNoticeKind.TunnelLost || notice.Router != "client") return;
        _failed.TrySetResult(new UserException(ExitCode.Environment, "OXN3014", $"the tunnel's interface is gone: {notice.Text}", "Somebody removed it. Start again; what was sent meanwhile was not hidden."));
    }
}
