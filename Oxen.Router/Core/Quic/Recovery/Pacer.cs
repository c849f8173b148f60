namespace Oxen.Router.Core.Quic.Recovery;

/// <summary>
/// Spreads a window over a round trip in bursts: a bucket that fills with 1.25 windows a smoothed RTT (RFC 9002 section 7.7)
/// and holds one burst. The sender is woken when a batch worth sending has gathered, not for each datagram.
/// </summary>
internal struct Pacer(int datagramBytes, int burst)
{
    private const long WakeEvery = 1_000_000;   // ns: batches form over a millisecond where the rate allows more than one datagram in it

    private long _tokens = (long)datagramBytes * burst;
    private Instant _filled = Instant.Zero;

    public readonly long Tokens => _tokens;

    public void Fill(long window, long smoothedRtt, Instant now)
    {
        long elapsed = now.Nanoseconds - _filled.Nanoseconds;
        if (elapsed <= 0) return;
        long most = Capacity(window);
        double gain = Rate(window, smoothedRtt) * elapsed;
        if (gain >= most) _tokens = most;
        else
        {
            if (gain < 1) return;   // wait: rounding must not eat the time
            _tokens = Math.Min(most, _tokens + (long)gain);
        }

        _filled = now;
    }

    public void OnSent(int bytes) => _tokens -= bytes;

    /// <summary>When the next batch may go.</summary>
    public readonly Instant NextRelease(long window, long smoothedRtt)
    {
        double rate = Rate(window, smoothedRtt);
        long batch = Math.Clamp((long)(rate * WakeEvery), datagramBytes, Capacity(window));
        long missing = batch - _tokens;
        return missing <= 0 ? _filled : new Instant(_filled.Nanoseconds + (long)(missing / rate) + 1);
    }

    private readonly long Capacity(long window) => Math.Max((long)datagramBytes * burst, 2L * datagramBytes);

    private static double Rate(long window, long smoothedRtt) => 1.25 * window / Math.Max(smoothedRtt, 1000);
}
