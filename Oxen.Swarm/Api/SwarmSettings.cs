namespace Oxen.Swarm.Api;

/// <summary>What a node says of itself and its network.</summary>
internal sealed record SwarmSettings
{
    /// <summary>Version in replies; clients look for at least 2.8.</summary>
    public IReadOnlyList<long> Version { get; init; } = [2, 12, 0];

    /// <summary>Hard fork and its revision in replies; clients look for at least 19.3.</summary>
    public IReadOnlyList<long> HardFork { get; init; } = [19, 7];

    public string VersionText => string.Join('.', Version);
}
