namespace Oxen.Swarm.Replication;

/// <summary>How long a node waits for others.</summary>
internal sealed record SwarmTimes
{
    /// <summary>How long a quorum waits for members that usually answer, so that replies show them.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromMilliseconds(QuorumCall.Grace);

    /// <summary>How long a client waits for a quorum.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMilliseconds(QuorumCall.Patience);

    /// <summary>A peer that takes longer counts as silent.</summary>
    public TimeSpan Answer { get; init; } = TimeSpan.FromSeconds(2);
}
