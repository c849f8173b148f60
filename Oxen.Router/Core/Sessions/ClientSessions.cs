using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Sessions;

// A client's sessions, on the session thread, sans-IO:
//   1 paths come and go                  (PathReady, PathGone)
//   2 an exit session is opened on the first path, the others attach     ClientSessions.Session.cs
//   3 QUIC inside carries streams; UDP rides beside it as records
//   4 probes watch every path; a dead one is left for a spare at once
internal sealed partial class ClientSessions : IDisposable
{
    public static readonly byte[] Alpn = "oxen-exit/1"u8.ToArray();

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan OrphanPatience = TimeSpan.FromSeconds(1);

    // Where a relay before the exit fell silent the exit still has the session, and path builds over links that first must be made take
    // some round trips around the world. The same for a tunnel: another lease ends every connection of a machine.
    private static readonly TimeSpan MendPatience = TimeSpan.FromSeconds(5);

    // With the first hop silent on every path it is most likely our own network that is gone, and it comes back (another place, another
    // address): the exit keeps the session for a minute.
    private static readonly TimeSpan RoamingPatience = TimeSpan.FromSeconds(30);

    // Two paths whose other hops answer, and the exit on neither: it is dead, and nobody is to wait for it.
    private static readonly TimeSpan ExitSilentTogether = TimeSpan.FromSeconds(2);

    // Traffic leaves a path so long before its end.
    private static readonly TimeSpan LeaveBefore = TimeSpan.FromSeconds(30);

    // A path that loses so much is given up if another one of its group loses less, by so many standard deviations that
    // chance does not explain it.
    private const double LossThatFails = 0.25;
    private const double Deviations = 4;
    private const int LeastJudged = 16;

    // Parts of records that wait, of all paths together.
    private const int FragmentSlots = 128;

    private readonly QuicTransportOptions _transport;
    private readonly PathOutlet[] _outlets;
    private readonly IClientSessionEvents _events;
    private readonly IEntropy _entropy;
    private readonly DropCounters _drops;
    private readonly QuicEndpoint _quic;
    private readonly ITunnelControl? _tunnel;
    private readonly Dictionary<int, ClientGroup> _groups = [];
    private readonly Dictionary<PathRef, (ClientGroup Group, ClientPathState Path)> _paths = [];
    private readonly SessionFragments _fragments;
    private readonly byte[] _transmit = new byte[64 * 1024];

    /// <param name="tunnel">The shards' side of the tunnel; null without one.</param>
    public ClientSessions(QuicTransportOptions transport, PathOutlet[] outlets, IClientSessionEvents events, IEntropy entropy, DropCounters drops, ITunnelControl? tunnel = null)
    {
        _tunnel = tunnel;
        _transport = transport;
        _outlets = outlets;
        _events = events;
        _entropy = entropy;
        _drops = drops;
        _fragments = new SessionFragments(FragmentSlots, drops);
        _quic = new QuicEndpoint(new QuicEndpointOptions { Transport = transport }, entropy);
    }

    public IReadOnlyCollection<ClientGroup> Groups => _groups.Values;

    /// <summary>The token to show to an exit; empty: none.</summary>
    public Func<Directory.RouterId, ReadOnlyMemory<byte>> TokenFor { get; init; } = static _ => default;

    public Instant NextDeadline
    {
        get
        {
            Instant next = _quic.NextDeadline;
            foreach (ClientGroup group in _groups.Values)
            {
                next = Instant.Earlier(next, Instant.Earlier(group.Retry, Instant.Earlier(group.GiveUp, Instant.Earlier(group.LeaseRetry, group.UseRetry))));
                foreach (ClientPathState path in group.Paths)
                {
                    next = Instant.Earlier(next, Instant.Earlier(path.Health.NextDeadline, path.AttachRetry));
                    next = Instant.Earlier(next, Instant.Earlier(path.Meter.NextAsk, path.Meter.NextReport));
                }

                if (group.Active is { } active && Successor(group, active) is not null) next = Instant.Earlier(next, active.Expires - LeaveBefore);
            }

            return next;
        }
    }

