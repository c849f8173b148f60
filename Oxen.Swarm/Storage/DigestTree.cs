namespace Oxen.Swarm.Storage;

// Fingerprints of what a node holds for its swarm, so that two nodes find out in a few hundred bytes where they differ.
//
//   root   1   sum of all                    groups  64  of 64 buckets each
//   buckets 4096  by the first 12 bits of the key, each a sum (modulo 2^64) of the fingerprints of its records
//
// Sums change with every record that comes or goes: nothing is recomputed.

/// <summary>Sums of fingerprints. Any thread.</summary>
internal sealed class DigestTree
{
    public const int Buckets = 4096;
    public const int Groups = 64;
    public const int GroupSize = Buckets / Groups;

    private readonly ulong[] _sums = new ulong[Buckets];
    private readonly Lock _lock = new();

    public ulong Root
    {
        get
        {
            lock (_lock) return Total(_sums);
        }
    }

    public void Apply(IEnumerable<DigestDelta> deltas)
    {
        lock (_lock)
        {
            foreach (DigestDelta delta in deltas) unchecked { _sums[delta.Bucket] += delta.Sum; }
        }
    }

    public void Reset(ulong[] sums)
    {
        lock (_lock) sums.CopyTo(_sums, 0);
    }

    public ulong[] GroupSums()
    {
        ulong[] groups = new ulong[Groups];
        lock (_lock)
        {
            for (int g = 0; g < Groups; g++) groups[g] = Total(_sums.AsSpan(g * GroupSize, GroupSize));
        }

        return groups;
    }

    public ulong[] BucketSums(int group)
    {
        lock (_lock) return _sums.AsSpan(group * GroupSize, GroupSize).ToArray();
    }

    private static ulong Total(ReadOnlySpan<ulong> sums)
    {
        ulong total = 0;
        foreach (ulong sum in sums) unchecked { total += sum; }
        return total;
    }
}

/// <summary>What one change adds to a bucket.</summary>
internal readonly record struct DigestDelta(int Bucket, ulong Sum)
{
    public static DigestDelta Added(RecordEntry entry) => new(entry.Key.Bucket, entry.Fingerprint());

    public static DigestDelta Removed(RecordEntry entry) => new(entry.Key.Bucket, unchecked(0 - entry.Fingerprint()));
}
