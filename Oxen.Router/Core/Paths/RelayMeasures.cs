using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Paths;

// Weights of relays, from what this client saw itself. Nothing that a relay says of itself counts: who could name his own
// bandwidth would draw traffic to himself. And what we measured moves a weight only within bounds, so that a relay gains at
// most a factor of four by being reliable to us, and four more by being quick where the user asks for that:
//
//   reliable = (1 + built) / (1 + built + failed), at least 1/4       both halved when they reach 64: what is old fades
//   quick    = typical build time / this relay's, within 1/2 .. 2     only if the user prefers quick paths
//
/// <summary>What a client measured of relays: builds through them, and how long those took. Bounded; kept for this run only.</summary>
internal sealed class RelayMeasures
{
    private const int MaxRelays = 4096;
    private const double Least = 0.25;
    private const double Smoothing = 0.2;

    private sealed class Measure
    {
        public double Built;
        public double Failed;
        public double Seconds;
    }

    private readonly Dictionary<RouterId, Measure> _measures = [];
    private double _typicalSeconds;

    /// <summary>A path was built through these relays in `time`.</summary>
    public void OnBuilt(ReadOnlySpan<RouterContact> hops, TimeSpan time)
    {
        double seconds = Math.Clamp(time.TotalSeconds, 0.001, 30);
        _typicalSeconds = _typicalSeconds == 0 ? seconds : _typicalSeconds + (Smoothing / 4 * (seconds - _typicalSeconds));
        foreach (RouterContact hop in hops)
        {
            Measure measure = Of(hop.Id);
            measure.Built++;
            measure.Seconds = measure.Seconds == 0 ? seconds : measure.Seconds + (Smoothing * (seconds - measure.Seconds));
            Fade(measure);
        }
    }

    public void OnFailed(RouterId relay)
    {
        Measure measure = Of(relay);
        measure.Failed++;
        Fade(measure);
    }

    /// <summary>Between 1/4 and 1; with `quick` between 1/8 and 2. A relay that we know nothing of has 1.</summary>
    public double WeightOf(RouterId relay, bool quick)
    {
        if (!_measures.TryGetValue(relay, out Measure? measure)) return 1;
        double weight = Math.Max(Least, (1 + measure.Built) / (1 + measure.Built + measure.Failed));
        if (quick && measure.Seconds > 0 && _typicalSeconds > 0) weight *= Math.Clamp(_typicalSeconds / measure.Seconds, 0.5, 2);
        return weight;
    }

    private Measure Of(RouterId relay)
    {
        if (_measures.TryGetValue(relay, out Measure? known)) return known;
        if (_measures.Count >= MaxRelays) _measures.Clear();
        known = new Measure();
        _measures.Add(relay, known);
        return known;
    }

    private static void Fade(Measure measure)
    {
        if (measure.Built + measure.Failed < 64) return;
        measure.Built /= 2;
        measure.Failed /= 2;
    }
}
