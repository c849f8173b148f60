using System.Globalization;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

/// <summary>
/// The directory of one router, sans-IO: a relay's gossip or a client's fetching, the answers to others, and what links and paths
/// see of it all (<see cref="NodeDirectory"/>).
/// </summary>
internal sealed class DirectoryCore
{
    // What others see changes once after several contacts; and expired ones go without anything happening.
    private static readonly TimeSpan ShowDelay = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan ShowEvery = TimeSpan.FromMinutes(1);

    private readonly DirectoryOptions _options;
    private readonly NodeDirectory _directory;
    private readonly NetworkClock _clock;
    private readonly DirectoryState _state = new();
    private readonly DirectoryServer _server;
    private readonly OwnContact? _own;
    private int _shownVersion;
    private bool _shownTried;
    private Instant _showAt = Instant.Never;
    private Instant _showAgainAt;

    /// <param name="identity">A relay's; null for a client.</param>
    /// <param name="candidates">A client's: whom to ask, best first. Called when a round begins.</param>
    public DirectoryCore(DirectoryOptions options, RouterIdentity? identity, OnionKeyRing? keys, NodeDirectory directory, IDirectoryWire wire, NetworkClock clock, IEntropy entropy, Func<Instant, IReadOnlyList<RouterId>> candidates, Instant now)
    {
        _options = options;
        _directory = directory;
        _clock = clock;
        _server = new DirectoryServer(_state, OnTaken);
        _state.Store.SetRoster(options.Roster);
        foreach (RouterContact contact in options.Contacts) _state.Store.Keep(contact);
        if (identity is not null && keys is not null && options.Own is { } own)
        {
            _own = new OwnContact(own, identity, keys, clock, entropy);
            Gossip = new Gossiper(options.Gossip, _state, _server, _own, wire, clock, entropy, now);
        }
        else
        {
            Fetch = new DirectoryFetcher(options.Fetch, _state, wire, clock, entropy, candidates, SetAgreedRoster, now) { RosterUntilUnixSeconds = options.RosterUntilUnixSeconds };
        }

        Show(now);
    }

    /// <summary>A relay's; null for a client.</summary>
    public Gossiper? Gossip { get; }

    /// <summary>A client's; null for a relay.</summary>
    public DirectoryFetcher? Fetch { get; }

    public ContactStore Store => _state.Store;

    public DirectoryServer Server => _server;

    /// <summary>Goes up with every change that is worth writing down.</summary>
    public int Version => _state.Store.Version;

    /// <summary>What is wrong with what we know of the network, in words; empty when nothing is.</summary>
    public string Trouble
    {
        get
        {
            if (_own?.CannotStore == true) return "the next onion key could not be written to its file, the old one stays in use: check the disk and the directory's permissions";
            if (Fetch is null) return "";
            if (Fetch.Trouble.Length > 0) return Fetch.Trouble;
            if (!Fetch.HasTried && _directory.All.Count < _directory.Known.Count)
                return string.Create(CultureInfo.InvariantCulture, $"{_directory.Known.Count - _directory.All.Count} of {_directory.Known.Count} contacts that are known here are too old to build with; fresh ones are being fetched");
            return "";
        }
    }

    public Instant NextDeadline
    {
        get
        {
            Instant next = Instant.Earlier(_showAt, _showAgainAt);
            if (Gossip is not null) next = Instant.Earlier(next, Gossip.NextDeadline);
            if (Fetch is not null) next = Instant.Earlier(next, Fetch.NextDeadline);
            return next;
        }
    }

    /// <summary>True when links and paths see something else than before.</summary>
    public bool HandleTimeout(Instant now)
    {
        Gossip?.HandleTimeout(now);
        Fetch?.HandleTimeout(now);
        Notice(now);
        if (_showAt > now && _showAgainAt > now) return false;
        Show(now);
        return true;
    }

    /// <summary>The reply to a request of a neighbour, or null to refuse it.</summary>
    public byte[]? Answer(RouterId peer, bool isRelay, ReadOnlySpan<byte> message, Instant now)
    {
        if (Gossip is null) return null;
        byte[]? reply = _server.Answer(peer, isRelay && _state.Store.Roster.Contains(peer), message, Unix(now), now);
        Notice(now);
        return reply;
    }

    public bool OnReply(object token, ReadOnlySpan<byte> reply, Instant now)
    {
        bool ours = Gossip?.OnReply(token, reply, now) == true || Fetch?.OnReply(token, reply, now) == true;
        if (ours) Notice(now);
        return ours;
    }

    public bool OnFailed(object token, Instant now)
    {
        bool ours = Gossip?.OnFailed(token, now) == true || Fetch?.OnFailed(token, now) == true;
        if (ours) Notice(now);
        return ours;
    }

    public void OnLinkDown(RouterId peer) => _server.Forget(peer);

    /// <summary>Another registry: a new list, a new block of the ledger.</summary>
    public void SetRoster(RelayRoster roster, long untilUnixSeconds, Instant now)
    {
        if (Fetch is not null) Fetch.RosterUntilUnixSeconds = untilUnixSeconds;
        SetAgreedRoster(roster, now);
    }

    /// <summary>Contacts of a new list, signatures checked.</summary>
    public void AddContacts(IEnumerable<RouterContact> contacts, Instant now)
    {
        foreach (RouterContact contact in contacts) _state.Store.Keep(contact);
        Notice(now);
    }

    /// <summary>Bytes of <see cref="DirectoryCache"/>.</summary>
    public byte[] Export(ReadOnlySpan<byte> networkId, Instant now) => DirectoryCache.Write(networkId, _state.Store.Roster, _state.Store.All, Unix(now));

    // ---- inside ----

    private void SetAgreedRoster(RelayRoster roster, Instant now)
    {
        _state.Store.SetRoster(roster);
        Gossip?.OnRosterChanged(now);
        Notice(now);
    }

    private void OnTaken(RouterContact contact, RouterId from, Instant now) => Gossip?.OnTaken(contact, from, now);

    private void Notice(Instant now)
    {
        bool tried = Fetch?.HasTried ?? true;
        if (_shownVersion != _state.Store.Version || _shownTried != tried) _showAt = Instant.Earlier(_showAt, now + ShowDelay);
    }

    private void Show(Instant now)
    {
        _shownVersion = _state.Store.Version;
        _shownTried = Fetch?.HasTried ?? true;
        _showAt = Instant.Never;
        _showAgainAt = now + ShowEvery;
        long unix = Unix(now);
        long oldest = _shownTried ? long.MinValue : unix - (long)_options.Fetch.FreshFor.TotalSeconds;
        _directory.Show(_state.Store.Roster, _state.Store.All, c => c.CheckTime(unix) == ContactFault.None && c.PublishedUnixSeconds >= oldest);
    }

    private long Unix(Instant now) => _clock.UnixNanoseconds(now) / 1_000_000_000;
}
