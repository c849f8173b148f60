using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Core.Hidden;

// A hidden service, on the session thread of a client's router, sans-IO:
//   1 introductions   paths to relays of our choice, a key for each          HiddenService.Introductions.cs
//   2 publishing      an introset for this period and the next               HiddenService.Publishing.cs
//   3 meetings        introductions out of the queue, a path to each client's rendezvous, JOIN
//   4 sessions        QUIC inside, over whatever joint the client came by last
// This file has the life of it, 3 and 4.
internal sealed partial class HiddenService : IHiddenPathOwner, IDisposable
{
    // Ours.
    private static readonly TimeSpan Repeat = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan MeetingPatience = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan OrphanPatience = TimeSpan.FromSeconds(60);

    private sealed class Meeting : IDisposable
    {
        public required int Group { get; set; }

        public required byte[] Cookie { get; init; }

        public required byte[] Answer { get; init; }

        public required JointKeys Keys { get; init; }

        /// <summary>The session that goes on; null: a new one.</summary>
        public HiddenServiceSession? Continues { get; init; }

        public required Instant Deadline { get; init; }

        public HiddenPath? Path { get; set; }

        public HiddenJoint? Joint { get; set; }

        public bool Acknowledged { get; set; }

        public Instant Retry { get; set; } = Instant.Never;

        public void Dispose()
        {
            Keys.Dispose();
            Joint?.Dispose();
        }
    }

    private readonly HiddenContext _context;
    private readonly HiddenServiceOptions _options;
    private readonly ServiceKey _key;
    private readonly TlsIdentity _quicKey;
    private readonly QuicEndpoint _quic;
    private readonly IntroductionQueue _queue;
    private readonly Dictionary<int, Meeting> _meetings = [];
    private readonly Dictionary<long, HiddenServiceSession> _sessions = [];
    private readonly Dictionary<UInt128, HiddenServiceSession> _byId = [];
    private readonly Dictionary<Paths.PathRef, HiddenServiceSession> _byPath = [];
    private readonly byte[] _transmit = new byte[64 * 1024];
    private long _nextSession;
    private double _tokens;
    private Instant _filled;
    private Instant _nextAnswer = Instant.Never;
    private bool _closed;

    public HiddenService(HiddenServiceOptions options, HiddenContext context, Instant now)
    {
        if (options.Introductions is < 1 or > IntrosetContent.MaxIntroductions) throw new ArgumentException($"a service has 1 to {IntrosetContent.MaxIntroductions} introduction relays", nameof(options));
        _options = options;
        _context = context;
        _key = new ServiceKey(options.Seed);
        _quicKey = TlsIdentity.Create(context.Entropy);
        _queue = new IntroductionQueue(options.Queue, context.Drops, context.Entropy, now);
        _tokens = options.AnswerBurst;
        _filled = now;
        _quic = new QuicEndpoint(
            new QuicEndpointOptions
            {
                Transport = context.Transport,
                Retry = QuicRetryPolicy.Never, // the introduction was the proof
                MaxConnectionsPerAddress = 2,
                MaxHalfOpen = 1024,
                Server = new TlsServerOptions { Identity = _quicKey, Alpn = [HiddenContext.Alpn] },
            },
            context.Entropy);
        _nextWork = now;
    }

    public ServiceAddress Address => _key.Address;

    /// <summary>Whether it takes what goes to the outside.</summary>
    public bool IsExit => _options.IsExit;

    public int SessionCount => _sessions.Count;

    public IReadOnlyCollection<HiddenServiceSession> Sessions => _sessions.Values;

    /// <summary>Clients that are being met.</summary>
    public int MeetingCount => _meetings.Count;

    public IntroductionQueue Queue => _queue;

    public Instant NextDeadline
    {
        get
        {
            Instant next = Instant.Earlier(Instant.Earlier(_quic.NextDeadline, _nextWork), Instant.Earlier(_queue.NextDeadline, _nextAnswer));
            foreach (Introduction introduction in _introductions) next = Instant.Earlier(next, Instant.Earlier(introduction.Retry, introduction.GiveUp));
            foreach (Meeting meeting in _meetings.Values) next = Instant.Earlier(next, Instant.Earlier(meeting.Retry, meeting.Deadline));
            foreach (HiddenServiceSession session in _sessions.Values) next = Instant.Earlier(next, session.GiveUp);
            return next;
        }
    }

