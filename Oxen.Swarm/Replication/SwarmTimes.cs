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

    /// <summary>While a peer has a request, the next one leaves this much later at the soonest, with all that came meanwhile.</summary>
    public TimeSpan Gather { get; init; } = TimeSpan.FromMilliseconds(4);
}
