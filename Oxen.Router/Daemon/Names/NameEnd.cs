using Oxen.Ons.Ledger;
using Oxen.Ons.Resolving;
using Oxen.Ons.Rpc;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Names;

/// <summary>Where this process looks short names up, as `[names]` says; doors, resolver and hidden services share it and its cache.</summary>
internal sealed class NameEnd : IDisposable
{
    private static readonly TimeSpan ServerPatience = TimeSpan.FromSeconds(10);

    private readonly List<IDisposable> _owned = [];

    private NameEnd()
    {
    }

    public INameSource Source { get; private set; } = null!;

    /// <summary>Look-ups through a client's paths, with proofs from this genesis on.</summary>
    public static NameEnd OverPaths(Genesis genesis, IRelayStreams paths, TimeSpan maxAge, TimeProvider time)
    {
        var end = new NameEnd();
        end.Source = end.Paths(genesis, paths, maxAge, time);
        return end;
    }

    /// <summary>Null: there are no short names.</summary>
    /// <exception cref="UserException">The genesis cannot be read.</exception>
    public static NameEnd? Open(NamesConfig config, LedgerEnd? ledger, IRelayStreams? paths, TimeProvider time)
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

    private INameSource Make(NamesConfig config, LedgerEnd? ledger, IRelayStreams? paths, TimeProvider time)
    {
        switch (config.Source)
        {
            case NamesFrom.Ledger:
                return new LedgerNameSource(ledger!.Host, time);
            case NamesFrom.Oxend:
                return new NameCache(Own(new OxendNameSource(config.Servers, ServerPatience)), time);
            case NamesFrom.Rpc:
                HttpClient http = Own(OxendClient.CreateHttp(ServerPatience));
                return LightNames.Over(LedgerStores.ReadGenesis(config.GenesisFile), [.. config.Servers.Select(s => new RpcProofSource(new OxendClient(http, s)))], config.MaxAge, time);
            default:
                return Paths(LedgerStores.ReadGenesis(config.GenesisFile), paths!, config.MaxAge, time);
        }
    }

    private NameCache Paths(Genesis genesis, IRelayStreams paths, TimeSpan maxAge, TimeProvider time) =>
        LightNames.OverPaths(genesis, Own(new PathRequests(paths, RouterCapabilities.Names, LightNames.Purpose, time)), maxAge, time);

    private T Own<T>(T made)
        where T : IDisposable
    {
        _owned.Add(made);
        return made;
    }
}
