using Oxen.Router.Core;

namespace Oxen.Router.Udp;

/// <summary>
/// The one place where a <see cref="TimeProvider"/> becomes an <see cref="Instant"/>. The origin is the clock's making; all
/// threads of a router share one clock, so that their instants compare.
/// </summary>
internal sealed class MonotonicClock
{
    private readonly TimeProvider _time;
    private readonly long _origin;
    private readonly long _frequency;

    public MonotonicClock(TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        _time = time;
        _frequency = time.TimestampFrequency;
        _origin = time.GetTimestamp();
    }

    public Instant Now
    {
        get
        {
            long ticks = _time.GetTimestamp() - _origin;
            return new Instant(_frequency == 1_000_000_000 ? ticks : (long)((Int128)ticks * 1_000_000_000 / _frequency));
        }
    }

    /// <summary>A network clock that agrees with the wall clock now.</summary>
    public NetworkClock StartNetworkClock()
    {
        long unix = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;
        return new NetworkClock(unix - Now.Nanoseconds);
    }
}