    public void HandleTimeout(Instant now)
    {
        if (_closed) return;
        _quic.HandleTimeout(now);
        _queue.HandleTimeout(now);
        TendIntroductions(now);
        foreach (Meeting meeting in _meetings.Values.ToArray())
        {
            if (meeting.Deadline <= now) DropMeeting(meeting, now);
            else if (meeting.Retry <= now) SendJoin(meeting, now);
        }

        foreach (HiddenServiceSession session in _sessions.Values.ToArray()) if (session.GiveUp <= now) End(session, now);
        Answer(now);
        if (_nextWork <= now || _queue.Changed) Publish(now);
        DrainQuic(now);
    }

    /// <summary>Seals what QUIC has to send, as far as the rings have room.</summary>
    public void Transmit(Instant now)
    {
        while (HasRoom() && _quic.TryTransmit(_transmit, out int bytes, out int segment, out UdpAddress to, now))
        {
            if (!_sessions.TryGetValue((long)to.High, out HiddenServiceSession? session) || session.Joint is not { } joint)
            {
                _context.Drops.Count(DropReason.NoPath, (bytes + segment - 1) / segment);
                continue;
            }

            for (int at = 0; at < bytes; at += segment) joint.TryRecord(RecordType.Quic, _transmit.AsSpan(at, Math.Min(segment, bytes - at)), now);
        }

        foreach (HiddenServiceSession session in _sessions.Values) session.Joint?.Flush();
    }

    /// <summary>A UDP record (<see cref="ServiceUdp"/>) or an IP packet (<see cref="ServicePackets"/>) for a client. False: it has gone, or has no path now; counted.</summary>
    public bool Send(long session, RecordType type, ReadOnlySpan<byte> record, Instant now)
    {
        if (_sessions.TryGetValue(session, out HiddenServiceSession? to) && to.Joint is { } joint) return joint.TryRecord(type, record, now);
        _context.Drops.Count(DropReason.NoPath);
        return false;
    }

    /// <summary>Other relays than before: what found none may find some, and what is published may belong elsewhere.</summary>
    public void OnDirectoryChanged(Instant now)
    {
        foreach ((ulong number, PeriodState period) in _periods)
            if (period.Keepers.Length > 0 && !period.Keepers.SequenceEqual(KeepersOf(number, period))) _dirty = true;
        _nextWork = Instant.Earlier(_nextWork, now);
    }

    /// <summary>Takes no more clients, ends the sessions, lets the paths go.</summary>
    public void Close(Instant now)
    {
        if (_closed) return;
        foreach (HiddenServiceSession session in _sessions.Values.Where(s => s.Joint is not null).ToArray()) session.Quic?.Close(0, "", now);
        Transmit(now);
        _closed = true;
        foreach (HiddenServiceSession session in _sessions.Values.ToArray()) End(session, now);
        foreach (Meeting meeting in _meetings.Values.ToArray()) DropMeeting(meeting, now);
        foreach (Introduction introduction in _introductions.ToArray()) Drop(introduction, now);
    }

    public void Dispose()
    {
        foreach (HiddenServiceSession session in _sessions.Values) session.Dispose();
        foreach (Meeting meeting in _meetings.Values) meeting.Dispose();
        foreach (Introduction introduction in _introductions) introduction.Key.Dispose();
        foreach (PeriodState period in _periods.Values) period.Dispose();
        _quic.Dispose();
        _quicKey.Dispose();
        _key.Dispose();
    }

    // ---- paths ----

    void IHiddenPathOwner.OnPathReady(HiddenPath path, Instant now)
    {
        if (_meetings.TryGetValue(path.Group, out Meeting? meeting))
        {
            if (meeting.Path is not null) return;
            meeting.Path = path;
            meeting.Joint = new HiddenJoint(path, new JointSeal(meeting.Keys, isClient: false), _context.Paths.Outlets, _context.Drops);
            SendJoin(meeting, now);
        }
        else
        {
            OnIntroductionPath(path, now);
        }
    }

    void IHiddenPathOwner.OnPathGone(HiddenPath path, Instant now)
    {
        if (_meetings.TryGetValue(path.Group, out Meeting? meeting))
        {
            // The cookie is used up or still good: only the client can say. It will come again.
            if (meeting.Path == path) DropMeeting(meeting, now);
        }
        else if (_byPath.TryGetValue(path.Ref, out HiddenServiceSession? session))
        {
            LeaveJoint(session, now);
        }
        else
        {
            OnIntroductionPathGone(path, now);
        }
    }

