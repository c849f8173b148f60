using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Paths;

/// <summary>Numbers of a guard set. In spirit those of Tor's guard specification and proposal 333, but fewer.</summary>
internal sealed record GuardOptions
{
    /// <summary>Relays that are drawn at all. No other one is ever a first hop, so this bounds who can learn the client's address.</summary>
    public int Sample { get; init; } = 8;

    /// <summary>Of those, so many are in use.</summary>
    public int Primary { get; init; } = 2;

    /// <summary>A guard is replaced at a random time between these two.</summary>
    public TimeSpan LeastLife { get; init; } = TimeSpan.FromDays(90);

    public TimeSpan MostLife { get; init; } = TimeSpan.FromDays(150);

    /// <summary>The later of two random times: most guards live long, none for a known time.</summary>
    public bool LaterOfTwo { get; init; }

    /// <summary>A guard that the network has not known for so long is given up.</summary>
    public TimeSpan UnlistedTime { get; init; } = TimeSpan.FromDays(20);

    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan LastRetry { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>Second hops of a service's paths (vanguards): whoever learns one must start anew within days.</summary>
    public static GuardOptions SecondLayer { get; } = new() { Sample = 6, Primary = 4, LeastLife = TimeSpan.FromDays(1), MostLife = TimeSpan.FromDays(12), LaterOfTwo = true, UnlistedTime = TimeSpan.FromDays(2) };
}

/// <summary>One guard as it is written down. Times are unix seconds.</summary>
/// <param name="Id">Who.</param>
/// <param name="Sampled">When it was drawn.</param>
/// <param name="Ends">When it is replaced.</param>
/// <param name="Confirmed">When a path was first built through it; 0: not yet.</param>
/// <param name="UnlistedSince">Since when the network does not know it; 0: it does.</param>
internal sealed record GuardRecord(RouterId Id, long Sampled, long Ends, long Confirmed, long UnlistedSince);

/// <summary>Where guards are kept between runs.</summary>
internal interface IGuardStore
{
    /// <summary>Empty when there are none, or they cannot be read.</summary>
    IReadOnlyList<GuardRecord> Load();

    /// <summary>Returns at once; what cannot be written is told to the operator, not to the caller.</summary>
    void Save(IReadOnlyList<GuardRecord> guards);
}
