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
    private static readonly TimeSpan BusyAfterTraffic = TimeSpan.FromSeconds(2);

    private readonly Dictionary<ulong, (Instant Sent, byte Hop)> _outstanding = [];
    private readonly List<ulong> _forget = [];
    private readonly TimeSpan[] _hopRtt;
    private Instant _lastTraffic = new(long.MinValue / 2);
    private Instant _oldestUnanswered = Instant.Never;

    public PathHealth(int hops, TimeSpan firstGuess, Instant now)
    {
        _hopRtt = new TimeSpan[hops];
        SmoothedRtt = firstGuess;
        NextProbe = now;
        LastHeard = now;
    }

    public Instant NextProbe { get; private set; }

    /// <summary>When the last packet of any kind came down this path.</summary>
    public Instant LastHeard { get; private set; }

    public TimeSpan SmoothedRtt { get; private set; }

    public long ProbesSent { get; private set; }

    public long ProbesAnswered { get; private set; }

    /// <summary>Last round trip to each hop; zero where unknown.</summary>
    public ReadOnlySpan<TimeSpan> HopRtt => _hopRtt;

    public void OnTrafficSent(Instant now) => _lastTraffic = now;

    public void OnHeard(Instant now)
    {
        LastHeard = now;
        _oldestUnanswered = Instant.Never;
    }

    public bool IsBusy(Instant now) => now - _lastTraffic < BusyAfterTraffic;

    public void OnProbeSent(ulong id, byte hop, Instant now)
    {
        if (_outstanding.Count >= 256) _outstanding.Clear();
        _outstanding[id] = (now, hop);
        ProbesSent++;
        if (_oldestUnanswered.IsNever) _oldestUnanswered = now;
        NextProbe = now + (IsBusy(now) ? BusyInterval : IdleInterval);
        foreach ((ulong old, (Instant sent, _)) in _outstanding) if (now - sent > TimeSpan.FromSeconds(5)) _forget.Add(old);
        foreach (ulong old in _forget) _outstanding.Remove(old);
        _forget.Clear();
    }

    /// <returns>False for an answer that nobody asked for.</returns>
    public bool OnAnswer(ulong id, byte hop, Instant now)
    {
        if (!_outstanding.Remove(id, out (Instant Sent, byte Hop) probe) || probe.Hop != hop) return false;
        ProbesAnswered++;
        TimeSpan rtt = now - probe.Sent;
        if (hop < _hopRtt.Length) _hopRtt[hop] = rtt;
        if (hop == _hopRtt.Length - 1) SmoothedRtt = SmoothedRtt == TimeSpan.Zero ? rtt : (7 * SmoothedRtt + rtt) / 8;
        OnHeard(now);
        return true;
    }

    /// <summary>A probe is out and nothing at all has come back for longer than any queue explains.</summary>
    public bool IsDead(Instant now)
    {
        if (_oldestUnanswered.IsNever) return false;
        TimeSpan patience = 4 * SmoothedRtt > Patience ? 4 * SmoothedRtt : Patience;
        if (patience > TimeSpan.FromSeconds(2)) patience = TimeSpan.FromSeconds(2);
        return now - _oldestUnanswered > patience;
    }

    /// <summary>When <see cref="IsDead"/> may become true or a probe is due.</summary>
    public Instant NextDeadline
    {
        get
        {
            if (_oldestUnanswered.IsNever) return NextProbe;
            TimeSpan patience = 4 * SmoothedRtt > Patience ? 4 * SmoothedRtt : Patience;
            return Instant.Earlier(NextProbe, _oldestUnanswered + patience + TimeSpan.FromMilliseconds(1));
        }
    }
}
