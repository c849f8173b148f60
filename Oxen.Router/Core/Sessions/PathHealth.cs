namespace Oxen.Router.Core.Sessions;

/// <summary>
/// Watches one path from the client: sends probes, takes answers, says when the path is dead. A probe is an 8-byte id in
/// the addressed hop's layer; the answer comes back in the same hop's layer, so nobody else can give it.
/// </summary>
internal sealed class PathHealth
{
    // Ours to choose: found by the demand that a dead relay is noticed within 300 ms.
    public static readonly TimeSpan BusyInterval = TimeSpan.FromMilliseconds(75);
    public static readonly TimeSpan IdleInterval = TimeSpan.FromMilliseconds(500);
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(225);
    private static readonly TimeSpan MaxPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan BusyAfterTraffic = TimeSpan.FromSeconds(2);

    // Probes that must be unanswered before a path is dead: more on a path that loses some anyway, or where nobody is in a hurry.
    private const int LeastUnanswered = 4;
    private const int MoreWhenIdle = 2;
    private const int MorePerLoss = 16;

    /// <summary>Loss is judged over so many probes.</summary>
    public const int JudgedProbes = 64;

    private readonly Dictionary<ulong, (Instant Sent, byte Hop)> _outstanding = [];
    private readonly List<ulong> _forget = [];
    private readonly TimeSpan[] _hopRtt;
    private readonly Instant[] _hopHeard;
    private ulong _lost;       // of the last probes to the terminal, newest in bit 0: 1 was not answered
    private int _judged;
    private bool _asked;
    private int _unanswered;   // probes to the terminal since anything was heard
    private int _tolerated;
    private Instant _lastProbe;
    private Instant _nextProbe;
    private TimeSpan _deviation;
    private Instant _lastTraffic = new(long.MinValue / 2);
    private Instant _oldestUnanswered = Instant.Never;

    public PathHealth(int hops, TimeSpan firstGuess, Instant now)
    {
        _hopRtt = new TimeSpan[hops];
        _hopHeard = new Instant[hops];
        SmoothedRtt = firstGuess;
        _deviation = firstGuess / 2;
        _nextProbe = now;
        LastHeard = now;
    }

    /// <summary>At the interval, but sooner while one is unanswered: an idle path is not to die of one lost packet.</summary>
    public Instant NextProbe
    {
        get
        {
            if (_unanswered == 0) return _nextProbe;
            TimeSpan again = 1.5 * SmoothedRtt > BusyInterval ? 1.5 * SmoothedRtt : BusyInterval;
            return Instant.Earlier(_nextProbe, _lastProbe + (again > IdleInterval ? IdleInterval : again));
        }
    }

    /// <summary>When the last packet of any kind came down this path.</summary>
    public Instant LastHeard { get; private set; }

    public TimeSpan SmoothedRtt { get; private set; }

    public long ProbesSent { get; private set; }

    public long ProbesAnswered { get; private set; }

    /// <summary>Last round trip to each hop; zero where unknown.</summary>
    public ReadOnlySpan<TimeSpan> HopRtt => _hopRtt;

    /// <summary>The last round trip to a hop, if its answer came after `since`.</summary>
    public TimeSpan? AnsweredSince(int hop, Instant since) => _hopHeard[hop] > since ? _hopRtt[hop] : null;

    /// <summary>From now on probes go out at the busy interval, the next one too.</summary>
    public void OnTrafficSent(Instant now)
    {
        if (now <= _lastTraffic) return;
        if (!IsBusy(now)) _nextProbe = Instant.Earlier(_nextProbe, Instant.Later(now, _lastProbe + BusyInterval));
        _lastTraffic = now;
    }

    public void OnHeard(Instant now)
    {
        LastHeard = now;
        _oldestUnanswered = Instant.Never;
        _unanswered = 0;
        _asked = false;
    }

    /// <summary>How many of the last <see cref="JudgedProbes"/> probes to the terminal were judged so far.</summary>
    public int Judged => _judged;

    /// <summary>Share of those that were not answered.</summary>
    public double Loss => _judged == 0 ? 0 : System.Numerics.BitOperations.PopCount(_lost) / (double)_judged;

