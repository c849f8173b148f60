using System.Runtime.CompilerServices;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// Which path epoch the two bits of a packet mean, and whether it is acceptable now (docs/protocol/onion.md#epochs): the
/// current one; the next in the last 3 s of ours; the previous in the first 5 s. A value for one batch.
/// </summary>
internal readonly struct PathEpochs
{
    public const long NextAcceptedNanoseconds = 3_000_000_000;
    public const long PreviousAcceptedNanoseconds = 5_000_000_000;

    private readonly bool _takesNext;
    private readonly bool _takesPrevious;

    public PathEpochs(NetworkClock clock, Instant now)
    {
        Current = clock.EpochAt(now);
        Into = clock.IntoEpoch(now);
        _takesNext = Into >= NetworkClock.EpochNanoseconds - NextAcceptedNanoseconds;
        _takesPrevious = Into < PreviousAcceptedNanoseconds;
    }

    public uint Current { get; }

    /// <summary>Nanoseconds since the current epoch began.</summary>
    public long Into { get; }

    /// <summary>The absolute epoch, or 0: not acceptable now.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint Resolve(uint bits)
    {
        uint ahead = (bits - Current) & 3;
        if (ahead == 0) return Current;
        if (ahead == 1 && _takesNext) return Current + 1;
        if (ahead == 3 && _takesPrevious) return Current - 1;
        return 0;
    }
}
