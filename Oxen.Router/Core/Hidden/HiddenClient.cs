using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Core.Hidden;

internal enum HiddenClientState : byte
{
    /// <summary>Nothing was asked for yet, or it was given up.</summary>
    Idle,

    /// <summary>The introset is being fetched.</summary>
    LookingUp,

    /// <summary>Paths to rendezvous and introduction relay, introduction, answer.</summary>
    Meeting,

    /// <summary>Joined; the QUIC handshake inside is under way.</summary>
    Connecting,

    /// <summary>Streams may be opened.</summary>
    Ready,
}

// A client of one hidden service, on the session thread, sans-IO:
//   1 look up      the introset, from several keepers                      IntrosetLookup
//   2 meet         a rendezvous of our choice waits with our cookie,       HiddenClient.Meeting.cs
//                  an introduction goes to the service by one of its relays
//   3 join         the service comes to the rendezvous, its answer gives the keys
//   4 talk         QUIC inside, watched end to end; when the joint dies, or nears its end, 2 and 3 again for the same session
internal sealed partial class HiddenClient : IHiddenPathOwner, IDisposable
{
    // Ours.
    private const int MaxAttempts = 6;

    // A service that was started anew is unknown to its former introduction relays, and keepers may not have its new introset yet: after
    // these pauses it is looked up again.
    private static readonly TimeSpan[] LookAgainAfter = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3)];
    private static readonly TimeSpan AttemptPatience = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Repeat = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(1500);
    private static readonly TimeSpan LeaveBefore = TimeSpan.FromSeconds(60);

    // When nothing came of a meeting while the way that is there carries the session.
    private static readonly TimeSpan MeetAgainAfter = TimeSpan.FromSeconds(10);

    // A way that loses so much of so many probes is left for another. The loss may be our own cable's: every further time later.
    private const double LossThatFails = 0.25;
    private const int LeastJudged = 32;
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan LastPause = TimeSpan.FromMinutes(10);

    // An introset is used so long: its effort seed lives not much longer.
    private static readonly TimeSpan Fresh = TimeSpan.FromMinutes(45);

    private readonly HiddenContext _context;
    private readonly QuicEndpoint _quic;
    private readonly byte[] _clientSecret;
    private readonly HashSet<RouterId> _badIntroductions = [];
    private readonly HashSet<RouterId> _badRendezvous = [];
    private IntrosetLookup? _lookup;
    private readonly List<(byte Instance, IntrosetContent Content)> _instances = []; // of other routers that serve the address
    private readonly HashSet<byte> _absent = [];
    private byte _instance;
    private IntrosetContent? _content;
    private long _contentExpires;
    private readonly byte[] _subcredential = new byte[32];
    private JointKeys? _session;
    private HiddenJoint? _joint;
    private PathHealth? _health;
    private Attempt? _attempt;
    private int _attempts;
    private int _connections;
    private int _rounds;
    private Instant _lookAgainAt = Instant.Never;
    private Instant _renewAt = Instant.Never;
    private Instant _openedAt = Instant.Never;
    private Instant _leaveLossyAt = Instant.Zero;
    private TimeSpan _lossyPause = FirstPause;

    /// <param name="quic">Shared by all clients; the address of a connection names the client.</param>
    /// <param name="isolation">Whose it is: clients with different keys share nothing.</param>
    /// <param name="clientSecret">X25519 secret of an authorised client; empty: none.</param>
    public HiddenClient(int number, ServiceAddress address, UInt128 isolation, HiddenContext context, QuicEndpoint quic, ReadOnlySpan<byte> clientSecret)
    {
        Number = number;
        Address = address;
        Isolation = isolation;
        _context = context;
        _quic = quic;
        _clientSecret = clientSecret.ToArray();
    }

    public int Number { get; }

    public ServiceAddress Address { get; }

    public UInt128 Isolation { get; }

    public HiddenClientState State { get; private set; }

    public QuicConnection? Quic { get; private set; }

    /// <summary>What the service announced; null until it was found.</summary>
    public IntrosetContent? Content => _content;

    /// <summary>Our path to the rendezvous in use; null before.</summary>
    public HiddenPath? Path => _joint?.Path;

    /// <summary>The way from end to end, to the service; null before it is met.</summary>
    public PathHealth? Health => _health;

    /// <summary>Asks the service once for its round trip.</summary>
    public void ProbeEnd(Instant now)
    {
        if (_health is { } health) Probe(health, now);
    }

    /// <summary>The rendezvous in use; none before.</summary>
    public RouterId Rendezvous => _joint?.Path.Hops[^1] ?? default;

    /// <summary>Smoothed round trip to the service.</summary>
    public TimeSpan RoundTrip => _health?.SmoothedRtt ?? TimeSpan.Zero;

    /// <summary>How often the session moved to another rendezvous.</summary>
    public int Moves { get; private set; }

    /// <summary>How long the last search for the introset took that found one; zero before.</summary>
    public TimeSpan LookedUpIn { get; private set; }

    /// <summary>From the wish to go there until streams could be opened, the last time; zero before.</summary>
    public TimeSpan MetIn { get; private set; }

    public Instant NextDeadline
    {
        get
        {
            Instant next = Instant.Earlier(_renewAt, _lookAgainAt);
            if (_lookup is { } lookup) next = Instant.Earlier(next, lookup.NextDeadline);
            if (_attempt is { } attempt) next = Instant.Earlier(next, Instant.Earlier(attempt.Retry, attempt.Deadline));
            if (_health is { } health) next = Instant.Earlier(next, health.NextDeadline);
            return next;
        }
    }

    /// <summary>Goes for the service, if it is not on its way already.</summary>
    public void Open(Instant now)
    {
        if (State != HiddenClientState.Idle) return;
        _attempts = _rounds = 0;
        _badIntroductions.Clear();
        _badRendezvous.Clear();
        _absent.Clear();
        State = HiddenClientState.LookingUp;
        _openedAt = now;
        Meet(now);
    }

    public void Close(Instant now)
    {
        End(now);
        State = HiddenClientState.Idle;
    }

    public void HandleTimeout(Instant now)
    {
        _lookup?.HandleTimeout(now);
        if (_health is { } health)
        {
            health.TakeAskHops(now); // there is one hop only, the service
            if (health.IsDead(now)) LeaveJoint("the service does not answer", now);
            else if (health.NextProbe <= now)
            {
                LeaveLossyJoint(health, now);
                Probe(health, now);
            }
        }

        if (_renewAt <= now)
        {
            _renewAt = Instant.Never;
            if (_attempt is null) Meet(now);
        }

        if (_lookAgainAt <= now)
        {
            _lookAgainAt = Instant.Never;
            Meet(now);
        }

        if (_attempt is { } attempt && attempt.Deadline <= now) FailAttempt("the service did not come in time", now);
        else if (_attempt is { } waiting && waiting.Retry <= now) Step(waiting, now);
    }

    /// <summary>A datagram of the QUIC connection; false when there is no joint to carry it.</summary>
    public bool SendQuic(ReadOnlySpan<byte> datagram, Instant now)
    {
        if (_joint is not { } joint) return false;
        _health!.OnTrafficSent(now);
        return joint.TryRecord(RecordType.Quic, datagram, now);
    }

    /// <summary>A UDP record (<see cref="ServiceUdp"/>) or an IP packet (<see cref="ServicePackets"/>). One that comes before the service is met is dropped and counted, and makes us go for it.</summary>
    public bool Send(RecordType type, ReadOnlySpan<byte> record, Instant now)
    {
        if (State == HiddenClientState.Ready && _joint is { } joint)
        {
            _health!.OnTrafficSent(now);
            return joint.TryRecord(type, record, now);
        }

        _context.Drops.Count(Packets.DropReason.NoPath);
        Open(now);
        return false;
    }

    public bool HasRoom => _joint?.HasRoom ?? true;

    public void Flush() => _joint?.Flush();

    /// <summary>The endpoint's events of our connection, as far as they are ours.</summary>
    public void OnQuic(in QuicEvent happened, Instant now)
    {
        if (happened.Connection != Quic) return;
        if (happened.Kind == QuicEventKind.Connected)
        {
            State = HiddenClientState.Ready;
            MetIn = now - _openedAt;
            _context.Events.OnHiddenClientReady(this, now);
        }
        else if (happened.Kind == QuicEventKind.Closed)
        {
            Lose($"the service ended the connection: {happened.Connection.Stats.CloseReason}", now);
        }
    }

    public void Dispose()
    {
        _lookup?.Cancel();
        _attempt?.Dispose();
        _joint?.Dispose();
        _session?.Dispose();
        CryptographicOperations.ZeroMemory(_clientSecret);
    }

    // ---- 1 look up ----

    private void LookUp(Instant now)
    {
        long unix = _context.UnixSeconds(now);
        ulong period = ServicePeriod.At(unix);
        Search(period, (found, at) =>
        {
            if (found.Count > 0)
            {
                Found(found, at);
                return;
            }

            // Near the border the service may see another period than we.
            long into = unix - ServicePeriod.StartOf(period);
            ulong other = into < 3600 ? period - 1 : into > ServicePeriod.Seconds - 3600 ? period + 1 : 0;
            if (other == 0) GiveUp("no relay has an introset of this address", at);
            else Search(other, (late, then) =>
            {
                if (late.Count == 0) GiveUp("no relay has an introset of this address", then);
                else Found(late, then);
            }, at);
        }, now);
    }

    private void Search(ulong period, Action<IReadOnlyList<Introset>, Instant> done, Instant now)
    {
        _lookup = IntrosetLookup.Start(_context, Address, period, (found, at) =>
        {
            _lookup = null;
            if (found.Count > 0) LookedUpIn = at - now;
            done(found, at);
        }, now);
        if (_lookup is null) GiveUp("the directory names no relay that could have an introset", now);
    }

    private void Found(IReadOnlyList<Introset> introsets, Instant now)
    {
        _instances.Clear();
        bool refused = false;
        foreach (Introset introset in introsets)
        {
            IntrosetOutcome outcome = introset.TryOpen(Address, _clientSecret, out IntrosetContent? content);
            refused |= outcome == IntrosetOutcome.NotAuthorised;
            if (outcome != IntrosetOutcome.Opened) continue;
            _instances.Insert(_context.Choose(_instances.Count + 1), (introset.Instance, content!));
            _contentExpires = Math.Min(introset.ExpiresUnixSeconds, _context.UnixSeconds(now) + (long)Fresh.TotalSeconds);
            Introset.Subcredential(Address, introset.BlindedKey, _subcredential); // one key of the period, whatever the instance
        }

        if (_instances.Count == 0)
        {
            GiveUp(refused ? "the service takes authorised clients alone" : "the service's introset is malformed", now);
            return;
        }

        // One in an order of chance, so that clients spread over the routers that serve it; those that did not come before are last.
        (byte Instance, IntrosetContent Content)[] ordered = [.. _instances.OrderBy(i => _absent.Contains(i.Instance))];
        _instances.Clear();
        _instances.AddRange(ordered);
        TakeInstance();
        Meet(now);
    }

    private void TakeInstance()
    {
        _badIntroductions.Clear();
        _content = null;
        if (_instances.Count == 0) return;
        (_instance, _content) = _instances[0];
        _instances.RemoveAt(0);
    }

    /// <summary>The router that serves the address does not come: another one may, else the introset is fetched anew.</summary>
    private void LeaveInstance()
    {
        _absent.Add(_instance);
        if (_instances.Count > 0) _attempts = 0;
        TakeInstance();
    }

    // ---- 4 talk ----

    private void OnRecords(HiddenJoint joint, Span<byte> content, Instant now)
    {
        if (!joint.TryOpen(content, out Span<byte> bytes)) return;
        _health!.OnHeard(now);
        var records = new RecordReader(bytes);
        while (records.TryRead(out RecordType type, out Span<byte> record))
        {
            switch (type)
            {
                case RecordType.Quic:
                    _quic.HandleDatagram(record, QuicAddress, now);
                    break;
                case RecordType.Udp:
                    _context.Events.OnHiddenUdp(this, record, now);
                    break;
                case RecordType.Ip:
                    _context.Events.OnHiddenPacket(this, record, now);
                    break;
                case RecordType.Answer when record.Length == 8 && _health!.OnAnswer(System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(record), 0, now):
                    break;
                default:
                    _context.Drops.Count(Packets.DropReason.BadRecord);
                    break;
            }
        }

        if (records.Malformed) _context.Drops.Count(Packets.DropReason.BadRecord);
    }

    private UdpAddress QuicAddress => UdpAddress.FromVirtual((ulong)Number, (ushort)_connections);

    private void Probe(PathHealth health, Instant now)
    {
        Span<byte> id = stackalloc byte[8];
        _context.Entropy.FillPublic(id);
        health.OnProbeSent(System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(id), 0, now);
        _joint!.TryRecord(RecordType.Probe, id, now);
    }

    private void Join(HiddenPath path, JointKeys keys, byte[] quicKey, bool continued, TimeSpan roundTrip, Instant now)
    {
        DropJoint(now);
        _joint = new HiddenJoint(path, new JointSeal(keys, isClient: true), _context.Paths.Outlets, _context.Drops);
        _health = new PathHealth(1, roundTrip, now);
        _attempts = _rounds = 0;
        _renewAt = path.Expires - LeaveBefore;
        if (continued && Quic is { IsClosed: false } quic)
        {
            keys.Dispose(); // the session's own stay those of its first joint
            Moves++;
            quic.OnPathChanged(roundTrip, now);
            return;
        }

        QuicConnection? before = Quic;
        _session?.Dispose();
        _session = keys;
        _connections++;
        State = HiddenClientState.Connecting;
        Quic = _quic.Connect(QuicAddress, new TlsClientOptions { PinnedServerKey = quicKey, Alpn = [HiddenContext.Alpn] }, _context.Transport, now);
        Quic.Tag = this;
        Quic.OnPathChanged(roundTrip, now);
        if (before is { IsClosed: false }) before.Close(0, "the service has forgotten the session", now);
    }

    private void LeaveJoint(string reason, Instant now)
    {
        if (_joint is null) return;
        LastTrouble = reason;
        _badRendezvous.Add(_joint.Path.Hops[^1]);
        DropJoint(now);
        _renewAt = Instant.Never;
        if (_attempt is null) Meet(now);
    }

    // Probes that mostly get through keep a joint alive. Another one is made beside it, with other relays.
    private void LeaveLossyJoint(PathHealth health, Instant now)
    {
        if (health.Judged < LeastJudged || _attempt is not null || _lookup is not null) return;
        if (health.Loss < LossThatFails)
        {
            if (health.Judged == PathHealth.JudgedProbes && health.Loss < LossThatFails / 2) _lossyPause = FirstPause;
            return;
        }

        if (now < _leaveLossyAt) return;
        _leaveLossyAt = now + _lossyPause;
        _lossyPause = 2 * _lossyPause < LastPause ? 2 * _lossyPause : LastPause;
        LastTrouble = "the way to the service loses too much";
        _badRendezvous.Add(Rendezvous);
        Meet(now);
    }

    private void DropJoint(Instant now)
    {
        if (_joint is not { } joint) return;
        _joint = null;
        _health = null;
        joint.Dispose();
        _context.Paths.Drop(joint.Path.Group, now);
    }

    /// <summary>Nothing came of a meeting: the session ends, unless the way that is there still carries it.</summary>
    private void GiveUp(string reason, Instant now)
    {
        if (_joint is null)
        {
            Lose(reason, now);
            return;
        }

        LastTrouble = reason;
        _attempts = _rounds = 0;
        _renewAt = now + MeetAgainAfter;
    }

    private void Lose(string reason, Instant now)
    {
        if (State == HiddenClientState.Idle) return;
        End(now);
        State = HiddenClientState.Idle;
        _context.Events.OnHiddenClientLost(this, reason, now);
    }

    private void End(Instant now)
    {
        _lookup?.Cancel();
        _lookup = null;
        DropAttempt(now);
        _renewAt = _lookAgainAt = Instant.Never;
        QuicConnection? quic = Quic;
        Quic = null;
        if (quic is { IsClosed: false })
        {
            quic.Close(0, "", now);
            Farewell(quic, now);
        }

        DropJoint(now);
        _session?.Dispose();
        _session = null;
    }

    // The packet that says good-bye leaves while there is a joint to carry it.
    private void Farewell(QuicConnection quic, Instant now)
    {
        if (_joint is not { } joint) return;
        byte[] datagram = new byte[2 * JointSeal.MaxRecordBytes];
        int bytes = quic.Transmit(datagram, out int segment, now);
        if (bytes > 0) joint.TryRecord(RecordType.Quic, datagram.AsSpan(0, Math.Min(bytes, segment)), now);
        joint.Flush();
    }
}
