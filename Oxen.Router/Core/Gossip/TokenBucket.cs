namespace Oxen.Router.Core.Gossip;

/// <summary>Lets a burst through, and then a rate.</summary>
internal sealed class TokenBucket(double burst, double perSecond, Instant now)
{
    private double _left = burst;
    private Instant _filled = now;

    public bool TryTake(double amount, Instant now)
    {
        _left = Math.Min(burst, _left + (perSecond * Math.Max(0, (now - _filled).TotalSeconds)));
        _filled = now;
        if (_left < amount) return false;
        _left -= amount;
        return true;
    }
}
