using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Core.Paths;

// The relay's side of path builds, on the control thread. P is the neighbour towards the client, N the next hop:
//
//   P --BUILD (P's handle for downstream, records)-->  us     budget, open our record, draw handles
//                                                      us --BUILD (our handle for downstream, rest of the records)--> N
//                                                      us <--reply (N's handle for upstream, replies)-- N
//   P <--reply (our handle for upstream, replies)--    us     rows installed in the shard before the reply leaves
//
// Closing travels by PATH_CLOSE on the links, both ways from wherever it began.

/// <summary>A path that crosses this router or ends at it.</summary>
internal sealed class RelayedPath
{
    public required PathRef Path { get; init; }

    public required Link Previous { get; init; }

    /// <summary>What the neighbour wants downstream packets under.</summary>
    public required PathHandle PreviousHandle { get; init; }

    /// <summary>Ours, for upstream packets.</summary>
    public required PathHandle UpHandle { get; init; }

    public PathHandle DownHandle { get; set; }

    public Link? Next { get; set; }

    public PathHandle NextHandle { get; set; }

    public bool Installed { get; set; }

    public bool Closed { get; set; }

    public Instant Expires { get; set; }

    public bool IsTerminal => Next is null;
}

internal sealed class RelayPaths(LinkManager links, DataPlane dataPlane, BuildProcessor builds, BuildBudget budget, NetworkClock clock, IPathEvents events, IEntropy entropy)
{
    private sealed record Pending(RelayedPath Path, BuildStep Step, LinkRequest From);

    private readonly Dictionary<LinkRequest, Pending> _pending = [];
    private readonly Dictionary<(int Link, PathHandle Handle), RelayedPath> _byHandle = [];
    private readonly Dictionary<PathRef, RelayedPath> _byPath = [];
    private readonly Queue<RelayedPath> _byExpiry = new();
    private readonly Dictionary<int, int> _perClient = []; // paths that stand or are being built, by the number of a client's link
    private bool _draining;

    public int Count => _byPath.Count;

    /// <summary>Builds that wait for the next hop's answer.</summary>
    public int PendingCount => _pending.Count;

    public long Built { get; private set; }

    public long Refused { get; private set; }

    /// <summary>Of those, the ones that were not even looked at.</summary>
    public long OverBudget => budget.Refused;

    public Instant NextDeadline => _byExpiry.TryPeek(out RelayedPath? first) ? first.Expires : Instant.Never;

    /// <summary>No new paths from now on; those that exist live on.</summary>
    public void Drain() => _draining = true;

