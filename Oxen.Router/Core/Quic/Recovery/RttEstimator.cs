namespace Oxen.Router.Core.Quic.Recovery;

/// <summary>Round-trip time, in nanoseconds. RFC 9002 section 5.</summary>
internal struct RttEstimator
{
    public const long Granularity = 1_000_000;   // kGranularity, RFC 9002 section 6.1.2

    public long Latest;
    public long Smoothed;
    public long Variation;
    public long Min;
    public bool HasSample;

    public RttEstimator(TimeSpan initial)
    {
        Smoothed = initial.Ticks * 100;
        Variation = Smoothed / 2;
        Latest = 0;
        Min = 0;
        HasSample = false;
    }

    public void Update(long sample, long ackDelay)
    {
        sample = Math.Max(1, sample);
        Latest = sample;
        if (!HasSample)
        {
            HasSample = true;
            Min = Smoothed = sample;
            Variation = sample / 2;
            return;
        }

        Min = Math.Min(Min, sample);
        long adjusted = sample >= Min + ackDelay ? sample - ackDelay : sample;
        Variation = (3 * Variation + Math.Abs(Smoothed - adjusted)) / 4;
        Smoothed = (7 * Smoothed + adjusted) / 8;
    }

    /// <summary>One probe timeout without backoff. RFC 9002 section 6.2.1.</summary>
    public readonly long ProbeTimeout(long maxAckDelay) => Smoothed + Math.Max(4 * Variation, Granularity) + maxAckDelay;

    /// <summary>How long after a later one was acknowledged a packet counts as lost: 9/8 RTT.</summary>
    public readonly long LossDelay => Math.Max(Math.Max(Latest, Smoothed) / 8 * 9, Granularity);
}
