using System.Buffers.Binary;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Core.Hidden;

/// <summary>A path of ours to an introduction relay or a rendezvous.</summary>
internal sealed class HiddenPath
{
    public required PathRef Ref { get; init; }

    public required int Group { get; init; }

    public required byte[] Transcript { get; init; }

    public required RouterId[] Hops { get; init; }

    public required Instant Expires { get; init; }

    public required PathHealth Health { get; init; }

    public required IHiddenPathOwner Owner { get; init; }

    public bool IsGone { get; set; }
}

/// <summary>Who wanted a path.</summary>
internal interface IHiddenPathOwner
{
    void OnPathReady(HiddenPath path, Instant now);

    void OnPathGone(HiddenPath path, Instant now);

    void OnMeeting(HiddenPath path, MeetingType type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> body, Instant now);

    /// <summary>A sealed packet of the other side; `content` may be opened in place.</summary>
    void OnJoined(HiddenPath path, Span<byte> content, Instant now);
}

/// <summary>What hidden paths need from the control thread.</summary>
internal interface IHiddenPathEvents
{
    /// <param name="once">No successor: the owner makes other plans before its end.</param>
    void WantPath(int group, RouterId terminal, bool once, Instant now);

    void DropPath(int group, Instant now);

    /// <summary>A path is dead; the control thread closes it and builds another for its group, if that is still wanted.</summary>
    void OnPathFailed(PathRef path, string reason, int suspect, Instant now);
}

/// <summary>
/// The paths that this router's services and their clients hold to introduction relays and rendezvous: who owns which, and whether
/// they live. Session thread, sans-IO.
/// </summary>
internal sealed class HiddenPaths(PathOutlet[] outlets, IHiddenPathEvents events, IEntropy entropy, DropCounters drops)
{
    private const int FirstGroup = 0x4000_0000;

    private readonly Dictionary<int, IHiddenPathOwner> _groups = [];
    private readonly Dictionary<PathRef, HiddenPath> _paths = [];
    private int _next = FirstGroup;

    public PathOutlet[] Outlets => outlets;

    /// <summary>Groups that are wanted.</summary>
    public int Wanted => _groups.Count;

    public int Count => _paths.Count;

    public Instant NextDeadline
    {
        get
        {
            Instant next = Instant.Never;
            foreach (HiddenPath path in _paths.Values) next = Instant.Earlier(next, path.Health.NextDeadline);
            return next;
        }
    }

    public bool Owns(PathRef path) => _paths.ContainsKey(path);

    /// <returns>The number to <see cref="Drop"/> it by.</returns>
    public int Want(RouterId terminal, IHiddenPathOwner owner, bool once, Instant now)
    {
        int group = _next++;
        _groups.Add(group, owner);
        events.WantPath(group, terminal, once, now);
        return group;
    }

    /// <summary>The owner hears no more of it, nor of its paths.</summary>
    public void Drop(int group, Instant now)
    {
        if (!_groups.Remove(group)) return;
        foreach (HiddenPath path in _paths.Values.Where(p => p.Group == group).ToArray())
        {
            path.IsGone = true;
            _paths.Remove(path.Ref);
        }

        events.DropPath(group, now);
    }

    public void OnPathReady(PathReady ready, Instant now)
    {
        if (!_groups.TryGetValue(ready.Group, out IHiddenPathOwner? owner)) return; // dropped meanwhile, and the control thread told
        var path = new HiddenPath
        {
            Ref = ready.Path,
            Group = ready.Group,
            Transcript = ready.Transcript,
            Hops = ready.Hops,
            Expires = ready.Expires,
            Health = new PathHealth(ready.Hops.Length, ready.BuildTime, now),
            Owner = owner,
        };
        _paths[path.Ref] = path;
        owner.OnPathReady(path, now);
    }

    public void OnPathGone(PathGone gone, Instant now)
    {
        if (!_paths.Remove(gone.Path, out HiddenPath? path)) return;
        path.IsGone = true;
        path.Owner.OnPathGone(path, now);
    }

    public void HandleDelivery(int shard, in PacketTag tag, Span<byte> content, Instant now)
    {
        if (!_paths.TryGetValue(new PathRef(shard, new PathNumber(tag.Subject, tag.Generation)), out HiddenPath? path))
        {
            drops.Count(DropReason.UnknownPath);
            return;
        }

        switch (tag.Command)
        {
            case OnionCommand.Answer:
                if (content.Length < 8 || !path.Health.OnAnswer(BinaryPrimitives.ReadUInt64BigEndian(content), tag.Hop, now)) drops.Count(DropReason.UnexpectedAnswer);
                return;
            case EndCommand.Meeting when MeetingMessage.TryRead(content, out MeetingType type, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> body):
                path.Health.OnHeard(now);
                path.Owner.OnMeeting(path, type, name, body, now);
                return;
            case EndCommand.Joined:
                path.Health.OnHeard(now);
                path.Owner.OnJoined(path, content, now);
                return;
            default:
                drops.Count(tag.Command == EndCommand.Meeting ? DropReason.BadMeeting : DropReason.BadCommand);
                return;
        }
    }

    public void HandleTimeout(Instant now)
    {
        foreach (HiddenPath path in _paths.Values.ToArray())
        {
            if (path.IsGone) continue;
            if (path.Health.IsDead(now))
            {
                _paths.Remove(path.Ref);
                path.IsGone = true;
                events.OnPathFailed(path.Ref, "no answer to probes", path.Health.Suspect, now);
                path.Owner.OnPathGone(path, now);
                continue;
            }

            if (path.Health.TakeAskHops(now)) ProbeAllHops(path, now);
            if (path.Health.NextProbe <= now) Probe(path, (byte)(path.Hops.Length - 1), now);
        }
    }

    /// <summary>Probes every hop of a path once, for the round trip of each.</summary>
    public void ProbeAllHops(HiddenPath path, Instant now)
    {
        for (int hop = 0; hop < path.Hops.Length; hop++) Probe(path, (byte)hop, now);
    }

    public bool Send(HiddenPath path, MeetingType type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> body, Instant now)
    {
        path.Health.OnTrafficSent(now);
        return MeetingMessage.Send(outlets, path.Ref, type, name, body);
    }

    private void Probe(HiddenPath path, byte hop, Instant now)
    {
        Span<byte> id = stackalloc byte[8];
        entropy.FillPublic(id);
        path.Health.OnProbeSent(BinaryPrimitives.ReadUInt64BigEndian(id), hop, now);
        outlets[path.Ref.Shard].TryCommand(path.Ref.Number, hop, OnionCommand.Probe, id);
    }
}