    public ClientGroup GetOrAdd(int number)
    {
        if (!_groups.TryGetValue(number, out ClientGroup? group)) _groups.Add(number, group = new ClientGroup(number));
        return group;
    }

    public bool TryGet(int number, out ClientGroup? group) => _groups.TryGetValue(number, out group);

    // ---- paths ----

    public void OnPathReady(PathReady ready, Instant now)
    {
        ClientGroup group = GetOrAdd(ready.Group);
        var path = new ClientPathState
        {
            Path = ready.Path,
            SessionSecret = ready.SessionSecret,
            Transcript = ready.Transcript,
            Hops = ready.Hops,
            Expires = ready.Expires,
            Class = ready.Class,
            Health = new PathHealth(ready.Hops.Length, ready.BuildTime, now),
            Meter = new PathMeter(ready.Hops.Length, now),
        };
        if (group.State != ClientGroupState.Waiting && group.Exit != ready.Hops[^1])
        {
            // Built for an exit that the group has left meanwhile.
            _events.OnPathFailed(path.Path, "the group uses another exit now", path.Hops.Length - 1, now);
            return;
        }

        group.Paths.Add(path);
        _paths[path.Path] = (group, path);
        _outlets[path.Path.Shard].Open(path.Path.Number, ready.Class);
        if (_tunnel is not null) path.TunnelledBefore = path.Tunnelled = _tunnel.TrafficOf(path.Path);
        if (group.Leased is not null) Bind(path);
        group.GiveUp = Instant.Never;
        switch (group.State)
        {
            case ClientGroupState.Waiting:
                Open(group, path, now);
                break;
            case ClientGroupState.Opening:
                break; // attaches when the session stands
            default:
                Attach(group, path, now);
                if (group.Active is null) Activate(group, path, now);
                break;
        }
    }

    public void OnPathGone(PathGone gone, Instant now)
    {
        if (!_paths.TryGetValue(gone.Path, out (ClientGroup Group, ClientPathState Path) entry)) return;
        Remove(entry.Group, entry.Path, now);
    }

    // ---- packets ----

    public void HandleDelivery(int shard, in PacketTag tag, Span<byte> content, Instant now)
    {
        if (!_paths.TryGetValue(new PathRef(shard, new PathNumber(tag.Subject, tag.Generation)), out (ClientGroup Group, ClientPathState Path) entry))
        {
            _drops.Count(DropReason.UnknownPath);
            return;
        }

        (ClientGroup group, ClientPathState path) = entry;
        path.PacketsDown++;
        path.BytesDown += content.Length;
        switch (tag.Command)
        {
            case OnionCommand.Answer:
                if (content.Length < 8 || !path.Health.OnAnswer(BinaryPrimitives.ReadUInt64BigEndian(content), tag.Hop, now)) _drops.Count(DropReason.UnexpectedAnswer);
                else path.Meter.OnRoundTrip(tag.Hop, path.Health.HopRtt[tag.Hop]);
                return;
            case EndCommand.Records:
                path.Health.OnHeard(now);
                HandleRecords(group, path, content, now);
                return;
            default:
                _drops.Count(DropReason.BadCommand);
                return;
        }
    }

    public void HandleTimeout(Instant now)
    {
        _quic.HandleTimeout(now);
        _fragments.Expire(now);
        Observe();
        foreach (ClientGroup group in _groups.Values)
        {
            for (int i = group.Paths.Count - 1; i >= 0; i--)
            {
                ClientPathState path = group.Paths[i];
                if (path.Health.IsDead(now))
                {
                    if (OnDead(group, path, now)) break;
                    continue;
                }

                if (path.Health.TakeAskHops(now) || path.Meter.NextAsk <= now) ProbeAllHops(path, now);
                if (path.Health.NextProbe <= now) Probe(path, (byte)(path.Hops.Length - 1), now);
                if (path.AttachRetry <= now) Attach(group, path, now);
                path.Meter.OnPackets(path.AllPacketsUp + path.AllPacketsDown, now);
                if (path.Meter.NextReport <= now) _events.OnPathMeasured(path.Meter.Take(path.Path, path.Health, now), now);
            }

            if (group.GiveUp <= now)
            {
                Lose(group, "every path to the exit failed", now);
                continue;
            }

            if (group.Retry <= now) RetrySession(group, now);
            if (group.UseRetry <= now) AskToUse(group, now);
            if (group.LeaseRetry <= now) AskForLease(group, now);
            LeaveLossyPath(group, now);
            if (group.Active is { } active && active.Expires - LeaveBefore <= now && Successor(group, active) is { } successor) Switch(group, active, successor, now);
        }

        DrainQuic(now);
    }

