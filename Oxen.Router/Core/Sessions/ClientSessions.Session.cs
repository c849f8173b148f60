using System.Security.Cryptography;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Sessions;

// The exit session, seen from the client: OPEN on the first path, ATTACH for the others, ACTIVATE to choose.
internal sealed partial class ClientSessions
{
    private void Open(ClientGroup group, ClientPathState path, Instant now)
    {
        group.State = ClientGroupState.Opening;
        group.OpeningPath = path;
        group.Exit = path.Hops[^1];
        group.SessionCount++;
        group.Sequence = 0;
        group.ClientRandom = new byte[SessionMessage.RandomBytes];
        _entropy.FillSecret(group.ClientRandom);
        group.OpenedAt = now;
        SendOpen(group, now);
    }

    private void SendOpen(ClientGroup group, Instant now)
    {
        ClientPathState path = group.OpeningPath!;
        Span<byte> message = stackalloc byte[SessionMessage.OpenBytes];
        message[0] = (byte)SessionMessageType.Open;
        group.ClientRandom.CopyTo(message[1..]);
        Send(path, message, now);
        group.Retry = now + FirstRetry;
    }

    private void RetrySession(ClientGroup group, Instant now)
    {
        group.Retry = Instant.Never;
        if (group.State == ClientGroupState.Opening && group.OpeningPath is { } opening)
        {
            if (now - group.OpenedAt > TimeSpan.FromSeconds(3))
            {
                _events.OnPathFailed(opening.Path, "the exit does not answer", opening.Hops.Length - 1, now);
                Remove(group, opening, now);
                return;
            }

            SendOpen(group, now);
        }
        else if (!group.ActivateAnswered && group.Active is { } active)
        {
            // The terminal may have let the path go for a newer one: an ATTACH with it brings it back.
            Attach(group, active, now);
            SendActivate(group, active, now);
        }
    }

    private void Attach(ClientGroup group, ClientPathState path, Instant now)
    {
        if (group.SessionKey.Length == 0) return;
        if (path.AttachSequence == 0) path.AttachSequence = ++group.Sequence;
        Span<byte> message = stackalloc byte[SessionMessage.AttachBytes];
        var writer = new WireWriter(message);
        writer.Byte((byte)SessionMessageType.Attach);
        writer.Put(group.SessionId);
        writer.UInt64(path.AttachSequence);
        SessionMessage.AttachMac(group.SessionKey, path.Transcript, path.AttachSequence, writer.Reserve(SessionMessage.MacBytes));
        Send(path, message, now);
        path.AttachRetry = now + FirstRetry;
    }

    private void Activate(ClientGroup group, ClientPathState path, Instant now)
    {
        group.Active = path;
        if (!path.Attached) Attach(group, path, now);
        group.ActivateSequence = ++group.Sequence;
        group.ActivateAnswered = false;
        SendActivate(group, path, now);
        Route(group);
        group.Quic?.OnPathChanged(path.Health.SmoothedRtt, now);
    }

    private void SendActivate(ClientGroup group, ClientPathState path, Instant now)
    {
        Span<byte> message = stackalloc byte[SessionMessage.ActivateBytes];
        var writer = new WireWriter(message);
        writer.Byte((byte)SessionMessageType.Activate);
        writer.Put(group.SessionId);
        writer.UInt64(group.ActivateSequence);
        Send(path, message, now);
        group.Retry = now + FirstRetry;
    }

    private void Send(ClientPathState path, ReadOnlySpan<byte> message, Instant now)
    {
        path.PacketsUp++;
        path.Health.OnTrafficSent(now);
        _outlets[path.Path.Shard].TryRecord(path.Path.Number, RecordType.Session, message);
    }

    private void HandleSessionMessage(ClientGroup group, ClientPathState path, ReadOnlySpan<byte> message, Instant now)
    {
        var reader = new WireReader(message);
        switch ((SessionMessageType)reader.Byte())
        {
            case SessionMessageType.Opened when group.State == ClientGroupState.Opening && group.OpeningPath == path && message.Length == SessionMessage.OpenedBytes:
                HandleOpened(group, path, ref reader, now);
                return;
            case SessionMessageType.Attached when message.Length == SessionMessage.AttachedBytes && group.SessionKey.Length > 0:
                HandleAttached(group, path, ref reader);
                return;
            case SessionMessageType.Activated when message.Length == SessionMessage.ActivatedBytes:
                if (reader.UInt64() == group.ActivateSequence && group.Active == path) group.ActivateAnswered = true;
                return;
            case SessionMessageType.Leased when message.Length == SessionMessage.LeasedBytes && group.WantsTunnel:
                HandleLeased(group, ref reader, now);
                return;
            case SessionMessageType.NoLease when message.Length == SessionMessage.NoLeaseBytes && group.WantsTunnel:
                if (group.LeaseRetry.IsNever) return; // late
                Lose(group, (NoLeaseReason)reader.Byte() switch
                {
                    NoLeaseReason.AllInUse => "the exit has no inner address left for the tunnel",
                    NoLeaseReason.NotAdmitted => ExitTokens.Words(AdmissionReason.TokenNeeded),
                    _ => "the exit offers no tunnel",
                }, now);
                return;
            case SessionMessageType.Admitted when message.Length == SessionMessage.AdmittedBytes && group.WantsExit:
                HandleAdmitted(group, (AdmissionReason)reader.Byte(), now);
                return;
            case SessionMessageType.Unknown when reader.Take(SessionMessage.IdBytes).SequenceEqual(group.SessionId) && group.SessionId.Length > 0:
                Lose(group, "the exit has forgotten the session (it was restarted)", now);
                return;
            case SessionMessageType.Opened or SessionMessageType.Activated or SessionMessageType.Unknown or SessionMessageType.Admitted:
                return; // late
            default:
                _drops.Count(Packets.DropReason.BadRecord);
                return;
        }
    }

