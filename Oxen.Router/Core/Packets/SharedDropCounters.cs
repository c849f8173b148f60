namespace Oxen.Router.Core.Packets;

/// <summary>
/// Counts drops by reason from many threads: for the doors and the exit's sockets, whose work runs on the thread pool.
/// The data plane has <see cref="DropCounters"/>, one per shard and without a lock prefix.
/// </summary>
internal sealed class SharedDropCounters
{
    private readonly long[] _counts = new long[DropCounters.ReasonCount];

    public void Count(DropReason reason) => Interlocked.Increment(ref _counts[(int)reason]);

    public long this[DropReason reason] => Volatile.Read(ref _counts[(int)reason]);

    /// <summary>Adds the non-zero counts to `sum`, by the counter's name.</summary>
    public void AddTo(IDictionary<string, long> sum)
    {
        ArgumentNullException.ThrowIfNull(sum);
        for (int i = 1; i < _counts.Length; i++)
        {
            long count = this[(DropReason)i];
            if (count == 0) continue;
            string name = DropCounters.NameOf((DropReason)i);
            sum.TryGetValue(name, out long before);
            sum[name] = before + count;
        }
    }
}
