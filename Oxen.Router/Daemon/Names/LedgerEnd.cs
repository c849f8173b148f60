using System.Net;
using System.Reflection;
using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;
using Oxen.Ons.Resolving;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Names;

/// <summary>
/// A copy of the ledger in this process, and what hangs on it: its door, its signer, the registry of nodes, the look-ups that relays
/// answer, a relay's proofs of uptime. It makes blocks itself, or follows a ledger that does.
/// </summary>
internal sealed class LedgerEnd : IAsyncDisposable
{
    private static readonly TimeSpan FollowEvery = TimeSpan.FromSeconds(1), ServerPatience = TimeSpan.FromSeconds(20);

    private readonly List<LedgerKey> _keys = [];
    private readonly HttpClient _http = OxendClient.CreateHttp(ServerPatience);
    private LedgerFollower? _follower;
    private BlockSigner? _signer;
    private NodeProver? _prover;
    private NodeJudge? _judge;
    private LedgerKey? _node;
    private RpcServer? _rpc;

    private LedgerEnd()
    {
    }

    public LedgerHost Host { get; private set; } = null!;

    public LedgerNodeSource Nodes { get; private set; } = null!;

    /// <summary>For relays.</summary>
    public OnsPlugin Plugin { get; private set; } = null!;

    /// <summary>Null: not served.</summary>
    public Uri? Rpc => _rpc?.Address;

    /// <param name="trouble">Told in words when the store or the followed ledger fails.</param>
    /// <exception cref="UserException">A file, the store or the address is not what it should be.</exception>
    public static async Task<LedgerEnd> OpenAsync(LedgerConfig config, Action<string>? trouble, TimeProvider time, CancellationToken cancel)
    {
        var end = new LedgerEnd();
        try
        {
            await end.BeginAsync(config, trouble, time, cancel).ConfigureAwait(false);
            return end;
        }
        catch
        {
            await end.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Answers calls from this copy.</summary>
    public LedgerCall Call { get; private set; } = null!;

    /// <summary>What a node says of itself. `storage`: the port of its HTTPS door, the QUIC door being one above; 0: it keeps no messages.</summary>
    public static NodeFacts FactsOf(IPEndPoint router, int storage = 0)
    {
        Version version = Assembly.GetExecutingAssembly().GetName().Version ?? new Version();
        uint ip = router.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(router.Address.GetAddressBytes()) : 0;
        return new NodeFacts(ip, (ushort)router.Port, (ushort)storage, (ushort)(storage == 0 ? 0 : storage + 1), (ushort)version.Major, (ushort)version.Minor, (ushort)version.Build, 0);
    }

    /// <summary>This process's relay may be a service node: from now on its proofs are sent, and others are judged when a key of ours is in the committee.</summary>
    /// <param name="relay">It looks whether the routers of others answer.</param>
    /// <param name="identity">The relay's.</param>
    /// <param name="address">Where it is reached.</param>
    /// <param name="storage">Its storage; null: it keeps no messages. While that does not work, no proof is sent.</param>
    /// <param name="time">The clock.</param>
    public void ServeNode(RouterNode relay, RouterIdentity identity, IPEndPoint address, SwarmEnd? storage, TimeProvider time)
    {
        NodeFacts facts = FactsOf(address, storage is null ? 0 : address.Port);
        _node = new LedgerKey(identity.Seed);
        _prover = new NodeProver(Host, _node, () => storage?.Works == false ? null : facts, time);
        _prover.Start();
        if (_keys.Count == 0) return;
        var look = new NodeLook(relay.TestRelayAsync);
        if (storage is not null) storage.Tested += look.NoteStorage;
        _judge = new NodeJudge(Host, _keys, look.TestAsync, new NodeJudgeOptions());
        _judge.Start();
    }

    public async ValueTask DisposeAsync()
    {
        if (_judge is not null) await _judge.DisposeAsync().ConfigureAwait(false);
        if (_prover is not null) await _prover.DisposeAsync().ConfigureAwait(false);
        if (_rpc is not null) await _rpc.DisposeAsync().ConfigureAwait(false);
        if (_follower is not null) await _follower.DisposeAsync().ConfigureAwait(false);
        Nodes?.Dispose();
        _signer?.Dispose();
        if (Host is not null) await Host.DisposeAsync().ConfigureAwait(false);
        foreach (LedgerKey key in _keys) key.Dispose();
        _node?.Dispose();
        _http.Dispose();
    }

    private async Task BeginAsync(LedgerConfig config, Action<string>? trouble, TimeProvider time, CancellationToken cancel)
    {
        Genesis genesis = LedgerStores.ReadGenesis(config.GenesisFile);
        foreach (string file in config.SignFiles) _keys.Add(LedgerStores.LoadKey(file));
        SigningJournal journal = Journal(config.JournalFile);
        if (config.Follow is { } server) _follower = new LedgerFollower(new OxendClient(_http, server), _keys, journal, FollowEvery, time);
        var options = new LedgerHostOptions { Interval = config.Interval, SnapshotFile = config.SnapshotFile, SubnameDirectory = config.SubnameDirectory, Forward = _follower is null ? null : _follower.ForwardAsync, Ahead = () => _follower?.Ahead, ForwardSubname = _follower is null ? null : _follower.ForwardSubnameAsync, ForwardVote = _follower is null ? null : _follower.ForwardVoteAsync };
        Host = await LedgerStores.OpenHostAsync(config.Store, genesis, options, time, cancel).ConfigureAwait(false);
        Host.TroubleChanged += () => { if (Host.Trouble.Length > 0) trouble?.Invoke(Host.Trouble); };
        if (_follower is null)
        {
            _signer = new BlockSigner(Host, _keys, journal);
        }
        else
        {
            // The first look before anybody asks: who starts this wants what the other has.
            _follower.TroubleChanged += () => { if (_follower.Trouble.Length > 0) trouble?.Invoke(_follower.Trouble); };
            await _follower.LookAsync(Host, cancel).ConfigureAwait(false);
            _follower.Start(Host);
        }

        var calls = new LedgerRpc(Host);
        Call = LedgerCalls.To(calls);
        Nodes = new LedgerNodeSource(Host);
        Plugin = new OnsPlugin(Task.FromResult(Host));
        if (config.Listen is { } listen) _rpc = await ServeAsync(calls, listen, cancel).ConfigureAwait(false);
    }

    private static SigningJournal Journal(string? file)
    {
        try
        {
            return new SigningJournal(file);
        }
        catch (InvalidDataException e)
        {
            throw new UserException(ExitCode.Environment, "OXN6007", e.Message, "Remove it only if nothing was signed above the newest block: two signatures at one height cost the stake.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(file!, e.Message, e);
        }
    }

    private async Task<RpcServer> ServeAsync(LedgerRpc calls, IPEndPoint listen, CancellationToken cancel)
    {
        try
        {
            return await RpcServer.StartAsync(calls, listen, cancel).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw UserException.CannotBind("JSON-RPC", listen.ToString(), e);
        }
    }
}