    private void HandleOpened(ClientGroup group, ClientPathState path, ref WireReader reader, Instant now)
    {
        ReadOnlySpan<byte> id = reader.Take(SessionMessage.IdBytes);
        ReadOnlySpan<byte> terminalRandom = reader.Take(SessionMessage.RandomBytes);
        ReadOnlySpan<byte> mac = reader.Take(SessionMessage.MacBytes);
        byte[] key = SessionMessage.DeriveKey(path.SessionSecret, group.ClientRandom, terminalRandom);
        Span<byte> expected = stackalloc byte[SessionMessage.MacBytes];
        SessionMessage.OpenedMac(key, id, path.Transcript, expected);
        if (!CryptographicOperations.FixedTimeEquals(expected, mac))
        {
            _drops.Count(Packets.DropReason.BadRecord);
            return;
        }

        group.SessionId = id.ToArray();
        group.SessionKey = key;
        group.State = ClientGroupState.Connecting;
        group.OpeningPath = null;
        group.Retry = Instant.Never;
        group.ActivateAnswered = true;
        path.Attached = true;
        group.Active = path;

        // The exit is authenticated by its pinned key; the client shows none.
        group.Quic = _quic.Connect(group.Address, new TlsClientOptions { PinnedServerKey = group.Exit.ToArray(), Alpn = [Alpn] }, _transport, now);
        group.Quic.Tag = group;
        group.Quic.OnPathChanged(path.Health.SmoothedRtt, now);
        foreach (ClientPathState other in group.Paths) if (!other.Attached) Attach(group, other, now);
        if (group.WantsExit) AskToUse(group, now);
        else if (group.WantsTunnel) AskForLease(group, now);
    }

    private void ReadyIfAll(ClientGroup group, Instant now)
    {
        if (group.State != ClientGroupState.Connecting || !group.Connected || (group.WantsExit && !group.Admitted)) return;
        group.State = ClientGroupState.Ready;
        _events.OnGroupReady(group, now);
    }

    // ---- admission ----

    private void AskToUse(ClientGroup group, Instant now)
    {
        group.UseRetry = Instant.Never;
        if (group.Admitted || group.SessionId.Length == 0) return;
        group.UseRetry = now + FirstRetry;
        if (group.Active is not { } path) return;
        Span<byte> message = stackalloc byte[SessionMessage.UseBytes];
        message[0] = (byte)SessionMessageType.Use;
        group.SessionId.CopyTo(message[1..]);
        Span<byte> token = message[(1 + SessionMessage.IdBytes)..];
        token.Clear();
        ReadOnlySpan<byte> mine = TokenFor(group.Exit).Span;
        if (mine.Length == token.Length) mine.CopyTo(token);
        Send(path, message, now);
        CryptographicOperations.ZeroMemory(message);
    }

    private void HandleAdmitted(ClientGroup group, AdmissionReason reason, Instant now)
    {
        if (group.Admitted || group.UseRetry.IsNever) return; // late
        group.UseRetry = Instant.Never;
        if (reason != AdmissionReason.Granted)
        {
            Lose(group, ExitTokens.Words(reason), now);
            return;
        }

        group.Admitted = true;
        if (group.WantsTunnel) AskForLease(group, now);
        ReadyIfAll(group, now);
    }

    // ---- the tunnel ----

    // A client has one tunnel.
    private const int Peer = 0;

    private void AskForLease(ClientGroup group, Instant now)
    {
        group.LeaseRetry = Instant.Never;
        if (group.Leased is not null || group.SessionId.Length == 0 || _tunnel is null) return;
        group.LeaseRetry = now + FirstRetry;
        if (group.Active is not { } path) return;
        Span<byte> message = stackalloc byte[SessionMessage.LeaseBytes];
        message[0] = (byte)SessionMessageType.Lease;
        group.SessionId.CopyTo(message[1..]);
        Send(path, message, now);
    }

    private void HandleLeased(ClientGroup group, ref WireReader reader, Instant now)
    {
        if (group.Leased is not null || group.LeaseRetry.IsNever) return; // late
        group.LeaseRetry = Instant.Never;
        uint four = reader.UInt32();
        group.Leased = new InnerAddresses(four, new UInt128(reader.UInt64(), reader.UInt64()));
        _tunnel!.ToAll(new OpenTunnelPeer(Peer, group.Leased.Value));
        foreach (ClientPathState path in group.Paths) Bind(path);
        Route(group);
        _events.OnTunnelReady(group, now);
    }

    private void Bind(ClientPathState path) => _tunnel!.ToShard(path.Path.Shard, new BindTunnelPath(Peer, path.Path.Number));

    private void Route(ClientGroup group)
    {
        if (group.Leased is not null) _tunnel!.ToAll(new RouteTunnelPeer(Peer, group.Active?.Path, group.Active?.Class ?? default));
    }

    private void HandleAttached(ClientGroup group, ClientPathState path, ref WireReader reader)
    {
        ulong sequence = reader.UInt64();
        Span<byte> expected = stackalloc byte[SessionMessage.MacBytes];
        SessionMessage.AttachedMac(group.SessionKey, path.Transcript, sequence, expected);
        if (sequence != path.AttachSequence || !CryptographicOperations.FixedTimeEquals(expected, reader.Take(SessionMessage.MacBytes)))
        {
            _drops.Count(Packets.DropReason.BadRecord);
            return;
        }

        path.Attached = true;
        path.AttachRetry = Instant.Never;
    }
}
