using System.Globalization;
using Oxen.Testing;

namespace Oxen.Simulation.Tests.Chaos;

/// <summary>What is simulated: how many, for how long, how rough. Everything else follows from the seed.</summary>
internal sealed record ChaosPlan
{
    public required ulong Seed { get; init; }

    public int Relays { get; init; } = 10;

    public int Exits { get; init; } = 2;

    /// <summary>Clients that speak with exits.</summary>
    public int Clients { get; init; } = 2;

    /// <summary>Hidden services, each with a host and a client of its own.</summary>
    public int Services { get; init; }

    /// <summary>One relay of so many is of bad will; 0: none.</summary>
    public int OneBadOf { get; init; } = 5;

    /// <summary>Storms, each followed by a calm in which everything must heal.</summary>
    public int Storms { get; init; } = 1;

    public TimeSpan Storm { get; init; } = TimeSpan.FromSeconds(12);

    /// <summary>Mean time between two faults.</summary>
    public TimeSpan FaultEvery { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan Calm { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>After the last fault of a storm every client must be served again within this time.</summary>
    public TimeSpan HealWithin { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>Bytes of each transfer there and back.</summary>
    public int TransferBytes { get; init; } = 20_000;

    /// <summary>Time from the end of one transfer of a client to the begin of its next.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>At the end everything is closed and what is left behind is counted; takes as long as a path may live.</summary>
    public bool CountLeftovers { get; init; }

    /// <summary>Only so many faults: for finding the first one that matters.</summary>
    public int MaxFaults { get; init; } = int.MaxValue;

    public int Nodes => Relays + Exits + Clients + (2 * Services);

    /// <summary>Ten to fifteen routers, some seconds of storm: what every run of the tests does fifty times.</summary>
    public static ChaosPlan Short(ulong seed) => new()
    {
        Seed = seed, Services = seed % 5 == 0 ? 1 : 0, CountLeftovers = seed % 50 == 0, MaxFaults = Number("OXEN_CHAOS_FAULTS", int.MaxValue),
    };

    /// <summary>So many nodes for about so long: storms of three minutes, and calms between them.</summary>
    public static ChaosPlan Long(ulong seed, int nodes, int minutes)
    {
        int exits = Math.Max(2, nodes / 10), services = Math.Max(1, nodes / 25), clients = Math.Max(2, nodes / 10);
        return new ChaosPlan
        {
            Seed = seed, Relays = nodes - exits - clients - (2 * services), Exits = exits, Clients = clients, Services = services, OneBadOf = 8,
            Storms = Math.Max(1, minutes / 4), Storm = TimeSpan.FromMinutes(Math.Min(3, 0.75 * minutes)), FaultEvery = TimeSpan.FromSeconds(Math.Max(1, 300.0 / nodes)),
            Calm = TimeSpan.FromSeconds(30), HealWithin = TimeSpan.FromSeconds(90), Pause = TimeSpan.FromSeconds(10), MaxFaults = Number("OXEN_CHAOS_FAULTS", int.MaxValue),
        };
    }

    public static int Number(string variable, int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : usual;
}
