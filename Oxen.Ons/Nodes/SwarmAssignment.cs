using Oxen.Ons.Ledger;

namespace Oxen.Ons.Nodes;

/// <summary>How swarms of one size are ordered.</summary>
internal enum SwarmOrder
{
    /// <summary>By id: for networks of our own.</summary>
    Stable,

    /// <summary>As the sort of libstdc++ leaves them, which real oxends (unknowingly) agree on.</summary>
    LibStdCxx,
}

// Who is in which swarm. The rules are those of oxen-core's service_node_swarm.cpp:
//
//   1 assign   each node without a swarm to one of the smaller ones, by lot     2 take from the rich for the poor
//   3 create   new swarms out of what is above 5 everywhere                      4 dissolve what is still below 5
internal static class SwarmAssignment
{
    public const ulong Unassigned = ulong.MaxValue;
    private const ulong MaxId = ulong.MaxValue - 1;
    private const int Least = 5, NewSize = 7, Margin = 2;
    private const int FillPercentile = 25, StealPercentile = 75, RedistributionPercentile = 0;

    /// <summary>Active nodes in the order of their keys with their swarms so far; gives each its swarm.</summary>
    public static IEnumerable<(Bytes32 Node, ulong Swarm)> Assign(IReadOnlyList<(Bytes32 Node, ulong Swarm)> active, ulong seed, SwarmOrder order)
    {
        var swarms = new SortedDictionary<ulong, List<Bytes32>>();
        foreach ((Bytes32 node, ulong swarm) in active)
        {
            if (!swarms.TryGetValue(swarm, out List<Bytes32>? members)) swarms[swarm] = members = [];
            members.Add(node);
        }

        Change(swarms, seed, order);
        return swarms.SelectMany(s => s.Value.Select(n => (n, s.Key)));
    }

    /// <summary>One step of the swarms of a network; nodes without a swarm stand under <see cref="Unassigned"/>.</summary>
    public static void Change<T>(SortedDictionary<ulong, List<T>> swarms, ulong seed, SwarmOrder order)
        where T : notnull
    {
        if (swarms.Count == 0) return;
        var random = new MersenneTwister64(seed);
        swarms.Remove(Unassigned, out List<T>? unassigned);
        if (swarms.Count == 0) swarms.Add(NewId([]), []);
        Place(swarms, unassigned ?? [], FillPercentile, random, order);
        Rob(swarms, random, order);
        Create(swarms, random);
        if (swarms.Count < 2) return;
        while (swarms.FirstOrDefault(s => s.Value.Count < Least) is { Value: not null } starving)
        {
            swarms.Remove(starving.Key);
            Place(swarms, starving.Value, RedistributionPercentile, random, order);
        }
    }

    /// <summary>An id in the middle of the widest gap of the ring. Ids ascending.</summary>
    public static ulong NewId(IReadOnlyList<ulong> ids)
    {
        if (ids.Count == 0) return 0;
        ulong widest = 0, left = 0;
        for (int i = 1; i < ids.Count; i++)
        {
            if (ids[i] - ids[i - 1] <= widest) continue;
            widest = ids[i] - ids[i - 1];
            left = ids[i - 1];
        }

        ulong wrap = MaxId - ids[^1] + ids[0] + 1;
        if (wrap > widest)
        {
            widest = wrap;
            left = ids[^1];
        }

        ulong half = widest / 2, room = MaxId - left;
        return half > room ? half - room - 1 : left + half;
    }

    private static void Place<T>(SortedDictionary<ulong, List<T>> swarms, List<T> nodes, int percentile, MersenneTwister64 random, SwarmOrder order)
    {
        foreach (T node in nodes)
        {
            (ulong Id, int Size)[] sizes = Sizes(swarms, order);
            int last = percentile * (sizes.Length - 1) / 100;
            while (last + 1 < sizes.Length && sizes[last + 1].Size == sizes[last].Size) last++;
            swarms[sizes[(int)random.Uniform((ulong)last + 1)].Id].Add(node);
            Create(swarms, random);
        }
    }

    private static void Rob<T>(SortedDictionary<ulong, List<T>> swarms, MersenneTwister64 random, SwarmOrder order)
    {
        (ulong Id, int Size)[] sizes = Sizes(swarms, order);
        ulong upper = (ulong)sizes[StealPercentile * (sizes.Length - 1) / 100].Size;
        ulong threshold = Math.Max(Least, unchecked(upper - 1)); // 0 minus 1 is huge, there as here
        foreach ((ulong poor, int size) in sizes)
        {
            if (size >= Least) break;
            while (swarms[poor].Count < Least)
            {
                List<(ulong Swarm, T Node)> pool = Pool(swarms, threshold);
                long excess = swarms.Where(s => (ulong)s.Value.Count > threshold).Sum(s => (long)s.Value.Count - Least);
                if (excess < Least - swarms[poor].Count) return;
                (ulong from, T node) = pool[(int)random.Uniform((ulong)pool.Count)];
                swarms[from].Remove(node);
                swarms[poor].Add(node);
            }
        }
    }

    private static void Create<T>(SortedDictionary<ulong, List<T>> swarms, MersenneTwister64 random)
    {
        if (swarms.Values.Any(s => s.Count < Least)) return;
        while (swarms.Values.Sum(s => Math.Max(0, s.Count - Least)) >= NewSize + Margin * swarms.Count)
        {
            var made = new List<T>(NewSize);
            while (made.Count < NewSize)
            {
                List<(ulong Swarm, T Node)> pool = Pool(swarms, Least);
                (ulong from, T node) = pool[(int)random.Uniform((ulong)pool.Count)];
                swarms[from].Remove(node);
                made.Add(node);
            }

            swarms.Add(NewId([.. swarms.Keys]), made);
        }
    }

    private static List<(ulong Swarm, T Node)> Pool<T>(SortedDictionary<ulong, List<T>> swarms, ulong above)
        => [.. swarms.Where(s => (ulong)s.Value.Count > above).SelectMany(s => s.Value.Select(n => (s.Key, n)))];

    private static (ulong Id, int Size)[] Sizes<T>(SortedDictionary<ulong, List<T>> swarms, SwarmOrder order)
    {
        (ulong Id, int Size)[] sizes = [.. swarms.Select(s => (s.Key, s.Value.Count))];
        if (order == SwarmOrder.Stable) return [.. sizes.OrderBy(s => s.Size)]; // keeps the order of ids
        LibStdCxxSort.Sort(sizes);
        return sizes;
    }
}
