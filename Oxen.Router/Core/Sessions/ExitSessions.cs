using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Sessions;

// The terminal's side of sessions, on the session thread, sans-IO. Any path of a client may carry its session: it proves
// that by the session's key; downstream goes to the path that the client activated last (docs/protocol/session.md).
internal sealed class ExitSessions : IDisposable
{
    // Specification.
    private static readonly TimeSpan MaxLifetime = TimeSpan.FromHours(24);
    private const int MaxPathsPerSession = 4;

    // Bytes of streams that all sessions together have under way here.
    private const long MaxKeptBytes = 256L << 20;

    // Ours.
    private static readonly TimeSpan OrphanPatience = TimeSpan.FromSeconds(60);

    // Parts of records that wait, of all paths together: 1.4 MB once anybody sends one.
    private const int FragmentSlots = 1024;

    private readonly PathOutlet[] _outlets;
    private readonly IExitSessionEvents _events;
    private readonly IEntropy _entropy;
    private readonly DropCounters _drops;
    private readonly QuicEndpoint _quic;
    private readonly int _maxSessions;
    private long _stalled; // connections that ended so, counted until now
    private readonly ITunnelControl? _tunnel;
    private readonly TunnelLeases? _leases;
    private readonly ExitTokens _tokens;
    private readonly Dictionary<PathRef, TerminalPath> _paths = [];
    private readonly Dictionary<UInt128, ExitSession> _byId = [];
    private readonly Dictionary<long, ExitSession> _byNumber = [];
    private readonly List<ExitSession> _ended = [];
    private readonly SessionFragments _fragments;
    private readonly byte[] _transmit = new byte[64 * 1024];
    private long _nextNumber;

    // No session ends of age or for want of paths before this; exact after each HandleTimeout that looked.
    private Instant _soonest = Instant.Never;

    /// <param name="leases">The tunnel's inner addresses; null: this router has no tunnel.</param>
    /// <param name="tunnel">The shards' side of the tunnel; with `leases`.</param>
    /// <param name="tokens">Who may pass traffic to the outside; null: whoever comes.</param>
    public ExitSessions(
        TlsIdentity identity,
        QuicTransportOptions transport,
        PathOutlet[] outlets,
        IExitSessionEvents events,
        IEntropy entropy,
        DropCounters drops,
        int maxSessions = 65536,
        TunnelLeases? leases = null,
        ITunnelControl? tunnel = null,
        ExitTokens? tokens = null)
    {
        if ((leases is null) != (tunnel is null)) throw new ArgumentException("leases and the shards' side of the tunnel belong together", nameof(leases));
        _tokens = tokens ?? new ExitTokens([]);
        _leases = leases;
        _tunnel = tunnel;
        _outlets = outlets;
        _events = events;
        _entropy = entropy;
        _drops = drops;
        _fragments = new SessionFragments(FragmentSlots, drops);
        _maxSessions = maxSessions;
        _quic = new QuicEndpoint(
            new QuicEndpointOptions
            {
                Transport = transport,
                Retry = QuicRetryPolicy.Never, // the path itself is the proof of address
                MaxConnectionsPerAddress = 2,  // one session cannot take the handshakes of the others; one may be closing
                MaxHalfOpen = 1024,
                MaxKeptBytes = MaxKeptBytes,
                Server = new TlsServerOptions { Identity = identity, Alpn = [ClientSessions.Alpn] },
            },
            entropy);
    }

    public int Count => _byId.Count;

    public int PathCount => _paths.Count;

    /// <summary>Whether this session may pass traffic to the outside; `token` is the number of its token, -1 without.</summary>
    public bool IsAdmitted(long session, out int token)
    {
        token = -1;
        if (!_byNumber.TryGetValue(session, out ExitSession? known)) return false;
        token = known.Token;
        return known.Admitted;
    }

