using System.Net;
using Oxen.Swarm.Duties;
using Oxen.Swarm.Nodes;

namespace Oxen.Swarm;

/// <summary>What a storage node needs and may.</summary>
public sealed class SwarmNodeOptions
{
    /// <summary>The node's keys; the caller disposes of them after the node.</summary>
    public required SwarmIdentity Identity { get; init; }

    /// <summary>Who the storage nodes are.</summary>
    public required ISwarmDirectory Directory { get; init; }

    /// <summary>The database file. Its directory must exist.</summary>
    public required string DatabasePath { get; init; }

    /// <summary>Where the HTTPS door listens; null: no door.</summary>
    public IPEndPoint? Listen { get; init; }

    /// <summary>Where the QUIC door listens (UDP); null: no such door.</summary>
    public IPEndPoint? ListenQuic { get; init; }

    /// <summary>Answer as a seed node too (`POST /json_rpc`).</summary>
    public bool Seed { get; init; }

    /// <summary>Requests a second of one address (an IPv6 /64) by HTTPS or QUIC, onion requests too; twice as many at once.</summary>
    public double RequestsPerSecond { get; init; } = 300;

    /// <summary>The most bytes of the database.</summary>
    public long MaxBytes { get; init; } = 10L << 30;

    /// <summary>The most message bytes of one account; 0: a sixteenth of <see cref="MaxBytes"/>.</summary>
    public long MaxAccountBytes { get; init; }

    /// <summary>Accounts without a network byte are accepted.</summary>
    public bool TestNetwork { get; init; }

    /// <summary>Origins of web pages that may ask; none by default.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Pass onion requests on to servers outside.</summary>
    public bool Proxy { get; init; } = true;

    /// <summary>The only hosts that the proxy reaches; null: every host with public addresses.</summary>
    public IReadOnlySet<string>? ProxyHosts { get; init; }

    /// <summary>Folder of the file server, which exists; null: no file server.</summary>
    public string? FilesFolder { get; init; }

    /// <summary>The longest file for everybody.</summary>
    public int MaxFileBytes { get; init; } = 10_000_000;

    /// <summary>The longest file for holders of a proof of the backend. What is longer than 10 MB comes to this node's door itself: the contract's relays carry no more.</summary>
    public int MaxProFileBytes { get; init; } = 100_000_000;

    /// <summary>Ed25519 key of the backend that gives proofs, 32 bytes; empty: proofs do not count.</summary>
    public ReadOnlyMemory<byte> ProBackendKey { get; init; }

    /// <summary>File with the backend's list of revoked proofs (its answer to `get_pro_revocations`), read again when it changes; null: none is revoked.</summary>
    public string? ProRevocationsFile { get; init; }

    /// <summary>Answers `oxend_request` for names; null: this node has no ledger.</summary>
    public ISwarmLedger? Ledger { get; init; }

    /// <summary>Pause between comparisons with peers.</summary>
    public TimeSpan SyncInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Where reports about other nodes go; null: no tests are made.</summary>
    public IPeerReports? Reports { get; init; }

    internal OnionRates OnionRates { get; init; } = new();

    internal Replication.SwarmTimes Times { get; init; } = new();

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
