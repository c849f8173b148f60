using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Hidden;

public sealed class IntroductionQueueTests
{
    private readonly SeededEntropy _dice = new(31);
    private readonly DropCounters _drops = new();
    private Instant _now = Instant.FromMilliseconds(1000);

    [Fact]
    public void The_highest_effort_comes_first_and_equals_in_their_order()
    {
        IntroductionQueue queue = New();
        uint[] efforts = [0, 40, 7, 40, 0, 300];
        byte[][] made = [.. efforts.Select(e => Make(queue, e))];
        foreach (byte[] one in made) Assert.True(queue.Offer(one, _now));
        foreach (int expected in (int[])[5, 1, 3, 2, 0, 4])
        {
            Assert.True(queue.TryTake(out byte[] taken, _now));
            Assert.Equal(made[expected], taken);
        }

        Assert.False(queue.TryTake(out _, _now));
    }

    [Fact]
    public void An_introduction_is_taken_once_whatever_proof_it_carries()
    {
        IntroductionQueue queue = New();
        byte[] one = Make(queue, 0);
        Assert.True(queue.Offer(one, _now));
        Assert.False(queue.Offer(one, _now));
        one[IntroductionFormat.ProofAt] ^= 1;
        Assert.False(queue.Offer(one, _now));
        Assert.True(queue.TryTake(out _, _now));
        Assert.False(queue.Offer(one, _now));
        Assert.Equal(3, _drops[DropReason.IntroductionReplay]);
    }

    [Fact]
    public void A_claim_that_is_not_shown_is_dropped_and_work_for_one_introduction_serves_no_other()
    {
        IntroductionQueue queue = New();
        byte[] honest = Make(queue, 2000), claim = Make(queue, 0), other = Make(queue, 0);
        BinaryPrimitives.WriteUInt32BigEndian(claim.AsSpan(IntroductionFormat.EffortAt), 1 << 30);
        Assert.False(queue.Offer(claim, _now));
        honest.AsSpan(IntroductionFormat.EffortAt, 20).CopyTo(other.AsSpan(IntroductionFormat.EffortAt));
        Assert.False(queue.Offer(other, _now));
        Assert.Equal(2, _drops[DropReason.IntroductionEffort]);
        Assert.True(queue.Offer(honest, _now));
        Assert.False(queue.Offer(new byte[IntroductionFormat.Bytes - 1], _now));
        Assert.Equal(1, _drops[DropReason.BadIntroduction]);
    }

    [Fact]
    public void A_proof_takes_about_as_many_tries_as_its_effort_says()
    {
        // A geometric number of tries each: the mean of 200 lies within four deviations.
        byte[] seed = new byte[32], first = new byte[16];
        long tries = 0;
        for (int i = 0; i < 200; i++)
        {
            byte[] introduction = new byte[IntroductionFormat.Bytes];
            _dice.FillPublic(introduction);
            var solver = new IntroductionSolver(introduction, seed, 100, first);
            for (; !solver.Step(1); tries++)
            {
            }

            Assert.True(IntroductionEffort.IsShown(introduction, seed));
        }

        Assert.InRange(tries / 200.0, 70, 130);
    }

    [Fact]
    public void A_seed_is_taken_for_its_term_and_one_more_then_it_is_over()
    {
        IntroductionQueue queue = New(new IntroductionQueueOptions { SeedTerm = TimeSpan.FromMinutes(10) });
        byte[] early = Make(queue, 0), late = Make(queue, 0), tooLate = Make(queue, 0);
        Assert.True(queue.Offer(early, _now));
        Wait(queue, TimeSpan.FromMinutes(10));
        Assert.True(queue.Changed);
        Assert.True(queue.Offer(late, _now));
        Assert.False(queue.Offer(early, _now)); // remembered as long as its seed lives
        Wait(queue, TimeSpan.FromMinutes(10));
        Assert.False(queue.Offer(tooLate, _now));
        Assert.Equal(1, _drops[DropReason.IntroductionSeed]);
        Assert.Equal(1, _drops[DropReason.IntroductionReplay]);
    }

