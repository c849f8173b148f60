namespace Oxen.Router.Core.Quic.Recovery;

/// <summary>
/// The congestion window: NewReno (RFC 9002 section 7) or CUBIC (RFC 9438). Knows bytes and times, nothing of packets.
/// </summary>
internal sealed class CongestionControl(QuicCongestion algorithm, int datagramBytes, int initialPackets, long maxWindow)
{
    private const double CubicC = 0.4;        // RFC 9438 section 5
    private const double CubicBeta = 0.7;     // RFC 9438 section 4.6

    private Instant _recoveryStart = new(long.MinValue);
    private long _partial;            // bytes acknowledged towards the next datagram of NewReno's growth

    // CUBIC
    private Instant _epochStart = Instant.Never;
    private double _wMax, _k, _wEst;

    public long Window { get; private set; } = Math.Min(maxWindow, Initial(datagramBytes, initialPackets));

    public long Threshold { get; private set; } = long.MaxValue;

    public long InFlight { get; private set; }

    public bool InSlowStart => Window < Threshold;

    private long Smallest => 2L * datagramBytes;

    public void OnSent(int bytes) => InFlight += bytes;

    /// <summary>A packet left the flight without being acknowledged or lost (its keys were discarded).</summary>
    public void OnDiscarded(int bytes) => InFlight -= bytes;

    /// <param name="limited">Whether the window was in use; an idle sender's window does not grow. RFC 9002 section 7.8.</param>
    public void OnAcked(int bytes, Instant sent, bool limited, long smoothedRtt, Instant now)
    {
        InFlight -= bytes;
        if (sent <= _recoveryStart || !limited) return;
        if (InSlowStart) Window += bytes;
        else if (algorithm == QuicCongestion.NewReno)
        {
            _partial += bytes;
            if (_partial >= Window)
            {
                _partial -= Window;
                Window += datagramBytes;
            }
        }
        else GrowCubic(bytes, smoothedRtt, now);
        Window = Math.Min(Window, maxWindow);
    }

    public void OnLost(int bytes) => InFlight -= bytes;

    /// <param name="sent">When the newest lost packet was sent: one reduction a round trip.</param>
    public void OnCongestion(Instant sent, Instant now)
    {
        if (sent <= _recoveryStart) return;
        _recoveryStart = now;
        _partial = 0;
        if (algorithm == QuicCongestion.Cubic)
        {
            double window = (double)Window / datagramBytes;
            _wMax = window < _wMax ? window * (1 + CubicBeta) / 2 : window;   // fast convergence, RFC 9438 section 4.7
            _epochStart = Instant.Never;
            Window = Math.Max((long)(Window * CubicBeta), Smallest);
        }
        else Window = Math.Max(Window / 2, Smallest);
        Threshold = Window;
    }

    /// <summary>RFC 9002 section 7.6.2.</summary>
    public void OnPersistentCongestion()
    {
        Window = Smallest;
        _recoveryStart = new Instant(long.MinValue);
        _epochStart = Instant.Never;
        _partial = 0;
    }

    /// <summary>Another path under the same connection: start over, with what is in flight written off by the caller.</summary>
    public void Reset()
    {
        Window = Math.Min(maxWindow, Initial(datagramBytes, initialPackets));
        Threshold = long.MaxValue;
        _recoveryStart = new Instant(long.MinValue);
        _epochStart = Instant.Never;
        _wMax = 0;
        _partial = 0;
    }

    private static long Initial(int datagram, int packets) => Math.Max((long)packets * datagram, 2L * datagram);

    private void GrowCubic(int bytes, long smoothedRtt, Instant now)
    {
        double window = (double)Window / datagramBytes;
        if (_epochStart.IsNever)
        {
            _epochStart = now;
            if (_wMax < window) _wMax = window;
            _k = Math.Cbrt(Math.Max(0, _wMax - window) / CubicC);
            _wEst = window;
        }

        double t = (now.Nanoseconds - _epochStart.Nanoseconds + smoothedRtt) / 1e9;
        double target = Math.Clamp(CubicC * Math.Pow(t - _k, 3) + _wMax, window, 1.5 * window);
        // The window that Reno would have. RFC 9438 section 4.3
        _wEst += (_wEst < _wMax ? 3 * (1 - CubicBeta) / (1 + CubicBeta) : 1) * bytes / Window;
        double next = Math.Max(window + (target - window) / window * bytes / datagramBytes, _wEst);
        Window = Math.Max(Window, (long)(next * datagramBytes));
    }
}
