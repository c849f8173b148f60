using Oxen.Router.Core;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Tests.Core.Sessions;

public sealed class PathHealthTests
{
    private const byte Last = 3;
    private static readonly TimeSpan Rtt = TimeSpan.FromMilliseconds(40);
    private ulong _id;

    [Fact]
    public void One_lost_probe_on_an_idle_path_is_asked_again_and_forgiven()
    {
        PathHealth health = Begin(out Instant now);
        health.OnProbeSent(++_id, Last, now);
        Assert.True(health.NextProbe - now < PathHealth.IdleInterval);
        now += PathHealth.Patience + TimeSpan.FromMilliseconds(1);
        Assert.False(health.IsDead(now));
        Answer(health, ref now);
        Assert.False(health.IsDead(now + TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public void Silence_after_several_probes_is_death()
    {
        PathHealth health = Begin(out Instant now);
        Instant fell = now;
        while (!health.IsDead(now))
        {
            Assert.True(now - fell < TimeSpan.FromMilliseconds(400));
            if (health.NextProbe <= now) health.OnProbeSent(++_id, Last, now);
            now += TimeSpan.FromMilliseconds(5);
        }

        Assert.True(now - fell > PathHealth.Patience);
    }

    [Fact]
    public void Any_packet_from_the_terminal_is_a_sign_of_life_and_an_answer_of_a_nearer_hop_is_none()
    {
        PathHealth health = Begin(out Instant now);
        Silence(health, ref now);
        health.OnProbeSent(++_id, 0, now);
        Assert.True(health.OnAnswer(_id, 0, now));
        Assert.True(health.IsDead(now));
        health.OnHeard(now);
        Assert.False(health.IsDead(now));
    }

    [Fact]
    public void The_nearest_hop_that_does_not_answer_is_the_suspect()
    {
        PathHealth health = Begin(out Instant now);
        Assert.Equal(-1, health.Suspect);
        Silence(health, ref now);
        Assert.True(health.TakeAskHops(now));
        Assert.False(health.TakeAskHops(now));
        ulong first = _id + 1;
        for (byte hop = 0; hop <= Last; hop++) health.OnProbeSent(++_id, hop, now);
        now += Rtt;
        health.OnAnswer(first, 0, now);
        health.OnAnswer(first + 1, 1, now);
        Assert.Equal(2, health.Suspect);
    }

    [Fact]
    public void An_answer_nobody_asked_for_or_from_another_hop_is_refused()
    {
        PathHealth health = Begin(out Instant now);
        health.OnProbeSent(77, Last, now);
        Assert.False(health.OnAnswer(78, Last, now));
        Assert.False(health.OnAnswer(77, 1, now));
        Assert.False(health.OnAnswer(77, Last, now)); // it was used up
    }

    [Fact]
    public void Loss_is_the_share_of_the_last_probes()
    {
        PathHealth health = Begin(out Instant now);
        for (int i = 0; i < 140; i++)
        {
            health.OnProbeSent(++_id, Last, now);
            if (i % 2 == 0) Answer(health, ref now);
            now += TimeSpan.FromMilliseconds(75);
        }

        Assert.Equal(PathHealth.JudgedProbes, health.Judged);
        Assert.InRange(health.Loss, 0.4, 0.6);
        for (int i = 0; i < 70; i++)
        {
            health.OnProbeSent(++_id, Last, now);
            Answer(health, ref now);
            now += TimeSpan.FromMilliseconds(75);
        }

        Assert.Equal(0, health.Loss);
    }

    [Fact]
    public void The_first_answer_replaces_the_guess()
    {
        var health = new PathHealth(4, TimeSpan.FromSeconds(5), Instant.Zero);
        Instant now = Instant.Zero;
        health.OnProbeSent(++_id, Last, now);
        Answer(health, ref now);
        Assert.Equal(Rtt, health.SmoothedRtt);
        Assert.Equal(Rtt, health.HopRtt[Last]);
    }

    private PathHealth Begin(out Instant now)
    {
        now = Instant.Zero;
        var health = new PathHealth(4, TimeSpan.FromMilliseconds(60), now);
        for (int i = 0; i < 10; i++)
        {
            health.OnProbeSent(++_id, Last, now);
            Answer(health, ref now);
            now += PathHealth.IdleInterval;
        }

        return health;
    }

    private void Answer(PathHealth health, ref Instant now)
    {
        now += Rtt;
        Assert.True(health.OnAnswer(_id, Last, now));
    }

    private void Silence(PathHealth health, ref Instant now)
    {
        while (!health.IsDead(now))
        {
            if (health.NextProbe <= now) health.OnProbeSent(++_id, Last, now);
            now += TimeSpan.FromMilliseconds(5);
        }
    }
}