    [Fact]
    public void A_full_queue_drops_its_lowest_and_what_waited_too_long_is_dropped()
    {
        IntroductionQueue queue = New(new IntroductionQueueOptions { Capacity = 4 });
        for (int i = 0; i < 4; i++) Assert.True(queue.Offer(Make(queue, 5), _now));
        Assert.False(queue.Offer(Make(queue, 5), _now));
        byte[] better = Make(queue, 6);
        Assert.True(queue.Offer(better, _now));
        Assert.Equal(4, queue.Count);
        Assert.True(queue.TryTake(out byte[] taken, _now));
        Assert.Equal(better, taken);
        _now += TimeSpan.FromSeconds(11);
        Assert.False(queue.TryTake(out _, _now));
        Assert.Equal(3, _drops[DropReason.IntroductionTooLate]);
    }

    [Fact]
    public void A_flood_of_ten_times_what_is_served_does_not_keep_honest_clients_out()
    {
        // Ten a second are served. A hundred a second come from a flood that works a little, five from honest clients who bring what
        // the introset suggests. From the time that the suggestion has risen, nearly all honest ones are served.
        IntroductionQueue queue = New(new IntroductionQueueOptions { Capacity = 64, JudgeEvery = TimeSpan.FromSeconds(5) });
        int honest = 0, served = 0;
        uint suggested = 0;
        var waiting = new HashSet<string>();
        for (int tick = 0; tick < 600; tick++)
        {
            _now += TimeSpan.FromMilliseconds(100);
            queue.HandleTimeout(_now);
            if (queue.Changed)
            {
                suggested = queue.SuggestedEffort; // published, and fetched by whoever comes from now on
                queue.Changed = false;
            }

            for (int i = 0; i < 10; i++) queue.Offer(Make(queue, 20), _now);
            if (tick % 2 == 0)
            {
                byte[] one = Make(queue, suggested);
                if (tick >= 200)
                {
                    honest++;
                    waiting.Add(Convert.ToHexString(one));
                }

                queue.Offer(one, _now);
            }

            if (queue.TryTake(out byte[] taken, _now) && waiting.Remove(Convert.ToHexString(taken))) served++;
        }

        Assert.True(suggested > 20, $"suggested {suggested}");
        Assert.True(served >= 0.95 * honest, $"{served} of {honest} honest clients were served");
    }

    [Fact]
    public void The_suggestion_falls_back_to_nothing_when_the_flood_is_over()
    {
        IntroductionQueue queue = New(new IntroductionQueueOptions { Capacity = 4 });
        for (int i = 0; i < 9; i++) queue.Offer(Make(queue, 0), _now);
        Wait(queue, TimeSpan.FromSeconds(30));
        Assert.True(queue.SuggestedEffort >= 16);
        while (queue.TryTake(out _, _now))
        {
        }

        for (int i = 0; i < 20; i++) Wait(queue, TimeSpan.FromSeconds(30));
        Assert.Equal(0u, queue.SuggestedEffort);
    }

    private IntroductionQueue New(IntroductionQueueOptions? options = null) => new(options ?? new IntroductionQueueOptions(), _drops, _dice, _now);

    private void Wait(IntroductionQueue queue, TimeSpan time)
    {
        _now += time;
        queue.HandleTimeout(_now);
    }

    private byte[] Make(IntroductionQueue queue, uint effort)
    {
        byte[] introduction = new byte[IntroductionFormat.Bytes];
        _dice.FillPublic(introduction);
        queue.CurrentSeed[..8].CopyTo(introduction.AsSpan(IntroductionFormat.SeedHeadAt));
        var solver = new IntroductionSolver(introduction, queue.CurrentSeed, effort, introduction.AsSpan(100, 16));
        while (!solver.Step(1000))
        {
        }

        return introduction;
    }
}
