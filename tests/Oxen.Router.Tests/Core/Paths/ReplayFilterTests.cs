using System.Buffers.Binary;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

/// <summary>The filter of forwarded packets: it forgets nothing that it should know, and takes few strangers for replays.</summary>
public sealed class ReplayFilterTests(ITestOutputHelper output)
{
    private readonly SeededEntropy _entropy = new(5);

    [Fact]
    public void The_replay_filter_knows_every_packet_of_two_epochs_and_few_strangers()
    {
        var filter = new ReplayFilter(1 << 20, _entropy);
        int packets = (int)filter.Capacity;
        byte[] head = new byte[16];
        var mixes = new List<ulong>();
        int wrong = 0;
        for (int i = 0; i < packets; i++)
        {
            _entropy.FillPublic(head);
            ulong mix = filter.Mix(head, 3, 9);
            if (filter.TryAdd(mix, 7)) mixes.Add(mix);
            else wrong++;
        }

        Assert.InRange(wrong, 0, packets / 1000);
        Assert.All(mixes, m => Assert.False(filter.TryAdd(m, 7)));
        Assert.InRange(mixes.Count(m => filter.TryAdd(m, 8)), mixes.Count - packets / 1000, mixes.Count);
        Assert.NotEqual(filter.Mix(head, 3, 9), filter.Mix(head, 4, 9));
        Assert.NotEqual(filter.Mix(head, 3, 9), filter.Mix(head, 3, 10));
        filter.BeginClearing(8);
        while (!filter.Clear(100))
        {
        }

        Assert.Equal(0, filter.Inserted(9));
        Assert.True(filter.TryAdd(mixes[0], 9));
        Assert.False(filter.TryAdd(mixes[0], 8));
    }

    [Fact]
    public void An_overfull_replay_filter_forgets_old_packets_rather_than_refusing_new_ones()
    {
        var filter = new ReplayFilter(64 * 1024, _entropy);
        byte[] head = new byte[16];
        int refused = 0;
        int packets = (int)filter.Capacity * 8;
        for (int i = 0; i < packets; i++)
        {
            _entropy.FillPublic(head);
            if (!filter.TryAdd(filter.Mix(head, 1, 1), 1)) refused++;
        }

        Assert.True(filter.BlocksForgotten > 0);
        Assert.InRange(refused, 0, packets / 500);
    }

    // What a busy relay sees in an epoch, with the memory that it has by default.
    [Fact]
    public void Ten_million_packets_of_one_epoch_meet_hardly_a_false_drop()
    {
        var filter = new ReplayFilter(128L << 20, _entropy);
        Assert.Equal(16_777_216, filter.Capacity);
        Assert.Equal(0, filter.BlocksForgotten);
        int refused = Fill(filter, 10_000_000, out double expected);
        output.WriteLine($"{refused} false drops of ten million; {expected:F2} expected");
        Assert.InRange(expected, 0.5, 2.5);
        Assert.InRange(refused, 0, 12);
    }

    [Fact]
    public void At_eight_times_its_load_a_filter_still_drops_few_honest_packets_and_knows_the_newest()
    {
        var filter = new ReplayFilter(4L << 20, _entropy);
        int refused = Fill(filter, (int)filter.Capacity * 8, out _);
        output.WriteLine($"{refused} false drops of {filter.Capacity * 8}, {filter.BlocksForgotten} blocks forgotten");
        Assert.InRange(refused, 0, 40);

        // Of the last quarter of what it is made for, most is known still: a block holds 16, and forgets all of them at once.
        byte[] head = new byte[16];
        ulong[] last = new ulong[filter.Capacity / 4];
        for (int i = 0; i < last.Length; i++)
        {
            _entropy.FillPublic(head);
            last[i] = filter.Mix(head, 1, 1);
            filter.TryAdd(last[i], 1);
        }

        int known = last.Count(m => !filter.TryAdd(m, 1));
        Assert.InRange(known, (int)(last.Length * 0.7), last.Length);
    }

    // Fills an epoch with strangers; expected is the sum over all packets of the chance to be taken for a replay, if blocks filled by chance.
    private int Fill(ReplayFilter filter, int packets, out double expected)
    {
        byte[] head = new byte[16];
        int refused = 0;
        for (int i = 0; i < packets; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(head, Scramble((ulong)i));
            BinaryPrimitives.WriteUInt64LittleEndian(head.AsSpan(8), Scramble(~(ulong)i));
            if (!filter.TryAdd(filter.Mix(head, 1, 1), 1)) refused++;
        }

        expected = 0;
        const int Steps = 200;
        for (int step = 0; step < Steps; step++)
        {
            double mean = 16.0 * packets / filter.Capacity * (step + 0.5) / Steps, chance = Math.Exp(-mean), sum = 0;
            for (int n = 0; n < 100; n++)
            {
                sum += chance * Math.Pow(1 - Math.Pow(63.0 / 64, n), 8);
                chance *= mean / (n + 1);
            }

            expected += sum * packets / Steps;
        }

        return refused;
    }

    // SplitMix64: heads as good as random, and fast to make.
    private static ulong Scramble(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
