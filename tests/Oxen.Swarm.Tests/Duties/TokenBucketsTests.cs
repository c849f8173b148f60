using Oxen.Swarm.Duties;

namespace Oxen.Swarm.Tests.Duties;

/// <summary>Vectors, section 10.</summary>
public class TokenBucketsTests
{
    [Fact]
    public void Six_hundred_pass_at_once_and_one_more_after_a_three_hundredth_of_a_second()
    {
        var time = new StillTime();
        var buckets = new TokenBuckets<int>(600, 300, 10_000, time);
        for (int i = 0; i < 600; i++) Assert.True(buckets.Take(1));
        Assert.False(buckets.Take(1));
        Assert.True(buckets.Take(2));
        time.Advance(TimeSpan.FromSeconds(1.0001 / 300));
        Assert.True(buckets.Take(1));
        Assert.False(buckets.Take(1));
    }

    [Fact]
    public void Ten_thousand_are_tracked_and_the_next_is_limited_until_a_bucket_is_full_again()
    {
        var time = new StillTime();
        var buckets = new TokenBuckets<int>(600, 300, 10_000, time);
        for (int i = 0; i < 10_000; i++) Assert.True(buckets.Take(i));
        Assert.False(buckets.Take(10_000));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(buckets.Take(10_000));
        Assert.InRange(buckets.Tracked, 1, 10_000);
    }

    private sealed class StillTime : TimeProvider
    {
        private long _ticks = 1;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan by) => _ticks += by.Ticks;
    }
}