    public void OnBuild(Link link, LinkRequest request, ReadOnlySpan<byte> message, Instant now)
    {
        if (!BuildMessage.TryRead(message, out byte kind, out PathHandle previousHandle) || kind != (byte)RequestKind.Build || previousHandle.IsNone || _draining || !budget.TryTake(link, now))
        {
            Refused++;
            links.Refuse(request);
            return;
        }

        byte[] records = message[BuildMessage.HeaderBytes..].ToArray();
        BuildOutcome outcome = builds.Process(records, clock.EpochAt(now), entropy, out BuildStep? step);
        if (step is null)
        {
            // No key of ours opens it, or it was here before: the answer looks like any other and says nothing.
            Refused++;
            builds.WriteBlankReply(records, entropy);
            Reply(request, BuildMessage.Refused, PathHandle.None, records);
            return;
        }

        if (outcome == BuildOutcome.Refused)
        {
            RefuseUnderSeal(request, step, step.RefusalStatus, records);
            return;
        }

        int shard = dataPlane.ChooseShard();
        if (link.Peer == LinkPeer.Client && _perClient.GetValueOrDefault(link.Number) >= budget.PathsPerClientLink)
        {
            RefuseUnderSeal(request, step, BuildStatus.Busy, records);
            return;
        }

        if (!dataPlane.TryTakePath(shard, out PathRef path))
        {
            RefuseUnderSeal(request, step, BuildStatus.Busy, records);
            return;
        }

        if (!dataPlane.TryTakeHandle(shard, out PathHandle up))
        {
            dataPlane.ReleasePath(path);
            RefuseUnderSeal(request, step, BuildStatus.Busy, records);
            return;
        }

        var relayed = new RelayedPath { Path = path, Previous = link, PreviousHandle = previousHandle, UpHandle = up };
        if (outcome == BuildOutcome.Terminal)
        {
            CountOne(relayed, 1);
            Install(relayed, step, now);
            events.OnPathReady(new PathReady
            {
                Path = path,
                End = PathEnd.Terminal,
                Class = step.Class,
                SessionSecret = step.Secrets.SessionSecret.ToArray(),
                Transcript = step.Secrets.Transcript.ToArray(),
                Expires = relayed.Expires,
            });
            builds.WriteFirstReply(step, BuildStatus.Accepted, records, entropy);
            step.Dispose();
            if (!Reply(request, BuildMessage.Installed, up, records)) Close(relayed, PathCloseReason.Finished, link);
            return;
        }

        Link? next = links.Dial(step.NextHop, now);
        if (next is null || next == link || !dataPlane.TryTakeHandle(shard, out PathHandle down))
        {
            dataPlane.ReleaseHandle(up);
            dataPlane.ReleasePath(path);
            RefuseUnderSeal(request, step, next is null || next == link ? BuildStatus.UnknownNextHop : BuildStatus.Busy, records);
            return;
        }

        CountOne(relayed, 1);
        relayed.Next = next;
        relayed.DownHandle = down;
        byte[] onward = new byte[BuildMessage.RequestBytes];
        BuildMessage.WriteHeader(onward, (byte)RequestKind.Build, down);
        records.CopyTo(onward, BuildMessage.HeaderBytes);
        LinkRequest? sent = links.Send(next, onward, BuildMessage.ReplyBytes + 1, now);
        if (sent is null)
        {
            Undo(relayed);
            RefuseUnderSeal(request, step, BuildStatus.NextHopUnreachable, records);
            return;
        }

        _pending.Add(sent, new Pending(relayed, step, request));
    }

    /// <returns>False when the request was not ours.</returns>
    public bool OnReply(LinkRequest request, ReadOnlySpan<byte> message, Instant now)
    {
        if (!_pending.Remove(request, out Pending? pending)) return false;
        if (!BuildMessage.TryRead(message, out byte kind, out PathHandle handle) || (kind == BuildMessage.Installed && handle.IsNone))
        {
            Fail(pending);
            return true;
        }

        byte[] records = message[BuildMessage.HeaderBytes..].ToArray();
        RelayedPath path = pending.Path;
        if (kind == BuildMessage.Installed && (path.Closed || path.Previous.State != LinkState.Up))
        {
            // The rest of the path stands, but nobody will use it.
            links.SendPathClose(path.Next!, handle, PathCloseReason.Finished);
        }

        if (kind != BuildMessage.Installed || path.Closed || path.Previous.State != LinkState.Up || path.Next!.State != LinkState.Up)
        {
            Undo(path);
            Answer(pending, BuildMessage.Refused, PathHandle.None, records);
            return true;
        }

        path.NextHandle = handle;
        Install(path, pending.Step, now);
        if (!Answer(pending, BuildMessage.Installed, path.UpHandle, records)) Close(path, PathCloseReason.Finished, path.Previous);
        return true;
    }

    public bool OnRequestFailed(LinkRequest request)
    {
        if (!_pending.Remove(request, out Pending? pending)) return false;
        Fail(pending);
        return true;
    }

    public void OnPathClose(Link link, PathHandle handle, PathCloseReason reason, Instant now)
    {
        if (_byHandle.TryGetValue((link.Number, handle), out RelayedPath? path)) Close(path, reason, link);
    }

    public void OnLinkDown(Link link)
    {
        budget.Forget(link);
        foreach (RelayedPath path in _byPath.Values.Where(p => p.Previous == link || p.Next == link).ToArray()) Close(path, PathCloseReason.LinkLost, link);
    }

    /// <returns>False when the path is not one of ours.</returns>
    public bool OnShardEvent(PathRef number, PathCloseReason reason)
    {
        if (!_byPath.TryGetValue(number, out RelayedPath? path)) return false;
        Close(path, reason, null);
        return true;
    }

    public void HandleTimeout(Instant now)
    {
        while (_byExpiry.TryPeek(out RelayedPath? path) && (path.Closed || path.Expires <= now))
        {
            _byExpiry.Dequeue();
            if (!path.Closed) Close(path, PathCloseReason.Expired, null);
        }
    }

