using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// Keeps paths ready for each isolation group of a client, on the control thread: one in use and the spares, all to one exit,
/// with different relays before it as far as there are enough. Builds successors before a path ends and after it fails.
/// </summary>
internal sealed partial class ClientPaths(ClientPathOptions options, LinkManager links, DataPlane dataPlane, NodeDirectory directory, NetworkClock clock, IPathEvents events, IEntropy entropy)
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(10);

    // How soon, and in the end how seldom, a client looks whether two paths that share a relay can be taken apart.
    private static readonly TimeSpan FirstMend = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LastMend = TimeSpan.FromMinutes(5);

    // A build takes a round trip or two. One that takes far longer met a dead relay: whoever waits for that waits ten seconds.
    private static readonly TimeSpan LeastLate = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan MostLate = TimeSpan.FromSeconds(2);
    private const int MaxLate = 2;

    // A path that was replaced lives on so long, for its successor to be attached.
    private static readonly TimeSpan HandOver = TimeSpan.FromSeconds(2);

    private readonly Dictionary<int, Group> _groups = [];
    private readonly Dictionary<LinkRequest, ClientPath> _building = [];
    private readonly Dictionary<PathRef, ClientPath> _ready = [];

    // No path of a group any more, but the last words of its session may still be on their way out: the end of the path goes behind them.
    private readonly Dictionary<PathRef, ClientPath> _retiring = [];
    private readonly Dictionary<RouterId, Penalty> _penalties = [];
    private readonly GuardSet _guards = new(options.Guards, options.GuardStore, entropy);
    private readonly GuardSet? _seconds = options.SecondLayer is { } second ? new GuardSet(second, options.SecondLayerStore, entropy) : null;
    private readonly RelayMeasures _measures = new();
    private int _directoryVersion = -1;

    /// <summary>Why there is no path, or what is wrong with those that there are, in words; empty when all is well.</summary>
    public string Trouble { get; private set; } = "";

    /// <summary>The relays that this client's paths begin with.</summary>
    public GuardSet Guards => _guards;

    public int ReadyCount => _ready.Count;

    /// <summary>Routers whose contacts say this of them, and that the user's rules allow.</summary>
    public IReadOnlyList<RouterId> Find(RouterCapabilities capability) => [.. directory.All.Where(c => (c.Capabilities & capability) == capability && options.Rules.BrokenBy(c) is null).Select(c => c.Id)];

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
                next = Instant.Earlier(next, group.MendAt);
                bool mayBeLate = group.Paths.Count(p => p.Late) < MaxLate;
                foreach (ClientPath path in group.Paths)
                {
                    next = Instant.Earlier(next, Instant.Earlier(path.RenewAt, path.Expires));
                    if (mayBeLate) next = Instant.Earlier(next, path.LateAt(LatePatience));
                }
            }

            return next;
        }
    }

    // ---- commands ----

    /// <summary>Keeps paths ready for this group from now on.</summary>
    /// <param name="tunnel">To exits that take IP packets.</param>
    /// <param name="exits">Exits to use, the best first; empty: any.</param>
    public void Want(int number, Instant now, bool tunnel = false, IReadOnlyList<RouterId>? exits = null)
    {
        if (_groups.ContainsKey(number)) return;
        var group = new Group(number, tunnel) { Exits = exits ?? [] };
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

    /// <summary>Ends a group. What its session has put into the rings until now still leaves, before the relays hear of the end.</summary>
    public void Drop(int number)
    {
        if (!_groups.Remove(number, out Group? group)) return;
        foreach (ClientPath path in group.Paths.ToArray()) Close(path, PathCloseReason.Finished, tellLink: true, tellSession: true, "its group ended", retire: true);
    }

    /// <summary>The shard has sent all that there was for the path, and has forgotten it.</summary>
    public void OnPathRetired(PathRef number)
    {
        if (!_retiring.Remove(number, out ClientPath? path)) return;
        links.SendPathClose(path.First, path.UpHandle, PathCloseReason.Finished);
        dataPlane.ReleasePath(path.Path);
        dataPlane.ReleaseHandle(path.DownHandle);
    }

    /// <summary>The network looks otherwise than before: what found no path may find one now.</summary>
    public void OnDirectoryChanged(Instant now)
    {
        RefreshGuards(now);
        if (directory.Version == _directoryVersion) return;
        _directoryVersion = directory.Version;
        foreach (Group group in _groups.Values)
        {
            if (!group.MendAt.IsNever) PlanMend(group, now, soon: true);
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
        _seconds?.Forgive();
        _penalties.Clear();
        foreach (Group group in _groups.Values) (group.RetryAt, group.Backoff) = (now, FirstRetry);
    }

    /// <summary>Whether a path begins, or is being built, over this link.</summary>
    public bool Uses(Link link) => _groups.Values.Any(g => g.Paths.Any(p => p.First == link)) || _retiring.Values.Any(p => p.First == link);

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
        if (suspect == 1) _seconds?.OnUnreachable(path.Hops[1].Id, now);
        if (suspect >= 0 && suspect < path.Hops.Length - 1) DoubtBuildsThrough(path.Hops[suspect].Id);
        Link silent = path.First;

        // A terminal that was asked for is asked for all the same; but no other path should cross it now.
        if (!path.Group.Terminal.IsNone && suspect == path.Hops.Length - 1) Punish(path.Hops[^1].Id, seen: true, now);
        Close(path, PathCloseReason.Finished, tellLink: true, tellSession: false);

        // The first hop is silent on every path over this link: it is dead, or our address changed and it does not know us any more.
        // A link that is made anew finds out within a round trip.
        if (suspect == 0 && !_ready.Values.Any(p => p.First == silent)) links.Close(silent, LinkError.None, "the first hop fell silent", now);
        Fill(path.Group, now);
    }

    /// <summary>The machine's addresses changed: what did not answer may answer now. Links that stand show by themselves whether they still do.</summary>
    public void OnNetworkChanged(Instant now)
    {
        foreach (Link link in links.Links.ToArray()) if (link is { Initiator: true, State: LinkState.Connecting }) links.Close(link, LinkError.None, "the network changed", now);
        OnWokeUp(now);
        foreach (Group group in _groups.Values) Fill(group, now);
    }

    /// <summary>What the session thread measured of a path; one that is gone says nothing any more.</summary>
    public void OnPathMeasured(in Sessions.PathMeasurement measured)
    {
        if (_ready.TryGetValue(measured.Path, out ClientPath? path) && path.Hops.Length == measured.HopRtt.Length)
            _measures.OnMeasured(path.Hops, measured.HopRtt, measured.Loss, measured.Judged, measured.PacketsPerSecond);
    }

    /// <summary>What this client measured of relays.</summary>
    public RelayMeasures Measures => _measures;

    /// <summary>The group's exit does not serve it: the next paths go to another one.</summary>
    /// <param name="reason">In words; stands as trouble until a path is ready again.</param>
    public void OnGroupLost(int number, string reason, Instant now)
    {
        if (!_groups.TryGetValue(number, out Group? group)) return;
        Trouble = reason;
        if (group.Terminal.IsNone && !group.Exit.IsNone)
        {
            Punish(group.Exit, seen: true, now);
            _measures.OnFailed(group.Exit);
        }

        group.Exit = default;

        // Another exit at once; but one that refuses, the only one that there is, is not asked without pause.
        group.LostInARow = now - group.LostAt < options.Penalty ? group.LostInARow + 1 : 0;
        group.LostAt = now;
        if (group.LostInARow > 1)
        {
            group.Backoff = FirstRetry * (1 << Math.Min(group.LostInARow, 7));
            Retry(group, now);
        }

        // The exit may still be told: behind what was written for them.
        foreach (ClientPath path in group.Paths.ToArray()) Close(path, PathCloseReason.Finished, tellLink: true, tellSession: true, "its exit was left", retire: true);
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

        if (path.Group.Paths.Count(p => p.Ready && !p.Ends) > Spares(path.Group))
        {
            // It was late, or built because another one was: that one stands in its place.
            links.SendPathClose(path.First, up, PathCloseReason.Finished);
            Close(path, PathCloseReason.Finished, tellLink: false, tellSession: false);
            return true;
        }

        path.UpHandle = up;
        path.Ready = true;
        path.Late = false;
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
        foreach (ClientPath replaced in path.Group.Paths) if (replaced is { Crowded: true } && replaced != path) replaced.Expires = Instant.Earlier(replaced.Expires, now + HandOver);
        PlanMend(path.Group, now, soon: false);
        _measures.OnBuilt(path.Hops, now - path.Started);
        _guards.OnBuilt(path.Hops[0].Id, Unix(now), now);
        if (path.Hops.Length > 2) _seconds?.OnBuilt(path.Hops[1].Id, Unix(now), now);
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
        if (!_ready.TryGetValue(number, out ClientPath? path)) return _retiring.ContainsKey(number);
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
                    Lost(path, now, path.Crowded ? "another one that shares no relay took its place" : "its lifetime is over");
                }
                else if (path.RenewAt <= now)
                {
                    path.RenewAt = Instant.Never; // wanted beside it from now on
                }
            }

            MarkLate(group, now);
            if (group.MendAt <= now) Mend(group, now);
            if (group.RetryAt <= now) Fill(group, now);
        }
    }

    public void CloseAll()
    {
        foreach (Group group in _groups.Values)
            foreach (ClientPath path in group.Paths.ToArray()) Close(path, PathCloseReason.Shutdown, tellLink: true, tellSession: false);
        foreach (ClientPath path in _retiring.Values) links.SendPathClose(path.First, path.UpHandle, PathCloseReason.Shutdown);
        _groups.Clear();
        _retiring.Clear();
    }

    // ---- inside ----

    /// <summary>One in use, the spares, and a successor for each that nears its end.</summary>
    private int Wanted(Group group)
    {
        int late = group.Paths.Count(p => p.Late);
        return group.Once ? 1 + late : 1 + Spares(group) + late + group.Paths.Count(p => p.Ready && p.RenewAt.IsNever);
    }

    private int Spares(Group group) => group is { Once: false, Terminal.IsNone: true } ? options.Spares : 0;

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
        bool mending = group.Paths.Any(p => p.Crowded) && group.Paths.Count == Wanted(group) - 1;
        if (!TryChoose(group, apart: mending, now, out RouterContact[]? hops, out string? reason))
        {
            if (mending)
            {
                KeepCrowded(group);
                return true;
            }

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
            if (failedHop == 1 && !path.Group.Terminal.IsNone) _seconds?.OnFailed(path.Hops[1].Id, own: true, now);
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

    private void Close(ClientPath path, PathCloseReason reason, bool tellLink, bool tellSession, string words = "", bool retire = false)
    {
        if (path.Closed) return;
        path.Closed = true;
        path.Group.Paths.Remove(path);
        path.Builder.Dispose();
        if (path.Ready)
        {
            _ready.Remove(path.Path);
            if (tellSession) events.OnPathGone(PathEnd.Client, new PathGone(path.Path, words, path.Group.Purpose));
            if (retire)
            {
                _retiring.Add(path.Path, path);
                dataPlane.RetirePath(path.Path);
                return;
            }

            if (tellLink) links.SendPathClose(path.First, path.UpHandle, reason);
            dataPlane.RemovePath(path.Path);
        }
        else
        {
            dataPlane.ReleasePath(path.Path);
        }

        dataPlane.ReleaseHandle(path.DownHandle);
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
