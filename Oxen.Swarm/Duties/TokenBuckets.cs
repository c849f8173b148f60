using System.Collections.Concurrent;

namespace Oxen.Swarm.Duties;

/// <summary>
/// A token bucket for each requester: `burst` at once, `perSecond` refilled. At most `maxTracked` are known; beyond that
/// strangers are limited until a bucket is full again and can be forgotten. Any thread.
/// </summary>
internal sealed class TokenBuckets<TKey>(double burst, double perSecond, int maxTracked, TimeProvider time)
    where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, Bucket> _buckets = new();
    private long _lastSweep = time.GetTimestamp();

    private sealed class Bucket(double tokens, long at)
    {
        public double Tokens { get; set; } = tokens;

        public long At { get; set; } = at;
    }

    public int Tracked => _buckets.Count;

    /// <summary>Takes one token; false if there is none.</summary>
    public bool Take(TKey key)
    {
        long now = time.GetTimestamp();
        if (!_buckets.TryGetValue(key, out Bucket? bucket))
        {
            if (_buckets.Count >= maxTracked)
            {
                Sweep(now);
                if (_buckets.Count >= maxTracked) return false;
            }

            bucket = _buckets.GetOrAdd(key, new Bucket(burst, now));
        }

        lock (bucket)
        {
            bucket.Tokens = Math.Min(burst, bucket.Tokens + (time.GetElapsedTime(bucket.At, now).TotalSeconds * perSecond));
            bucket.At = now;
            if (bucket.Tokens < 1) return false;
            bucket.Tokens--;
            return true;
        }
    }

    // Full buckets say nothing about their owner.
    private void Sweep(long now)
    {
        if (time.GetElapsedTime(Interlocked.Read(ref _lastSweep), now) < TimeSpan.FromMilliseconds(1)) return;
        Interlocked.Exchange(ref _lastSweep, now);
        foreach ((TKey key, Bucket bucket) in _buckets)
        {
            lock (bucket)
            {
                if (bucket.Tokens + (time.GetElapsedTime(bucket.At, now).TotalSeconds * perSecond) >= burst) _buckets.TryRemove(new KeyValuePair<TKey, Bucket>(key, bucket));
            }
        }
    }
}
