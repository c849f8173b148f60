using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Swarm;
using Oxen.Swarm.Duties;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Storage;

namespace Oxen.Router.Daemon.Run;

/// <summary>A relay's storage node: its keys are the relay's, its peers those of the registry, found by their contacts.</summary>
internal sealed class SwarmEnd : IAsyncDisposable
{
    private readonly SwarmIdentity _identity;
    private readonly RegistryDirectory _directory;
    private readonly SwarmNode _node;
    private readonly PeerWatch _watch;
    private readonly IPEndPoint _listen;
    private readonly SwarmLedger? _ledger;

    private SwarmEnd(SwarmIdentity identity, RegistryDirectory directory, SwarmNode node, PeerWatch watch, IPEndPoint listen, SwarmLedger? ledger)
    {
        _ledger = ledger;
        _identity = identity;
        _directory = directory;
        _node = node;
        _watch = watch;
        _listen = new IPEndPoint(listen.Address, node.HttpsPort);
        Plugin = new SwarmPlugin(node);
    }

    /// <summary>Storage requests that come by links and paths.</summary>
    public IRouterPlugin Plugin { get; }

    /// <summary>Another node's storage was tested: its id, and whether it was reached.</summary>
    public event Action<ReadOnlyMemory<byte>, bool>? Tested
    {
        add => _watch.Tested += value;
        remove => _watch.Tested -= value;
    }

    /// <summary>False while the database or the disk is in trouble, or the storage has said nothing for two minutes.</summary>
    public bool Works => _watch.Works;

    /// <param name="nodes">The registry; null: the contact list says who stores, and in which swarm.</param>
    /// <param name="ledger">Whom to ask for names; null: nobody. Disposed of with this.</param>
    /// <exception cref="UserException">The database cannot be used, or the address is taken or not ours.</exception>
    public static async Task<SwarmEnd> OpenAsync(SwarmConfig config, RouterIdentity router, INodeSource? nodes, SwarmLedger? ledger, DirectoryKeeper keeper, ILogger log, TimeProvider time)
    {
        Prepare(config);
        var identity = new SwarmIdentity(router.Seed);
        var directory = new RegistryDirectory(nodes ?? keeper.StorageNodes(), id => ContactOf(keeper.AddressOf(id.Span)));
        if (nodes is not null) keeper.StorageMoved += directory.Refresh;
        var watch = new PeerWatch(log, time);
        try
        {
            SwarmNode node = await SwarmNode.StartAsync(new SwarmNodeOptions
            {
                Identity = identity,
                Directory = directory,
                DatabasePath = config.Database,
                Listen = config.Listen,
                ListenQuic = config.ListenQuic,
                Seed = config.Seed,
                RequestsPerSecond = config.Rate,
                MaxBytes = config.Bytes,
                MaxAccountBytes = config.AccountBytes,
                CorsOrigins = config.Origins,
                Proxy = config.Proxy,
                ProxyHosts = config.ProxyHosts.Count == 0 ? null : config.ProxyHosts.ToHashSet(StringComparer.OrdinalIgnoreCase),
                FilesFolder = config.Files ? config.FilesFolder : null,
                MaxFileBytes = (int)config.FileBytes,
                MaxProFileBytes = (int)config.ProFileBytes,
                ProBackendKey = config.ProKey,
                ProRevocationsFile = config.ProRevocations,
                Reports = watch,
                Ledger = ledger,
                Time = time,
            }).ConfigureAwait(false);
            watch.Node = node;
            var end = new SwarmEnd(identity, directory, node, watch, config.Listen, ledger);
            SwarmFigures figures = node.ReadFigures();
            RouterLog.SwarmOpen(log, end._listen.ToString(), figures.Swarm, figures.Members, figures.Nodes);
            return end;
        }
        catch (StoreException e)
        {
            Release();
            throw new UserException(ExitCode.Environment, "OXN7001", e.Message, "`oxen swarm repair --config FILE` looks at the database while the node is stopped, and with --replace moves a damaged one away.", e);
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            Release();
            throw UserException.CannotBind("doors of the storage (HTTPS, and QUIC one port above)", config.Listen.ToString(), e);
        }
        catch
        {
            Release();
            throw;
        }

        void Release()
        {
            directory.Dispose();
            identity.Dispose();
            ledger?.Dispose();
        }
    }

    /// <summary>HTTPS at the same address and port number as the router's, over TCP; QUIC one above, over UDP. docs/protocol/swarm.md#members</summary>
    public static SwarmContact? ContactOf(UdpAddress? router)
    {
        if (router?.ToIPEndPoint() is not { } at) return null;
        return new SwarmContact(at.Address, at.Port, at.Port < ushort.MaxValue ? at.Port + 1 : 0);
    }

    public SwarmStatus ReadStatus() => new(_listen.ToString(), _node.ReadFigures(), _watch.Unreachable);

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync().ConfigureAwait(false);
        _directory.Dispose();
        _identity.Dispose();
        _ledger?.Dispose();
    }

    private static void Prepare(SwarmConfig config)
    {
        try
        {
            const UnixFileMode own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(config.Data, own);
            if (config.Files) Directory.CreateDirectory(config.FilesFolder, own);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UserException.FileTrouble(config.Data, e.Message, e);
        }
    }

    /// <summary>Remembers who does not answer, for the operator, and tells whoever votes about nodes on a ledger.</summary>
    private sealed class PeerWatch(ILogger log, TimeProvider time) : IPeerReports
    {
        private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);
        private long _pinged = time.GetTimestamp();

        private readonly ConcurrentDictionary<string, bool> _unreachable = new(StringComparer.Ordinal);
        private int _said;
        private string _trouble = "";

        public event Action<ReadOnlyMemory<byte>, bool>? Tested;

        public SwarmNode? Node { get; set; }

        public bool Works => Node?.IsSound == true && time.GetElapsedTime(Interlocked.Read(ref _pinged)) < Silence;

        public IReadOnlyList<string> Unreachable => [.. _unreachable.Keys.Order(StringComparer.Ordinal)];

        public void Report(ReadOnlyMemory<byte> node, bool reachable)
        {
            string id = Convert.ToHexStringLower(node.Span);
            if (reachable) _unreachable.TryRemove(id, out _);
            else _unreachable[id] = true;
            Tested?.Invoke(node, reachable);
        }

        public void Ping()
        {
            Interlocked.Exchange(ref _pinged, time.GetTimestamp());
            int count = _unreachable.Count;
            if (count > _said) RouterLog.SwarmUnreachable(log, count);
            _said = count;
            string trouble = Node?.Trouble ?? "";
            if (trouble.Length > 0 && trouble != _trouble) RouterLog.SwarmTrouble(log, trouble);
            if (trouble.Length == 0 && _trouble.Length > 0) RouterLog.SwarmRecovered(log);
            _trouble = trouble;
        }
    }
}
