using System.Globalization;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Paths;

// Whoever is the first hop learns the client's address. If every path chose anew, an attacker with one relay in twenty would be
// first hop soon; so a client draws a few relays once and keeps to them for months:
//
//   sample     8 relays, drawn uniformly from those that fit the rules, no two of one operator or network; kept in a file
//   order      those that carried a path before come first, in the order in which they first did
//   primaries  the first 2 of the order that are listed, allowed and not down: every path begins at one of them
//
// A primary that cannot be reached is tried again later, and the next in order stands in meanwhile. A relay never gets a client to
// leave the sample, whatever it drops: when all are down, they are tried again, and the client says so.

/// <summary>The relays that a client's paths begin with. Single-threaded.</summary>
internal sealed class GuardSet
{
    private const int BiasWindow = 100;
    private const int BiasLeast = 20;
    private static readonly TimeSpan OneDeath = TimeSpan.FromSeconds(1);

    private sealed class Guard(GuardRecord record)
    {
        public GuardRecord Record { get; set; } = record;

        public Instant DownUntil { get; set; } = Instant.Zero;

        public Instant DownSince { get; set; } = new(long.MinValue / 2);

        public TimeSpan Retry { get; set; }

        public int Strikes { get; set; }

        public int Built { get; set; }

        public int Lost { get; set; }

        public bool Usable { get; set; }
    }

    private readonly GuardOptions _options;
    private readonly IGuardStore? _store;
    private readonly IEntropy _entropy;
    private List<Guard> _guards;
    private bool _changed;
    private int _seenVersion = -1;
    private long _seenUnix;

    public GuardSet(GuardOptions options, IGuardStore? store, IEntropy entropy)
    {
        _options = options;
        _store = store;
        _entropy = entropy;
        _guards = [.. (store?.Load() ?? []).DistinctBy(g => g.Id).Take(options.Sample).Select(r => new Guard(r))];
    }

    /// <summary>In their order.</summary>
    public IReadOnlyList<GuardRecord> Records => [.. _guards.Select(g => g.Record)];

    /// <summary>All guards that may be used, in their order: whom a client asks about the network.</summary>
    public IReadOnlyList<RouterId> Sample => [.. _guards.Where(g => g.Usable).Select(g => g.Record.Id)];

    /// <summary>Brings the set up to date with the network, the rules and the time; cheap when nothing changed.</summary>
    public void Refresh(NodeDirectory nodes, PathRules rules, long nowUnixSeconds)
    {
        if (nodes.Version == _seenVersion && nowUnixSeconds - _seenUnix is >= 0 and < 60 && _guards.Count > 0) return;
        (_seenVersion, _seenUnix) = (nodes.Version, nowUnixSeconds);
        foreach (Guard guard in _guards) Judge(guard, nodes, rules, nowUnixSeconds);
        _changed |= _guards.RemoveAll(g => g.Record.Ends <= nowUnixSeconds || (g.Record.UnlistedSince > 0 && nowUnixSeconds - g.Record.UnlistedSince > _options.UnlistedTime.TotalSeconds)) > 0;
        Fill(nodes, rules, nowUnixSeconds);
        if (_changed) Save();
    }

    /// <summary>
    /// Guards for the next path, best first: the primaries in random order, those in `busy` (first hops of the client's other paths)
    /// last; then the other ones, for an exit that fits none of the primaries; then those that are down, the one due first before the others.
    /// </summary>
    public IReadOnlyList<RouterId> Choose(IReadOnlySet<RouterId> busy, Instant now)
    {
        List<Guard> usable = [.. _guards.Where(g => g.Usable)];
        List<Guard> up = [.. usable.Where(g => g.DownUntil <= now)];

        // Nobody can be reached: most likely it is our own network. Whoever is due first is tried, and nobody new is drawn.
        if (up.Count == 0) return [.. usable.OrderBy(g => g.DownUntil).Select(g => g.Record.Id)];
        List<Guard> primaries = [.. up.OrderBy(IsBiased).Take(_options.Primary)];
        Shuffle(primaries);
        return [.. primaries.OrderBy(g => busy.Contains(g.Record.Id)).Concat(up.Except(primaries)).Concat(usable.Except(up).OrderBy(g => g.DownUntil)).Select(g => g.Record.Id)];
    }

    /// <summary>A path was built through this guard.</summary>
    public void OnBuilt(RouterId id, long nowUnixSeconds, Instant now)
    {
        if (Find(id) is not { } guard) return;
        (guard.DownUntil, guard.Retry, guard.Strikes) = (Instant.Zero, TimeSpan.Zero, 0);
        Count(guard, built: true);

        // Our network works: those before this one may have been down for that alone.
        foreach (Guard other in _guards)
        {
            if (other == guard) break;
            other.DownUntil = Instant.Earlier(other.DownUntil, now + _options.FirstRetry);
        }

        if (guard.Record.Confirmed != 0) return;
        guard.Record = guard.Record with { Confirmed = nowUnixSeconds };
        _guards = [.. _guards.OrderBy(g => g.Record.Confirmed == 0).ThenBy(g => g.Record.Confirmed)];
        _changed = true;
        Save();
    }

