namespace Oxen.Router.Core;

/// <summary>
/// A point on the monotonic clock, in nanoseconds since an origin that the driver chose. Core never reads a clock:
/// whoever calls it says what time it is. Arithmetic saturates, so `Instant.Never` plus anything stays `Never`.
/// </summary>
internal readonly record struct Instant(long Nanoseconds) : IComparable<Instant>
{
    public static readonly Instant Zero = new(0);

    /// <summary>A deadline that does not come.</summary>
    public static readonly Instant Never = new(long.MaxValue);

    public bool IsNever => Nanoseconds == long.MaxValue;

    public static Instant FromMilliseconds(long ms) => new(ms * 1_000_000);

    public static Instant Earlier(Instant a, Instant b) => a.Nanoseconds <= b.Nanoseconds ? a : b;

    public static Instant Later(Instant a, Instant b) => a.Nanoseconds >= b.Nanoseconds ? a : b;

    public static Instant operator +(Instant a, TimeSpan d)
    {
        if (a.IsNever) return a;
        long ns = d.Ticks > long.MaxValue / 100 ? long.MaxValue : d.Ticks * 100;
        long sum = unchecked(a.Nanoseconds + ns);
        return ns > 0 && sum < a.Nanoseconds ? Never : new Instant(sum);
    }

    public static Instant operator -(Instant a, TimeSpan d) => a.IsNever ? a : new Instant(a.Nanoseconds - d.Ticks * 100);

    /// <summary>The time from <paramref name="b"/> to <paramref name="a"/>, cut to 100 ns.</summary>
    public static TimeSpan operator -(Instant a, Instant b) => new((a.Nanoseconds - b.Nanoseconds) / 100);

    public static bool operator <(Instant a, Instant b) => a.Nanoseconds < b.Nanoseconds;

    public static bool operator >(Instant a, Instant b) => a.Nanoseconds > b.Nanoseconds;

    public static bool operator <=(Instant a, Instant b) => a.Nanoseconds <= b.Nanoseconds;

    public static bool operator >=(Instant a, Instant b) => a.Nanoseconds >= b.Nanoseconds;

    public int CompareTo(Instant other) => Nanoseconds.CompareTo(other.Nanoseconds);

    public override string ToString() => IsNever ? "never" : $"{Nanoseconds / 1e9:F6}s";
}
