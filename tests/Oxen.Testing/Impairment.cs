using Oxen.Router.Core;

namespace Oxen.Testing;

/// <summary>What a bad network does to one direction. The default does nothing.</summary>
internal sealed record Impairment
{
    public static readonly Impairment None = new();

    public TimeSpan Delay { get; init; }

    /// <summary>Each packet waits up to this much more. Order is kept: only <see cref="Reorder"/> changes it.</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>Probability of loss.</summary>
    public double Loss { get; init; }

    /// <summary>Probability that a packet is overtaken: it waits <see cref="ReorderBy"/> longer than its neighbours.</summary>
    public double Reorder { get; init; }

    public TimeSpan ReorderBy { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Probability that a packet arrives twice.</summary>
    public double Duplicate { get; init; }

    /// <summary>The bottleneck's rate; 0 for none.</summary>
    public long BitsPerSecond { get; init; }

    /// <summary>The bottleneck's queue; what does not fit is lost.</summary>
    public int QueueBytes { get; init; } = 256 << 10;
}

/// <summary>When a packet arrives: never, once or twice.</summary>
internal readonly record struct Fate(Instant First, Instant Second, FateCause Cause)
{
    public bool IsLost => First.IsNever;
}

internal enum FateCause
{
    Passed,
    Lost,
    QueueFull,
    Duplicated,
    Reordered,
}

/// <summary>
/// Decides the fates of a direction's packets. Loss, duplication, reorder and jitter of packet n depend on the seed and n
/// alone (each packet draws four numbers, used or not), so a run repeats however its timing varies.
/// </summary>
internal sealed class ImpairmentModel(ulong seed)
{
    private readonly SeededEntropy _entropy = new(seed);
    private Instant _lastDue = Instant.Zero;
    private Instant _busyUntil = Instant.Zero;

    public Fate Next(Impairment network, int bytes, Instant now)
    {
        ArgumentNullException.ThrowIfNull(network);
        double loss = _entropy.NextDouble(), duplicate = _entropy.NextDouble(), reorder = _entropy.NextDouble(), jitter = _entropy.NextDouble();
        if (loss < network.Loss) return new Fate(Instant.Never, Instant.Never, FateCause.Lost);

        Instant leaves = now;
        if (network.BitsPerSecond > 0)
        {
            Instant start = Instant.Later(_busyUntil, now);
            double waiting = (start - now).TotalSeconds * network.BitsPerSecond / 8;
            if (waiting + bytes > network.QueueBytes) return new Fate(Instant.Never, Instant.Never, FateCause.QueueFull);
            leaves = new Instant(start.Nanoseconds + (long)(bytes * 8e9 / network.BitsPerSecond));
            _busyUntil = leaves;
        }

        Instant due = leaves + network.Delay + network.Jitter * jitter;
        if (reorder < network.Reorder) return new Fate(due + network.ReorderBy, Instant.Never, FateCause.Reordered);
        due = Instant.Later(due, _lastDue);
        _lastDue = due;
        return duplicate < network.Duplicate ? new Fate(due, due, FateCause.Duplicated) : new Fate(due, Instant.Never, FateCause.Passed);
    }
}
