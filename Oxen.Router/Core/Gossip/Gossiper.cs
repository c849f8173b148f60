using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

// How a contact spreads between relays:
//   its router publishes it           -> NEWS to a few peers, who ask for it (GIVE) unless they have it, and tell a few others
//   whoever was missed or away        -> COMPARE with a random peer now and then finds every difference, both ways
// News is quick and misses a few; comparing is slow and misses nobody.

/// <summary>A relay's part in spreading contacts.</summary>
internal sealed class Gossiper
{
    private readonly GossipOptions _options;
    private readonly DirectoryState _state;
    private readonly DirectoryServer _server;
    private readonly OwnContact _own;
    private readonly IDirectoryWire _wire;
    private readonly NetworkClock _clock;
    private readonly IEntropy _entropy;
    private readonly List<RouterId> _peers = [];
    private readonly Dictionary<RouterId, (RouterContact Contact, RouterId From)> _news = [];
    private readonly Dictionary<RouterId, Instant> _told = [];
    private readonly Dictionary<object, (RouterId Peer, RouterContact[] Contacts)> _telling = [];
    private readonly HashSet<object> _giving = [];
    private Exchange? _exchange;
    private object? _exchangeToken;
    private bool _published;
    private Instant _newsAt = Instant.Never;
    private Instant _compareAt;
    private Instant _peersAt;

    public Gossiper(GossipOptions options, DirectoryState state, DirectoryServer server, OwnContact own, IDirectoryWire wire, NetworkClock clock, IEntropy entropy, Instant now)
    {
        _options = options;
        _state = state;
        _server = server;
        _own = own;
        _wire = wire;
        _clock = clock;
        _entropy = entropy;
        _compareAt = now + RandomPart(options.CompareSoon);
        _peersAt = now + options.PeerTime + RandomPart(options.PeerTime);
    }

    /// <summary>Comparisons that came to their end, those that brought something, and those that failed.</summary>
    public (long Done, long Useful, long Failed) Compared { get; private set; }

    public long NewsTold { get; private set; }

    public Instant NextDeadline => _published
        ? Instant.Earlier(Instant.Earlier(_own.NextDeadline, _newsAt), Instant.Earlier(_exchange is null ? _compareAt : Instant.Never, _peersAt))
        : Instant.Zero;

    public void HandleTimeout(Instant now)
    {
        if (_own.HandleTimeout(now) || !_published) Publish(now);
        if (_peersAt <= now) ReplaceOnePeer(now);
        if (_newsAt <= now) TellNews(now);
        if (_exchange is null && _compareAt <= now) Compare(now);
    }

    /// <summary>A contact that somebody gave to us, or that we fetched: passed on if it is fresh.</summary>
    public void OnTaken(RouterContact contact, RouterId from, Instant now)
    {
        if (contact.Id == _own.Id)
        {
            // A later one of ours than ours: of a former run with another clock, or of somebody who has our key.
            _own.Seen(contact);
            Publish(now);
            return;
        }

        if (Unix(now) - contact.PublishedUnixSeconds > _options.NewsAge.TotalSeconds) return;
        if (_told.TryGetValue(contact.Id, out Instant at) && now - at < _options.NewsGap) return;
        _news[contact.Id] = (contact, from);
        _newsAt = Instant.Earlier(_newsAt, now + _options.NewsDelay);
    }

    public bool OnReply(object token, ReadOnlySpan<byte> reply, Instant now)
    {
        if (_telling.Remove(token, out (RouterId Peer, RouterContact[] Contacts) told))
        {
            Give(told.Peer, told.Contacts, reply, now);
            return true;
        }

        if (token != _exchangeToken || _exchange is null) return _giving.Remove(token);
        byte[]? next = _exchange.Read(reply, Unix(now), (contact, from) => OnTaken(contact, from, now));
        if (next is null) EndExchange(now);
        else if ((_exchangeToken = _wire.Ask(_exchange.Peer, next, DirectoryMessages.MaxBytes + 1, now)) is null) EndExchange(now);
        return true;
    }

    public bool OnFailed(object token, Instant now)
    {
        if (_telling.Remove(token)) return true;
        if (token != _exchangeToken || _exchange is null) return _giving.Remove(token);
        EndExchange(now);
        return true;
    }

    public void OnRosterChanged(Instant now)
    {
        _peers.RemoveAll(p => !_state.Store.Roster.Contains(p));
        foreach (RouterId id in _told.Keys.Where(id => !_state.Store.Roster.Contains(id)).ToArray()) _told.Remove(id);
        if (_compareAt > now + _options.CompareSoon) _compareAt = now + RandomPart(_options.CompareSoon);
    }

    // ---- inside ----

