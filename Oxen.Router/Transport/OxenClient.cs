using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Udp;

namespace Oxen.Router.Transport;

/// <summary>
/// An onion router inside of this process, a client of its network: what a program hosts hidden services with and reaches them by.
/// One is enough for a process; it relays nothing for others. Dispose ends what runs through it.
/// </summary>
public sealed class OxenClient : IServiceHosting, IAsyncDisposable
{
    /// <summary>Clients of one hidden service at a time. Each has a path of its own.</summary>
    internal const int MaxSessions = 512;

    // To exits, rendezvous, keepers, introduction relays, and clients that are being met.
    private const int OtherPaths = 192;

    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(2);

    private readonly OxenClientOptions _options;
    private readonly ILogger _log;
    private readonly NoticeLog _notices;
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly IsolationKeys _keys = new();
    private readonly SemaphoreSlim _starting = new(1);
    private readonly Lock _lock = new();
    private readonly List<HostedByClient> _hosted = [];
    private readonly Dictionary<ServiceAddress, byte[]> _serviceKeys = [];
    private DirectoryKeeper? _keeper;
    private PathRequests? _requests;
    private INameSource? _names;
    private volatile RouterNode? _node;
    private bool _disposed;

    /// <param name="options">Read when the router is started.</param>
    /// <param name="loggers">Null: nothing is logged.</param>
    public OxenClient(OxenClientOptions options, ILoggerFactory? loggers = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _log = loggers?.CreateLogger("Oxen") ?? NullLogger.Instance;
        _notices = new NoticeLog(_log, options.Hops);
    }