    private TimeSpan Waits
    {
        get
        {
            TimeSpan waits = 2 * SmoothedRtt + 4 * _deviation;
            if (waits < Patience) waits = Patience;
            return waits > MaxPatience ? MaxPatience : waits;
        }
    }

    public bool IsBusy(Instant now) => now - _lastTraffic < BusyAfterTraffic;

    public void OnProbeSent(ulong id, byte hop, Instant now)
    {
        if (_outstanding.Count >= 256) _outstanding.Clear();
        _outstanding[id] = (now, hop);
        ProbesSent++;

        // Hops before the last are asked for their round trips, or to find who fell silent; they keep no path alive.
        if (hop != _hopRtt.Length - 1) return;
        if (_oldestUnanswered.IsNever)
        {
            _oldestUnanswered = now;
            _tolerated = LeastUnanswered + (IsBusy(now) ? 0 : MoreWhenIdle) + (int)(MorePerLoss * Loss);
        }

        _unanswered++;
        _lastProbe = now;
        _nextProbe = now + (IsBusy(now) ? BusyInterval : IdleInterval);
        TimeSpan waits = Waits;
        foreach ((ulong old, (Instant sent, _)) in _outstanding) if (now - sent > waits) _forget.Add(old);
        foreach (ulong old in _forget)
        {
            _outstanding.Remove(old, out (Instant Sent, byte Hop) late);
            if (late.Hop == _hopRtt.Length - 1) Judge(lost: true);
        }

        _forget.Clear();
    }

    /// <returns>False for an answer that nobody asked for.</returns>
    public bool OnAnswer(ulong id, byte hop, Instant now)
    {
        if (!_outstanding.Remove(id, out (Instant Sent, byte Hop) probe) || probe.Hop != hop) return false;
        TimeSpan rtt = now - probe.Sent;
        _hopRtt[hop] = rtt;
        _hopHeard[hop] = now;
        if (hop != _hopRtt.Length - 1) return true;

        // The first guess is the time of the build, which may have waited for handshakes: the first answer replaces it.
        _deviation = ProbesAnswered == 0 ? rtt / 4 : (3 * _deviation + (SmoothedRtt - rtt).Duration()) / 4;
        SmoothedRtt = ProbesAnswered == 0 ? rtt : (7 * SmoothedRtt + rtt) / 8;
        ProbesAnswered++;
        Judge(lost: false);
        OnHeard(now);
        return true;
    }

    /// <summary>True once when the path has been silent for half of what is tolerated: ask every hop, so that <see cref="Suspect"/> can tell.</summary>
    public bool TakeAskHops(Instant now)
    {
        if (_asked || _oldestUnanswered.IsNever || now - _oldestUnanswered <= Waits / 2) return false;
        _asked = true;
        return true;
    }

    /// <summary>The nearest hop that has not answered since the path fell silent; -1 when none before the last has been asked or all answered.</summary>
    public int Suspect
    {
        get
        {
            if (!_asked) return -1;
            for (int hop = 0; hop < _hopRtt.Length; hop++) if (_hopHeard[hop] < _oldestUnanswered) return hop;
            return -1;
        }
    }

    private void Judge(bool lost)
    {
        _lost = (_lost << 1) | (lost ? 1UL : 0);
        _judged = Math.Min(JudgedProbes, _judged + 1);
    }

    /// <summary>Several probes are out and nothing at all has come back for longer than any queue explains.</summary>
    public bool IsDead(Instant now)
    {
        if (_oldestUnanswered.IsNever || _unanswered < _tolerated) return false;
        return now - _oldestUnanswered > Waits;
    }

    /// <summary>When <see cref="IsDead"/> may become true or a probe is due.</summary>
    public Instant NextDeadline
    {
        get
        {
            if (_oldestUnanswered.IsNever) return NextProbe;
            Instant next = NextProbe;
            if (!_asked) next = Instant.Earlier(next, _oldestUnanswered + Waits / 2 + TimeSpan.FromMilliseconds(1));
            if (_unanswered >= _tolerated) next = Instant.Earlier(next, _oldestUnanswered + Waits + TimeSpan.FromMilliseconds(1));
            return next;
        }
    }
}
