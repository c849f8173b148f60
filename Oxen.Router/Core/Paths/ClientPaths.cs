using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Core.Paths;

internal sealed class ClientPathOptions
{
    public int Hops { get; init; } = PathConstants.DefaultHops;

    /// <summary>Paths kept ready beside the one in use, to the same exit.</summary>
    public int Spares { get; init; } = 1;

    /// <summary>The exit to use; none: any.</summary>
    public RouterId Exit { get; init; }

    public SizeClass Class { get; init; } = SizeClass.Full;

    /// <summary>What no path may break.</summary>
    public PathRules Rules { get; init; } = PathRules.None;

    /// <summary>Relays that paths begin with: drawn once and kept.</summary>
    public GuardOptions Guards { get; init; } = new();

    /// <summary>Where they are kept between runs; null: for this run only.</summary>
    public IGuardStore? GuardStore { get; init; }

    /// <summary>Tests alone: sees the hops of each path that was built, with copies of their key chains, to look for them where they must not be.</summary>
    public Action<IReadOnlyList<RouterId>, IReadOnlyList<HopChains>>? KeyWitness { get; init; }

    /// <summary>A relay whose path failed is left out this long.</summary>
    public TimeSpan Penalty { get; init; } = TimeSpan.FromSeconds(60);
}

