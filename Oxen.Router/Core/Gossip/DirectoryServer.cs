using System.Buffers.Binary;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

/// <summary>Answers the directory's requests, each peer within a budget. Keeps nothing between two requests but the budgets.</summary>
internal sealed class DirectoryServer(DirectoryState state, Action<RouterContact, RouterId, Instant> onTaken)
{
    // A client's first fetch of 2 000 contacts is 3 MB; after that an hour's change is a few hundred kB.
    private const double ClientBurst = 8 << 20, ClientRate = 1024;
    private const double RelayBurst = 32 << 20, RelayRate = 64 * 1024;

    // What a question costs beside the bytes of its answer: the set is hashed once.
    private const int CompareCost = 4096;

    // Signatures that one relay may make us check by what it gives unasked.
    private const double GiveBurst = 256, GiveRate = 2;

    private static readonly TimeSpan ExpectTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DistrustTime = TimeSpan.FromMinutes(10);

    private sealed record Peer(TokenBucket Bytes, TokenBucket Signatures);

    private readonly Dictionary<RouterId, Peer> _peers = [];
    private readonly Dictionary<RouterId, Instant> _expected = [];
    private readonly Dictionary<RouterId, Instant> _distrusted = [];

    /// <summary>Changes each answer: for simulations of relays that lie.</summary>
    public Func<byte[], byte[]?, byte[]?>? Distort { get; set; }

    /// <summary>Requests that were refused: malformed, not theirs to send, or over the budget.</summary>
    public long Refused { get; private set; }

    public int PeerCount => _peers.Count;

    /// <summary>A relay that handed on what no honest one would.</summary>
    public bool IsDistrusted(RouterId relay, Instant now) => _distrusted.TryGetValue(relay, out Instant until) && until > now;

    public void Distrust(RouterId relay, Instant now)
    {
        if (_distrusted.Count >= RelayRoster.MaxRelays) _distrusted.Clear();
        _distrusted[relay] = now + DistrustTime;
    }

    public void Forget(RouterId peer) => _peers.Remove(peer);

    /// <summary>The reply, or null to refuse.</summary>
    public byte[]? Answer(RouterId peer, bool isRelay, ReadOnlySpan<byte> message, long nowUnixSeconds, Instant now)
    {
        byte[]? reply = message.Length <= DirectoryMessages.HeaderBytes ? null : (DirectoryOperation)message[1] switch
        {
            DirectoryOperation.Compare => Compare(peer, isRelay, message[2..], nowUnixSeconds, now),
            DirectoryOperation.Fetch => Fetch(peer, isRelay, message[2..], now),
            DirectoryOperation.News when isRelay && !IsDistrusted(peer, now) => News(message[2..], now),
            DirectoryOperation.Give when isRelay && !IsDistrusted(peer, now) => Give(peer, message[2..], nowUnixSeconds, now),
            _ => null,
        };
        if (reply is null) Refused++;
        return Distort is null ? reply : Distort(message.ToArray(), reply);
    }

    private byte[]? Compare(RouterId peer, bool isRelay, ReadOnlySpan<byte> body, long nowUnixSeconds, Instant now)
    {
        var set = (DirectorySet)body[0];
        if (set is not (DirectorySet.Contacts or DirectorySet.Members) || !Of(peer, isRelay, now).Bytes.TryTake(CompareCost, now)) return null;
        byte[]? reply = ReconcileAnswer.Write(body[1..], state.Items(set, nowUnixSeconds), set, DirectoryMessages.MaxBytes);
        return reply is not null && Of(peer, isRelay, now).Bytes.TryTake(reply.Length, now) ? reply : null;
    }

    private byte[]? Fetch(RouterId peer, bool isRelay, ReadOnlySpan<byte> body, Instant now)
    {
        int count = body[0];
        if (count is 0 or > DirectoryMessages.MaxContacts || body.Length != 1 + (count * RouterId.Bytes)) return null;
        var found = new List<RouterContact>(count);
        for (int i = 0; i < count; i++)
        {
            if (state.Store.TryGet(new RouterId(body.Slice(1 + (i * RouterId.Bytes), RouterId.Bytes)), out RouterContact? contact)) found.Add(contact);
        }

        byte[] reply = new byte[found.Sum(c => c.Encoded.Length)];
        int at = 0;
        foreach (RouterContact contact in found)
        {
            contact.Encoded.CopyTo(reply.AsSpan(at));
            at += contact.Encoded.Length;
        }

        return reply.Length > 0 && Of(peer, isRelay, now).Bytes.TryTake(reply.Length, now) ? reply : null;
    }

    private byte[]? News(ReadOnlySpan<byte> body, Instant now)
    {
        int count = body[0];
        if (count is 0 or > DirectoryMessages.MaxNews || body.Length != 1 + (count * DirectoryMessages.NewsBytes)) return null;
        byte[] wanted = new byte[(count + 7) / 8];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> one = body.Slice(1 + (i * DirectoryMessages.NewsBytes), DirectoryMessages.NewsBytes);
            var id = new RouterId(one[..RouterId.Bytes]);
            if (!state.Store.IsNews(id, BinaryPrimitives.ReadInt64BigEndian(one[RouterId.Bytes..]))) continue;

            // Somebody else is sending it already.
            if (_expected.TryGetValue(id, out Instant until) && until > now) continue;
            _expected[id] = now + ExpectTime;
            wanted[i / 8] |= (byte)(0x80 >> (i % 8));
        }

        return wanted;
    }

    private byte[]? Give(RouterId peer, ReadOnlySpan<byte> body, long nowUnixSeconds, Instant now)
    {
        TokenBucket signatures = Of(peer, isRelay: true, now).Signatures;
        for (int i = 0; i < DirectoryMessages.MaxContacts && !body.IsEmpty; i++)
        {
            if (!DirectoryMessages.TryTakeContact(ref body, out ReadOnlySpan<byte> encoded)) return null;
            if (encoded[0] != RouterContact.Version) continue;
            if (!RouterContact.TryPeek(encoded, out RouterId id, out long published) || !state.Store.IsNews(id, published)) continue;
            if (!signatures.TryTake(1, now)) return null;
            _expected.Remove(id);
            switch (state.Store.Offer(encoded, nowUnixSeconds, out RouterContact? taken))
            {
                case ContactOffer.Taken:
                    onTaken(taken!, peer, now);
                    break;
                case ContactOffer.Bad:
                    Distrust(peer, now);
                    return null;
            }
        }

        return body.IsEmpty ? [0] : null;
    }

    // Entries go when their link ends, and there are never more links than that.
    private Peer Of(RouterId peer, bool isRelay, Instant now)
    {
        if (_peers.TryGetValue(peer, out Peer? known)) return known;
        if (_peers.Count >= 2 * RelayRoster.MaxRelays) _peers.Clear();
        known = new Peer(isRelay ? new TokenBucket(RelayBurst, RelayRate, now) : new TokenBucket(ClientBurst, ClientRate, now), new TokenBucket(GiveBurst, GiveRate, now));
        _peers.Add(peer, known);
        return known;
    }
}
