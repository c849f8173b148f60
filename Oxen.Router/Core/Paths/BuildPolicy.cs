namespace Oxen.Router.Core.Paths;

/// <summary>What a relay asks of builds. Budgets per link and prefix are the link layer's; the roles are the host's.</summary>
internal sealed record BuildPolicy
{
    public static BuildPolicy Default { get; } = new();

    /// <summary>Leading zero bits that a build must show; 0 asks for none. Raised under load.</summary>
    public int RequiredEffortBits { get; init; }

    /// <summary>Builds that the replay cache can hold for each epoch of 60 s; what comes beyond is refused as busy.</summary>
    public int ReplayCapacityPerEpoch { get; init; } = 16_384;

    /// <summary>
    /// Builds stamped with an earlier epoch are refused: the replay cache does not survive a restart. The host passes the
    /// epoch of the start, or 0 when the onion key is new, so that no earlier build can be opened at all.
    /// </summary>
    public uint FirstEpoch { get; init; }
}
