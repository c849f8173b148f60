using Oxen.Router.Core;
using Oxen.Router.Udp;

namespace Oxen.Router.Tests.Udp;

public sealed class MonotonicClockTests
{
    [Theory]
    [InlineData(1_000_000_000, 1_500_000_000, 1_500_000_000)]
    [InlineData(10_000_000, 15_000_000, 1_500_000_000)]
    [InlineData(3, 1, 333_333_333)]
    [InlineData(10_000_000, 10_000_000L * 86_400 * 365 * 100, 1_000_000_000L * 86_400 * 365 * 100)]
    public void Any_frequency_becomes_nanoseconds_since_the_clock_was_made(long frequency, long ticks, long nanoseconds)
    {
        var time = new Ticking(frequency) { Now = 12_345 };
        var clock = new MonotonicClock(time);
        Assert.Equal(Instant.Zero, clock.Now);
        time.Now += ticks;
        Assert.Equal(nanoseconds, clock.Now.Nanoseconds);
    }

    [Fact]
    public void The_network_clock_starts_at_the_wall_clock()
    {
        var time = new Ticking(1_000_000_000);
        var clock = new MonotonicClock(time);
        time.Now += 5_000_000_000;
        NetworkClock network = clock.StartNetworkClock();
        Assert.Equal(Ticking.Wall.ToUnixTimeMilliseconds() * 1_000_000, network.UnixNanoseconds(clock.Now));
    }

    private sealed class Ticking(long frequency) : TimeProvider
    {
        public static readonly DateTimeOffset Wall = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

        public long Now { get; set; }

        public override long TimestampFrequency => frequency;

        public override long GetTimestamp() => Now;

        public override DateTimeOffset GetUtcNow() => Wall;
    }
}
