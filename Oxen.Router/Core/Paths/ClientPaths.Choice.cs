using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Paths;

// Which relays the next path of a group takes. From the strictest wish to the last resort:
//
//   apart     from the group's other paths, so that one dead relay ends one path; middles are no guards of ours, or the next
//             path would find its first hop taken; nobody who may have failed lately
//   ...       the same, but only those are left out that were seen to fail; then, that were seen to fail just now
//   crowded   it shares relays with another path: better than none, and replaced when there is a choice (Mend)
//
// First hops are the guards', whatever happened to paths behind them: who makes paths fail gets no say in whom we use instead.
internal sealed partial class ClientPaths
{
    /// <summary>Why a relay is left out for a while: it may have been the one (several on the path), or it was seen to be.</summary>
    private readonly record struct Penalty(Instant Until, bool Seen);

    /// <param name="Excluded">At no place but the last and the first.</param>
    /// <param name="NotMiddles">Guards of ours; the second layer may have them all the same.</param>
    private readonly record struct Level(HashSet<RouterId> Excluded, IReadOnlyCollection<RouterId> NotMiddles, IReadOnlyList<RouterId> Guards);

    private bool TryChoose(Group group, bool apart, Instant now, out RouterContact[]? hops, out string? reason)
    {
        hops = null;
        reason = null;
        foreach (RouterId last in Ends(group, now)) if (TryChoose(group, last, apart, now, out hops, out reason)) return true;
        return false;
    }

    /// <summary>Where the group's next path may end, best first; none stands for any exit.</summary>
    private IReadOnlyList<RouterId> Ends(Group group, Instant now)
    {
        if (!group.Terminal.IsNone) return [group.Terminal];
        if (!group.Exit.IsNone) return [group.Exit];
        IReadOnlyList<RouterId> named = group.Exits.Count > 0 ? group.Exits : options.Exit.IsNone ? [] : [options.Exit];
        if (named.Count == 0) return [default];

        // In the user's order; one that failed lately stands back.
        return [.. named.OrderBy(id => _penalties.TryGetValue(id, out Penalty penalty) && penalty.Until > now ? 1 : 0)];
    }

    private bool TryChoose(Group group, RouterId last, bool apart, Instant now, out RouterContact[]? hops, out string? reason)
    {
        (HashSet<RouterId> fresh, HashSet<RouterId> seen, HashSet<RouterId> punished) = Penalties(last, now);
        HashSet<RouterId> others = [], ending = [];
        foreach (ClientPath other in group.Paths)
        {
            foreach (RouterContact hop in other.Hops.AsSpan(0, other.Hops.Length - 1)) (other.Ends ? ending : others).Add(hop.Id);
            if (other.Late) foreach (RouterContact hop in other.Hops.AsSpan(1, other.Hops.Length - 2)) punished.Add(hop.Id);
        }

        hops = null;
        RefreshGuards(now);
        HashSet<RouterId> busy = [.. others, .. ending];
        IReadOnlyList<RouterId> guards = _guards.Choose(busy, now);
        reason = _guards.Trouble(now);
        if (guards.Count == 0)
        {
            if (reason.Length == 0) reason = NoGuard();
            return false;
        }

        IReadOnlyList<RouterId> seconds = group.Terminal.IsNone ? [] : SecondLayer(now);
        foreach (Level level in Levels(guards, last, others, ending, fresh, seen, punished, apart))
        {
            level.Excluded.Remove(last);
            var wish = new PathWish
            {
                Hops = options.Hops,
                Last = last,
                Tunnel = group.Tunnel,
                Tokens = options.Tokens,
                Excluded = level.Excluded,
                NotMiddles = level.NotMiddles.ToHashSet(),
                Guards = level.Guards,
                Seconds = seconds,
                Rules = options.Rules,
                Measures = _measures,
            };
            if (PathSelector.TrySelect(wish, directory, entropy, out hops, out reason)) return true;
        }

        reason ??= "no choice of relays is left that no other path uses";
        return false;
    }

