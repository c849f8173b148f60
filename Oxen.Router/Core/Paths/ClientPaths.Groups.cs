using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;

namespace Oxen.Router.Core.Paths;

// Groups and their paths, and whether two paths of a group would end with one relay.
internal sealed partial class ClientPaths
{
    private sealed class Group(int number, bool tunnel)
    {
        public int Number { get; } = number;

        public bool Tunnel { get; } = tunnel;

        public RouterId Exit { get; set; }

        /// <summary>Where its paths end; none: at an exit of our choice.</summary>
        public RouterId Terminal { get; init; }

        /// <summary>Exits to use, the best first; empty: any.</summary>
        public IReadOnlyList<RouterId> Exits { get; init; } = [];

        /// <summary>When it last lost its exit, and how often in a row.</summary>
        public Instant LostAt { get; set; } = new(long.MinValue / 2);

        public int LostInARow { get; set; }

        public PathPurpose Purpose { get; init; }

        /// <summary>One path and no successor: whoever wanted it makes other plans before its end.</summary>
        public bool Once { get; init; }

        public List<ClientPath> Paths { get; } = [];

        public Instant RetryAt { get; set; } = Instant.Zero;

        public TimeSpan Backoff { get; set; } = FirstRetry;

        /// <summary>Two of its paths share a relay: when to look whether that can be mended.</summary>
        public Instant MendAt { get; set; } = Instant.Never;

        public TimeSpan MendBackoff { get; set; } = FirstMend;
    }

    private sealed class ClientPath
    {
        public required Group Group { get; init; }

        public required RouterContact[] Hops { get; init; }

        public required Link First { get; init; }

        public required PathRef Path { get; init; }

        public required PathHandle DownHandle { get; init; }

        public required PathBuilder Builder { get; init; }

        public required Instant Started { get; init; }

        public PathHandle UpHandle { get; set; }

        public bool Ready { get; set; }

        public bool Closed { get; set; }

        /// <summary>Its answer takes so long that another path is built beside it.</summary>
        public bool Late { get; set; }

        /// <summary>It is to be replaced by one that shares no relay with the others, and then closed.</summary>
        public bool Crowded { get; set; }

        /// <summary>Where it was to be renewed before it was found crowded.</summary>
        public Instant RenewAtFirst { get; set; }

        public Instant RenewAt { get; set; } = Instant.Never;

        public Instant Expires { get; set; } = Instant.Never;

        /// <summary>Another one is, or will be, in its place.</summary>
        public bool Ends => Late || (Ready && RenewAt.IsNever);

        /// <summary>When to build another one beside it.</summary>
        public Instant LateAt(TimeSpan patience) => Ready || Late ? Instant.Never : Started + patience;

        /// <summary>Whether one dead relay before the last would end both.</summary>
        public bool Shares(ClientPath other)
        {
            foreach (RouterContact mine in Hops.AsSpan(0, Hops.Length - 1))
                foreach (RouterContact theirs in other.Hops.AsSpan(0, other.Hops.Length - 1)) if (mine.Id == theirs.Id) return true;
            return false;
        }
    }

    // ---- late builds ----

    /// <summary>An answer that takes longer than this is not waited for alone.</summary>
    private TimeSpan LatePatience
    {
        get
        {
            TimeSpan typical = 3 * _measures.TypicalBuild;
            return typical == TimeSpan.Zero || typical > MostLate ? MostLate : typical < LeastLate ? LeastLate : typical;
        }
    }

    private void MarkLate(Group group, Instant now)
    {
        foreach (ClientPath path in group.Paths)
        {
            if (path.LateAt(LatePatience) <= now && group.Paths.Count(p => p.Late) < MaxLate) path.Late = true;
        }
    }

    /// <summary>What is being built through a relay that was seen to be silent will hardly come to stand.</summary>
    private void DoubtBuildsThrough(RouterId silent)
    {
        foreach (ClientPath path in _building.Values)
        {
            if (!path.Closed && path.Hops.Any(h => h.Id == silent) && path.Group.Paths.Count(p => p.Late) < MaxLate) path.Late = true;
        }
    }

    // ---- crowded paths ----

    /// <summary>The younger of two ready paths that share a relay: the older one is most likely in use.</summary>
    private static ClientPath? CrowdedOf(Group group)
    {
        for (int i = group.Paths.Count - 1; i > 0; i--)
        {
            ClientPath path = group.Paths[i];
            if (!path.Ready || path.Ends) continue;
            for (int j = 0; j < i; j++) if (group.Paths[j] is { Ready: true, Ends: false } older && path.Shares(older)) return path;
        }

        return null;
    }

    /// <summary>Plans a look at the group, soon if something changed that might help.</summary>
    private void PlanMend(Group group, Instant now, bool soon)
    {
        if (CrowdedOf(group) is null)
        {
            (group.MendAt, group.MendBackoff) = (Instant.Never, FirstMend);
            return;
        }

        if (soon) group.MendBackoff = FirstMend;
        Instant at = now + group.MendBackoff + RandomPart(group.MendBackoff / 4);
        group.MendAt = soon || group.MendAt.IsNever ? at : Instant.Earlier(group.MendAt, at);
    }

    /// <summary>Replaces a crowded path if there is a choice of relays now that none of the others uses; else looks again later, ever more seldom.</summary>
    private void Mend(Group group, Instant now)
    {
        group.MendAt = Instant.Never;
        if (CrowdedOf(group) is not { } crowded) return;
        group.MendBackoff = 2 * group.MendBackoff > LastMend ? LastMend : 2 * group.MendBackoff;
        group.MendAt = Instant.Earlier(now + group.MendBackoff, Instant.Later(NextPardon, now + FirstMend)); // whoever is let off then may be the way out
        if (group.Paths.Any(p => !p.Ready || p.Crowded)) return;
        crowded.RenewAtFirst = crowded.RenewAt;
        crowded.RenewAt = Instant.Never;
        if (!TryChoose(group, apart: true, now, out _, out _))
        {
            crowded.RenewAt = crowded.RenewAtFirst;
            return;
        }

        crowded.Crowded = true;
        Fill(group, now);
    }

    /// <summary>No path came to stand that shares no relay: the crowded one stays what it was.</summary>
    private static void KeepCrowded(Group group)
    {
        foreach (ClientPath path in group.Paths)
        {
            if (!path.Crowded) continue;
            path.Crowded = false;
            path.RenewAt = path.RenewAtFirst;
        }
    }
}
