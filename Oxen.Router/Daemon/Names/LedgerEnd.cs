using System.Net;
using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;
using Oxen.Ons.Resolving;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Handlers;

namespace Oxen.Router.Daemon.Names;

/// <summary>A copy of the ledger in this process, and what hangs on it: its door, its signer, the registry of nodes, the look-ups that relays answer.</summary>
internal sealed class LedgerEnd : IAsyncDisposable
{
    private readonly IReadOnlyList<LedgerKey> _keys;
    private readonly BlockSigner _signer;
    private readonly RpcServer? _rpc;

    private LedgerEnd(LedgerHost host, IReadOnlyList<LedgerKey> keys, RpcServer? rpc)
    {
        (Host, _keys, _rpc) = (host, keys, rpc);
        _signer = new BlockSigner(host, keys);
        Nodes = new LedgerNodeSource(host);
        Plugin = new OnsPlugin(host);
    }

    public LedgerHost Host { get; }

    public LedgerNodeSource Nodes { get; }

    /// <summary>For relays.</summary>
    public OnsPlugin Plugin { get; }

    /// <summary>Null: not served.</summary>
    public Uri? Rpc => _rpc?.Address;

    /// <exception cref="UserException">A file, the store or the address is not what it should be.</exception>
    public static async Task<LedgerEnd> OpenAsync(LedgerConfig config, TimeProvider time, CancellationToken cancel)
    {
        Genesis genesis = LedgerStores.ReadGenesis(config.GenesisFile);
        var keys = new List<LedgerKey>();
        LedgerHost? host = null;
        try
        {
            foreach (string file in config.SignFiles) keys.Add(AccountFile.Load(file));
            host = await LedgerStores.OpenHostAsync(config.Store, genesis, new LedgerHostOptions { Interval = config.Interval }, time, cancel).ConfigureAwait(false);
            RpcServer? rpc = config.Listen is { } listen ? await ServeAsync(host, listen, cancel).ConfigureAwait(false) : null;
            return new LedgerEnd(host, keys, rpc);
        }
        catch
        {
            if (host is not null) await host.DisposeAsync().ConfigureAwait(false);
            foreach (LedgerKey key in keys) key.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_rpc is not null) await _rpc.DisposeAsync().ConfigureAwait(false);
        Nodes.Dispose();
        _signer.Dispose();
        await Host.DisposeAsync().ConfigureAwait(false);
        foreach (LedgerKey key in _keys) key.Dispose();
    }

    private static async Task<RpcServer> ServeAsync(LedgerHost host, IPEndPoint listen, CancellationToken cancel)
    {
        try
        {
            return await RpcServer.StartAsync(new LedgerRpc(host), listen, cancel).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw UserException.CannotBind("JSON-RPC", listen.ToString(), e);
        }
    }
}
