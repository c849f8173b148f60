using System.Net;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>Where short names such as `hello.loki` are looked up.</summary>
internal enum NamesFrom
{
    /// <summary>Nowhere: there are none.</summary>
    Off,

    /// <summary>In this process's copy of the ledger.</summary>
    Ledger,

    /// <summary>At relays, through a path, with proofs.</summary>
    Path,

    /// <summary>At ledgers over HTTP, with proofs. They learn who asks.</summary>
    Rpc,

    /// <summary>At oxends over HTTP, which are believed if they agree. They learn who asks.</summary>
    Oxend,
}

/// <summary>`[names]`.</summary>
internal sealed record NamesConfig
{
    public NamesFrom Source { get; init; }

    /// <summary>For `rpc` and `oxend`.</summary>
    public IReadOnlyList<Uri> Servers { get; init; } = [];

    /// <summary>For `path` and `rpc`: where belief begins.</summary>
    public string GenesisFile { get; init; } = "";

    /// <summary>A proof under an older block is refused.</summary>
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromMinutes(30);
}

/// <summary>`[ledger]`: a copy of the ledger in this process. That the section has a genesis turns it on.</summary>
internal sealed record LedgerConfig
{
    public required string GenesisFile { get; init; }

    /// <summary>`sqlite:FILE`, `etcd:URL` or `postgresql:CONNECTION`.</summary>
    public required string Store { get; init; }

    /// <summary>Where the state is written down now and then; null: nowhere.</summary>
    public string? SnapshotFile { get; init; }

    /// <summary>Where names below zones are kept; null: in memory, until the end of the process.</summary>
    public string? SubnameDirectory { get; init; }

    /// <summary>A ledger whose blocks are copied; null: this one makes blocks.</summary>
    public Uri? Follow { get; init; }

    /// <summary>JSON-RPC; null: not served.</summary>
    public IPEndPoint? Listen { get; init; }

    /// <summary>Zero: a block whenever there are operations.</summary>
    public TimeSpan Interval { get; init; }

    /// <summary>Key files of committee members.</summary>
    public IReadOnlyList<string> SignFiles { get; init; } = [];

    /// <summary>Where it is written down what was signed last, so that no height is signed twice; null: in memory.</summary>
    public string? JournalFile { get; init; }
}

/// <summary>Who says which routers are relays.</summary>
internal enum NodesFrom
{
    /// <summary>The signed contact list.</summary>
    List,

    /// <summary>The registry of this process's copy of the ledger.</summary>
    Ledger,

    /// <summary>The registry of a ledger or oxend that is asked over HTTP and believed.</summary>
    Server,
}
