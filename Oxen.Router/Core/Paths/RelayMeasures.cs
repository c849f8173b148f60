using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Paths;

// Weights of relays, from what this client saw itself. Nothing that a relay says of itself counts: who could name his own
// bandwidth would draw traffic to himself. And what we measured moves a weight only within bounds:
//
//   reliable = (1 + good) / (1 + good + bad)      builds and the loss of probes; both halved when they reach 64: what is old fades
//   rate     = best second / the typical one      of paths that carried about a megabit a second or more; within 1/2 .. 2
//   quick    = typical / this relay's delay       within 1/2 .. 2, only if the user prefers quick paths
//
//   weight   = reliable * rate * quick, within 1/4 .. 2
//
// so no relay gets more than eight times the share of an even choice, whatever it or others do, and no more than twice against
// relays that we know nothing of. A relay's delay is half of what each of the two legs beside it adds to the round trip: who delays
// what he forwards, so that the next one looks slow, looks half as slow himself.
//
/// <summary>What a client measured of relays: builds through them, round trips, loss, throughput. Bounded; kept for this run only.</summary>
internal sealed class RelayMeasures
{
    /// <summary>The largest weight over the smallest: no relay gets more than so many times its even share.</summary>
    public const double Most = 8;

    private const int MaxRelays = 4096;
    private const double LeastWeight = 0.25;
    private const double MostWeight = LeastWeight * Most;
    private const double Smoothing = 0.2;

    // Probes judged before their loss says something.
    private const int LeastJudged = 16;

    // On one machine round trips are noise.
    private const double LeastDelay = 0.001;

    private sealed class Measure
    {
        public double Good;
        public double Bad;
        public double BuildSeconds;
        public double DelaySeconds;
        public double Rate;
    }

    private readonly Dictionary<RouterId, Measure> _measures = [];
    private double _typicalBuild;
    private double _typicalDelay;
    private double _typicalRate;

    /// <summary>How long a build takes; zero: none was seen yet.</summary>
    public TimeSpan TypicalBuild => TimeSpan.FromSeconds(_typicalBuild);

    /// <summary>A path was built through these relays in `time`.</summary>
    public void OnBuilt(ReadOnlySpan<RouterContact> hops, TimeSpan time)
    {
        double seconds = Math.Clamp(time.TotalSeconds, 0.001, 30);
        _typicalBuild = Smoothed(_typicalBuild, seconds, Smoothing / 4);
        foreach (RouterContact hop in hops)
        {
            Measure measure = Of(hop.Id);
            measure.BuildSeconds = Smoothed(measure.BuildSeconds, seconds, Smoothing);
            Count(measure, good: 1, bad: 0);
        }
    }

    public void OnFailed(RouterId relay) => Count(Of(relay), good: 0, bad: 1);

    /// <summary>A path of these relays was watched for a while.</summary>
    /// <param name="hopRtt">Round trip to each hop; zero where unknown.</param>
    /// <param name="loss">Share of `judged` probes that were not answered.</param>
    /// <param name="packetsPerSecond">Its best second; 0: it carried too little.</param>
    public void OnMeasured(ReadOnlySpan<RouterContact> hops, ReadOnlySpan<TimeSpan> hopRtt, double loss, int judged, double packetsPerSecond)
    {
        if (packetsPerSecond > 0) _typicalRate = Smoothed(_typicalRate, packetsPerSecond, Smoothing);
        for (int hop = 0; hop < hops.Length; hop++)
        {
            Measure measure = Of(hops[hop].Id);
            if (judged >= LeastJudged) Count(measure, good: 1 - loss, bad: loss);

            // The best counts more than the rest: most of the time it is the user who asks for little.
            if (packetsPerSecond > 0) measure.Rate = packetsPerSecond > measure.Rate ? packetsPerSecond : Smoothed(measure.Rate, packetsPerSecond, Smoothing / 2);
            if (Delay(hopRtt, hop) is not { } delay) continue;
            measure.DelaySeconds = Smoothed(measure.DelaySeconds, delay, Smoothing);
            _typicalDelay = Smoothed(_typicalDelay, delay, Smoothing / 4);
        }
    }

    /// <summary>Between 1/4 and 2. A relay that we know nothing of has 1.</summary>
    public double WeightOf(RouterId relay, bool quick)
    {
        if (!_measures.TryGetValue(relay, out Measure? measure)) return 1;
        double weight = (1 + measure.Good) / (1 + measure.Good + measure.Bad);
        if (measure.Rate > 0) weight *= Math.Clamp(measure.Rate / _typicalRate, 0.5, 2);
        if (quick && measure.DelaySeconds > 0) weight *= Math.Clamp(_typicalDelay / measure.DelaySeconds, 0.5, 2);
        else if (quick && measure.BuildSeconds > 0) weight *= Math.Clamp(_typicalBuild / measure.BuildSeconds, 0.5, 2);
        return Math.Clamp(weight, LeastWeight, MostWeight);
    }

    // The leg between us and the first hop says more of our own line: it is left out.
    private static double? Delay(ReadOnlySpan<TimeSpan> rtt, int hop)
    {
        double sum = 0;
        int legs = 0;
        for (int leg = Math.Max(1, hop); leg <= hop + 1 && leg < rtt.Length; leg++)
        {
            if (rtt[leg] <= TimeSpan.Zero || rtt[leg - 1] <= TimeSpan.Zero) return null;
            sum += Math.Max(0, (rtt[leg] - rtt[leg - 1]).TotalSeconds);
            legs++;
        }

        return legs == 0 ? null : Math.Clamp(sum / legs, LeastDelay, 10);
    }

    private static double Smoothed(double before, double now, double share) => before == 0 ? now : before + (share * (now - before));

    private Measure Of(RouterId relay)
    {
        if (_measures.TryGetValue(relay, out Measure? known)) return known;
        if (_measures.Count >= MaxRelays) _measures.Clear();
        known = new Measure();
        _measures.Add(relay, known);
        return known;
    }

    private static void Count(Measure measure, double good, double bad)
    {
        measure.Good += good;
        measure.Bad += bad;
        if (measure.Good + measure.Bad < 64) return;
        measure.Good /= 2;
        measure.Bad /= 2;
    }
}
