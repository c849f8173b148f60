using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

// A client's round, once an hour and whenever something went wrong:
//
//   1 who is a relay?   each source is compared with what we believe (set Members): so we know what it would add and take away
//                       k of n that agree change our belief; the liars among fewer than k change nothing
//                       (skipped while a valid signed list or a ledger says it)
//   2 contacts          each source in turn; newest wins, and each is signed by its own router: one honest source is enough,
//                       and the second costs a fingerprint
//
// The sources are the client's guards, in their order: so the relays that ever see its address stay few, and whoever wants
// to be k of n must have been lucky once, when the guards were drawn, not once an hour.

/// <summary>How a client learns who is a relay and where.</summary>
internal sealed class DirectoryFetcher
{
    private readonly FetchOptions _options;
    private readonly DirectoryState _state;
    private readonly IDirectoryWire _wire;
    private readonly NetworkClock _clock;
    private readonly IEntropy _entropy;
    private readonly Func<Instant, IReadOnlyList<RouterId>> _candidates;
    private readonly Action<RelayRoster, Instant> _agreed;
    private readonly Dictionary<object, Exchange> _asked = [];
    private readonly List<Exchange> _answered = [];
    private readonly Queue<RouterId> _untried = new();
    private readonly Queue<RouterId> _contactsFrom = new();
    private readonly List<RouterId> _released = [];
    private TimeSpan _retry;
    private bool _asksMembers, _voted;
    private int _needed, _sources, _contactsDone;
    private bool _running;

    /// <param name="candidates">Relays to ask, best first.</param>
    /// <param name="agreed">Called when enough sources agree on another registry.</param>
    public DirectoryFetcher(FetchOptions options, DirectoryState state, IDirectoryWire wire, NetworkClock clock, IEntropy entropy, Func<Instant, IReadOnlyList<RouterId>> candidates, Action<RelayRoster, Instant> agreed, Instant now)
    {
        _options = options;
        _state = state;
        _wire = wire;
        _clock = clock;
        _entropy = entropy;
        _candidates = candidates;
        _agreed = agreed;
        _retry = options.FirstRetry;
        NextDeadline = now;
    }

    /// <summary>When the next round begins; during a round, never: replies and failures drive it.</summary>
    public Instant NextDeadline { get; private set; }

    /// <summary>Whether a round came to its end, well or not, since the start or the last sleep: what is newer than ours was fetched if it could be.</summary>
    public bool HasTried { get; private set; }

    /// <summary>Unix seconds of the last round that went well; 0: none did.</summary>
    public long CurrentAsOfUnixSeconds { get; private set; }

    public long Rounds { get; private set; }

    /// <summary>Why the last round failed, in words; empty when it did not.</summary>
    public string Trouble { get; private set; } = "";

    /// <summary>Unix seconds until which the roster needs nobody's agreement.</summary>
    public long RosterUntilUnixSeconds { get; set; } = long.MaxValue;

    /// <summary>A round now: after a sleep, a change of the clock, or when the network came back.</summary>
    public void Refresh(Instant now)
    {
        _retry = _options.FirstRetry;
        if (!_running) NextDeadline = Instant.Earlier(NextDeadline, now);
    }

    /// <summary>What we knew may be long out of date.</summary>
    public void Doubt(Instant now)
    {
        HasTried = false;
        Refresh(now);
    }

    public void HandleTimeout(Instant now)
    {
        if (!_running && NextDeadline <= now) Begin(now);
    }

    public bool OnReply(object token, ReadOnlySpan<byte> reply, Instant now)
    {
        if (!_asked.Remove(token, out Exchange? exchange)) return false;
        byte[]? next = exchange.Read(reply, Unix(now), null);
        if (next is not null) Ask(exchange, next, now);
        else if (exchange.Done) Ended(exchange, now);
        else Failed(exchange, now);
        return true;
    }

    public bool OnFailed(object token, Instant now)
    {
        if (!_asked.Remove(token, out Exchange? exchange)) return false;
        Failed(exchange, now);
        return true;
    }

    // ---- inside ----

    private void Begin(Instant now)
    {
        _running = true;
        NextDeadline = Instant.Never;
        _answered.Clear();
        _untried.Clear();
        _contactsFrom.Clear();
        _contactsDone = 0;
        foreach (RouterId id in _candidates(now)) _untried.Enqueue(id);
        _sources = Math.Min(_options.Sources, Math.Max(_untried.Count, 1));
        _needed = _sources < _options.Sources ? (_sources / 2) + 1 : _options.Agree;
        _asksMembers = Unix(now) >= RosterUntilUnixSeconds;
        if (_untried.Count == 0)
        {
            End("no relay is known that could be asked: give it a current contact list", now);
            return;
        }

        if (_asksMembers) AskMembers(now);
        else AskContacts(now);
    }

