namespace Oxen.Router.Core.Gossip;

/// <summary>Lets a burst through, and then a rate.</summary>
internal sealed class TokenBucket(double burst, double perSecond, Instant now)
{
    private double _used;
    private Instant _filled = now;

    public bool TryTake(double amount, Instant now)
    {
        _used = Math.Max(0, _used - (perSecond * Math.Max(0, (now - _filled).TotalSeconds)));
        _filled = now;
        if (_used + amount > burst) return false;
        _used += amount;
        return true;
    }
}
