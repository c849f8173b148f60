using Oxen.Router.Core.Links;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// How many path builds we take: per link, per address prefix (/24, /56) and for the whole router, each a token bucket. Build
/// floods end here, before any key is touched (docs/protocol/path-build.md#budget).
/// </summary>
internal sealed class BuildBudget(BuildBudgetOptions options)
{
    private const int PrefixRows = 4096;

    private readonly TokenBucket[] _prefixes = new TokenBucket[PrefixRows];
    private readonly Dictionary<int, TokenBucket> _links = [];
    private TokenBucket _whole;

    /// <summary>Builds that were refused, by any of the three.</summary>
    public long Refused { get; private set; }

    public bool TryTake(Link link, Instant now)
    {
        _links.TryGetValue(link.Number, out TokenBucket own);
        bool relay = link.Peer == LinkPeer.Relay;
        bool taken = own.TryTake(relay ? options.PerRelayLink : options.PerClientLink, relay ? options.RelayBurst : options.ClientBurst, now);
        _links[link.Number] = own;
        if (taken && !relay) taken = _prefixes[PrefixRow(link.Address)].TryTake(options.PerPrefix, options.PrefixBurst, now);
        if (taken) taken = _whole.TryTake(options.Whole, options.WholeBurst, now);
        if (!taken) Refused++;
        return taken;
    }

    public int PathsPerClientLink => options.PathsPerClientLink;

    public void Forget(Link link) => _links.Remove(link.Number);

    // Prefixes share rows by hash: a fixed table cannot be filled up by an attacker, and a collision only makes two share.
    private static int PrefixRow(in UdpAddress address)
    {
        ulong prefix = address.Family == UdpFamily.IPv4 ? address.High >> 40 : address.High >> 8;
        return (int)((prefix * 0x9E3779B97F4A7C15UL) >> 52);
    }

    private struct TokenBucket
    {
        private double _tokens;
        private Instant _filled;
        private bool _used;

        public bool TryTake(double perSecond, double burst, Instant now)
        {
            _tokens = _used ? Math.Min(burst, _tokens + (now - _filled).TotalSeconds * perSecond) : burst;
            _filled = now;
            _used = true;
            if (_tokens < 1) return false;
            _tokens--;
            return true;
        }
    }
}

/// <summary>Builds per second, and how many may come at once.</summary>
internal sealed class BuildBudgetOptions
{
    public double PerClientLink { get; init; } = 5;

    public double ClientBurst { get; init; } = 32;

    /// <summary>Paths that one link of a client may have standing.</summary>
    public int PathsPerClientLink { get; init; } = 128;

    public double PerRelayLink { get; init; } = 500;

    public double RelayBurst { get; init; } = 500;

    public double PerPrefix { get; init; } = 20;

    public double PrefixBurst { get; init; } = 64;

    public double Whole { get; init; } = 1000;

    public double WholeBurst { get; init; } = 1000;
}
