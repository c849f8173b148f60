using Oxen.Router.Core;

namespace Oxen.Testing;

/// <summary>Virtual time: stands still until a test moves it.</summary>
internal sealed class SimClock
{
    /// <summary>2026-01-01 00:00:00 UTC, so that epochs look like real ones.</summary>
    public const long StartUnixNanoseconds = 1_767_225_600L * 1_000_000_000;

    public Instant Now { get; private set; } = Instant.Zero;

    public NetworkClock Network { get; } = new(StartUnixNanoseconds);

    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        Now += by;
    }

    /// <summary>Moves to `when` if that lies ahead.</summary>
    public void AdvanceTo(Instant when)
    {
        if (when > Now) Now = when;
    }
}
