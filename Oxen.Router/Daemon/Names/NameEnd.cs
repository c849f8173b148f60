using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Resolving;
using Oxen.Ons.Rpc;
using Oxen.Router.Client;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Names;

/// <summary>Where this process looks short names up, as `[names]` says; doors, resolver and hidden services share it and its cache.</summary>
internal sealed class NameEnd : IDisposable
{
    /// <summary>Paths that look-ups go through. They end at relays of the client's choice: one that lies or has no ledger costs a question to the next.</summary>
    public const int PathCount = 4;

    private static readonly TimeSpan ServerPatience = TimeSpan.FromSeconds(10);

    private readonly List<IDisposable> _owned = [];

    private NameEnd()
    {
    }

    public INameSource Source { get; private set; } = null!;

    /// <summary>Look-ups through a client's paths, with proofs from this genesis on.</summary>
    public static NameEnd OverPaths(Genesis genesis, IOnionStreams paths, TimeSpan maxAge, TimeProvider time)
    {
        var end = new NameEnd();
        end.Source = end.Paths(genesis, paths, maxAge, time);
        return end;
    }

    /// <summary>Null: there are no short names.</summary>
    /// <exception cref="UserException">The genesis cannot be read.</exception>
    public static NameEnd? Open(NamesConfig config, LedgerEnd? ledger, IOnionStreams? paths, TimeProvider time)
    {
        if (config.Source == NamesFrom.Off) return null;
        var end = new NameEnd();
        try
        {
            end.Source = end.Make(config, ledger, paths, time);
            return end;
        }
        catch
        {
            end.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
    }

    private INameSource Make(NamesConfig config, LedgerEnd? ledger, IOnionStreams? paths, TimeProvider time)
    {
        switch (config.Source)
        {
            case NamesFrom.Ledger:
                return new LedgerNameSource(ledger!.Host, time);
            case NamesFrom.Oxend:
                return new NameCache(Own(new OxendNameSource(config.Servers, ServerPatience)), time);
            case NamesFrom.Rpc:
                HttpClient http = Own(OxendClient.CreateHttp(ServerPatience));
                return Light(LedgerStores.ReadGenesis(config.GenesisFile), [.. config.Servers.Select(s => new RpcProofSource(new OxendClient(http, s)))], config.MaxAge, time);
            default:
                return Paths(LedgerStores.ReadGenesis(config.GenesisFile), paths!, config.MaxAge, time);
        }
    }

    private NameCache Paths(Genesis genesis, IOnionStreams paths, TimeSpan maxAge, TimeProvider time)
    {
        PathRequests requests = Own(new PathRequests(paths, "names", time));
        return Light(genesis, [.. Enumerable.Range(0, PathCount).Select(i => new PathProofSource(requests, i, genesis.Network))], maxAge, time);
    }

    private static NameCache Light(Genesis genesis, IReadOnlyList<IProofSource> resolvers, TimeSpan maxAge, TimeProvider time) =>
        new(new LightNameSource(LightClient.From(genesis), resolvers, new LightNameOptions { MaxAge = maxAge, Patience = TimeSpan.FromSeconds(20) }, time), time);

    private T Own<T>(T made)
        where T : IDisposable
    {
        _owned.Add(made);
        return made;
    }
}
