using System.Net;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>[swarm]: a relay that keeps messages.</summary>
internal sealed record SwarmConfig
{
    /// <summary>Folder of the database and of files. Absolute.</summary>
    public required string Data { get; init; }

    /// <summary>Where the HTTPS door listens: TCP.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>Where the QUIC door listens: UDP, one port above.</summary>
    public IPEndPoint ListenQuic => new(Listen.Address, Listen.Port + 1);

    public bool Seed { get; init; }

    /// <summary>Requests a second of one address.</summary>
    public int Rate { get; init; } = 300;

    public long Bytes { get; init; } = 10L << 30;

    /// <summary>0: a sixteenth of <see cref="Bytes"/>.</summary>
    public long AccountBytes { get; init; }

    /// <summary>Onion requests go on to servers outside.</summary>
    public bool Proxy { get; init; } = true;

    /// <summary>Empty: every host with public addresses.</summary>
    public IReadOnlyList<string> ProxyHosts { get; init; } = [];

    public IReadOnlyList<string> Origins { get; init; } = [];

    /// <summary>Keep attachments too.</summary>
    public bool Files { get; init; }

    public long FileBytes { get; init; } = 10_000_000;

    public long ProFileBytes { get; init; } = 100_000_000;

    /// <summary>Ed25519 key, 32 bytes; empty: proofs do not count.</summary>
    public ReadOnlyMemory<byte> ProKey { get; init; }

    /// <summary>File with the list of revoked proofs. Absolute; null: none.</summary>
    public string? ProRevocations { get; init; }

    public string Database => Path.Combine(Data, "messages.db");

    public string FilesFolder => Path.Combine(Data, "files");
}
