using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;

namespace Oxen.Ons.Tests.Nodes;

// Made by oxen-core's own C++ (service_node_swarm.cpp, common/random.*, the quorums' generator), compiled and run; and its tests.
public class UpstreamVectorTests
{
    private static readonly Bytes32 Counting = new([.. Enumerable.Range(0, 32).Select(i => (byte)i)]);

    [Fact]
    public void The_generator_is_mt19937_64()
    {
        var random = new MersenneTwister64(42);
        Assert.Equal([13930160852258120406, 11788048577503494824, 13874630024467741450, 2513787319205155662], new[] { random.Next(), random.Next(), random.Next(), random.Next() });

        // ISO C++: the 10000th number of a generator with the default seed.
        random = new MersenneTwister64(5489);
        for (int i = 1; i < 10000; i++) random.Next();
        Assert.Equal(9981545732273789042UL, random.Next());
    }

    [Fact]
    public void Drawing_and_shuffling_are_upstreams()
    {
        var random = new MersenneTwister64(42);
        Assert.Equal([7UL, 6, 7, 1, 9, 0, 5, 3, 2, 3, 0, 5], Enumerable.Range(0, 12).Select(_ => random.Uniform(10)).ToArray());
        int[] items = [.. Enumerable.Range(0, 20)];
        new MersenneTwister64(42).Shuffle(items.AsSpan());
        Assert.Equal([19, 2, 9, 8, 10, 5, 12, 0, 18, 14, 7, 6, 4, 17, 13, 1, 16, 15, 3, 11], items);
    }

    [Theory]
    [InlineData(0, 5684039678701183362, 9060465443362558873, 9700664735160225102)]
    [InlineData(1, 8018770411282620334, 6976561341289355288, 7758639096590354030)]
    public void A_quorums_generator_is_seeded_with_its_kind_and_the_hash(byte kind, ulong first, ulong second, ulong third)
    {
        MersenneTwister64 random = UpstreamQuorums.Generator((QuorumKind)kind, Counting);
        Assert.Equal([first, second, third], new[] { random.Next(), random.Next(), random.Next() });
    }

    [Fact]
    public void Quorums_are_drawn_in_the_same_order()
    {
        Assert.Equal([1, 4, 14, 12, 10, 26, 11, 17, 18, 13, 7, 9, 23, 2, 15, 0, 21, 19, 28, 27, 3, 25, 22, 16, 20, 8, 6, 29, 5, 24], UpstreamQuorums.Checkpointing(Counting, 30));
        Assert.Equal(
            [27, 23, 15, 7, 1, 8, 5, 25, 9, 4, 21, 33, 29, 17, 24, 13, 12, 3, 19, 14, 26, 34, 28, 0, 6, 22, 30, 11, 2, 10, 18, 31, 32, 16, 20],
            UpstreamQuorums.Obligations(Counting, 30, 35));
    }

    [Theory]
    [InlineData("3506f4a71324b7dd114eddbf4e311f39dde243e1f2cb97c40db1961f70ebaae8", 17589930838143112648)]
    [InlineData("cf27da303a50ac8c4b2d43d27259505c9bcd73fc21cf2a57902c3d050730b604", 10370619079776428163)]
    [InlineData("d3511706b8b34f6e8411bf07bd22ba6b2435ca56846fbccf6eb1e166a6cd15cc", 2144983569669512198)]
    [InlineData("0f06693428fca9102a451e3f28d9cc743d8ea60a89ab6aa69eb119470c11cbd3", 9690840703409570833)]
    [InlineData("ffba630924aa1224bb930dde21c0d11bf004608f2812217f8ac812d6c7e3ad48", 4532060000165252872)]
    [InlineData("eeeeeeeeeeeeeeee777777777777777711111111111111118888888888888888", 0)]
    public void An_account_has_its_place_on_the_ring(string key, ulong position)
        => Assert.Equal(position, SwarmLookup.Position(Convert.FromHexString(key)));

