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

    /// <summary>First hops to prefer, best first: the client's guards. When one fits, no other relay becomes the first hop.</summary>
    public IReadOnlyList<RouterId> Guards { get; init; } = [];

    /// <summary>Routers that must not be on the path: dead ones, those of a path that just failed, the user's own list.</summary>
    public IReadOnlySet<RouterId> Excluded { get; init; } = System.Collections.Frozen.FrozenSet<RouterId>.Empty;
}

// Chooses hops: the exit first (there are fewest of them), then the first hop (a guard if one fits), then the middles,
// each uniformly among the relays that fit beside those chosen. No router twice; no two of one /16 (IPv4), /32 (IPv6) or
// operator. A dead end (few relays, many of one family) is tried again with other dice, then given up with a reason.
//
// Uniform is the honest choice while nothing measures capacity; weights would come from the directory, not from what a
// relay says of itself.

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
        List<RouterContact> relays = [.. nodes.Relays.Where(r => !wish.Excluded.Contains(r.Id))];
        List<RouterContact> lasts;
        if (wish.Last.IsNone)
        {
            RouterContact[] exits = [.. nodes.Exits.Where(e => !wish.Tunnel || e.HasTunnel)];
            lasts = [.. exits.Where(e => !wish.Excluded.Contains(e.Id))];
            if (lasts.Count == 0)
            {
                string with = wish.Tunnel ? " with a tunnel" : "";
                reason = exits.Length == 0
                    ? $"the directory knows no exit{with}"
                    : Words($"all {exits.Length} exits{with} of the directory are excluded");
                return false;
            }
        }
        else if (nodes.TryGet(wish.Last, out RouterContact? last))
        {
            if (wish.Excluded.Contains(wish.Last))
            {
                reason = "the last hop asked for is excluded";
                return false;
            }

            lasts = [last];
        }
        else
        {
            reason = "the last hop asked for is not in the directory";
            return false;
        }

        var chosen = new RouterContact[wish.Hops];
        var fitting = new List<RouterContact>(relays.Count);
        int longest = 0;
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            chosen[^1] = lasts[Uniform(entropy, lasts.Count)];
            int count = TryOnce(chosen, wish, nodes, relays, fitting, entropy);
            if (count == wish.Hops)
            {
                hops = chosen;
                reason = null;
                return true;
            }

            longest = Math.Max(longest, count);
        }

        reason = Words($"{wish.Hops} hops asked for, but only {longest} fit together: the directory has {nodes.Relays.Count} relays, {relays.Count} of them not excluded, and a path takes one of each /16 (IPv4), /32 (IPv6) and operator");
        return false;
    }

    /// <summary>Whether two routers may be on one path.</summary>
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

    // Fills `chosen`, whose last place is taken, and returns how many places it could fill.
    private static int TryOnce(RouterContact[] chosen, PathWish wish, NodeDirectory nodes, List<RouterContact> relays, List<RouterContact> fitting, IEntropy entropy)
    {
        for (int place = 0; place < chosen.Length - 1; place++)
        {
            if (place == 0 && TryGuard(chosen[^1], wish, nodes, out RouterContact? guard))
            {
                chosen[0] = guard;
                continue;
            }

            fitting.Clear();
            foreach (RouterContact relay in relays)
            {
                bool fits = MayShareAPath(relay, chosen[^1]);
                for (int i = 0; i < place && fits; i++) fits = MayShareAPath(relay, chosen[i]);
                if (fits) fitting.Add(relay);
            }

            if (fitting.Count == 0) return place + 1;
            chosen[place] = fitting[Uniform(entropy, fitting.Count)];
        }

        return chosen.Length;
    }

    private static bool TryGuard(RouterContact last, PathWish wish, NodeDirectory nodes, [NotNullWhen(true)] out RouterContact? guard)
    {
        foreach (RouterId id in wish.Guards)
        {
            if (!wish.Excluded.Contains(id) && nodes.TryGet(id, out guard) && guard.IsRelay && MayShareAPath(guard, last)) return true;
        }

        guard = null;
        return false;
    }

    private static ulong Network(UdpAddress address) => address.Family == UdpFamily.IPv4 ? address.High >> 48 : address.High >> 32;

    // Rejection keeps it uniform for every bound. The bytes decide who sees the client: secret ones.
    private static int Uniform(IEntropy entropy, int bound)
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
