using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Sessions;

/// <summary>What was measured of one path since the last report, for the choice of later ones.</summary>
/// <param name="HopRtt">Mean round trip to each hop; zero where unknown.</param>
/// <param name="Loss">Share of probes that were not answered; of `Judged` probes.</param>
/// <param name="PacketsPerSecond">The most that passed in one second, both ways; 0: too little for a judgement.</param>
internal readonly record struct PathMeasurement(PathRef Path, TimeSpan[] HopRtt, double Loss, int Judged, double PacketsPerSecond);

/// <summary>
/// Collects what a path shows of its relays: round trips to each hop now and then, loss of probes, the best second of its traffic.
/// Nothing that a relay says of itself.
/// </summary>
internal sealed class PathMeter
{
    /// <summary>Every hop is asked for its round trip so often, beside the probes that keep watch.</summary>
    public static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan FirstReport = TimeSpan.FromSeconds(12);
    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);

    // About a megabit a second: whoever asks for less does not learn what a path could carry.
    private const double LeastPacketsPerSecond = 100;

    private readonly TimeSpan[] _sums;
    private readonly int[] _counts;
    private Instant _window;
    private long _packetsBefore;
    private double _best;

    public PathMeter(int hops, Instant now)
    {
        _sums = new TimeSpan[hops];
        _counts = new int[hops];
        _window = now;
        NextAsk = now + (AskEvery / 5);
        NextReport = now + FirstReport;
    }

    public Instant NextAsk { get; private set; }

    public Instant NextReport { get; private set; }

    public void OnAsked(Instant now) => NextAsk = now + AskEvery;

    public void OnRoundTrip(byte hop, TimeSpan time)
    {
        _sums[hop] += time;
        _counts[hop]++;
    }

    /// <summary>Call when packets were counted; cheap.</summary>
    public void OnPackets(long packets, Instant now)
    {
        TimeSpan since = now - _window;
        if (since < Window) return;
        if (since < 2 * Window) _best = Math.Max(_best, (packets - _packetsBefore) / since.TotalSeconds);
        (_window, _packetsBefore) = (now, packets);
    }

    /// <summary>What there is, and begins anew.</summary>
    public PathMeasurement Take(PathRef path, PathHealth health, Instant now)
    {
        var rtt = new TimeSpan[_sums.Length];
        for (int hop = 0; hop < rtt.Length; hop++) if (_counts[hop] > 0) rtt[hop] = _sums[hop] / _counts[hop];
        Array.Clear(_sums);
        Array.Clear(_counts);
        double best = _best >= LeastPacketsPerSecond ? _best : 0;
        _best = 0;
        NextReport = now + ReportEvery;
        return new PathMeasurement(path, rtt, health.Loss, health.Judged, best);
    }
}