    /// <summary>Streams that the holders of a token may have open in all.</summary>
    public int StreamsOfToken(int token) => _tokens.StreamsOf(token);

    public int ConnectionCount => _quic.ConnectionCount;

    public Instant NextDeadline => Instant.Earlier(_quic.NextDeadline, _soonest);

    // ---- paths ----

    public void OnPathReady(PathReady ready, Instant now)
    {
        _paths[ready.Path] = new TerminalPath { Path = ready.Path, SessionSecret = ready.SessionSecret, Transcript = ready.Transcript, Class = ready.Class };
        _outlets[ready.Path.Shard].Open(ready.Path.Number, ready.Class);
    }

    public void OnPathGone(PathGone gone, Instant now)
    {
        if (!_paths.TryGetValue(gone.Path, out TerminalPath? path)) return;
        _paths.Remove(gone.Path);
        _outlets[gone.Path.Shard].Forget(gone.Path.Number);
        CryptographicOperations.ZeroMemory(path.SessionSecret);
        if (path.Session is not { } session) return;
        session.Paths.Remove(path);

        // Wait for the client to activate another: it may know better than we which one works.
        if (session.Active == path)
        {
            session.Active = session.Paths.Count > 0 ? session.Paths[^1] : null;
            Route(session);
        }

        if (session.Paths.Count > 0) return;
        session.GiveUp = now + OrphanPatience;
        _soonest = Instant.Earlier(_soonest, session.GiveUp);
    }

    // ---- packets ----

