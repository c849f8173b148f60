namespace Oxen.Router.Core;

/// <summary>
/// Turns the monotonic <see cref="Instant"/> into network time: `unix = instant + offset`. The offset is set once at
/// start from the wall clock and may be moved by the control plane (median of the links); any thread may read it.
/// Path epochs lie on one network-wide grid, unix time / 60 s (docs/protocol/onion.md#epochs).
/// </summary>
internal sealed class NetworkClock(long unixNanosecondsAtZero)
{
    public const long EpochNanoseconds = 60_000_000_000;

    private long _offset = unixNanosecondsAtZero;

    /// <summary>Unix time, in nanoseconds, at <see cref="Instant.Zero"/>.</summary>
    public long Offset
    {
        get => Volatile.Read(ref _offset);
        set => Volatile.Write(ref _offset, value);
    }

    public long UnixNanoseconds(Instant now) => now.Nanoseconds + Offset;

    /// <summary>Number of the path epoch that `now` lies in.</summary>
    public uint EpochAt(Instant now) => (uint)(UnixNanoseconds(now) / EpochNanoseconds);

    /// <summary>Nanoseconds since the current path epoch began.</summary>
    public long IntoEpoch(Instant now) => UnixNanoseconds(now) % EpochNanoseconds;

    /// <summary>When the given path epoch begins.</summary>
    public Instant StartOf(uint epoch) => new(epoch * EpochNanoseconds - Offset);
}
