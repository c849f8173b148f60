using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Paths;

/// <summary>What a path should be like.</summary>
internal sealed record PathWish
{
    /// <summary>2 to 8; for exit traffic the exit is the last of them.</summary>
    public int Hops { get; init; } = 4;

    /// <summary>The last hop; none: any exit will do.</summary>
    public RouterId Last { get; init; }

    /// <summary>The last hop must take IP packets.</summary>
    public bool Tunnel { get; init; }

    /// <summary>With no last hop asked for: exits that this client holds a token for.</summary>
    public IReadOnlySet<RouterId> Tokens { get; init; } = System.Collections.Frozen.FrozenSet<RouterId>.Empty;

    /// <summary>First hops, best first: the client's guards. When there are any, no other relay becomes the first hop.</summary>
    public IReadOnlyList<RouterId> Guards { get; init; } = [];

    /// <summary>Relays that become no middle hop: the client's guards. The second layer is another matter.</summary>
    public IReadOnlySet<RouterId> NotMiddles { get; init; } = System.Collections.Frozen.FrozenSet<RouterId>.Empty;

    /// <summary>Second hops, in the same way: the second layer of a service's guards.</summary>
    public IReadOnlyList<RouterId> Seconds { get; init; } = [];

    /// <summary>The user's rules: no path breaks one.</summary>
    public PathRules Rules { get; init; } = PathRules.None;

    /// <summary>What weighs the relays that fit; null: all alike.</summary>
    public RelayMeasures? Measures { get; init; }

    /// <summary>Routers that are left out for now: dead ones, those of a path that just failed. Guards are judged by their own set.</summary>
    public IReadOnlySet<RouterId> Excluded { get; init; } = System.Collections.Frozen.FrozenSet<RouterId>.Empty;
}

// Chooses hops: the exit first (there are fewest of them), then the first hop (the first guard that fits), then the others, each
// at random among the relays that fit beside those chosen, by weights that this client measured itself (RelayMeasures). No
// router twice; no two of one /16 (IPv4), /32 (IPv6), operator or known autonomous system. A dead end (few relays, many of one
// family) is tried again with other dice, then given up with a reason.

/// <summary>Chooses the hops of a path. Only a client does: no relay ever picks the next hop.</summary>
internal static class PathSelector
{
    private const int Attempts = 64;

    /// <summary>False: `reason` says in words what is missing.</summary>
    public static bool TrySelect(
        PathWish wish,
        NodeDirectory nodes,
        IEntropy entropy,
        [NotNullWhen(true)] out RouterContact[]? hops,
        [NotNullWhen(false)] out string? reason)
    {
        if (wish.Hops is < BuildFormat.MinHops or > BuildFormat.MaxHops) throw new ArgumentException("a path has 2 to 8 hops", nameof(wish));
        hops = null;
        PathRules rules = wish.Rules;
        List<RouterContact> relays = [.. nodes.Relays.Where(r => !wish.Excluded.Contains(r.Id) && !wish.NotMiddles.Contains(r.Id) && rules.BrokenBy(r) is null)];
        if (!TryLasts(wish, nodes, out List<RouterContact> lasts, out reason)) return false;
        RouterContact[] guards = Found(wish.Guards, wish.Guards);
        if (wish.Guards.Count > 0 && guards.Length == 0)
        {
            reason = Words($"none of this client's {wish.Guards.Count} guards (the relays that its paths begin with) has a contact that is fresh enough");
            return false;
        }

        RouterContact[] seconds = Found(wish.Seconds, wish.Seconds.Where(s => !wish.Excluded.Contains(s)));
        if (wish.Seconds.Count > 0 && seconds.Length == 0)
        {
            reason = Words($"none of the {wish.Seconds.Count} relays of the second layer can be used now");
            return false;
        }

        var chosen = new RouterContact[wish.Hops];
        var fitting = new List<RouterContact>(relays.Count);
        int longest = 0;

        // The second guard's turn comes when the first one goes with no choice of the others.
        for (int skipped = 0; skipped == 0 || skipped < guards.Length; skipped++)
        {
            for (int attempt = 0; attempt < Attempts; attempt++)
            {
                chosen[^1] = Pick(lasts, wish, entropy);
                int count = TryOnce(chosen, wish, nodes, guards.AsSpan(skipped), seconds, relays, fitting, entropy);
                if (count == wish.Hops)
                {
                    hops = chosen;
                    reason = null;
                    return true;
                }

                longest = Math.Max(longest, count);
                if (count == 1 && lasts.Count == 1) break; // no other dice will help
            }
        }

        reason = guards.Length > 0 && longest == 1
            ? Words($"none of this client's {guards.Length} guards may share a path with an exit that is left: each is of the same operator or network")
            : Words($"{wish.Hops} hops asked for, but only {longest} fit together: the directory has {nodes.Relays.Count} relays, {relays.Count} of them not excluded, and a path takes one of each /16 (IPv4), /32 (IPv6) and operator; ask for fewer `hops`, or loosen the rules");
        return false;

        RouterContact[] Found(IReadOnlyList<RouterId> all, IEnumerable<RouterId> some)
        {
            if (all.Count == 0) return [];
            var found = new List<RouterContact>();
            foreach (RouterId id in some) if (nodes.TryGetUsable(id, out RouterContact? contact) && contact.IsRelay && rules.BrokenBy(contact) is null) found.Add(contact);
            return [.. found];
        }
    }