    /// <summary>IP packets pass the session thread by: takes in what the shards saw of them.</summary>
    public void Observe()
    {
        if (_tunnel is null) return;
        foreach (ClientGroup group in _groups.Values)
        {
            if (group.Leased is null) continue;
            foreach (ClientPathState path in group.Paths)
            {
                PathTraffic traffic = _tunnel.TrafficOf(path.Path);
                if (traffic.Heard > path.Health.LastHeard) path.Health.OnHeard(traffic.Heard);
                path.Health.OnTrafficSent(traffic.Sent);
                path.Tunnelled = traffic;
            }
        }
    }

    /// <summary>Moves what QUIC has to send into the rings, as far as there is room.</summary>
    public void Transmit(Instant now)
    {
        while (HasRoom() && _quic.TryTransmit(_transmit, out int bytes, out int segmentBytes, out UdpAddress to, now))
        {
            if (!_groups.TryGetValue((int)to.High, out ClientGroup? group) || group.Active is not { } path)
            {
                _drops.Count(DropReason.NoPath, (bytes + segmentBytes - 1) / segmentBytes);
                continue;
            }

            PathOutlet outlet = _outlets[path.Path.Shard];
            for (int at = 0; at < bytes; at += segmentBytes)
            {
                outlet.TryRecord(path.Path.Number, RecordType.Quic, _transmit.AsSpan(at, Math.Min(segmentBytes, bytes - at)));
                path.PacketsUp++;
            }

            path.Health.OnTrafficSent(now);
        }

        foreach (PathOutlet outlet in _outlets) outlet.Flush();
    }

    /// <summary>A UDP record of a group's association. False: dropped and counted.</summary>
    public bool SendUdp(int number, ReadOnlySpan<byte> record, Instant now)
    {
        if (!_groups.TryGetValue(number, out ClientGroup? group) || group.Active is not { } path || group.State < ClientGroupState.Connecting)
        {
            _drops.Count(DropReason.NoPath);
            return false;
        }

        path.PacketsUp++;
        path.Health.OnTrafficSent(now);
        return _outlets[path.Path.Shard].TryRecord(path.Path.Number, RecordType.Udp, record);
    }

    /// <summary>Probes every hop of a path once, for the round trip of each.</summary>
    public void ProbeAllHops(ClientPathState path, Instant now)
    {
        path.Meter.OnAsked(now);
        for (int hop = 0; hop < path.Hops.Length; hop++) Probe(path, (byte)hop, now);
    }

    /// <summary>Ends a group: tells the exit, forgets the keys.</summary>
    public void Close(ClientGroup group, Instant now)
    {
        SendClose(group);
        Forget(group, now);
        foreach (ClientPathState p in group.Paths) Unlist(p);
        _groups.Remove(group.Number);
    }

    /// <summary>The exit is of no use any more: tells it, gives its session up, streams and all, and asks for another exit.</summary>
    /// <param name="reason">In words for the user.</param>
    public void Leave(ClientGroup group, string reason, Instant now)
    {
        SendClose(group);
        Lose(group, reason, now);
    }

    public void Dispose()
    {
        foreach (ClientGroup group in _groups.Values) CryptographicOperations.ZeroMemory(group.SessionKey);
        _quic.Dispose();
        _fragments.Dispose();
    }

    // ---- inside ----

    // Else the exit keeps the session, its streams and its lease until it expires.
    private void SendClose(ClientGroup group)
    {
        if (group.SessionId.Length == 0 || group.Active is not { } path) return;
        Span<byte> message = stackalloc byte[SessionMessage.CloseBytes];
        message[0] = (byte)SessionMessageType.Close;
        group.SessionId.CopyTo(message[1..]);
        _outlets[path.Path.Shard].TryRecord(path.Path.Number, RecordType.Session, message);
        _outlets[path.Path.Shard].Flush();
    }