    void IHiddenPathOwner.OnMeeting(HiddenPath path, MeetingType type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> body, Instant now)
    {
        if (_meetings.TryGetValue(path.Group, out Meeting? meeting))
        {
            if (path != meeting.Path || !name.SequenceEqual(meeting.Cookie)) return;
            if (type == MeetingType.Parted || (type == MeetingType.JoinAck && (MeetingStatus)body[0] != MeetingStatus.Done)) DropMeeting(meeting, now);
            else if (type == MeetingType.JoinAck) (meeting.Acknowledged, meeting.Retry) = (true, Instant.Never);
        }
        else if (_byPath.TryGetValue(path.Ref, out HiddenServiceSession? session))
        {
            if (type == MeetingType.Parted) LeaveJoint(session, now);
        }
        else
        {
            OnIntroductionMessage(path, type, name, body, now);
        }
    }

    void IHiddenPathOwner.OnJoined(HiddenPath path, Span<byte> content, Instant now)
    {
        if (_byPath.TryGetValue(path.Ref, out HiddenServiceSession? session))
        {
            if (session.Joint!.TryOpen(content, out Span<byte> records)) OnRecords(session, records, now);
        }
        else if (_meetings.TryGetValue(path.Group, out Meeting? meeting) && meeting.Path == path)
        {
            // The first authentic packet: the client has our answer, from here on this joint carries the session.
            if (meeting.Joint!.TryOpen(content, out Span<byte> records) && Settle(meeting, now) is { } settled) OnRecords(settled, records, now);
        }
        else
        {
            _context.Drops.Count(DropReason.NotJoined);
        }
    }

    // ---- 3 meetings ----

    /// <summary>Takes introductions out of the queue, at our own pace.</summary>
    private void Answer(Instant now)
    {
        _nextAnswer = Instant.Never;
        _tokens = Math.Min(_options.AnswerBurst, _tokens + (now - _filled).TotalSeconds * _options.AnswersPerSecond);
        _filled = now;
        while (_queue.Count > 0)
        {
            if (_meetings.Count >= _options.MaxMeetings) return; // one that ends looks again
            if (_tokens < 1)
            {
                _nextAnswer = now + TimeSpan.FromSeconds((1 - _tokens) / _options.AnswersPerSecond) + TimeSpan.FromMilliseconds(1);
                return;
            }

            if (!_queue.TryTake(out byte[] introduction, now)) return;
            _tokens--;
            if (!TryMeet(introduction, now)) _context.Drops.Count(DropReason.BadIntroduction);
        }
    }

    private bool TryMeet(byte[] introduction, Instant now)
    {
        ulong id = ServiceHandshake.KeyIdOf(introduction);
        PeriodState? period = _periods.Values.FirstOrDefault(p => p.SessionKey.Id == id);
        if (period is null) return false;
        using ServiceHandshake? handshake = ServiceHandshake.TryOpen(introduction, period.SessionKey, period.Subcredential);
        if (handshake is null || !_context.Directory.TryGet(handshake.Rendezvous, out RouterContact? relay) || !relay.IsRelay) return false;
        HiddenServiceSession? continues = null;
        if (handshake.Continues && _byId.TryGetValue(System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(handshake.SessionId), out HiddenServiceSession? session) && handshake.ProvesSession(session.Keys)) continues = session;
        if (continues is null && _sessions.Count + _meetings.Count >= _options.MaxSessions)
        {
            _context.Drops.Count(DropReason.IntroductionQueueFull); // well made, but there is no room
            return true;
        }

        byte[] answer = new byte[IntroductionFormat.AnswerBytes];
        JointKeys? keys = handshake.Answer(_quicKey.PublicKey, continues is not null, answer, _context.Entropy);
        if (keys is null) return false;
        var meeting = new Meeting
        {
            Group = _context.Paths.Want(handshake.Rendezvous, this, once: true, now),
            Cookie = handshake.Cookie.ToArray(),
            Answer = answer,
            Keys = keys,
            Continues = continues,
            Deadline = now + MeetingPatience,
        };
        _meetings.Add(meeting.Group, meeting);
        return true;
    }

    private void SendJoin(Meeting meeting, Instant now)
    {
        if (meeting.Path is not { } path || meeting.Acknowledged)
        {
            meeting.Retry = Instant.Never;
            return;
        }

        _context.Paths.Send(path, MeetingType.Join, meeting.Cookie, meeting.Answer, now);
        meeting.Retry = now + Repeat;
    }