    /// <summary>Starts a router; paths are built when something asks for them.</summary>
    /// <exception cref="OxenException">A setting, the contact list, or the machine. The message says what to do.</exception>
    public static async Task<OxenClient> StartAsync(OxenClientOptions options, ILoggerFactory? loggers = null, CancellationToken cancel = default)
    {
        var client = new OxenClient(options, loggers);
        try
        {
            await client.StartAsync(cancel).ConfigureAwait(false);
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Starts the router if it does not run yet.</summary>
    /// <exception cref="OxenException">A setting, the contact list, or the machine. The message says what to do.</exception>
    public async Task StartAsync(CancellationToken cancel) => await NodeAsync(cancel).ConfigureAwait(false);

    /// <summary>Opens a stream of bytes to a port of a hidden service, or through an exit to any other name.</summary>
    /// <param name="host">A `.loki` name, another name, or an IP address.</param>
    /// <param name="port">1 to 65535.</param>
    /// <param name="isolation">Streams with different texts share no path, no rendezvous and no session; null: what the process shares.</param>
    /// <param name="cancel">Ends the attempt.</param>
    /// <exception cref="SocketException">There is no connection; the message says why.</exception>
    /// <exception cref="OxenException">The router could not be started.</exception>
    public ValueTask<Stream> ConnectAsync(string host, int port, string? isolation = null, CancellationToken cancel = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(host);
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, ushort.MaxValue);
        return Connector(OtherNames.ThroughExit, isolation).ConnectAsync(host, port, cancel);
    }

    /// <summary>Completes when clients can find every hidden service that this process hosts now.</summary>
    public async Task WaitPublishedAsync(CancellationToken cancel = default)
    {
        HostedByClient[] hosted;
        lock (_lock) hosted = [.. _hosted];
        foreach (HostedByClient service in hosted)
        {
            try
            {
                await service.WaitPublishedAsync(cancel).ConfigureAwait(false);
            }
            catch (OnionUnavailableException)
            {
                // It is hosted no longer.
            }
        }
    }

    /// <summary>Gives what is open a little time, tells the peers, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        await _starting.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_disposed) return;
            _disposed = true;
            if (_keeper is not null)
            {
                await _keeper.SaveAsync().ConfigureAwait(false);
                await _keeper.DisposeAsync().ConfigureAwait(false);
            }

            if (_node is not null)
            {
                await _node.DrainAsync(DrainTime, CancellationToken.None).ConfigureAwait(false);
                await _node.DisposeAsync().ConfigureAwait(false);
            }

            (_names as IDisposable)?.Dispose();
            _requests?.Dispose();
            foreach (byte[] secret in _serviceKeys.Values) CryptographicOperations.ZeroMemory(secret);
            _keys.Dispose();
        }
        finally
        {
            _starting.Release();
        }
    }

    internal OnionConnector Connector(OtherNames otherNames, string? isolation) =>
        new(WaysAsync, otherNames, isolation is null ? default : _keys.Derive("program", Encoding.UTF8.GetBytes(isolation), []), _time);

    async Task<IHostedService> IServiceHosting.HostAsync(HiddenServiceOptions options, CancellationToken cancel)
    {
        RouterNode node = await NodeAsync(cancel).ConfigureAwait(false);
        var hosted = new HostedByClient(await node.Hidden!.HostAsync(options, cancel).ConfigureAwait(false), Forget);
        lock (_lock) _hosted.Add(hosted);
        return hosted;
    }

    /// <summary>Where the router, and what stands on it, writes.</summary>
    internal ILogger Log => _log;

    /// <summary>What the router has done so far; null before it was started.</summary>
    internal RouterFigures? ReadFigures() => _node?.ReadFigures();

    private void Forget(HostedByClient hosted)
    {
        lock (_lock) _hosted.Remove(hosted);
    }

    private async ValueTask<OnionWays> WaysAsync(CancellationToken cancel)
    {
        RouterNode node = await NodeAsync(cancel).ConfigureAwait(false);
        return new OnionWays(new ServiceReach(node.Hidden!.Clients, node.Hidden.Clients, _names), node.Client!);
    }

    private async ValueTask<RouterNode> NodeAsync(CancellationToken cancel)
    {
        if (_node is { } running) return running;
        await _starting.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _node ??= Open();
        }
        finally
        {
            _starting.Release();
        }
    }

    private RouterNode Open()
    {
        RouterId listKey = _options.Check();
        _options.LoadServiceKeys(_serviceKeys);
        string state = _options.StateDirectory();
        if (state.Length == 0) RouterLog.StateTrouble(_log, "nothing of the network is kept between runs: each run draws its guards anew, which in the long run shows more relays where you are");
        DirectoryKeeper keeper = DirectoryKeeper.Load(
            new DirectoryKeeperOptions { ContactsFile = Path.GetFullPath(_options.Contacts), ContactsKey = listKey, Network = _options.Network, StateDirectory = state },
            _log,
            _time);
        ContactWords.TryNetworkId(_options.Network, out byte[] networkId);
        bool v6 = Socket.OSSupportsIPv6;
        var any = new IPEndPoint(v6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        RouterNode node;
        try
        {
            node = new RouterNode(new RouterNodeOptions
            {
                Name = "client",
                Listen = UdpAddress.From(any),
                Proxied = false,
                ServiceKeys = _serviceKeys,
                Client = new ClientPathOptions
                {
                    Hops = _options.Hops,
                    Spares = _options.Spares,
                    Exit = RouterId.TryParse(_options.Exit, out RouterId exit) ? exit : default,
                    GuardStore = keeper.GuardStore,
                },
                Directory = keeper.ForClient(),
                NetworkId = networkId,
                Shard = new ShardOptions { ReplayFilterBytes = 4 << 20, MaxClientPaths = MaxSessions + OtherPaths, MaxPaths = 1024 },
                Socket = new UdpSocketOptions { DualStack = v6 },
                Time = _time,
                OnNotice = _notices.Add,
            });
        }
        catch (IOException e)
        {
            throw new OxenException("OXN3003", $"no UDP socket could be opened: {e.Message}", "The router needs one; see what this program may do on this machine.", e);
        }

        node.Start(keeper.ListDirectory());
        keeper.Keep(node, isClient: true);
        keeper.Start();
        _keeper = keeper;
        if (_options.Names is { } names)
        {
            _requests = new PathRequests(node.Client!, RouterCapabilities.Names, "names", _time);
            _names = names(_requests);
        }

        return node;
    }

    /// <summary>A service that is known here until it ends.</summary>
    private sealed class HostedByClient(IHostedService service, Action<HostedByClient> onEnd) : IHostedService
    {
        public ServiceAddress Address => service.Address;

        public ChannelReader<ServiceStream> Streams => service.Streams;

        public ChannelReader<ServiceDatagram> Datagrams => service.Datagrams;

        public bool TrySend(long client, ushort association, ushort port, ReadOnlySpan<byte> payload) => service.TrySend(client, association, port, payload);

        public void TakePackets(IServicePacketTaker taker) => service.TakePackets(taker);

        public bool TrySendPacket(long client, ReadOnlySpan<byte> packet) => service.TrySendPacket(client, packet);

        public Task WaitPublishedAsync(CancellationToken cancel) => service.WaitPublishedAsync(cancel);

        public Task<HostedServiceView> ReadViewAsync() => service.ReadViewAsync();

        public ValueTask DisposeAsync()
        {
            onEnd(this);
            return service.DisposeAsync();
        }
    }
}