    private void AskMembers(Instant now)
    {
        while (_asked.Count + _answered.Count < _sources && _untried.TryDequeue(out RouterId id)) AskOne(id, DirectorySet.Members, now);
        if (_asked.Count > 0) return;
        if (_answered.Count < _needed)
        {
            End($"{_needed} relays must agree on who is a relay, but only {_answered.Count} of those that are known answered: check this machine's connection and clock, or give it a current contact list", now);
            return;
        }

        Vote(now);
        foreach (Exchange answered in _answered) _contactsFrom.Enqueue(answered.Peer);
        AskContacts(now);
    }

    private void AskContacts(Instant now)
    {
        while (_asked.Count == 0)
        {
            if (_asksMembers)
            {
                if (!_contactsFrom.TryDequeue(out RouterId next)) break;
                AskOne(next, DirectorySet.Contacts, now);
            }
            else
            {
                if (_contactsDone >= _sources || !_untried.TryDequeue(out RouterId next)) break;
                AskOne(next, DirectorySet.Contacts, now);
            }
        }

        if (_asked.Count > 0) return;
        End(_contactsDone > 0 ? "" : "none of the relays that are known answered: check this machine's connection and clock, or give it a current contact list", now);
    }

    private void AskOne(RouterId id, DirectorySet set, Instant now)
    {
        var exchange = new Exchange(_state, id, set, gives: false, Unix(now));
        if (_wire.Ask(id, exchange.Begin(), DirectoryMessages.MaxBytes + 1, now) is { } token) _asked.Add(token, exchange);
        if (!_released.Contains(id)) _released.Add(id);
    }

    private void Ask(Exchange exchange, byte[] message, Instant now)
    {
        if (_wire.Ask(exchange.Peer, message, DirectoryMessages.MaxBytes + 1, now) is { } token) _asked.Add(token, exchange);
        else Failed(exchange, now);
    }

    private void Ended(Exchange exchange, Instant now)
    {
        if (_asksMembers && !_voted)
        {
            _answered.Add(exchange);
            AskMembers(now);
        }
        else
        {
            _contactsDone++;
            AskContacts(now);
        }
    }

    private void Failed(Exchange exchange, Instant now)
    {
        if (_asksMembers && !_voted) AskMembers(now);
        else AskContacts(now);
    }

    // Every source says what it would add to our registry, change in it and take from it. What k agree on happens.
    private void Vote(Instant now)
    {
        _voted = true;
        var adds = new Dictionary<RosterEntry, int>();
        var removes = new Dictionary<RouterId, int>();
        foreach (Exchange source in _answered)
        {
            HashSet<RouterId> theirs = [];
            foreach (SetItem item in source.Theirs)
            {
                if (!theirs.Add(item.Id)) continue;
                var entry = new RosterEntry(item.Id, item.Operator);
                adds[entry] = adds.GetValueOrDefault(entry) + 1;
            }

            foreach (SetItem item in source.Ours)
            {
                if (!theirs.Contains(item.Id)) removes[item.Id] = removes.GetValueOrDefault(item.Id) + 1;
            }
        }

        RelayRoster before = _state.Store.Roster;
        Dictionary<RouterId, string> after = before.Entries.ToDictionary(e => e.Id, e => e.Operator);
        bool changed = false;
        foreach ((RouterId id, int votes) in removes)
        {
            if (votes >= _needed) changed |= after.Remove(id);
        }

        foreach ((RosterEntry entry, int votes) in adds)
        {
            if (votes < _needed) continue;
            after[entry.Id] = entry.Operator;
            changed = true;
        }

        if (changed) _agreed(new RelayRoster(after.Select(e => new RosterEntry(e.Key, e.Value))), now);
    }

    private void End(string trouble, Instant now)
    {
        _running = false;
        _voted = false;
        Trouble = trouble;
        Rounds++;
        HasTried = true;
        if (trouble.Length == 0)
        {
            CurrentAsOfUnixSeconds = Unix(now);
            _retry = _options.FirstRetry;
            NextDeadline = now + _options.Every + RandomPart(_options.Every / 2);
        }
        else
        {
            NextDeadline = now + _retry + RandomPart(_retry / 2);
            _retry = 2 * _retry < _options.LastRetry ? 2 * _retry : _options.LastRetry;
        }

        foreach (RouterId id in _released) _wire.Release(id, now);
        _released.Clear();
    }

    private long Unix(Instant now) => _clock.UnixNanoseconds(now) / 1_000_000_000;

    private TimeSpan RandomPart(TimeSpan of) => new((long)(RandomNumber.Fraction(_entropy) * of.Ticks));
}