    public void HandleDelivery(int shard, in PacketTag tag, Span<byte> content, Instant now)
    {
        if (!_paths.TryGetValue(new PathRef(shard, new PathNumber(tag.Subject, tag.Generation)), out TerminalPath? path))
        {
            _drops.Count(DropReason.UnknownPath);
            return;
        }

        if (tag.Command != EndCommand.Records)
        {
            _drops.Count(DropReason.BadCommand);
            return;
        }

        var records = new RecordReader(content);
        bool quic = false;
        while (records.TryRead(out RecordType type, out Span<byte> bytes))
        {
            if (_tunnel is not null && type == RecordType.Fragment && RecordFragment.TypeOf(bytes) == RecordType.Ip) continue; // the shard has taken it
            if (type == RecordType.Fragment && path.Session is not null && !_fragments.TryAdd(path.Path, bytes, now, out type, out bytes)) continue;
            switch (type)
            {
                case RecordType.Session:
                    HandleSessionMessage(path, bytes, now);
                    break;
                case RecordType.Quic when path.Session is { } session:
                    quic = true;
                    _quic.HandleDatagram(bytes, session.Address, now);
                    break;
                case RecordType.Udp when path.Session is { Admitted: true } session:
                    _events.OnUdp(session.Number, bytes, now);
                    break;
                case RecordType.Udp when path.Session is not null:
                    _drops.Count(DropReason.NotAdmitted);
                    break;
                case RecordType.Quic or RecordType.Udp or RecordType.Fragment:
                    _drops.Count(DropReason.UnknownSession);
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

    public void HandleTimeout(Instant now)
    {
        _quic.HandleTimeout(now);
        _fragments.Expire(now);
        if (_soonest <= now)
        {
            _soonest = Instant.Never;
            foreach (ExitSession session in _byId.Values)
            {
                Instant ends = Instant.Earlier(session.GiveUp, session.Ends);
                if (ends <= now) _ended.Add(session);
                else _soonest = Instant.Earlier(_soonest, ends);
            }

            foreach (ExitSession session in _ended) End(session, now);
            _ended.Clear();
        }

        DrainQuic(now);
    }

    public void Transmit(Instant now)
    {
        while (HasRoom() && _quic.TryTransmit(_transmit, out int bytes, out int segmentBytes, out UdpAddress to, now))
        {
            if (!_byNumber.TryGetValue((long)to.High, out ExitSession? session) || session.Active is not { } path)
            {
                _drops.Count(DropReason.NoPath, (bytes + segmentBytes - 1) / segmentBytes);
                continue;
            }

            for (int at = 0; at < bytes; at += segmentBytes)
                _outlets[path.Path.Shard].TryRecord(path.Path.Number, RecordType.Quic, _transmit.AsSpan(at, Math.Min(segmentBytes, bytes - at)));
        }

        foreach (PathOutlet outlet in _outlets) outlet.Flush();
    }

    public bool SendUdp(long session, ReadOnlySpan<byte> record)
    {
        if (_byNumber.TryGetValue(session, out ExitSession? owner) && owner.Active is { } path)
            return _outlets[path.Path.Shard].TryRecord(path.Path.Number, RecordType.Udp, record);
        _drops.Count(DropReason.NoPath);
        return false;
    }

    public void Dispose()
    {
        foreach (ExitSession session in _byId.Values) CryptographicOperations.ZeroMemory(session.Key);
        _quic.Dispose();
        _fragments.Dispose();
    }

    // ---- sessions ----

    private void HandleSessionMessage(TerminalPath path, ReadOnlySpan<byte> message, Instant now)
    {
        var reader = new WireReader(message);
        var type = (SessionMessageType)reader.Byte();
        switch (type)
        {
            case SessionMessageType.Open when message.Length == SessionMessage.OpenBytes:
                HandleOpen(path, reader.Take(SessionMessage.RandomBytes), now);
                return;
            case SessionMessageType.Attach when message.Length == SessionMessage.AttachBytes:
            case SessionMessageType.Activate when message.Length == SessionMessage.ActivateBytes:
            case SessionMessageType.Close when message.Length == SessionMessage.CloseBytes:
            case SessionMessageType.Lease when message.Length == SessionMessage.LeaseBytes:
            case SessionMessageType.Use when message.Length == SessionMessage.UseBytes:
                ReadOnlySpan<byte> id = reader.Take(SessionMessage.IdBytes);
                if (!_byId.TryGetValue(BinaryPrimitives.ReadUInt128BigEndian(id), out ExitSession? session))
                {
                    Span<byte> unknown = stackalloc byte[1 + SessionMessage.IdBytes];
                    unknown[0] = (byte)SessionMessageType.Unknown;
                    id.CopyTo(unknown[1..]);
                    Answer(path, unknown);
                    return;
                }

                if (type == SessionMessageType.Attach) HandleAttach(session, path, reader.UInt64(), reader.Take(SessionMessage.MacBytes));
                else if (type == SessionMessageType.Activate) HandleActivate(session, path, reader.UInt64(), now);
                else if (path.Session != session) _drops.Count(DropReason.BadRecord);
                else if (type == SessionMessageType.Lease) HandleLease(session, path);
                else if (type == SessionMessageType.Use) HandleUse(session, path, reader.Take(ExitTokens.TokenBytes));
                else End(session, now);
                return;
            default:
                _drops.Count(DropReason.BadRecord);
                return;
        }
    }

    private void HandleOpen(TerminalPath path, ReadOnlySpan<byte> clientRandom, Instant now)
    {
        if (path.OpenedRandom.Length > 0)
        {
            // The answer was lost. Another session on the same path is refused: one path, one session.
            if (clientRandom.SequenceEqual(path.OpenedRandom)) Answer(path, path.OpenedAnswer);
            return;
        }

        if (path.Session is not null || _byId.Count >= _maxSessions) return;
        byte[] answer = new byte[SessionMessage.OpenedBytes];
        answer[0] = (byte)SessionMessageType.Opened;
        Span<byte> id = answer.AsSpan(1, SessionMessage.IdBytes);
        Span<byte> random = answer.AsSpan(1 + SessionMessage.IdBytes, SessionMessage.RandomBytes);
        _entropy.FillSecret(id);
        _entropy.FillSecret(random);
        byte[] key = SessionMessage.DeriveKey(path.SessionSecret, clientRandom, random);
        SessionMessage.OpenedMac(key, id, path.Transcript, answer.AsSpan(1 + SessionMessage.IdBytes + SessionMessage.RandomBytes));
        var session = new ExitSession
        {
            Number = ++_nextNumber,
            Id = BinaryPrimitives.ReadUInt128BigEndian(id),
            Key = key,
            Ends = now + MaxLifetime,
            Active = path,
            Admitted = !_tokens.AreNeeded,
        };
        _soonest = Instant.Earlier(_soonest, session.Ends);
        session.Paths.Add(path);
        path.Session = session;
        path.OpenedRandom = clientRandom.ToArray();
        path.OpenedAnswer = answer;
        _byId.Add(session.Id, session);
        _byNumber.Add(session.Number, session);
        Answer(path, answer);
    }

    private void HandleAttach(ExitSession session, TerminalPath path, ulong sequence, ReadOnlySpan<byte> mac)
    {
        Span<byte> expected = stackalloc byte[SessionMessage.MacBytes];
        SessionMessage.AttachMac(session.Key, path.Transcript, sequence, expected);
        if (!CryptographicOperations.FixedTimeEquals(expected, mac))
        {
            _drops.Count(DropReason.BadRecord);
            return;
        }

        if (path.Session is null)
        {
            // The onion layer lets nothing through twice, so an old sequence here is one that another packet overtook.
            // Of paths that died behind a dead relay we hear late: the oldest that is not in use makes room.
            if (session.Paths.Count >= MaxPathsPerSession)
            {
                TerminalPath oldest = session.Paths.First(p => p != session.Active);
                session.Paths.Remove(oldest);
                oldest.Session = null;
                if (session.Lease >= 0) _tunnel!.ToShard(oldest.Path.Shard, new BindTunnelPath(-1, oldest.Path.Number));
            }

            path.Session = session;
            session.Paths.Add(path);
            session.Sequence = Math.Max(session.Sequence, sequence);
            session.GiveUp = Instant.Never;
            if (session.Lease >= 0) _tunnel!.ToShard(path.Path.Shard, new BindTunnelPath(session.Lease, path.Path.Number));
            if (session.Active is null)
            {
                session.Active = path;
                Route(session);
            }
        }
        else if (path.Session != session)
        {
            _drops.Count(DropReason.BadRecord);
            return;
        }

        Span<byte> answer = stackalloc byte[SessionMessage.AttachedBytes];
        var writer = new WireWriter(answer);
        writer.Byte((byte)SessionMessageType.Attached);
        writer.UInt64(sequence);
        SessionMessage.AttachedMac(session.Key, path.Transcript, sequence, writer.Reserve(SessionMessage.MacBytes));
        Answer(path, answer);
    }

    private void HandleActivate(ExitSession session, TerminalPath path, ulong sequence, Instant now)
    {
        if (path.Session != session) return; // its ATTACH is still under way; the client repeats
        if (sequence > session.ActivateSequence)
        {
            session.ActivateSequence = sequence;
            if (session.Active != path)
            {
                session.Connection?.OnPathChanged(session.Connection.Stats.SmoothedRtt, now);
                session.Active = path;
                Route(session);
            }
        }

        if (session.Active != path) return;
        Span<byte> answer = stackalloc byte[SessionMessage.ActivatedBytes];
        var writer = new WireWriter(answer);
        writer.Byte((byte)SessionMessageType.Activated);
        writer.UInt64(session.ActivateSequence);
        Answer(path, answer);
    }

    private void HandleUse(ExitSession session, TerminalPath path, ReadOnlySpan<byte> token)
    {
        // Repeated when the answer was lost. Another token in the same session changes nothing: one session, one token.
        AdmissionReason reason = AdmissionReason.Granted;
        if (!_tokens.IsExit)
        {
            reason = AdmissionReason.NoExit;
        }
        else if (!session.Admitted)
        {
            reason = _tokens.Admit(token, out int number);
            session.Admitted = reason == AdmissionReason.Granted;
            session.Token = number;
        }

        Answer(path, [(byte)SessionMessageType.Admitted, (byte)reason]);
    }

    private void HandleLease(ExitSession session, TerminalPath path)
    {
        Span<byte> answer = stackalloc byte[SessionMessage.LeasedBytes];
        var writer = new WireWriter(answer);
        if (session.Lease < 0)
        {
            int number = -1;
            InnerAddresses leased = default;
            NoLeaseReason refusal = _leases is null ? NoLeaseReason.NoTunnel : !session.Admitted ? NoLeaseReason.NotAdmitted : _leases.TryTake(out number, out leased) ? 0 : NoLeaseReason.AllInUse;
            if (refusal != 0)
            {
                writer.Byte((byte)SessionMessageType.NoLease);
                writer.Byte((byte)refusal);
                Answer(path, answer[..SessionMessage.NoLeaseBytes]);
                return;
            }

            (session.Lease, session.Leased) = (number, leased);
            _tunnel!.ToAll(new OpenTunnelPeer(number, leased));
            foreach (TerminalPath attached in session.Paths) _tunnel.ToShard(attached.Path.Shard, new BindTunnelPath(number, attached.Path.Number));
            Route(session);
        }

        writer.Byte((byte)SessionMessageType.Leased);
        writer.UInt32(session.Leased.IPv4);
        writer.UInt64((ulong)(session.Leased.IPv6 >> 64));
        writer.UInt64((ulong)session.Leased.IPv6);
        Answer(path, answer);
    }

    // The shards are to send where the client wants its packets.
    private void Route(ExitSession session)
    {
        if (session.Lease >= 0) _tunnel!.ToAll(new RouteTunnelPeer(session.Lease, session.Active?.Path, session.Active?.Class ?? default));
    }

    private void Answer(TerminalPath path, ReadOnlySpan<byte> message) =>
        _outlets[path.Path.Shard].TryRecord(path.Path.Number, RecordType.Session, message);

    private void End(ExitSession session, Instant now)
    {
        if (!_byId.Remove(session.Id)) return;
        _byNumber.Remove(session.Number);
        foreach (TerminalPath path in session.Paths)
        {
            path.Session = null;

            // Before its addresses are another's: the path itself may live on.
            if (session.Lease >= 0) _tunnel!.ToShard(path.Path.Shard, new BindTunnelPath(-1, path.Path.Number));
        }

        if (session.Lease >= 0)
        {
            _tunnel!.ToAll(new CloseTunnelPeer(session.Lease));
            _leases!.Release(session.Lease);
            session.Lease = -1;
        }

        _tokens.Release(session.Token);
        session.Token = -1;

        CryptographicOperations.ZeroMemory(session.Key);
        session.Connection?.Abandon(now);
        _events.OnSessionClosed(session.Number, now);
    }

    // ---- inside ----

    private void DrainQuic(Instant now)
    {
        while (_quic.TryAccept(out QuicConnection? accepted))
        {
            // One connection for each session.
            accepted.Tag = (long)accepted.RemoteAddress.High;
            if (_byNumber.TryGetValue((long)accepted.RemoteAddress.High, out ExitSession? session) && session.Connection is not { IsClosed: false }) session.Connection = accepted;
            else accepted.Close(0, "", now);
        }

        while (_quic.TryTakeEvent(out QuicEvent happened)) _events.OnQuic(happened, now);
        _drops.Count(DropReason.StalledSession, _quic.Counters.ClosedStalled - _stalled);
        _stalled = _quic.Counters.ClosedStalled;
    }

    private bool HasRoom()
    {
        foreach (PathOutlet outlet in _outlets) if (!outlet.HasRoom(64)) return false;
        return true;
    }
}
