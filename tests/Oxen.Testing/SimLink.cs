namespace Oxen.Testing;

/// <summary>What a way through the simulated network does to datagrams.</summary>
internal sealed record SimLink
{
    public static readonly SimLink Perfect = new();

    public TimeSpan Delay { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>Added to the delay, uniform in [0, Jitter): reorders by itself once it exceeds the gap between datagrams.</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>Probability of being lost.</summary>
    public double Loss { get; init; }

    /// <summary>Probability of coming late by <see cref="ReorderDelay"/>.</summary>
    public double Reorder { get; init; }

    public TimeSpan ReorderDelay { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Probability of coming twice.</summary>
    public double Duplicate { get; init; }

    /// <summary>0: no limit.</summary>
    public long BitsPerSecond { get; init; }

    /// <summary>Bytes that wait before a rate limit; more are dropped at the tail.</summary>
    public long QueueBytes { get; init; } = 128 * 1024;

    public int MaxDatagramBytes { get; init; } = 65_507;

    public bool Cut { get; init; }
}
