namespace Oxen.Router.Core.Directory;

/// <summary>
/// The onion keys that a relay opens builds with: the current one and, for a day after a rotation, the one before. From
/// the moment a key is wiped, builds sealed to it are forward secret, the post-quantum part as well.
/// </summary>
internal sealed class OnionKeyRing : IDisposable
{
    /// <summary>Age at which the current key is replaced, and for how long the one before is kept then.</summary>
    public static readonly TimeSpan Term = TimeSpan.FromHours(24);

    private Instant _currentSince;

    /// <param name="currentSince">When the current key became the current one; may lie before the start of this process.</param>
    /// <param name="previous">The key before it, if it is kept still.</param>
    public OnionKeyRing(OnionKeyPair current, Instant currentSince, OnionKeyPair? previous = null)
    {
        Current = current;
        Previous = previous;
        _currentSince = currentSince;
    }

    public OnionKeyPair Current { get; private set; }

    public OnionKeyPair? Previous { get; private set; }

    /// <summary>When a new key is due, and a contact that tells of it. A static directory cannot follow and does not ask.</summary>
    public Instant RotateAt => _currentSince + Term;

    /// <summary>When <see cref="Expire"/> has something to wipe.</summary>
    public Instant PreviousEnds => Previous is null ? Instant.Never : _currentSince + Term;

    /// <summary>Takes ownership of `next`; the key before the previous one is wiped.</summary>
    public void Rotate(OnionKeyPair next, Instant now)
    {
        Previous?.Dispose();
        Previous = Current;
        Current = next;
        _currentSince = now;
    }

    /// <summary>Wipes the previous key when its day is over.</summary>
    public bool Expire(Instant now)
    {
        if (Previous is null || now < PreviousEnds) return false;
        Previous.Dispose();
        Previous = null;
        return true;
    }

    public void Dispose()
    {
        Current.Dispose();
        Previous?.Dispose();
        Previous = null;
    }
}
