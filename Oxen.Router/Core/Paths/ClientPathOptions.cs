using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Core.Paths;

/// <summary>How a client wants its paths.</summary>
internal sealed class ClientPathOptions
{
    public int Hops { get; init; } = PathConstants.DefaultHops;

    /// <summary>Paths kept ready beside the one in use, to the same exit.</summary>
    public int Spares { get; init; } = 1;

    /// <summary>The exit to use; none: any.</summary>
    public RouterId Exit { get; init; }

    /// <summary>Exits that this client holds a token for: only those of the others are chosen that ask for none.</summary>
    public IReadOnlySet<RouterId> Tokens { get; init; } = System.Collections.Frozen.FrozenSet<RouterId>.Empty;

    public SizeClass Class { get; init; } = SizeClass.Full;

    /// <summary>What no path may break.</summary>
    public PathRules Rules { get; init; } = PathRules.None;

    /// <summary>Relays that paths begin with: drawn once and kept.</summary>
    public GuardOptions Guards { get; init; } = new();

    /// <summary>Where they are kept between runs; null: for this run only.</summary>
    public IGuardStore? GuardStore { get; init; }

    /// <summary>Second hops of paths to relays of our choice (a hidden service's, and its client's); null: any relay.</summary>
    public GuardOptions? SecondLayer { get; init; } = GuardOptions.SecondLayer;

    /// <summary>Where they are kept between runs; null: for this run only.</summary>
    public IGuardStore? SecondLayerStore { get; init; }

    /// <summary>Tests alone: sees the hops of each path that was built, with copies of their key chains, to look for them where they must not be.</summary>
    public Action<IReadOnlyList<RouterId>, IReadOnlyList<HopChains>>? KeyWitness { get; init; }

    /// <summary>A relay whose path failed is left out this long.</summary>
    public TimeSpan Penalty { get; init; } = TimeSpan.FromSeconds(60);
}