    private bool HasRoom()
    {
        foreach (PathOutlet outlet in _outlets) if (!outlet.HasRoom(64)) return false;
        return true;
    }

    private void HandleRecords(ClientGroup group, ClientPathState path, Span<byte> content, Instant now)
    {
        var records = new RecordReader(content);
        bool quic = false;
        while (records.TryRead(out RecordType type, out Span<byte> bytes))
        {
            if (_tunnel is not null && type == RecordType.Fragment && RecordFragment.TypeOf(bytes) == RecordType.Ip) continue; // the shard has taken it
            if (type == RecordType.Fragment && !_fragments.TryAdd(path.Path, bytes, now, out type, out bytes)) continue;
            switch (type)
            {
                case RecordType.Quic:
                    quic = true;
                    _quic.HandleDatagram(bytes, group.Address, now);
                    break;
                case RecordType.Session:
                    HandleSessionMessage(group, path, bytes, now);
                    break;
                case RecordType.Udp:
                    _events.OnUdp(group.Number, bytes, now);
                    break;
                case RecordType.Ip when _tunnel is not null:
                    break; // the shard has taken it
                default:
                    _drops.Count(DropReason.BadRecord);
                    break;
            }
        }

        if (records.Malformed) _drops.Count(DropReason.BadRecord);
        if (quic) DrainQuic(now);
    }

    private void DrainQuic(Instant now)
    {
        while (_quic.TryTakeEvent(out QuicEvent happened))
        {
            if (happened.Connection.Tag is not ClientGroup group || group.Quic != happened.Connection)
            {
                _events.OnQuic(happened, now);
                continue;
            }

            switch (happened.Kind)
            {
                case QuicEventKind.Connected:
                    group.Connected = true;
                    ReadyIfAll(group, now);
                    break;
                case QuicEventKind.Closed:
                    _events.OnQuic(happened, now);
                    Lose(group, $"the exit ended the connection: {happened.Connection.Stats.CloseReason}", now);
                    break;
                default:
                    _events.OnQuic(happened, now);
                    break;
            }
        }
    }

    private void Probe(ClientPathState path, byte hop, Instant now)
    {
        Span<byte> id = stackalloc byte[8];
        _entropy.FillPublic(id);
        path.Health.OnProbeSent(BinaryPrimitives.ReadUInt64BigEndian(id), hop, now);
        _outlets[path.Path.Shard].TryCommand(path.Path.Number, hop, OnionCommand.Probe, id);
    }

    private void Remove(ClientGroup group, ClientPathState path, Instant now)
    {
        group.Paths.Remove(path);
        Unlist(path);
        CryptographicOperations.ZeroMemory(path.SessionSecret);
        if (group.OpeningPath == path) group.OpeningPath = null;
        if (group.State == ClientGroupState.Opening && group.OpeningPath is null)
        {
            group.State = ClientGroupState.Waiting;
            if (group.Paths.Count > 0) Open(group, group.Paths[0], now);
            return;
        }

        if (group.Active != path) return;
        group.Active = null;
        ClientPathState? spare = Best(group);
        if (spare is null)
        {
            Route(group);
            bool mendable = group.WantsTunnel || (group.LastSuspect > 0 && group.LastSuspect < path.Hops.Length - 1);
            group.GiveUp = now + (group.LastSuspect == 0 ? RoamingPatience : mendable ? MendPatience : OrphanPatience);
            return;
        }

        Switch(group, path, spare, now);
    }

    /// <returns>The group is lost with it.</returns>
    private bool OnDead(ClientGroup group, ClientPathState path, Instant now)
    {
        int suspect = path.Health.Suspect;
        bool exitIsSilent = suspect == path.Hops.Length - 1;
        bool again = exitIsSilent && now - group.ExitSilentAt < ExitSilentTogether;
        if (exitIsSilent) group.ExitSilentAt = now;
        group.LastSuspect = suspect;
        _events.OnPathFailed(path.Path, "no answer to probes", suspect, now);
        Remove(group, path, now);
        if (!again || group.Paths.Count > 0 || group.GiveUp.IsNever) return false;
        Lose(group, "the exit does not answer any more, though the relays before it do", now);
        return true;
    }

