using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Resolving;

/// <summary>Puts together what a client without a copy of the ledger looks names up with: resolvers that prove, a light client that checks, a cache.</summary>
internal static class LightNames
{
    /// <summary>Keeps a client's look-ups on paths of their own.</summary>
    public const string Purpose = "names";

    /// <summary>Paths that look-ups go through, each to another relay if there are enough: one that lies or has no ledger costs a question to the next.</summary>
    public const int PathCount = 4;

    /// <summary>A resolver that has no block younger than this hides what came after.</summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(30);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public static NameCache Over(Genesis genesis, IReadOnlyList<IProofSource> resolvers, TimeSpan maxAge, TimeProvider time) =>
        new(new LightNameSource(LightClient.From(genesis), resolvers, new LightNameOptions { MaxAge = maxAge, Patience = Patience }, time), time);

    public static NameCache OverPaths(Genesis genesis, IPathRequests requests, TimeSpan maxAge, TimeProvider time) =>
        Over(genesis, [.. Enumerable.Range(0, PathCount).Select(i => new PathProofSource(requests, i, genesis.Network))], maxAge, time);
}