    private IEnumerable<Level> Levels(IReadOnlyList<RouterId> guards, RouterId last, HashSet<RouterId> others, HashSet<RouterId> ending, HashSet<RouterId> justNow, HashSet<RouterId> seen, HashSet<RouterId> punished, bool apart)
    {
        IReadOnlyList<RouterId> sample = _guards.Sample;
        RouterId[] primaries = Primaries(guards, last);
        RouterId[] free = [.. primaries.Where(g => !others.Contains(g))];
        RouterId[] fresh = [.. free.Where(g => !ending.Contains(g))];
        if (free.Length > 0)
        {
            if (fresh.Length > 0)
            {
                yield return new([.. others, .. ending, .. punished], sample, fresh);
                yield return new([.. others, .. ending, .. punished], primaries, fresh);
            }

            yield return new([.. others, .. punished], sample, free);
            yield return new([.. others, .. punished], primaries, free);
            yield return new([.. others, .. seen], primaries, free);
            yield return new([.. others, .. seen], [], free);
            yield return new([.. others, .. justNow], primaries, free);
            yield return new([.. others, .. justNow], [], free);
        }

        if (apart) yield break;
        yield return new([.. punished], primaries, guards);
        yield return new([.. seen], primaries, guards);
        yield return new([.. justNow], [], guards);
        if (free.Length > 0) yield return new([.. others], [], free);
        yield return new([], [], guards);
    }

    /// <summary>The guards in use: the first of those that may share a path with where it ends.</summary>
    private RouterId[] Primaries(IReadOnlyList<RouterId> guards, RouterId last)
    {
        if (last.IsNone || !directory.TryGet(last, out RouterContact? end)) return [.. guards.Take(options.Guards.Primary)];
        return [.. guards.Where(g => directory.TryGet(g, out RouterContact? guard) && options.Rules.MayShareAPath(guard, end, directory)).Take(options.Guards.Primary)];
    }

    private IReadOnlyList<RouterId> SecondLayer(Instant now)
    {
        if (_seconds is null) return [];
        _seconds.Refresh(directory, options.Rules, Unix(now));
        IReadOnlyList<RouterId> all = _seconds.Choose(System.Collections.Frozen.FrozenSet<RouterId>.Empty, now);

        // Of few relays the first four may be just those that do not go with this path's ends: then the rest of the layer, never others.
        return directory.Relays.Count > 4 * options.SecondLayer!.Sample ? [.. all.Take(options.SecondLayer.Primary)] : all;
    }

    private (HashSet<RouterId> Fresh, HashSet<RouterId> Seen, HashSet<RouterId> Punished) Penalties(RouterId last, Instant now)
    {
        HashSet<RouterId> fresh = [];
        HashSet<RouterId> seen = [];
        HashSet<RouterId> punished = [];
        foreach ((RouterId id, Penalty penalty) in _penalties.ToArray())
        {
            if (penalty.Until <= now)
            {
                _penalties.Remove(id);
                continue;
            }

            if (id == last) continue;
            punished.Add(id);
            if (penalty.Seen) seen.Add(id);
            if (penalty.Seen && penalty.Until - now > 0.75 * options.Penalty) fresh.Add(id);
        }

        return (fresh, seen, punished);
    }

    private void Punish(RouterId relay, bool seen, Instant now)
    {
        seen |= _penalties.TryGetValue(relay, out Penalty before) && before.Until > now && before.Seen;
        _penalties[relay] = new Penalty(now + options.Penalty, seen);
    }

    /// <summary>When the next penalty ends; never without one.</summary>
    private Instant NextPardon
    {
        get
        {
            Instant next = Instant.Never;
            foreach (Penalty penalty in _penalties.Values) next = Instant.Earlier(next, penalty.Until);
            return next;
        }
    }

    private string NoGuard() => directory.Known.Count == 0
        ? "no relay is known: give it a current contact list"
        : "no relay that is known is allowed as first hop: " + options.Rules.Explain([.. directory.Known.Where(c => c.IsRelay)], "relays");
}
