using System.Net;

namespace Oxen.Router.Daemon.Commands;

/// <summary>What `oxen demo` was asked for, validated.</summary>
internal sealed record DemoOptions
{
    public int Relays { get; init; } = 8;

    public int Exits { get; init; } = 2;

    public int Hops { get; init; } = 4;

    public IPEndPoint Socks { get; init; } = new(IPAddress.Loopback, 1080);

    public IPEndPoint Http { get; init; } = new(IPAddress.Loopback, 8118);

    /// <summary>Null: until Ctrl-C.</summary>
    public TimeSpan? Duration { get; init; }

    public ulong? Seed { get; init; }

    /// <summary>Written once everything is ready: one JSON object with every address that the demo offers.</summary>
    public string? EndpointsFile { get; init; }

    public bool Processes { get; init; }

    /// <summary>Network namespaces, a TUN client and exits with tunnels; each router its own process.</summary>
    public bool Tun { get; init; }

    /// <summary>With <see cref="Tun"/>: what the namespaces' names begin with.</summary>
    public string Netns { get; init; } = Demo.Tunnel.LabPlan.DefaultPrefix;

    public bool Check { get; init; }

    public bool Json { get; init; }

    /// <summary>Warm paths beside the one in use; 0 shows that a dead relay then stops the transfer.</summary>
    public int Spares { get; init; } = 1;
}

/// <summary>What `oxen run` was asked for.</summary>
internal sealed record RunOptions(Configuration.RouterConfig Config, string ConfigFile)
{
    /// <summary>The end of standard input is the end of the run.</summary>
    public bool EndsWithInput { get; init; }

    public bool Json { get; init; }
}
