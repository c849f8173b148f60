using Oxen.Router.Core;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

/// <summary>The tables of paths, one by one: handles, keys by epoch, numbers, the replay filter.</summary>
public sealed class PathTableTests
{
    private readonly SeededEntropy _entropy = new(5);

    [Fact]
    public void Handles_are_drawn_from_all_free_slots_and_reuse_moves_the_generation_on()
    {
        var allocator = new HandleAllocator(1, 3, 64, _entropy);
        var taken = new HashSet<uint>();
        var handles = new List<PathHandle>();
        int neighbours = 0;
        while (allocator.TryTake(out PathHandle handle))
        {
            Assert.Equal(1, handle.ShardOf(3));
            Assert.True(handle.Slot / 3 < 64);
            Assert.NotEqual(0u, handle.Generation);
            Assert.True(taken.Add(handle.Slot));
            if (handles.Count > 0 && handle.Slot == handles[^1].Slot + 3) neighbours++;
            handles.Add(handle);
        }

        Assert.Equal(64, handles.Count);
        Assert.InRange(neighbours, 0, 8);
        allocator.Release(handles[10]);
        Assert.True(allocator.TryTake(out PathHandle again));
        Assert.Equal(handles[10].Slot, again.Slot);
        Assert.Equal(handles[10].Generation + 1, again.Generation);
        Assert.Throws<ArgumentException>(() => allocator.Release(handles[10]));
    }

    [Fact]
    public void Path_numbers_say_when_they_are_used_again()
    {
        var allocator = new PathNumberAllocator(2);
        Assert.True(allocator.TryTake(out PathNumber a));
        Assert.True(allocator.TryTake(out PathNumber b));
        Assert.False(allocator.TryTake(out _));
        Assert.NotEqual(a.Row, b.Row);
        allocator.Release(a);
        Assert.True(allocator.TryTake(out PathNumber c));
        Assert.Equal(a.Row, c.Row);
        Assert.NotEqual(a.Generation, c.Generation);
        Assert.Throws<ArgumentException>(() => allocator.Release(a));
    }

    [Fact]
    public void Keys_follow_the_chain_both_epochs_stand_and_older_ones_are_wiped()
    {
        using var slab = new HopKeySlab(3);
        byte[] up = new byte[32], down = new byte[32];
        _entropy.FillSecret(up);
        _entropy.FillSecret(down);
        slab.Put(1, up, down, 1000);

        byte[] Expected(byte[] first, uint epoch)
        {
            byte[] chain = [.. first], next = new byte[32], raw = new byte[LayerKeys.RawBytes], expanded = new byte[LayerKeys.ExpandedBytes];
            for (uint e = 1000; e < epoch; e++)
            {
                EpochChain.Next(chain, next);
                next.CopyTo(chain, 0);
            }

            EpochChain.LayerKeys(chain, raw);
            LayerKeys.Expand(raw, expanded);
            return expanded;
        }

        Assert.True(slab.Keys(1, PathDirection.Upstream, 999).IsEmpty);
        Assert.True(slab.Keys(1, PathDirection.Upstream, 1003).SequenceEqual(Expected(up, 1003)));
        Assert.True(slab.Keys(1, PathDirection.Downstream, 1003).SequenceEqual(Expected(down, 1003)));
        Assert.True(slab.Keys(1, PathDirection.Downstream, 1002).SequenceEqual(Expected(down, 1002)));
        Assert.True(slab.Keys(1, PathDirection.Downstream, 1001).IsEmpty);
        slab.WipeOlder(1, 1003);
        Assert.False(slab.Has(1, 1002));
        Assert.True(slab.Keys(1, PathDirection.Upstream, 1002).IsEmpty);
        Assert.True(slab.Keys(1, PathDirection.Upstream, 1004).SequenceEqual(Expected(up, 1004)));
        Assert.True(slab.Keys(1, PathDirection.Upstream, 1003).SequenceEqual(Expected(up, 1003)));
        Assert.True(slab.Keys(1, PathDirection.Upstream, 1004 + 100_000).IsEmpty); // no catching up for ever
        slab.Wipe(1);
        Assert.True(slab.IsWiped(1));
        Assert.True(slab.Keys(1, PathDirection.Upstream, 1004).IsEmpty);
        Assert.True(slab.Keys(2, PathDirection.Upstream, 1004).IsEmpty);
    }

    [Theory]
    [InlineData(0, 1, 0, 1)]      // (seconds into the epoch) previous, current, next accepted
    [InlineData(4.999, 1, 0, 1)]
    [InlineData(5, 0, 0, 1)]
    [InlineData(56.999, 0, 0, 1)]
    [InlineData(57, 0, 1, 1)]
    [InlineData(59.999, 0, 1, 1)]
    public void The_neighbours_of_an_epoch_are_accepted_in_its_first_5_and_last_3_seconds(double into, int previous, int next, int current)
    {
        var clock = new NetworkClock(1_800_000_000L * 1_000_000_000);
        uint epoch = 30_000_000;
        var epochs = new PathEpochs(clock, new Instant((long)(into * 1e9)));
        Assert.Equal(epoch, epochs.Current);
        Assert.Equal(previous * (epoch - 1), epochs.Resolve((epoch - 1) & 3));
        Assert.Equal(current * epoch, epochs.Resolve(epoch & 3));
        Assert.Equal(next * (epoch + 1), epochs.Resolve((epoch + 1) & 3));
        Assert.Equal(0u, epochs.Resolve((epoch + 2) & 3));
    }

    [Fact]
    public void Each_number_range_has_its_own_window_and_there_are_16_at_most()
    {
        var windows = new NumberWindows(64);
        windows.TopUp(64);
        int first = NumberWindows.None;
        for (byte range = 0; range < 16; range++)
        {
            Assert.True(windows.IsNew(first, range, 5));
            Assert.True(windows.Mark(ref first, range, 5));
            Assert.False(windows.IsNew(first, range, 5));
            Assert.True(windows.IsNew(first, range, 4));
        }

        Assert.False(windows.Mark(ref first, 16, 5));
        Assert.Equal(48, windows.Free);
        windows.Release(ref first);
        Assert.Equal(64, windows.Free);
        Assert.True(windows.IsNew(first, 3, 5));
        windows.TopUp(1000);
        Assert.Equal(64, windows.Free);
    }

    [Fact]
    public void Senders_who_use_every_range_leave_a_window_for_each_of_the_others()
    {
        var windows = new NumberWindows(64);
        windows.TopUp(64);
        int[] greedy = [.. Enumerable.Repeat(NumberWindows.None, 32)];
        for (int path = 0; path < greedy.Length; path++)
            for (byte range = 0; range < 16; range++) windows.Mark(ref greedy[path], range, 1);
        int[] others = [.. Enumerable.Repeat(NumberWindows.None, 32 - greedy.Count(g => g == NumberWindows.None))];
        Assert.Equal(32, greedy.Count(g => g != NumberWindows.None));
        Assert.Equal(0, windows.Free);
        windows.Release(ref greedy[0]);
        Assert.True(windows.Mark(ref others[0], 0, 1));
        for (int path = 1; path < greedy.Length; path++) windows.Release(ref greedy[path]);
        windows.Release(ref others[0]);
        Assert.Equal(64, windows.Free);
        int again = NumberWindows.None;
        for (byte range = 0; range < 16; range++) Assert.True(windows.Mark(ref again, range, 1));
    }
}
