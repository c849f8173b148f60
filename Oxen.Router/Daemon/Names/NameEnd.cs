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
    public const int Paths = 4;

    private static readonly TimeSpan ServerPatience = TimeSpan.FromSeconds(10);

    private readonly List<IDisposable> _owned = [];

    private NameEnd()
    {
    }

    public INameSource Source { get; private set; } = null!;

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
                return Light(config, [.. config.Servers.Select(s => new RpcProofSource(new OxendClient(http, s)))], LedgerStores.ReadGenesis(config.GenesisFile), time);
            default:
                Genesis genesis = LedgerStores.ReadGenesis(config.GenesisFile);
                PathRequests requests = Own(new PathRequests(paths!, "names", time));
                return Light(config, [.. Enumerable.Range(0, Paths).Select(i => new PathProofSource(requests, i, genesis.Network))], genesis, time);
        }
    }

    private static NameCache Light(NamesConfig config, IReadOnlyList<IProofSource> resolvers, Genesis genesis, TimeProvider time) =>
        new(new LightNameSource(LightClient.From(genesis), resolvers, new LightNameOptions { MaxAge = config.MaxAge, Patience = TimeSpan.FromSeconds(20) }, time), time);

    private T Own<T>(T made)
        where T : IDisposable
    {
        _owned.Add(made);
        return made;
    }
}