    private void Unlist(ClientPathState path)
    {
        _paths.Remove(path.Path);
        _outlets[path.Path.Shard].Forget(path.Path.Number);
    }

    private void Switch(ClientGroup group, ClientPathState from, ClientPathState to, Instant now)
    {
        group.Switches++;
        Activate(group, to, now);
        _events.OnPathSwitched(group, from, to, now - from.Health.LastHeard, now);
    }

    /// <summary>An attached path that lives on when `active` ends.</summary>
    private static ClientPathState? Successor(ClientGroup group, ClientPathState active)
    {
        ClientPathState? latest = null;
        foreach (ClientPathState path in group.Paths)
            if (path.Attached && path.Expires > active.Expires + LeaveBefore && (latest is null || path.Expires > latest.Expires)) latest = path;
        return latest;
    }

    /// <summary>Probes that mostly get through keep a path alive: one that loses many is left if another loses far less.</summary>
    private void LeaveLossyPath(ClientGroup group, Instant now)
    {
        ClientPathState? worst = null, best = null;
        foreach (ClientPathState path in group.Paths)
        {
            if (path.Health.Judged < LeastJudged) continue;
            if (worst is null || path.Health.Loss > worst.Health.Loss) worst = path;
            if (path.Attached && (best is null || path.Health.Loss < best.Health.Loss)) best = path;
        }

        if (worst is null || best is null || worst == best || worst.Health.Loss < LossThatFails) return;
        double more = worst.Health.Loss - best.Health.Loss;
        double mean = (worst.Health.Loss + best.Health.Loss) / 2;
        double variance = mean * (1 - mean) * (1.0 / worst.Health.Judged + 1.0 / best.Health.Judged);
        if (more * more <= Deviations * Deviations * variance) return;
        _events.OnPathFailed(worst.Path, "it loses too much", -1, now);
        Remove(group, worst, now);
    }

    /// <summary>The path heard from most lately, attached ones first.</summary>
    private static ClientPathState? Best(ClientGroup group)
    {
        ClientPathState? best = null;
        foreach (ClientPathState path in group.Paths)
        {
            if (best is null || (path.Attached && !best.Attached) || (path.Attached == best.Attached && path.Health.LastHeard > best.Health.LastHeard)) best = path;
        }

        return best;
    }

    private void Lose(ClientGroup group, string reason, Instant now)
    {
        if (group.State == ClientGroupState.Waiting && group.Paths.Count == 0 && group.GiveUp.IsNever) return;
        Forget(group, now);
        foreach (ClientPathState path in group.Paths.ToArray())
        {
            Unlist(path);
            CryptographicOperations.ZeroMemory(path.SessionSecret);
        }

        group.Paths.Clear();
        group.State = ClientGroupState.Waiting;
        _events.OnGroupLost(group, reason, now);
    }

    private void Forget(ClientGroup group, Instant now)
    {
        QuicConnection? quic = group.Quic;
        group.Quic = null;
        group.Active = null;
        group.OpeningPath = null;
        group.GiveUp = Instant.Never;
        group.Retry = Instant.Never;
        group.SessionId = [];
        group.LeaseRetry = Instant.Never;
        (group.UseRetry, group.Admitted, group.Connected) = (Instant.Never, false, false);
        if (group.Leased is not null)
        {
            // The paths may live on for a while; what comes out of them is nobody's.
            foreach (ClientPathState path in group.Paths) _tunnel!.ToShard(path.Path.Shard, new BindTunnelPath(-1, path.Path.Number));
            _tunnel!.ToAll(new CloseTunnelPeer(Peer));
            group.Leased = null;
        }

        CryptographicOperations.ZeroMemory(group.SessionKey);
        group.SessionKey = [];
        quic?.Abandon(now); // its session is over at the other end too, or there is no path to it
    }
}