    private void Publish(Instant now)
    {
        if (_state.Store.TryGet(_own.Id, out RouterContact? held)) _own.Seen(held);
        RouterContact contact = _own.Publish(now);
        _published = true;

        // Who is not in the registry has nothing to spread: nobody would take it.
        if (_state.Store.Offer(contact.Encoded, Unix(now), out _) != ContactOffer.Taken) return;
        _news[contact.Id] = (contact, contact.Id);
        _newsAt = Instant.Earlier(_newsAt, now + _options.NewsDelay);
    }

    private void TellNews(Instant now)
    {
        _newsAt = Instant.Never;
        if (_news.Count == 0) return;
        FillPeers(now);
        (RouterContact Contact, RouterId From)[] news = [.. _news.Values.Take(DirectoryMessages.MaxNews)];
        foreach ((RouterContact contact, _) in news)
        {
            _news.Remove(contact.Id);
            _told[contact.Id] = now;
        }

        if (_news.Count > 0) _newsAt = now + _options.NewsDelay;
        foreach (RouterId peer in Shuffled(_peers).Take(_options.Fanout))
        {
            RouterContact[] forPeer = [.. news.Where(n => n.From != peer && n.Contact.Id != peer).Select(n => n.Contact)];
            if (forPeer.Length == 0) continue;
            if (_wire.Ask(peer, DirectoryMessages.News(forPeer), 1 + ((DirectoryMessages.MaxNews + 7) / 8), now) is not { } token) continue;
            _telling.Add(token, (peer, forPeer));
            NewsTold += forPeer.Length;
        }
    }

    private void Give(RouterId peer, RouterContact[] told, ReadOnlySpan<byte> wanted, Instant now)
    {
        if (wanted.Length != (told.Length + 7) / 8) return;
        var gifts = new List<RouterContact>();
        for (int i = 0; i < told.Length; i++)
        {
            if ((wanted[i / 8] & (0x80 >> (i % 8))) == 0) continue;
            gifts.Add(told[i]);
            if (gifts.Count < DirectoryMessages.MaxContacts) continue;
            Send(gifts);
            gifts.Clear();
        }

        if (gifts.Count > 0) Send(gifts);

        void Send(List<RouterContact> contacts)
        {
            if (_wire.Ask(peer, DirectoryMessages.Give(contacts), 2, now) is { } giving) _giving.Add(giving);
        }
    }

    private void Compare(Instant now)
    {
        FillPeers(now);
        _compareAt = now + _options.CompareSoon;
        if (_peers.Count == 0) return;
        RouterId peer = _peers[Next(_peers.Count)];
        _exchange = new Exchange(_state, peer, DirectorySet.Contacts, gives: true, Unix(now));
        _exchangeToken = _wire.Ask(peer, _exchange.Begin(), DirectoryMessages.MaxBytes + 1, now);
        if (_exchangeToken is null) EndExchange(now);
    }

    private void EndExchange(Instant now)
    {
        Exchange ended = _exchange!;
        (_exchange, _exchangeToken) = (null, null);
        if (ended.Broken) _server.Distrust(ended.Peer, now);
        if (!ended.Done) _peers.Remove(ended.Peer);
        bool more = !ended.Done || ended.Taken > 0;
        (long done, long useful, long failed) = Compared;
        Compared = (done + (ended.Done ? 1 : 0), useful + (ended.Taken > 0 ? 1 : 0), failed + (ended.Done ? 0 : 1));
        TimeSpan wait = more ? _options.CompareSoon : _options.CompareEvery;
        _compareAt = now + wait + RandomPart(wait / 2);
    }

    private void FillPeers(Instant now)
    {
        _peers.RemoveAll(p => _server.IsDistrusted(p, now));
        if (_peers.Count >= _options.Peers) return;
        RouterId[] others = [.. _state.Store.All.Where(c => c.Id != _own.Id && !_peers.Contains(c.Id) && !_server.IsDistrusted(c.Id, now)).Select(c => c.Id)];
        foreach (RouterId id in Shuffled(others).Take(_options.Peers - _peers.Count)) _peers.Add(id);
    }

    private void ReplaceOnePeer(Instant now)
    {
        _peersAt = now + _options.PeerTime + RandomPart(_options.PeerTime / 2);
        if (_peers.Count == 0) return;
        int old = Next(_peers.Count);
        _wire.Release(_peers[old], now);
        _peers.RemoveAt(old);
        FillPeers(now);
    }

    private long Unix(Instant now) => _clock.UnixNanoseconds(now) / 1_000_000_000;

    private List<RouterId> Shuffled(IEnumerable<RouterId> ids)
    {
        List<RouterId> list = [.. ids];
        for (int i = list.Count - 1; i > 0; i--)
        {
            int j = Next(i + 1);
            (list[i], list[j]) = (list[j], list[i]);
        }

        return list;
    }

    private int Next(int bound) => RandomNumber.Below(_entropy, bound);

    private TimeSpan RandomPart(TimeSpan of) => new((long)(RandomNumber.Fraction(_entropy) * of.Ticks));
}