    public void CloseAll(PathCloseReason reason)
    {
        foreach (RelayedPath path in _byPath.Values.ToArray()) Close(path, reason, null);
    }

    // ---- inside ----

    private void Install(RelayedPath path, BuildStep step, Instant now)
    {
        path.Installed = true;
        path.Expires = now + PathConstants.Lifetime;
        var keys = new HopChains(step.Secrets.ChainUpstream.ToArray(), step.Secrets.ChainDownstream.ToArray(), step.Secrets.StartEpoch);
        PathEgress back = PathEgress.To(path.Previous.Number, path.PreviousHandle, path.Previous.PeerShards);
        var up = new PathIngress(path.Previous.Number, path.UpHandle);
        _byHandle[(path.Previous.Number, path.UpHandle)] = path;
        if (path.Next is { } next)
        {
            _byHandle[(next.Number, path.DownHandle)] = path;
            dataPlane.AddTransit(path.Path, step.Class, up, PathEgress.To(next.Number, path.NextHandle, next.PeerShards), new PathIngress(next.Number, path.DownHandle), back, keys, path.Expires);
        }
        else
        {
            dataPlane.AddTerminal(path.Path, step.Class, up, back, keys, path.Expires);
        }

        _byPath[path.Path] = path;
        _byExpiry.Enqueue(path);
        Built++;
    }

    private void Close(RelayedPath path, PathCloseReason reason, Link? from)
    {
        if (path.Closed) return;
        path.Closed = true;
        CountOne(path, -1);

        // What a neighbour says is not passed on: a byte of his choice would be a mark that an accomplice beyond us could read.
        PathCloseReason told = from is null ? reason : PathCloseReason.Finished;
        _byHandle.Remove((path.Previous.Number, path.UpHandle));
        if (path.Next is { } next)
        {
            _byHandle.Remove((next.Number, path.DownHandle));
            if (next != from) links.SendPathClose(next, path.NextHandle, told);
        }

        if (path.Previous != from) links.SendPathClose(path.Previous, path.PreviousHandle, told);
        _byPath.Remove(path.Path);
        if (path.IsTerminal) events.OnPathGone(PathEnd.Terminal, new PathGone(path.Path, reason.ToString()));
        dataPlane.RemovePath(path.Path);
        dataPlane.ReleaseHandle(path.UpHandle);
        dataPlane.ReleaseHandle(path.DownHandle);
    }

    private void CountOne(RelayedPath path, int change)
    {
        if (path.Previous.Peer != LinkPeer.Client) return;
        int count = _perClient.GetValueOrDefault(path.Previous.Number) + change;
        if (count > 0) _perClient[path.Previous.Number] = count;
        else _perClient.Remove(path.Previous.Number);
    }

    private void Undo(RelayedPath path)
    {
        path.Closed = true;
        CountOne(path, -1);
        dataPlane.ReleaseHandle(path.UpHandle);
        dataPlane.ReleaseHandle(path.DownHandle);
        dataPlane.ReleasePath(path.Path);
    }

    private void Fail(Pending pending)
    {
        Undo(pending.Path);
        RefuseUnderSeal(pending.From, pending.Step, BuildStatus.NextHopUnreachable, new byte[BuildMessage.RecordsBytes]);
    }

    private void RefuseUnderSeal(LinkRequest request, BuildStep step, BuildStatus status, byte[] records)
    {
        Refused++;
        builds.WriteFirstReply(step, status, records, entropy);
        step.Dispose();
        Reply(request, BuildMessage.Refused, PathHandle.None, records);
    }

    /// <summary>Our own part was accepted, whatever the hops behind us say: that stands in their own answers.</summary>
    private bool Answer(Pending pending, byte kind, PathHandle handle, byte[] records)
    {
        builds.WriteReply(pending.Step, BuildStatus.Accepted, records);
        pending.Step.Dispose();
        return Reply(pending.From, kind, handle, records);
    }

    private bool Reply(LinkRequest request, byte kind, PathHandle handle, ReadOnlySpan<byte> records)
    {
        byte[] reply = new byte[BuildMessage.ReplyBytes];
        BuildMessage.WriteHeader(reply, kind, handle);
        records.CopyTo(reply.AsSpan(BuildMessage.HeaderBytes));
        return links.Reply(request, reply);
    }
}