    private void DropMeeting(Meeting meeting, Instant now)
    {
        if (!_meetings.Remove(meeting.Group)) return;
        meeting.Dispose();
        _context.Paths.Drop(meeting.Group, now);
        if (_queue.Count > 0) _nextAnswer = now;
    }

    private HiddenServiceSession? Settle(Meeting meeting, Instant now)
    {
        _meetings.Remove(meeting.Group);
        HiddenJoint joint = meeting.Joint!;
        HiddenServiceSession session;
        if (meeting.Continues is { } old)
        {
            meeting.Keys.Dispose();
            if (!_sessions.ContainsKey(old.Number))
            {
                // It ended meanwhile; the client will see that nobody answers and begin anew.
                joint.Dispose();
                _context.Paths.Drop(meeting.Group, now);
                return null;
            }

            session = old;
            DropJoint(session, now);
            session.Quic?.OnPathChanged(session.Quic.Stats.SmoothedRtt, now);
        }
        else
        {
            session = new HiddenServiceSession(this, ++_nextSession, meeting.Keys);
            _sessions.Add(session.Number, session);
            _byId[session.Id] = session;
        }

        session.Joint = joint;
        session.GiveUp = session.Quic is null ? now + OrphanPatience : Instant.Never;
        _byPath[joint.Path.Ref] = session;
        if (_queue.Count > 0) _nextAnswer = now;
        return session;
    }

    // ---- 4 sessions ----

    private void OnRecords(HiddenServiceSession session, Span<byte> bytes, Instant now)
    {
        var records = new RecordReader(bytes);
        bool quic = false;
        while (records.TryRead(out RecordType type, out Span<byte> record))
        {
            switch (type)
            {
                case RecordType.Quic:
                    quic = true;
                    _quic.HandleDatagram(record, session.Address, now);
                    break;
                case RecordType.Udp:
                    _context.Events.OnServiceUdp(session, record, now);
                    break;
                case RecordType.Ip when _options.TakesPackets:
                    _context.Events.OnServicePacket(session, record, now);
                    break;
                case RecordType.Probe when record.Length == 8:
                    session.Joint?.TryRecord(RecordType.Answer, record, now);
                    break;
                default:
                    _context.Drops.Count(DropReason.BadRecord);
                    break;
            }
        }

        if (records.Malformed) _context.Drops.Count(DropReason.BadRecord);
        if (quic) DrainQuic(now);
    }

    private void DrainQuic(Instant now)
    {
        while (_quic.TryAccept(out QuicConnection? accepted))
        {
            if (_sessions.TryGetValue((long)accepted.RemoteAddress.High, out HiddenServiceSession? session) && session.Quic is not { IsClosed: false })
            {
                session.Quic = accepted;
                session.GiveUp = Instant.Never;
                accepted.Tag = session;
            }
            else
            {
                accepted.Close(0, "", now);
            }
        }

        while (_quic.TryTakeEvent(out QuicEvent happened))
        {
            _context.Events.OnHiddenQuic(happened, now);
            if (happened.Kind == QuicEventKind.Closed && happened.Connection.Tag is HiddenServiceSession session && session.Quic == happened.Connection) session.GiveUp = now + TimeSpan.FromSeconds(1);
        }
    }

    private void LeaveJoint(HiddenServiceSession session, Instant now)
    {
        DropJoint(session, now);
        session.GiveUp = Instant.Earlier(session.GiveUp, now + OrphanPatience);
    }

    private void DropJoint(HiddenServiceSession session, Instant now)
    {
        if (session.Joint is not { } joint) return;
        session.Joint = null;
        _byPath.Remove(joint.Path.Ref);
        joint.Dispose();
        _context.Paths.Drop(joint.Path.Group, now);
    }

    private void End(HiddenServiceSession session, Instant now)
    {
        if (!_sessions.Remove(session.Number)) return;
        _byId.Remove(session.Id);
        DropJoint(session, now);
        session.Quic?.Abandon(now);
        session.Dispose();
        _context.Events.OnServiceSessionEnded(session);
    }

    private bool HasRoom()
    {
        foreach (PathOutlet outlet in _context.Paths.Outlets) if (!outlet.HasRoom(64)) return false;
        return true;
    }
}