/// <summary>
/// Keeps paths ready for each isolation group of a client, on the control thread: one in use and the spares, all to one exit,
/// with different relays before it as far as there are enough. Builds successors before a path ends and after it fails.
/// </summary>
internal sealed class ClientPaths(ClientPathOptions options, LinkManager links, DataPlane dataPlane, NodeDirectory directory, NetworkClock clock, IPathEvents events, IEntropy entropy)
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(10);

    private sealed class Group(int number, bool tunnel)
    {
        public int Number { get; } = number;

        public bool Tunnel { get; } = tunnel;

        public RouterId Exit { get; set; }

        /// <summary>Where its paths end; none: at an exit of our choice.</summary>
        public RouterId Terminal { get; init; }

        public PathPurpose Purpose { get; init; }

        /// <summary>One path and no successor: whoever wanted it makes other plans before its end.</summary>
        public bool Once { get; init; }

        public List<ClientPath> Paths { get; } = [];

        public Instant RetryAt { get; set; } = Instant.Zero;

        public TimeSpan Backoff { get; set; } = FirstRetry;
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

        public Instant RenewAt { get; set; } = Instant.Never;

        public Instant Expires { get; set; } = Instant.Never;
    }

    private readonly Dictionary<int, Group> _groups = [];
    private readonly Dictionary<LinkRequest, ClientPath> _building = [];
    private readonly Dictionary<PathRef, ClientPath> _ready = [];
    private readonly Dictionary<RouterId, Penalty> _penalties = [];
    private readonly GuardSet _guards = new(options.Guards, options.GuardStore, entropy);
    private readonly RelayMeasures _measures = new();
    private int _directoryVersion = -1;

    /// <summary>Why a relay is left out for a while: it may have been the one (several on the path), or it was seen to be.</summary>
    private readonly record struct Penalty(Instant Until, bool Seen);

    /// <summary>Why there is no path, or what is wrong with those that there are, in words; empty when all is well.</summary>
    public string Trouble { get; private set; } = "";

    /// <summary>The relays that this client's paths begin with.</summary>
    public GuardSet Guards => _guards;

    public int ReadyCount => _ready.Count;

    /// <summary>Builds that wait for their answer.</summary>
    public int BuildingCount => _building.Count;

    public long Built { get; private set; }

    public long Failed { get; private set; }

    public Instant NextDeadline
    {
        get
        {
            Instant next = Instant.Never;
            foreach (Group group in _groups.Values)
            {
                if (group.Paths.Count < Wanted(group)) next = Instant.Earlier(next, group.RetryAt);
                foreach (ClientPath path in group.Paths) next = Instant.Earlier(next, Instant.Earlier(path.RenewAt, path.Expires));
            }

            return next;
        }
    }

    // ---- commands ----

    /// <summary>Keeps paths ready for this group from now on.</summary>
    /// <param name="tunnel">To exits that take IP packets.</param>
    public void Want(int number, Instant now, bool tunnel = false)
    {
        if (_groups.ContainsKey(number)) return;
        var group = new Group(number, tunnel);
        _groups.Add(number, group);
        Fill(group, now);
    }

    /// <summary>Keeps one path ready to a relay of the caller's choice, from now on or (`once`) until its end. No other number may be the same.</summary>
    public void WantPath(int number, RouterId terminal, PathPurpose purpose, bool once, Instant now)
    {
        if (_groups.ContainsKey(number)) return;
        var group = new Group(number, tunnel: false) { Terminal = terminal, Purpose = purpose, Once = once };
        _groups.Add(number, group);
        Fill(group, now);
    }

    public void Drop(int number)
    {
        if (!_groups.Remove(number, out Group? group)) return;
        foreach (ClientPath path in group.Paths.ToArray()) Close(path, PathCloseReason.Finished, tellLink: true, tellSession: true, "its group ended");
    }

    /// <summary>The network looks otherwise than before: what found no path may find one now.</summary>
    public void OnDirectoryChanged(Instant now)
    {
        RefreshGuards(now);
        if (directory.Version == _directoryVersion) return;
        _directoryVersion = directory.Version;
        foreach (Group group in _groups.Values)
        {
            if (group.Paths.Count > 0 || group.RetryAt <= now) continue;
            group.RetryAt = now;
            group.Backoff = FirstRetry;
        }
    }

    public void RefreshGuards(Instant now) => _guards.Refresh(directory, options.Rules, Unix(now));

    /// <summary>We slept, or the clock jumped: whoever was out of reach may not be any more.</summary>
    public void OnWokeUp(Instant now)
    {
        _guards.Forgive();
        _penalties.Clear();
        foreach (Group group in _groups.Values) (group.RetryAt, group.Backoff) = (now, FirstRetry);
    }

    /// <summary>Whether a path begins, or is being built, over this link.</summary>
    public bool Uses(Link link) => _groups.Values.Any(g => g.Paths.Any(p => p.First == link));

    /// <summary>The session thread gave a path up.</summary>
    /// <param name="suspect">The nearest hop that did not answer, or -1: not known.</param>
    public void OnPathFailed(PathRef number, int suspect, Instant now)
    {
        if (!_ready.TryGetValue(number, out ClientPath? path)) return;
        Failed++;

        // The hop that fell silent, or the one before it that could not reach it. Not known: all before the exit are left
        // out for a while if there are enough others.
        for (int hop = 0; hop < path.Hops.Length - 1; hop++)
            if (suspect < 0 || hop == suspect || hop == suspect - 1) Punish(path.Hops[hop].Id, seen: hop == suspect, now);
        if (suspect >= 0) _measures.OnFailed(path.Hops[suspect].Id);
        if (suspect == 0) _guards.OnUnreachable(path.Hops[0].Id, now);

        // A terminal that was asked for is asked for all the same; but no other path should cross it now.
        if (!path.Group.Terminal.IsNone && suspect == path.Hops.Length - 1) Punish(path.Hops[^1].Id, seen: true, now);
        Close(path, PathCloseReason.Finished, tellLink: true, tellSession: false);
        Fill(path.Group, now);
    }

    /// <summary>The group's exit does not serve it: the next paths go to another one.</summary>
    public void OnGroupLost(int number, Instant now)
    {
        if (!_groups.TryGetValue(number, out Group? group)) return;
        if (options.Exit.IsNone && group.Terminal.IsNone && !group.Exit.IsNone) Punish(group.Exit, seen: true, now);
        group.Exit = default;
        foreach (ClientPath path in group.Paths.ToArray()) Close(path, PathCloseReason.Finished, tellLink: true, tellSession: true, "its exit was left");
        Fill(group, now);
    }

    // ---- the world speaks ----

    public bool OnReply(LinkRequest request, ReadOnlySpan<byte> message, Instant now)
    {
        if (!_building.Remove(request, out ClientPath? path)) return false;
        bool read = BuildMessage.TryRead(message, out byte kind, out PathHandle up);
        if (path.Closed)
        {
            // Given up meanwhile; the relays are not to keep it until its end.
            if (read && kind == BuildMessage.Installed && !up.IsNone) links.SendPathClose(path.First, up, PathCloseReason.Finished);
            return true;
        }

        if (!read)
        {
            Fail(path, "the first hop answered with a malformed message", -1, now);
            return true;
        }

        byte[] records = message[BuildMessage.HeaderBytes..].ToArray();
        using PathBuildResult result = path.Builder.ReadReply(records);
        if (!result.IsBuilt || kind != BuildMessage.Installed || up.IsNone)
        {
            string why = result.End == PathBuildEnd.Refused
                ? $"hop {result.FailedHop + 1} of {path.Hops.Length} refused the path: {result.Status}"
                : $"hop {result.FailedHop + 1} of {path.Hops.Length} gave no authentic answer";
            int failed = result.End == PathBuildEnd.Refused && result.Status == BuildStatus.NextHopUnreachable ? result.FailedHop + 1 : result.FailedHop;
            Fail(path, why, failed, now);
            return true;
        }

        path.UpHandle = up;
        path.Ready = true;
        path.Builder.Dispose();
        path.Expires = now + PathConstants.Lifetime - (now - path.Started);
        path.RenewAt = path.Expires - PathConstants.RenewBefore - RandomPart(PathConstants.RenewJitter);
        HopChains[] chains = [.. result.Hops.Select(h => new HopChains(h.ChainUpstream.ToArray(), h.ChainDownstream.ToArray(), h.StartEpoch))];
        options.KeyWitness?.Invoke([.. path.Hops.Select(h => h.Id)], [.. chains.Select(c => new HopChains([.. c.ChainUpstream], [.. c.ChainDownstream], c.StartEpoch))]);
        dataPlane.AddClient(
            path.Path,
            options.Class,
            PathEgress.To(path.First.Number, up, path.First.PeerShards),
            new PathIngress(path.First.Number, path.DownHandle),
            chains,
            path.Expires);
        _ready.Add(path.Path, path);
        path.Group.Backoff = FirstRetry;
        _measures.OnBuilt(path.Hops, now - path.Started);
        _guards.OnBuilt(path.Hops[0].Id, Unix(now), now);
        Trouble = _guards.Trouble(now);
        Built++;
        events.OnPathReady(new PathReady
        {
            Path = path.Path,
            End = PathEnd.Client,
            Class = options.Class,
            Group = path.Group.Number,
            Purpose = path.Group.Purpose,
            SessionSecret = result.Hops[^1].SessionSecret.ToArray(),
            Transcript = result.Hops[^1].Transcript.ToArray(),
            Expires = path.Expires,
            BuildTime = now - path.Started,
            Hops = [.. path.Hops.Select(h => h.Id)],
        });
        return true;
    }

    public bool OnRequestFailed(LinkRequest request, Instant now)
    {
        if (!_building.Remove(request, out ClientPath? path)) return false;
        if (path.Closed) return true;
        string why = path.First.State == LinkState.Closed && path.First.CloseReason.Length > 0
            ? $"no link to the first hop: {path.First.CloseReason}"
            : "the path build was not answered in time";
        if (path.First.State == LinkState.Closed) _guards.OnUnreachable(path.Hops[0].Id, now);
        Fail(path, why, 0, now);
        return true;
    }

    public void OnPathClose(Link link, PathHandle handle, Instant now)
    {
        foreach (ClientPath path in _ready.Values)
        {
            if (path.First != link || path.DownHandle != handle) continue;
            Lost(path, now, "a relay closed it");
            return;
        }
    }

    public void OnLinkDown(Link link, Instant now)
    {
        foreach (ClientPath path in _ready.Values.Where(p => p.First == link).ToArray()) Lost(path, now, $"the link to the first hop ended: {link.CloseReason}");
    }

    /// <returns>False when the path is not one of ours.</returns>
    public bool OnShardEvent(PathRef number, string reason, Instant now)
    {
        if (!_ready.TryGetValue(number, out ClientPath? path)) return false;
        Lost(path, now, reason);
        return true;
    }

    public void HandleTimeout(Instant now)
    {
        foreach (Group group in _groups.Values)
        {
            for (int i = group.Paths.Count - 1; i >= 0; i--)
            {
                ClientPath path = group.Paths[i];
                if (path.Expires <= now)
                {
                    Lost(path, now, "its lifetime is over");
                }
                else if (path.RenewAt <= now)
                {
                    path.RenewAt = Instant.Never; // wanted beside it from now on
                }
            }

            if (group.RetryAt <= now) Fill(group, now);
        }
    }

    public void CloseAll()
    {
        foreach (Group group in _groups.Values)
            foreach (ClientPath path in group.Paths.ToArray()) Close(path, PathCloseReason.Shutdown, tellLink: true, tellSession: false);
        _groups.Clear();
    }

    // ---- inside ----

    /// <summary>One in use, the spares, and a successor for each that nears its end.</summary>
    private int Wanted(Group group)
    {
        if (group.Once) return 1;
        return 1 + (group.Terminal.IsNone ? options.Spares : 0) + group.Paths.Count(p => p.Ready && p.RenewAt.IsNever);
    }

    private void Fill(Group group, Instant now)
    {
        while (group.Paths.Count < Wanted(group))
        {
            if (group.RetryAt > now) return;
            if (!Build(group, now)) return;
        }
    }

    private bool Build(Group group, Instant now)
    {
        if (!TryChoose(group, now, out RouterContact[]? hops, out string? reason))
        {
            Trouble = reason!;
            Retry(group, now);
            return false;
        }

        Link? first = links.Dial(hops![0].Id, now);
        int shard = dataPlane.ChooseShard();
        if (first is null || !dataPlane.TryTakePath(shard, out PathRef number))
        {
            Trouble = first is null ? "no link to the first hop can be made: this router is stopping, or knows no address of it" : "too many paths";
            Retry(group, now);
            return false;
        }

        if (!dataPlane.TryTakeHandle(shard, out PathHandle down))
        {
            dataPlane.ReleasePath(number);
            Trouble = "too many paths";
            Retry(group, now);
            return false;
        }

        if (group.Exit.IsNone) group.Exit = hops[^1].Id;
        PathBuilder builder = PathBuilder.Create(hops, options.Class, clock.EpochAt(now), entropy);
        byte[] message = new byte[BuildMessage.RequestBytes];
        BuildMessage.WriteHeader(message, (byte)RequestKind.Build, down);
        builder.WriteRequest(message.AsSpan(BuildMessage.HeaderBytes));
        var path = new ClientPath { Group = group, Hops = hops, First = first, Path = number, DownHandle = down, Builder = builder, Started = now };
        LinkRequest? request = links.Send(first, message, BuildMessage.ReplyBytes + 1, now);
        group.Paths.Add(path);
        if (request is null)
        {
            Fail(path, "the link to the first hop is closed", 0, now);
            return false;
        }

        _building.Add(request, path);
        return true;
    }

    private bool TryChoose(Group group, Instant now, out RouterContact[]? hops, out string? reason)
    {
        RouterId last = !group.Terminal.IsNone ? group.Terminal : group.Exit.IsNone ? options.Exit : group.Exit;
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
        }

        // Disjoint from the group's other paths if that leaves enough, so that one dead relay ends one path.
        // When there are too few relays, those that were seen to fail are left out the longest.
        HashSet<RouterId> others = [];
        foreach (ClientPath other in group.Paths)
            foreach (RouterContact hop in other.Hops.AsSpan(0, other.Hops.Length - 1)) others.Add(hop.Id);
        HashSet<RouterId>[] levels = [[.. punished, .. others], [.. seen, .. others], punished, seen, others, []];

        // First hops are the guards', whatever happened to paths behind them: who makes paths fail gets no say in whom we use instead.
        RefreshGuards(now);
        HashSet<RouterId> busy = [.. _groups.Values.Where(g => g == group).SelectMany(g => g.Paths).Select(p => p.Hops[0].Id)];
        IReadOnlyList<RouterId> guards = _guards.Choose(busy, now);
        reason = _guards.Trouble(now);
        hops = null;
        if (guards.Count == 0)
        {
            if (reason.Length == 0) reason = directory.Known.Count == 0 ? "no relay is known: give it a current contact list" : "no relay that is known is allowed as first hop: " + options.Rules.Explain([.. directory.Known.Where(c => c.IsRelay)], "relays");
            return false;
        }

        foreach (HashSet<RouterId> excluded in levels)
        {
            if (!last.IsNone && excluded.Contains(last)) continue;
            if (PathSelector.TrySelect(new PathWish { Hops = options.Hops, Last = last, Tunnel = group.Tunnel, Excluded = excluded, Guards = guards, Rules = options.Rules, Measures = _measures }, directory, entropy, out hops, out reason)) return true;
        }

        return false;
    }

    private void Fail(ClientPath path, string why, int failedHop, Instant now)
    {
        Failed++;
        Trouble = _guards.Trouble(now) is { Length: > 0 } guards ? $"{why}; {guards}" : why;
        if (failedHop >= 0 && failedHop < path.Hops.Length)
        {
            // Seen by the word of the hop before it, and that word may be a lie to steer us elsewhere: both are left out.
            Punish(path.Hops[failedHop].Id, seen: true, now);
            _measures.OnFailed(path.Hops[failedHop].Id);
            _guards.OnFailed(path.Hops[0].Id, own: failedHop == 0, now);
            if (failedHop > 0) Punish(path.Hops[failedHop - 1].Id, seen: false, now);
            if (failedHop == path.Hops.Length - 1 && path.Group.Paths.All(p => !p.Ready)) path.Group.Exit = default;
        }

        Close(path, PathCloseReason.Refused, tellLink: false, tellSession: false);
        Retry(path.Group, now);
    }

    private void Lost(ClientPath path, Instant now, string reason)
    {
        if (path.Closed) return;
        if (path.Expires > now) Failed++;
        Close(path, PathCloseReason.Finished, tellLink: true, tellSession: true, reason);
        if (_groups.ContainsKey(path.Group.Number)) Fill(path.Group, now);
    }

    private void Close(ClientPath path, PathCloseReason reason, bool tellLink, bool tellSession, string words = "")
    {
        if (path.Closed) return;
        path.Closed = true;
        path.Group.Paths.Remove(path);
        path.Builder.Dispose();
        if (path.Ready)
        {
            _ready.Remove(path.Path);
            if (tellLink) links.SendPathClose(path.First, path.UpHandle, reason);
            if (tellSession) events.OnPathGone(PathEnd.Client, new PathGone(path.Path, words, path.Group.Purpose));
            dataPlane.RemovePath(path.Path);
        }
        else
        {
            dataPlane.ReleasePath(path.Path);
        }

        dataPlane.ReleaseHandle(path.DownHandle);
    }

    private void Punish(RouterId relay, bool seen, Instant now)
    {
        seen |= _penalties.TryGetValue(relay, out Penalty before) && before.Until > now && before.Seen;
        _penalties[relay] = new Penalty(now + options.Penalty, seen);
    }

    private void Retry(Group group, Instant now)
    {
        group.RetryAt = now + group.Backoff + RandomPart(group.Backoff);
        group.Backoff = 2 * group.Backoff > LastRetry ? LastRetry : 2 * group.Backoff;
    }

    private long Unix(Instant now) => clock.UnixNanoseconds(now) / 1_000_000_000;

    private TimeSpan RandomPart(TimeSpan whole)
    {
        Span<byte> bytes = stackalloc byte[4];
        entropy.FillPublic(bytes);
        return whole * (BitConverter.ToUInt32(bytes) / (double)uint.MaxValue);
    }
}