    [Fact]
    public void An_account_belongs_to_the_nearest_swarm()
    {
        ulong[] ids = [100, 200, 300, 399, 498, 596, 694];
        (ulong Position, ulong Swarm)[] cases =
        [
            (0x64, 100), (0xc8, 200), (0x1f2, 498), (0, 100), (1, 100), (0x8000000000000000, 694), (0xa000000000000000, 100), (ulong.MaxValue, 100), (ulong.MaxValue - 1, 100),
            (0x95, 100), (0x96, 100), (0x97, 200), (0xf9, 200), (0xfa, 200), (0xfb, 300), (0x15d, 300), (0x15e, 399), (0x1c0, 399), (0x1c1, 498), (0x222, 498), (0x223, 498), (0x224, 596), (0x285, 596), (0x286, 694),
            (0x800000000000018c, 694), (0x800000000000018d, 694), (0x800000000000018e, 100),
        ];
        foreach ((ulong position, ulong swarm) in cases) Assert.Equal(swarm, SwarmLookup.Nearest(ids, position));
        ulong high = ulong.MaxValue - 19;
        foreach ((ulong position, ulong swarm) in new[] { (0x27UL, high), (0x28UL, high), (0x29UL, 100UL) }) Assert.Equal(swarm, SwarmLookup.Nearest([.. ids, high], position));
        foreach (ulong position in new[] { ulong.MaxValue, ulong.MaxValue - 1 }) Assert.Equal(0UL, SwarmLookup.Nearest([0, .. ids], position));
        Assert.Null(SwarmLookup.Nearest([], 5));
        Assert.Equal(7UL, SwarmLookup.Nearest([7], 5));
    }

    [Fact]
    public void A_new_swarm_takes_the_middle_of_the_widest_gap()
    {
        const ulong Max = ulong.MaxValue - 1;
        Assert.Equal(0UL, SwarmAssignment.NewId([]));
        Assert.Equal(Max / 2, SwarmAssignment.NewId([0]));
        Assert.Equal(Max / 2 + Max / 4 + 1, SwarmAssignment.NewId([0, Max / 2]));
        Assert.Equal(Max / 4, SwarmAssignment.NewId([0, Max / 2, Max / 2 + Max / 4 + 1]));
        Assert.Equal(Max, SwarmAssignment.NewId([Max / 2]));
        Assert.Equal(12345678901234567890 - Max / 2 - 1, SwarmAssignment.NewId([12345678901234567890]));
    }

    [Fact]
    public void Ten_thousand_additions_and_removals_of_swarms_give_the_published_ids()
    {
        var random = new MersenneTwister64(12345);
        List<ulong> ids = [];
        for (int i = 0; i < 10_000; i++)
        {
            ulong n = random.Next();
            if (n < 1UL << 62)
            {
                if (ids.Count > 0) ids.RemoveAt((int)(n % (ulong)ids.Count));
                continue;
            }

            ulong id = SwarmAssignment.NewId(ids);
            ids.Insert(~ids.BinarySearch(id), id);
        }

        Assert.Equal(5048, ids.Count);
        (int Index, ulong Id)[] published = [(0, 1548112371908607), (1, 4398046511103999), (2, 7247980650299391), (99, 283691592152252415), (404, 1203745330089164798), (2000, 6581905302285713406), (5047, 18445442251942264830)];
        foreach ((int index, ulong id) in published) Assert.Equal(id, ids[index]);
    }

