using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Hidden;

// Meeting the service: one attempt at a time, each with a rendezvous and an introduction relay of its own.
//
//   path to rendezvous ----> AWAIT cookie ----> AWAITING --+
//   path to introduction relay ----------------------------+--> effort --> INTRODUCE --> ack ... JOINED with the answer
internal sealed partial class HiddenClient
{
    // Blocks of tries between two looks at the world: well below a millisecond.
    private const int TriesAtOnce = 1000;

    private sealed class Attempt : IDisposable
    {
        public required int RendezvousGroup { get; set; }

        public required int IntroductionGroup { get; set; }

        public required IntroductionPoint Point { get; init; }

        public required RouterId Rendezvous { get; init; }

        public required Instant Started { get; init; }

        public required Instant Deadline { get; init; }

        public byte[] Cookie { get; } = new byte[IntroductionFormat.CookieBytes];

        public HiddenPath? RendezvousPath { get; set; }

        public HiddenPath? IntroductionPath { get; set; }

        public bool Awaiting { get; set; }

        public ClientHandshake? Handshake { get; set; }

        public IntroductionSolver? Solver { get; set; }

        public bool Acknowledged { get; set; }

        public Instant SentAt { get; set; }

        public Instant Retry { get; set; } = Instant.Never;

        public void Dispose() => Handshake?.Dispose();
    }

    void IHiddenPathOwner.OnPathReady(HiddenPath path, Instant now)
    {
        if (_attempt is not { } attempt) return;
        if (path.Group == attempt.RendezvousGroup) attempt.RendezvousPath ??= path;
        else if (path.Group == attempt.IntroductionGroup) attempt.IntroductionPath ??= path;
        Step(attempt, now);
    }

    void IHiddenPathOwner.OnPathGone(HiddenPath path, Instant now)
    {
        if (_joint?.Path == path)
        {
            LeaveJoint("the path to the rendezvous failed", now);
            return;
        }

        if (_attempt is { } attempt && (path == attempt.RendezvousPath || path == attempt.IntroductionPath)) FailAttempt("a path failed", now);
    }

    void IHiddenPathOwner.OnMeeting(HiddenPath path, MeetingType type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> body, Instant now)
    {
        if (_joint?.Path == path)
        {
            if (type == MeetingType.Parted) LeaveJoint("the service's path to the rendezvous failed", now);
            return; // answers that were repeated
        }

        if (_attempt is not { } attempt) return;
        if (path == attempt.RendezvousPath && name.SequenceEqual(attempt.Cookie))
        {
            OnRendezvous(attempt, type, body, now);
        }
        else if (path == attempt.IntroductionPath && type == MeetingType.IntroduceAck && !attempt.Acknowledged)
        {
            var status = (MeetingStatus)body[0];
            if (status == MeetingStatus.Done)
            {
                attempt.Acknowledged = true;
                attempt.Retry = now + Repeat;
            }
            else if (status != MeetingStatus.Busy)
            {
                _badIntroductions.Add(attempt.Point.Relay);
                FailAttempt("the introduction relay does not know the service", now);
            }
        }
    }

    void IHiddenPathOwner.OnJoined(HiddenPath path, Span<byte> content, Instant now)
    {
        if (_joint is { } joint && joint.Path == path) OnRecords(joint, content, now);
        else _context.Drops.Count(Packets.DropReason.NotJoined);
    }

    private void Meet(Instant now)
    {
        if (_content is not { } content || _contentExpires <= _context.UnixSeconds(now))
        {
            if (_lookup is null) LookUp(now);
            return;
        }

        if (State == HiddenClientState.LookingUp) State = HiddenClientState.Meeting;
        if (++_attempts > MaxAttempts)
        {
            if (_rounds < LookAgainAfter.Length)
            {
                _lookAgainAt = now + LookAgainAfter[_rounds++];
                _attempts = 0;
                _content = null;
                _instances.Clear();
                return;
            }

            GiveUp("the service does not come to any rendezvous", now);
            return;
        }

        List<IntroductionPoint> points = [.. content.Introductions.Where(p => !_badIntroductions.Contains(p.Relay) && _context.Directory.TryGet(p.Relay, out _))];
        if (points.Count == 0)
        {
            // All failed: the introset may be an old one.
            LeaveInstance();
            Meet(now);
            return;
        }

        IntroductionPoint point = points[_context.Choose(points.Count)];
        RouterId current = Rendezvous;
        RouterId rendezvous = _context.ChooseRelay(id => id == point.Relay || id == current || _badRendezvous.Contains(id));
        if (rendezvous.IsNone)
        {
            _badRendezvous.Clear();
            rendezvous = _context.ChooseRelay(id => id == point.Relay);
        }

        if (rendezvous.IsNone)
        {
            GiveUp("the directory names no relay that could be the rendezvous", now);
            return;
        }

        var attempt = new Attempt
        {
            Point = point,
            Rendezvous = rendezvous,
            RendezvousGroup = _context.Paths.Want(rendezvous, this, once: true, now),
            IntroductionGroup = _context.Paths.Want(point.Relay, this, once: true, now),
            Started = now,
            Deadline = now + AttemptPatience,
        };
        _context.Entropy.FillSecret(attempt.Cookie);
        _attempt = attempt;
    }

