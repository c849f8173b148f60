namespace Oxen.Swarm.Tests;

public class SwarmRingTests
{
    private static readonly ulong[] Seven = [100, 200, 300, 399, 498, 596, 694];
    private static readonly ulong[] Eight = [.. Seven, ulong.MaxValue - 19];
    private static readonly ulong[] Nine = [0, .. Eight];

    // session-storage-server, unit_test/swarm.cpp
    [Theory]
    [InlineData(0x64, 100)]
    [InlineData(0xc8, 200)]
    [InlineData(0x1f2, 498)]
    [InlineData(0, 100)]
    [InlineData(1, 100)]
    [InlineData(0x8000000000000000, 694)]
    [InlineData(0xa000000000000000, 100)]
    [InlineData(0xffffffffffffffff, 100)]
    [InlineData(0xfffffffffffffffe, 100)]
    [InlineData(0x95, 100)]
    [InlineData(0x96, 100)]
    [InlineData(0x97, 200)]
    [InlineData(0xf9, 200)]
    [InlineData(0xfa, 200)]
    [InlineData(0xfb, 300)]
    [InlineData(0x15d, 300)]
    [InlineData(0x15e, 399)]
    [InlineData(0x1c0, 399)]
    [InlineData(0x1c1, 498)]
    [InlineData(0x222, 498)]
    [InlineData(0x223, 498)]
    [InlineData(0x224, 596)]
    [InlineData(0x285, 596)]
    [InlineData(0x286, 694)]
    [InlineData(0x800000000000018c, 694)]
    [InlineData(0x800000000000018d, 694)]
    [InlineData(0x800000000000018e, 100)]
    public void An_account_belongs_to_the_nearest_swarm_and_in_the_middle_to_the_left_one(ulong position, ulong swarm)
        => Assert.Equal(swarm, Find(Seven, position));

    [Theory]
    [InlineData(0x27, ulong.MaxValue - 19)]
    [InlineData(0x28, ulong.MaxValue - 19)]
    [InlineData(0x29, 100)]
    public void The_nearest_swarm_may_lie_beyond_zero(ulong position, ulong swarm) => Assert.Equal(swarm, Find(Eight, position));

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(ulong.MaxValue - 1)]
    public void Swarm_zero_is_near_to_the_greatest_positions(ulong position) => Assert.Equal(0ul, Find(Nine, position));

    [Fact]
    public void Without_swarms_there_is_no_answer_and_a_single_swarm_is_always_it()
    {
        Assert.False(new SwarmRing([]).TryFind(5ul, out ulong none));
        Assert.Equal(SwarmRing.Unassigned, none);
        foreach (ulong position in new ulong[] { 0, 41, 42, 43, 1ul << 63, ulong.MaxValue }) Assert.Equal(42ul, Find([42], position));
    }

    [Fact]
    public void The_mark_of_nodes_without_a_swarm_is_no_swarm_and_order_and_repeats_do_not_matter()
    {
        var ring = new SwarmRing([300, SwarmRing.Unassigned, 100, 300, SwarmRing.MaxId]);
        Assert.Equal([100ul, 300ul, SwarmRing.MaxId], ring.Ids.ToArray());
        Assert.False(new SwarmRing([SwarmRing.Unassigned]).TryFind(0ul, out _));
        Assert.Equal(SwarmRing.MaxId, Find([300, 100, SwarmRing.MaxId], SwarmRing.Unassigned));
    }

    [Fact]
    public void The_search_agrees_with_measuring_every_swarm()
    {
        var random = new Random(20261122);
        for (int round = 0; round < 2000; round++)
        {
            // Small numbers around zero, so that ties and wraps are common.
            ulong[] ids = [.. Enumerable.Range(0, random.Next(1, 9)).Select(_ => unchecked((ulong)random.Next(-30, 31))).Where(id => id != SwarmRing.Unassigned)];
            if (ids.Length == 0) continue;
            ulong position = unchecked((ulong)random.Next(-40, 41));
            ulong nearest = ids.Min(id => Math.Min(unchecked(id - position), unchecked(position - id)));
            ulong left = unchecked(position - nearest);
            Assert.Equal(ids.Contains(left) ? left : unchecked(position + nearest), Find(ids, position));
        }
    }

    [Fact]
    public void Ids_are_written_in_hexadecimal_without_leading_zeros()
    {
        Assert.Equal("0", SwarmRing.ToHex(0));
        Assert.Equal("4d2", SwarmRing.ToHex(1234));
        Assert.Equal("ffffffffffffffff", SwarmRing.ToHex(SwarmRing.Unassigned));
    }

    private static ulong Find(ulong[] ids, ulong position)
    {
        // The account whose position this is: 24 zero bytes, then the number.
        Assert.True(AccountId.TryParse("05" + new string('0', 48) + position.ToString("x16"), false, out AccountId account));
        Assert.True(new SwarmRing(ids).TryFind(account, out ulong swarm));
        return swarm;
    }
}