    /// <summary>The guard itself did not answer, or three times in a row refused or answered wrongly.</summary>
    public void OnUnreachable(RouterId id, Instant now)
    {
        if (Find(id) is not { } guard) return;
        guard.Strikes = 0;
        if (now - guard.DownSince < OneDeath) return; // several paths tell of one death
        guard.DownSince = now;
        guard.Retry = guard.Retry == TimeSpan.Zero ? _options.FirstRetry : 2 * guard.Retry < _options.LastRetry ? 2 * guard.Retry : _options.LastRetry;
        guard.DownUntil = now + guard.Retry;
    }

    /// <summary>A path through this guard did not come to stand, because of it (`own`) or of somebody behind it.</summary>
    public void OnFailed(RouterId id, bool own, Instant now)
    {
        if (Find(id) is not { } guard) return;
        Count(guard, built: false);
        if (own && ++guard.Strikes >= 3) OnUnreachable(id, now);
    }

    /// <summary>After a sleep, or when the network came back: nobody is down for what was.</summary>
    public void Forgive()
    {
        foreach (Guard guard in _guards) (guard.DownUntil, guard.DownSince, guard.Retry, guard.Strikes) = (Instant.Zero, new(long.MinValue / 2), TimeSpan.Zero, 0);
    }

    /// <summary>What the user should know; empty when all is well.</summary>
    public string Trouble(Instant now)
    {
        Guard[] usable = [.. _guards.Where(g => g.Usable)];
        if (_guards.Count > 0 && usable.Length == 0)
            return string.Create(CultureInfo.InvariantCulture, $"none of this client's {_guards.Count} guards (the relays that its paths begin with) is listed and allowed by your rules: loosen the rules, or wait until the guards change");
        if (usable.Length > 0 && usable.All(g => g.DownUntil > now))
            return string.Create(CultureInfo.InvariantCulture, $"none of this client's {usable.Length} guards (the relays that its paths begin with) can be reached: check this machine's connection and firewall (UDP); they are tried again without end");
        int biased = usable.Count(IsBiased);
        return biased > 0
            ? string.Create(CultureInfo.InvariantCulture, $"more than half of the paths through {biased} of this client's guards fail: that guard is overloaded, or it drops paths on purpose; it is used last")
            : "";
    }

    // ---- inside ----

    // Whether it is listed and allowed; a broken rule makes it unusable, but never makes us forget it.
    private void Judge(Guard guard, NodeDirectory nodes, PathRules rules, long nowUnixSeconds)
    {
        bool listed = nodes.TryGet(guard.Record.Id, out RouterContact? contact) && contact.IsRelay && nodes.IsMember(guard.Record.Id);
        guard.Usable = listed && rules.BrokenBy(contact!) is null;
        if (listed == (guard.Record.UnlistedSince == 0)) return;
        guard.Record = guard.Record with { UnlistedSince = listed ? 0 : nowUnixSeconds };
        _changed = true;
    }

    private void Fill(NodeDirectory nodes, PathRules rules, long nowUnixSeconds)
    {
        if (_guards.Count >= _options.Sample) return;
        List<RouterContact> free = [.. nodes.Known.Where(c => c.IsRelay && rules.BrokenBy(c) is null && Find(c.Id) is null).OrderBy(c => c.Id)];
        while (_guards.Count < _options.Sample && free.Count > 0)
        {
            // Apart from each other, so that one operator is not all of our guards, as far as the network is large enough.
            List<RouterContact> apart = [.. free.Where(c => _guards.All(g => !nodes.TryGet(g.Record.Id, out RouterContact? other) || rules.MayShareAPath(c, other, nodes)))];
            List<RouterContact> from = apart.Count > 0 ? apart : free;
            RouterContact chosen = from[PathSelector.Uniform(_entropy, from.Count)];
            free.Remove(chosen);
            _guards.Add(new Guard(new GuardRecord(chosen.Id, nowUnixSeconds, nowUnixSeconds + Life(), 0, 0)) { Usable = true });
            _changed = true;
        }
    }

    private long Life()
    {
        double fraction = Fraction();
        if (_options.LaterOfTwo) fraction = Math.Max(fraction, Fraction());
        return (long)(_options.LeastLife + ((_options.MostLife - _options.LeastLife) * fraction)).TotalSeconds;
    }

    private double Fraction() => PathSelector.Uniform(_entropy, 1 << 24) / (double)(1 << 24);

    private void Shuffle(List<Guard> guards)
    {
        for (int i = guards.Count - 1; i > 0; i--)
        {
            int j = PathSelector.Uniform(_entropy, i + 1);
            (guards[i], guards[j]) = (guards[j], guards[i]);
        }
    }

    private Guard? Find(RouterId id) => _guards.Find(g => g.Record.Id == id);

    private static bool IsBiased(Guard guard) => guard.Built + guard.Lost >= BiasLeast && guard.Lost > guard.Built;

    private static void Count(Guard guard, bool built)
    {
        if (built) guard.Built++;
        else guard.Lost++;
        if (guard.Built + guard.Lost < BiasWindow) return;
        guard.Built /= 2;
        guard.Lost /= 2;
    }

    private void Save()
    {
        _changed = false;
        _store?.Save(Records);
    }
}