    /// <summary>Says what is to be said now, for the first time or again.</summary>
    private void Step(Attempt attempt, Instant now)
    {
        attempt.Retry = Instant.Never;
        if (attempt.RendezvousPath is not { } rendezvous) return;
        if (!attempt.Awaiting)
        {
            _context.Paths.Send(rendezvous, MeetingType.Await, attempt.Cookie, default, now);
            attempt.Retry = now + Repeat;
            return;
        }

        if (attempt.IntroductionPath is not { } introduction) return;
        if (attempt.Handshake is null)
        {
            // A rendezvous that we wait at for a session that is over would serve nobody.
            JointKeys? continues = Quic is { IsClosed: false } ? _session : null;
            attempt.Handshake = ClientHandshake.Create(_content!, _subcredential, attempt.Rendezvous, attempt.Cookie, continues, _context.Entropy);
            if (attempt.Handshake is null)
            {
                Lose("the service's session key is unusable", now);
                return;
            }

            Span<byte> first = stackalloc byte[IntroductionFormat.ProofBytes];
            _context.Entropy.FillPublic(first);
            attempt.Solver = new IntroductionSolver(attempt.Handshake.Introduction, _content!.EffortSeed, _content.SuggestedEffort, first);
        }

        if (!attempt.Solver!.Step(TriesAtOnce))
        {
            attempt.Retry = now;
            return;
        }

        if (!attempt.Acknowledged || now - attempt.SentAt >= AskAgain)
        {
            _context.Paths.Send(introduction, MeetingType.Introduce, NameOf(attempt.Point), attempt.Handshake.Introduction, now);
            attempt.SentAt = now;
        }
        else
        {
            // Acknowledged: the answer is on its way, or was lost and is told again.
            _context.Paths.Send(rendezvous, MeetingType.Await, attempt.Cookie, default, now);
        }

        attempt.Retry = now + (attempt.Acknowledged ? 2 * Repeat : Repeat);
    }

    private void OnRendezvous(Attempt attempt, MeetingType type, ReadOnlySpan<byte> body, Instant now)
    {
        switch (type)
        {
            case MeetingType.Awaiting when (MeetingStatus)body[0] == MeetingStatus.Done:
                if (attempt.Awaiting) return;
                attempt.Awaiting = true;
                Step(attempt, now);
                return;
            case MeetingType.Awaiting:
                _badRendezvous.Add(attempt.Rendezvous);
                FailAttempt("the rendezvous refused", now);
                return;
            case MeetingType.Joined when attempt.Handshake is { } handshake:
                if (!handshake.TryReadAnswer(body, out JointKeys? keys, out byte[] quicKey, out bool continued))
                {
                    _badRendezvous.Add(attempt.Rendezvous);
                    FailAttempt("the answer is not the service's", now);
                    return;
                }

                HiddenPath path = attempt.RendezvousPath!;
                _attempt = null;
                _context.Paths.Drop(attempt.IntroductionGroup, now);
                TimeSpan roundTrip = now - (attempt.SentAt == default ? attempt.Started : attempt.SentAt);
                attempt.Dispose();
                Join(path, keys!, quicKey, continued, roundTrip < TimeSpan.FromSeconds(1) ? roundTrip : TimeSpan.FromSeconds(1), now);
                return;
            case MeetingType.Parted:
                FailAttempt("the service's path to the rendezvous failed", now);
                return;
        }
    }

    private void FailAttempt(string reason, Instant now)
    {
        if (_attempt is not { } attempt) return;
        if (attempt.Deadline <= now)
        {
            // Nobody said who is to blame.
            if (!attempt.Acknowledged && attempt.Awaiting) _badIntroductions.Add(attempt.Point.Relay);
            if (!attempt.Awaiting) _badRendezvous.Add(attempt.Rendezvous);
            if (attempt.Acknowledged) LeaveInstance(); // its seed or key may be over, or nobody is there
        }

        LastTrouble = reason;
        DropAttempt(now);
        Meet(now);
    }

    /// <summary>Why the last attempt failed, in words; empty when none did.</summary>
    public string LastTrouble { get; private set; } = "";

    private void DropAttempt(Instant now)
    {
        if (_attempt is not { } attempt) return;
        _attempt = null;
        attempt.Dispose();
        _context.Paths.Drop(attempt.IntroductionGroup, now);
        _context.Paths.Drop(attempt.RendezvousGroup, now);
    }

    private static byte[] NameOf(IntroductionPoint point) => point.AuthenticationKey.ToArray();
}
