namespace Oxen.Swarm;

// How large a message may be and how long it may live. docs/protocol/swarm.md#limits
// All times are milliseconds since 1970 as clients send them; any number may come, so differences are taken with care.

/// <summary>The limits of a store request.</summary>
public static class StoreLimits
{
    /// <summary>The most bytes of a message.</summary>
    public const int MaxDataBytes = 76_800;

    /// <summary>Every message asks for at least ten seconds.</summary>
    public static readonly TimeSpan MinLifetime = TimeSpan.FromSeconds(10);

    /// <summary>The longest life in a public inbox.</summary>
    public static readonly TimeSpan MaxInboxLifetime = TimeSpan.FromDays(14);

    /// <summary>The longest life elsewhere.</summary>
    public static readonly TimeSpan MaxLifetime = TimeSpan.FromDays(30);

    /// <summary>How far a sender's clock may be off.</summary>
    public static readonly TimeSpan ClockTolerance = TimeSpan.FromSeconds(10);

    /// <summary>Checks size, lifetime and clock, in this order.</summary>
    public static StoreFault Check(int dataBytes, short space, long timestamp, long expiry, long now)
    {
        if (dataBytes > MaxDataBytes) return StoreFault.TooLarge;

        // 128 bits: no two times are so far apart that their difference overflows.
        Int128 lifetime = (Int128)expiry - timestamp;
        TimeSpan longest = NamespaceRules.IsPublicInbox(space) ? MaxInboxLifetime : MaxLifetime;
        if (lifetime < Milliseconds(MinLifetime) || lifetime > Milliseconds(longest)) return StoreFault.Lifetime;
        long tolerance = Milliseconds(ClockTolerance);
        return (Int128)timestamp > (Int128)now + tolerance || (Int128)expiry < (Int128)now - tolerance ? StoreFault.Clock : StoreFault.None;
    }

    private static long Milliseconds(TimeSpan time) => time.Ticks / TimeSpan.TicksPerMillisecond;
}