    /// <summary>Whether two routers may be on one path, by what they say of themselves; <see cref="PathRules.MayShareAPath"/> knows more.</summary>
    public static bool MayShareAPath(RouterContact a, RouterContact b)
    {
        if (a.Id == b.Id) return false;
        if (a.Operator.Length > 0 && string.Equals(a.Operator, b.Operator, StringComparison.Ordinal)) return false;
        foreach (UdpAddress x in a.Addresses)
        {
            foreach (UdpAddress y in b.Addresses)
            {
                if (x.Family == y.Family && Network(x) == Network(y)) return false;
            }
        }

        return true;
    }

    // The exits that may end the path, or the one that was asked for.
    private static bool TryLasts(PathWish wish, NodeDirectory nodes, out List<RouterContact> lasts, [NotNullWhen(false)] out string? reason)
    {
        lasts = [];
        reason = null;
        if (wish.Last.IsNone)
        {
            string with = wish.Tunnel ? " with a tunnel" : "";
            List<RouterContact> all = [.. nodes.Exits.Where(e => !wish.Tunnel || e.HasTunnel)];

            // An exit for some networks, or for some people, is used by who asks for it.
            List<RouterContact> exits = [.. all.Where(e => e.GoesEverywhere && (!e.WantsToken || wish.Tokens.Contains(e.Id)))];
            List<RouterContact> allowed = [.. exits.Where(e => wish.Rules.BrokenBy(e) is null)];
            lasts = [.. allowed.Where(e => !wish.Excluded.Contains(e.Id))];
            if (exits.Count == 0 && all.Count > 0) reason = Words($"of the {all.Count} exits{with} of the directory, none serves everybody and goes everywhere: name one in [[client.exits]], with its token");
            else if (exits.Count == 0) reason = $"the directory knows no exit{with}";
            else if (allowed.Count == 0) reason = wish.Rules.Explain(exits, "exits" + with);
            else if (lasts.Count == 0) reason = Words($"all {allowed.Count} exits{with} of the directory are excluded");
            return reason is null;
        }

        if (!nodes.TryGetUsable(wish.Last, out RouterContact? last)) reason = nodes.TryGet(wish.Last, out _) ? "the contact of the last hop asked for is too old" : "the last hop asked for is not in the directory";
        else if (wish.Excluded.Contains(wish.Last)) reason = "the last hop asked for is excluded";
        else if (wish.Rules.BrokenBy(last) is { } rule) reason = $"the last hop asked for breaks your rule `{rule}` in [client]: change one of the two";
        else lasts = [last];
        return reason is null;
    }

    // Fills `chosen`, whose last place is taken, and returns how many places it could fill.
    private static int TryOnce(RouterContact[] chosen, PathWish wish, NodeDirectory nodes, ReadOnlySpan<RouterContact> guards, RouterContact[] seconds, List<RouterContact> relays, List<RouterContact> fitting, IEntropy entropy)
    {
        for (int place = 0; place < chosen.Length - 1; place++)
        {
            if (place == 0 && guards.Length > 0)
            {
                RouterContact? guard = null;
                foreach (RouterContact g in guards)
                {
                    if (!wish.Rules.MayShareAPath(g, chosen[^1], nodes)) continue;
                    guard = g;
                    break;
                }

                if (guard is null) return 1;
                chosen[0] = guard;
                continue;
            }

            fitting.Clear();
            IReadOnlyList<RouterContact> from = place == 1 && seconds.Length > 0 ? seconds : relays;
            foreach (RouterContact relay in from)
            {
                bool fits = wish.Rules.MayShareAPath(relay, chosen[^1], nodes);
                for (int i = 0; i < place && fits; i++) fits = wish.Rules.MayShareAPath(relay, chosen[i], nodes);
                if (fits) fitting.Add(relay);
            }

            if (fitting.Count == 0) return place + 1;
            chosen[place] = Pick(fitting, wish, entropy);
        }

        return chosen.Length;
    }

    // By weight. The bytes decide who sees the client: secret ones.
    private static RouterContact Pick(List<RouterContact> from, PathWish wish, IEntropy entropy)
    {
        if (wish.Measures is not { } measures) return from[Uniform(entropy, from.Count)];
        double sum = 0;
        foreach (RouterContact relay in from) sum += measures.WeightOf(relay.Id, wish.Rules.PrefersQuick);
        double at = Uniform(entropy, 1 << 30) / (double)(1 << 30) * sum;
        foreach (RouterContact relay in from)
        {
            at -= measures.WeightOf(relay.Id, wish.Rules.PrefersQuick);
            if (at < 0) return relay;
        }

        return from[^1];
    }

    private static ulong Network(UdpAddress address) => address.Family == UdpFamily.IPv4 ? address.High >> 48 : address.High >> 32;

    // Rejection keeps it uniform for every bound. The bytes decide who sees the client: secret ones.
    internal static int Uniform(IEntropy entropy, int bound)
    {
        Span<byte> bytes = stackalloc byte[8];
        ulong limit = ulong.MaxValue - (ulong.MaxValue % (ulong)bound);
        ulong value;
        do
        {
            entropy.FillSecret(bytes);
            value = System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(bytes);
        }
        while (value >= limit);
        return (int)(value % (ulong)bound);
    }

    private static string Words(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
