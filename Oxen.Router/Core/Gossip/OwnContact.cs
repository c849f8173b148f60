using System.Security.Cryptography;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

/// <summary>A relay's own contact: writes a new one when the onion key is replaced, and takes the old key away when its day is over.</summary>
internal sealed class OwnContact(OwnRouter router, RouterIdentity identity, OnionKeyRing keys, NetworkClock clock, IEntropy entropy)
{
    private static readonly TimeSpan RetryStore = TimeSpan.FromMinutes(5);

    private long _published;
    private Instant _retryAt = Instant.Zero;

    public RouterId Id => identity.Id;

    /// <summary>The key is due, but could not be written down; the host's operator should know.</summary>
    public bool CannotStore { get; private set; }

    public Instant NextDeadline => Instant.Earlier(Instant.Later(keys.RotateAt, _retryAt), keys.PreviousEnds);

    /// <summary>The last one of ours that the network has seen: ours must be later than that.</summary>
    public void Seen(RouterContact contact) => _published = Math.Max(_published, contact.PublishedUnixSeconds);

    /// <summary>True when there is something new to publish.</summary>
    public bool HandleTimeout(Instant now)
    {
        keys.Expire(now);
        if (keys.RotateAt > now || _retryAt > now) return false;
        byte[] seed = GC.AllocateArray<byte>(OnionKeyPair.SeedBytes, pinned: true);
        entropy.FillSecret(seed);
        var next = new OnionKeyPair(seed);
        bool stored = router.StoreOnionKey(seed);
        CryptographicOperations.ZeroMemory(seed);
        CannotStore = !stored;
        if (!stored)
        {
            next.Dispose();
            _retryAt = now + RetryStore;
            return false;
        }

        keys.Rotate(next, now);
        return true;
    }

    /// <summary>Valid as long as the current key is opened: its own term, and the one after it.</summary>
    public RouterContact Publish(Instant now)
    {
        long unix = clock.UnixNanoseconds(now) / 1_000_000_000;
        _published = Math.Max(unix, _published + 1);
        long ends = clock.UnixNanoseconds(keys.RotateAt + OnionKeyRing.Term) / 1_000_000_000;
        return RouterContact.Create(
            identity,
            keys.Current,
            router.Capabilities,
            router.Addresses,
            router.Region,
            router.Operator,
            _published,
            Math.Max(ends, _published + 3600),
            keys.Previous?.Id ?? 0,
            router.Ranges);
    }
}
