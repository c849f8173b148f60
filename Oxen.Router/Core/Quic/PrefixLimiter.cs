namespace Oxen.Router.Core.Quic;

/// <summary>
/// Token buckets for the prefixes (/24 of IPv4, /56 of IPv6) that handshakes come from, in a table of fixed size: asked
/// before any state is made for a stranger. Prefixes whose hash meets share a bucket.
/// </summary>
internal sealed class PrefixLimiter
{
    private const int Buckets = 4096;

    private readonly (long Filled, float Tokens)[] _buckets = new (long, float)[Buckets];
    private readonly ulong _seed;
    private readonly int _perSecond;
    private readonly int _burst;

    public PrefixLimiter(int perSecond, int burst, IEntropy entropy)
    {
        Span<byte> seed = stackalloc byte[8];
        entropy.FillSecret(seed);
        _seed = BitConverter.ToUInt64(seed) | 1;
        _perSecond = perSecond;
        _burst = burst;
        Array.Fill(_buckets, (0L, burst));
    }

    public bool TryTake(in UdpAddress from, Instant now)
    {
        if (_perSecond == 0 || from.Family == UdpFamily.Virtual) return true;
        ulong prefix = from.Family == UdpFamily.IPv4 ? from.High >> 40 : from.High >> 8;
        ulong hash = (prefix ^ _seed) * 0x9E3779B97F4A7C15;
        hash ^= hash >> 29;
        hash *= _seed;
        ref (long Filled, float Tokens) bucket = ref _buckets[(int)(hash >> 52)];
        float gain = (now.Nanoseconds - bucket.Filled) * 1e-9f * _perSecond;
        bucket.Tokens = Math.Min(_burst, bucket.Tokens + Math.Max(0, gain));
        bucket.Filled = now.Nanoseconds;
        if (bucket.Tokens < 1) return false;
        bucket.Tokens--;
        return true;
    }
}
