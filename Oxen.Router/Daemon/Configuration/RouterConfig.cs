using System.Net;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Exit;

namespace Oxen.Router.Daemon.Configuration;

[Flags]
internal enum RouterRoles
{
    None = 0,
    Relay = 1,
    Exit = 2,
    Client = 4,
}

/// <summary>One configuration file, read and valid. Paths in it are relative to the file and come out absolute.</summary>
internal sealed record RouterConfig
{
    public required RouterRoles Roles { get; init; }

    /// <summary>What the contact says of where an exit goes.</summary>
    public IReadOnlyList<IpPrefix> AnnouncedRanges => Roles.HasFlag(RouterRoles.Exit) ? Exit.Ranges : [];

    public required IPEndPoint Listen { get; init; }

    /// <summary>What others are told; the listen address if it is a real one.</summary>
    public IPEndPoint? PublicAddress { get; init; }

    /// <summary>Where a relay is reached: its address for others, or the one that it listens on.</summary>
    public IPEndPoint ReachedAt => PublicAddress ?? Listen;

    /// <summary>Empty for a client, which has no lasting identity.</summary>
    public required string IdentityFile { get; init; }

    public string OnionKeyFile { get; init; } = "";

    public string Network { get; init; } = "oxen";

    public required string ContactsFile { get; init; }

    public required RouterId ContactsKey { get; init; }

    /// <summary>0: one for each core.</summary>
    public int Shards { get; init; }

    /// <summary>Nice value of the data plane's threads.</summary>
    public int Nice { get; init; } = -10;

    /// <summary>The Unix socket of `oxen status`; null: none.</summary>
    public string? StatusSocket { get; init; }

    public RelayConfig Relay { get; init; } = new();

    public ClientConfig Client { get; init; } = new();

    public ExitConfig Exit { get; init; } = new();

    public DirectoryConfig Directory { get; init; } = new();

    /// <summary>The client's network interface; null: none.</summary>
    public TunConfig? Tun { get; init; }

    /// <summary>The client's resolver; null: none.</summary>
    public DnsConfig? Dns { get; init; }

    public NamesConfig Names { get; init; } = new();

    /// <summary>This process's copy of the ledger; null: none.</summary>
    public LedgerConfig? Ledger { get; init; }

    /// <summary>A relay's storage; null: none.</summary>
    public SwarmConfig? Swarm { get; init; }

    /// <summary>What the relay's contact says that it does.</summary>
    public RouterCapabilities Capabilities => RouterCapabilities.Relay | (Roles.HasFlag(RouterRoles.Exit) ? RouterCapabilities.Exit : RouterCapabilities.None)
        | (Exit.Tunnel is null ? RouterCapabilities.None : RouterCapabilities.Tunnel) | (Swarm is null ? RouterCapabilities.None : RouterCapabilities.Storage)
        | (Roles.HasFlag(RouterRoles.Exit) && Exit.Tokens.Count > 0 ? RouterCapabilities.Tokens : RouterCapabilities.None)
        | (Ledger is null ? RouterCapabilities.None : RouterCapabilities.Names);

    /// <summary>Hidden services of the client.</summary>
    public IReadOnlyList<ServiceConfig> Services { get; init; } = [];

    public LogConfig Log { get; init; } = new();
}

internal sealed record RelayConfig
{
    /// <summary>Who runs the relay, as its contact says; empty: does not say.</summary>
    public string Operator { get; init; } = "";

    public string Region { get; init; } = "";

    public long ReplayFilterBytes { get; init; } = 128L << 20;
}

internal sealed record ClientConfig
{
    public IPEndPoint? Socks { get; init; } = new(IPAddress.Loopback, 1080);

    public IPEndPoint? Http { get; init; } = new(IPAddress.Loopback, 8118);

    public int Hops { get; init; } = 4;

    public RouterId? Exit { get; init; }

    public int Spares { get; init; } = 1;

    /// <summary>Of the packets that this client sends and is sent.</summary>
    public SizeClass PacketSize { get; init; } = SizeClass.Full;

    public IReadOnlyDictionary<string, string> Users { get; init; } = new Dictionary<string, string>();

    /// <summary>Guards in use at a time.</summary>
    public int Guards { get; init; } = 2;

    /// <summary>Which exits are used for what, and the tokens that they ask for.</summary>
    public IReadOnlyList<ExitMapEntry> ExitMap { get; init; } = [];

    public ClientRules Rules { get; init; } = new([], [], [], [], PrefersQuick: false);

    /// <summary>Files of the keys by which services let this client in.</summary>
    public IReadOnlyDictionary<ServiceAddress, string> ServiceKeys { get; init; } = new Dictionary<ServiceAddress, string>();
}

/// <summary>Exits for some destinations.</summary>
/// <param name="Ranges">Empty: what no other entry names, and names.</param>
/// <param name="Exits">The best first.</param>
/// <param name="Token">32 bytes that all of these exits ask for; empty: none.</param>
internal sealed record ExitMapEntry(IReadOnlyList<IpPrefix> Ranges, IReadOnlyList<RouterId> Exits, IReadOnlyList<string> Services, byte[] Token);

/// <summary>Which relays a client's paths may take.</summary>
internal sealed record ClientRules(IReadOnlyList<RouterId> Routers, IReadOnlyList<IpPrefix> Networks, IReadOnlyList<string> Countries, IReadOnlyList<string> Regions, bool PrefersQuick);

internal sealed record ExitConfig
{
    public IReadOnlyList<ExitRule> Rules { get; init; } = [.. ExitPolicy.DefaultRules.Select(ExitRule.Parse)];

    public IReadOnlyList<ExitRule> Except { get; init; } = [];

    /// <summary>What the contact says of where it goes; empty: wherever the rules let it.</summary>
    public IReadOnlyList<IpPrefix> Ranges { get; init; } = [];

    /// <summary>Who may use it; empty: everybody.</summary>
    public IReadOnlyList<ExitToken> Tokens { get; init; } = [];

    public TimeSpan ConnectTime { get; init; } = TimeSpan.FromSeconds(10);

    public TimeSpan UdpIdle { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>IP packets of tunnels; null: streams and UDP associations alone.</summary>
    public ExitTunnelConfig? Tunnel { get; init; }
}

internal sealed record LogConfig
{
    public string Level { get; init; } = "information";

    public string Format { get; init; } = "plain";
}
