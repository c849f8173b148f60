using Oxen.Router.Core.Carrier;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Carrier;

public sealed class ReplayWindowTests
{
    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 200)]
    [InlineData(3, 9000)]
    [InlineData(4, 20000)]
    public void The_window_agrees_with_a_set_of_all_numbers(ulong seed, int spread)
    {
        var entropy = new SeededEntropy(seed);
        ulong[] window = new ulong[ReplayWindow.Words];
        var seen = new HashSet<ulong>();
        ulong newest = 0;
        bool any = false;
        for (int i = 0; i < 30_000; i++)
        {
            long jump = entropy.Next(spread) - spread / 2 + 1;
            if (entropy.Next(500) == 0) jump = entropy.Next(3) * 8192 + entropy.Next(3) - 1;
            ulong number = (ulong)Math.Max(0, (long)newest + jump);
            bool old = any && number <= newest && newest - number >= ReplayWindow.Bits;
            bool expected = !old && !seen.Contains(number);
            Assert.Equal(expected, ReplayWindow.IsNew(window, number));
            if (!expected || entropy.Next(10) == 0) continue;
            ReplayWindow.Mark(window, number);
            seen.Add(number);
            newest = any ? Math.Max(newest, number) : number;
            any = true;
        }
    }

    [Fact]
    public void The_oldest_number_of_the_window_is_taken_and_the_one_before_it_is_not()
    {
        ulong[] window = new ulong[ReplayWindow.Words];
        ReplayWindow.Mark(window, 100_000);
        Assert.True(ReplayWindow.IsNew(window, 100_000 - 8191));
        Assert.False(ReplayWindow.IsNew(window, 100_000 - 8192));
        ReplayWindow.Mark(window, 100_000 - 8191);
        Assert.False(ReplayWindow.IsNew(window, 100_000 - 8191));
        Assert.Equal(2, ReplayWindow.CountSeen(window));

        // One step on: the oldest falls out, its bit is the newcomer's.
        ReplayWindow.Mark(window, 100_001);
        Assert.Equal(2, ReplayWindow.CountSeen(window));
        Assert.False(ReplayWindow.IsNew(window, 100_000 - 8191));
    }

    [Fact]
    public void The_last_number_of_all_is_refused_so_that_the_end_never_wraps()
    {
        ulong[] window = new ulong[ReplayWindow.Words];
        Assert.False(ReplayWindow.IsNew(window, ulong.MaxValue));
        Assert.True(ReplayWindow.IsNew(window, ulong.MaxValue - 1));
        ReplayWindow.Mark(window, ulong.MaxValue - 1);
        Assert.False(ReplayWindow.IsNew(window, ulong.MaxValue - 1));
        Assert.True(ReplayWindow.IsNew(window, ulong.MaxValue - 2));
    }
}
