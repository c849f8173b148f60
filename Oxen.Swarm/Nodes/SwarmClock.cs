using System.Collections.Concurrent;

namespace Oxen.Swarm.Nodes;

// Time as the swarm sees it: this machine's clock, corrected by the median of what the swarm's nodes show, ourselves included.
// So a wrong clock here does not refuse honest requests or end messages early, and a liar needs half the swarm to move us. Nodes
// tell each other their own uncorrected time: corrections do not feed on corrections.

/// <summary>Milliseconds since 1970 on the swarm's clock. Any thread.</summary>
internal sealed class SwarmClock(TimeProvider time)
{
    /// <summary>Smaller corrections are noise of the network.</summary>
    private const long LeastCorrection = 2_000;

    private readonly ConcurrentDictionary<string, long> _offsets = new();
    private long _correction;

    public TimeProvider Provider => time;

    /// <summary>This machine's own clock.</summary>
    public long Local => time.GetUtcNow().ToUnixTimeMilliseconds();

    public long Now => Local + Interlocked.Read(ref _correction);

    public long Correction => Interlocked.Read(ref _correction);

    /// <summary>A peer showed its own time, read about the middle between `sent` and `received` of ours.</summary>
    public void Observe(string peer, long theirs, long sent, long received)
    {
        _offsets[peer] = theirs - (sent + ((received - sent) / 2));
        Correct();
    }

    /// <summary>Only these count from now on.</summary>
    public void Keep(IReadOnlyCollection<string> peers)
    {
        foreach (string known in _offsets.Keys)
        {
            if (!peers.Contains(known)) _offsets.TryRemove(known, out _);
        }

        Correct();
    }

    private void Correct()
    {
        long[] all = [0, .. _offsets.Values];
        Array.Sort(all);
        // Of an even number the middle one that is nearer to our own clock.
        long low = all[(all.Length - 1) / 2], high = all[all.Length / 2];
        long median = Math.Abs(low) < Math.Abs(high) ? low : high;
        Interlocked.Exchange(ref _correction, Math.Abs(median) < LeastCorrection ? 0 : median);
    }
}

// Stamps order the operations of a swarm: milliseconds 48 | counter 8 | salt of the node 8. Never twice the same from one node,
// never behind any stamp that the node has seen.

/// <summary>A hybrid logical clock. Any thread.</summary>
internal sealed class StampClock(SwarmClock clock, byte salt)
{
    /// <summary>A stamp further ahead than this is no clock but an attack.</summary>
    private static readonly long MaxAhead = (long)TimeSpan.FromDays(1).TotalMilliseconds;

    private long _last;

    public long Last => Interlocked.Read(ref _last);

    public long Next()
    {
        long floor = clock.Now << 8;
        while (true)
        {
            long last = Interlocked.Read(ref _last);
            long next = (Math.Max((last >> 8) + 1, floor) << 8) | salt;
            if (Interlocked.CompareExchange(ref _last, next, last) == last) return next;
        }
    }

    /// <summary>Goes on from a stamp that was seen. False: it is too far ahead to be believed.</summary>
    public bool Observe(long stamp)
    {
        if (!IsCredible(stamp)) return false;
        long last;
        do
        {
            last = Interlocked.Read(ref _last);
        }
        while (stamp > last && Interlocked.CompareExchange(ref _last, stamp, last) != last);
        return true;
    }

    public bool IsCredible(long stamp) => stamp >= 0 && stamp >> 16 <= clock.Now + MaxAhead;
}
