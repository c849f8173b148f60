using System.Net;

namespace Oxen.Swarm.Doors;

/// <summary>How the HTTPS door listens.</summary>
internal sealed record DoorOptions
{
    public required IPEndPoint Listen { get; init; }

    /// <summary>Answer `POST /json_rpc` as a seed node does.</summary>
    public bool Seed { get; init; }

    /// <summary>Origins for browsers; none: no CORS headers. `*` is every origin.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Requests of one address each second; twice as many at once.</summary>
    public double RatePerSecond { get; init; } = 300;

    public double RateBurst => 2 * RatePerSecond;
}