    [Fact]
    public void A_small_network_evolves_as_upstream()
    {
        SortedDictionary<ulong, List<int>> swarms = new() { [SwarmAssignment.Unassigned] = [.. Enumerable.Range(0, 40)] };
        SwarmAssignment.Change(swarms, 0x0706050403020100, SwarmOrder.LibStdCxx);
        Assert.Equal(
            """
            0: 5 9 14 21 28 29 34 38
            4611686018427387903: 13 22 26 16 11 30 32 37
            6917529027641081855: 8 3 25 20 6 7 12
            9223372036854775807: 10 0 1 4 15 31 35 36
            13835058055282163711: 2 17 19 18 23 24 27 33 39
            """, Text(swarms));
        Cut(swarms, (i, _) => i == 0 ? 3 : int.MaxValue);
        SwarmAssignment.Change(swarms, 12345, SwarmOrder.LibStdCxx);
        Assert.Equal(
            """
            0: 5 9 14 10 32
            4611686018427387903: 13 22 26 16 11 30 37
            6917529027641081855: 8 3 25 20 6 7 12
            9223372036854775807: 0 1 4 15 31 35 36
            13835058055282163711: 2 17 19 18 23 24 27 33 39
            """, Text(swarms));
        swarms[SwarmAssignment.Unassigned] = [.. Enumerable.Range(40, 20)];
        SwarmAssignment.Change(swarms, 777, SwarmOrder.LibStdCxx);
        Assert.Equal(
            """
            0: 5 9 10 40 44 50 54 58
            4611686018427387903: 13 22 26 16 11 30 37 47 53
            6917529027641081855: 8 6 7 12 41 56 59
            9223372036854775807: 0 1 4 15 36 42 48 55
            11529215046068469759: 27 31 23 14 45 46 49 52
            13835058055282163711: 2 17 19 18 24 33 39
            16140901064495857663: 25 35 3 20 51 43 32 57
            """, Text(swarms));
        Cut(swarms, (i, _) => i == 0 ? 4 : 5);
        SwarmAssignment.Change(swarms, 99, SwarmOrder.LibStdCxx);
        Assert.Equal(
            """
            4611686018427387903: 13 22 26 16 11 40
            6917529027641081855: 8 6 7 12 41
            9223372036854775807: 0 1 4 15 36 5
            11529215046068469759: 27 31 23 14 45 10
            13835058055282163711: 2 17 19 18 24
            16140901064495857663: 25 35 3 20 51 9
            """, Text(swarms));
    }

    [Fact]
    public void Six_hundred_nodes_show_the_unstable_sort()
    {
        Evolve(SwarmOrder.LibStdCxx, 0xbd699e4c83ee48c3, 0x27de7daa7804fa0a);
        Evolve(SwarmOrder.Stable, 0x38b0abd9cf008793, 0x6fbf3115ff45d6d0);
    }

    private static void Evolve(SwarmOrder order, ulong start, ulong afterFirst)
    {
        SortedDictionary<ulong, List<int>> swarms = new() { [SwarmAssignment.Unassigned] = [.. Enumerable.Range(0, 600)] };
        SwarmAssignment.Change(swarms, 1, order);
        Assert.Equal((85, 600, start), (swarms.Count, swarms.Values.Sum(s => s.Count), Digest(swarms)));
        foreach (ulong id in swarms.Keys.ToArray()) swarms[id] = [.. swarms[id].Where(i => 7 * i % 23 != 0).Order()];
        SwarmAssignment.Change(swarms, 1000, order);
        Assert.Equal((85, 573, afterFirst), (swarms.Count, swarms.Values.Sum(s => s.Count), Digest(swarms)));
    }

    private static ulong Digest(SortedDictionary<ulong, List<int>> swarms)
    {
        ulong hash = 1469598103934665603;
        void Add(int value) => hash = unchecked((hash ^ (byte)value) * 1099511628211);
        foreach ((ulong id, List<int> members) in swarms)
        {
            for (int i = 0; i < 8; i++) Add((int)(id >> (8 * i) & 255));
            Add(members.Count);
            foreach (int member in members)
            {
                Add(member >> 8);
                Add(member & 255);
            }
        }

        return hash;
    }

    private static void Cut(SortedDictionary<ulong, List<int>> swarms, Func<int, List<int>, int> most)
    {
        int i = 0;
        foreach (List<int> members in swarms.Values)
        {
            int keep = most(i++, members);
            if (members.Count > keep) members.RemoveRange(keep, members.Count - keep);
        }
    }

    private static string Text(SortedDictionary<ulong, List<int>> swarms) => string.Join('\n', swarms.Select(s => $"{s.Key}: {string.Join(' ', s.Value)}"));
}
