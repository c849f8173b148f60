using System.Text.Json;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Status;

/// <summary>What one process tells of itself. Its JSON form is for scripts: names stay, new ones may come.</summary>
internal sealed record StatusReport
{
    private static readonly JsonSerializerOptions Form = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    public required string Version { get; init; }

    public required string Roles { get; init; }

    /// <summary>Process id.</summary>
    public required int Process { get; init; }

    public required double UptimeSeconds { get; init; }

    /// <summary>A relay, a client, or both; each with its counters.</summary>
    public required IReadOnlyList<RouterFigures> Routers { get; init; }

    /// <summary>A client's paths.</summary>
    public required IReadOnlyList<PathStatus> Paths { get; init; }

    /// <summary>A client's tunnel; null without one.</summary>
    public TunnelStatus? Tunnel { get; init; }

    /// <summary>A client's resolver; null without one.</summary>
    public DnsStatus? Dns { get; init; }

    /// <summary>Hidden services that this process hosts.</summary>
    public IReadOnlyList<ServiceStatus> Services { get; init; } = [];

    /// <summary>Hidden services of others that it reaches.</summary>
    public IReadOnlyList<ServiceClientStatus> ServiceClients { get; init; } = [];

    /// <summary>Why a client has no path, in words; empty when all is well.</summary>
    public required string Trouble { get; init; }

    /// <summary>What each router knows of the network; empty without gossip.</summary>
    public IReadOnlyList<NetworkStatus> Network { get; init; } = [];

    /// <summary>A relay's storage; null without one.</summary>
    public SwarmStatus? Swarm { get; init; }

    public string ToJson() => JsonSerializer.Serialize(this, Form);

    /// <summary>A part of a report in the same form.</summary>
    public static string Write<T>(T part) => JsonSerializer.Serialize(part, Form);

    public static StatusReport Parse(string json) => JsonSerializer.Deserialize<StatusReport>(json, Form) ?? throw new JsonException("an empty answer");

    public static List<ServiceClientStatus> ServiceClientsOf(IReadOnlyList<ServiceClientView> views) =>
        [.. views.Select(v => new ServiceClientStatus(
            v.Address.ToString(), v.State.ToString().ToLowerInvariant(), v.Hops, [.. v.HopRtt.Select(t => t.TotalMilliseconds)], v.RoundTrip.TotalMilliseconds, v.Moves, v.Streams, v.Associations, v.Trouble, v.LookedUpIn.TotalMilliseconds, v.MetIn.TotalMilliseconds))];

    public static List<PathStatus> PathsOf(ClientView view) =>
        [.. view.Groups.SelectMany(g => g.Paths.Select(p => new PathStatus(p.Active, p.Hops, [.. p.HopRtt.Select(t => t.TotalMilliseconds)], p.PacketsUp, p.PacketsDown, p.Left.TotalSeconds, g.Number == ClientService.TunnelGroup, p.Crowded)))];
}

/// <param name="Carries">An exit has leased addresses: IP packets pass.</param>
/// <param name="Switches">How often traffic moved to another path.</param>
/// <param name="PacketsRead">Packets of up to 64 KiB that the system sent into the interface.</param>
/// <param name="PacketsWritten">Packets of up to 64 KiB that it was handed.</param>
internal sealed record TunnelStatus(string Interface, bool Carries, int Switches, long PacketsRead, long PacketsWritten);

/// <param name="Listen">Where it is asked, by UDP and TCP.</param>
/// <param name="Forward">Where names of the outside go: exit, upstream or none.</param>
/// <param name="Mapped">Services that have an address now.</param>
/// <param name="Connections">To mapped addresses, open now; null: none are taken.</param>
/// <param name="Flows">Of datagrams to mapped addresses; null: none are taken.</param>
/// <param name="Counts">Answers, refusals and drops (DnsCounters); zero ones are left out.</param>
internal sealed record DnsStatus(IReadOnlyList<string> Listen, string Forward, int Mapped, int Capacity, int? Connections, int? Flows, IReadOnlyDictionary<string, long> Counts);

/// <param name="Hops">Router ids, the first hop first.</param>
/// <param name="HopMilliseconds">Last round trip to each hop; 0 where unknown.</param>
/// <param name="Crowded">A spare that shares a relay with the path in use, for want of others.</param>
/// <param name="Tunnel">It carries IP packets, not the proxies' streams.</param>
internal sealed record PathStatus(bool Active, IReadOnlyList<string> Hops, IReadOnlyList<double> HopMilliseconds, long PacketsUp, long PacketsDown, double SecondsLeft, bool Tunnel = false, bool Crowded = false);

/// <param name="Https">Where its door listens.</param>
/// <param name="Unreachable">Storage nodes that failed their last tests.</param>
internal sealed record SwarmStatus(string Https, Oxen.Swarm.SwarmFigures Figures, IReadOnlyList<string> Unreachable);

/// <param name="Published">Whether clients can find it.</param>
/// <param name="Keepers">Relays that keep its latest announcement, of those that were asked.</param>
/// <param name="Introductions">Relays that introduce clients, by their ids.</param>
/// <param name="Sessions">Clients that are connected.</param>
/// <param name="Meetings">Clients that are being met.</param>
/// <param name="Streams">Open to what stands behind its ports.</param>
/// <param name="Datagrams">UDP sockets to what stands behind its ports.</param>
internal sealed record ServiceStatus(string Name, string Address, bool Published, int Keepers, int KeepersAsked, IReadOnlyList<string> Introductions, int Sessions, int Meetings, int Streams, int Datagrams);

/// <param name="State">idle, lookingup, meeting, connecting, ready.</param>
/// <param name="Hops">Router ids of our path to the rendezvous, which is the last; empty without one.</param>
/// <param name="HopMilliseconds">Last round trip to each hop; 0 where unknown.</param>
/// <param name="Milliseconds">Round trip to the service; 0 where unknown.</param>
/// <param name="Moves">How often it moved to another rendezvous.</param>
/// <param name="Trouble">Why the last attempt to meet it failed; empty when none did.</param>
/// <param name="LookUpMilliseconds">How long the search for its introset took; 0 before one was found.</param>
/// <param name="MetMilliseconds">From the wish to go there, look-up included, until it was met; 0 before.</param>
internal sealed record ServiceClientStatus(string Address, string State, IReadOnlyList<string> Hops, IReadOnlyList<double> HopMilliseconds, double Milliseconds, int Moves, int Streams, int Associations, string Trouble, double LookUpMilliseconds, double MetMilliseconds);

/// <param name="Members">Routers that may be relays.</param>
/// <param name="Known">Of those, how many could be found.</param>
/// <param name="Relays">Relays that paths can be built with.</param>
/// <param name="Exits">Exits that they can.</param>
/// <param name="AskedUnixSeconds">A client's: when relays were last asked with success; 0: not yet, or a relay's.</param>
internal sealed record NetworkStatus(string Router, int Members, int Known, int Relays, int Exits, long AskedUnixSeconds);
