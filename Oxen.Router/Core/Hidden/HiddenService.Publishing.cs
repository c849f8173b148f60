using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Hidden;

// Publishing: one introset for this period and one for the next, as soon as its randomness is known, each to all its keepers. A new
// one when the introduction relays, the effort or the period changed, and once an hour. A period's session key dies some hours after
// the period: from then on what was said to it is forward secret, the post-quantum part as well.
internal sealed partial class HiddenService
{
    private static readonly TimeSpan PublishEvery = TimeSpan.FromMinutes(60);
    private static readonly TimeSpan PublishAgain = TimeSpan.FromSeconds(30);

    // Relays that are established within so long of each other go into one introset.
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LeastBetween = TimeSpan.FromSeconds(5);

    private sealed class PeriodState(BlindedKey key, OnionKeyPair sessionKey, byte[] randomness, byte[] subcredential) : IDisposable
    {
        public BlindedKey Key { get; } = key;

        public OnionKeyPair SessionKey { get; } = sessionKey;

        public byte[] Randomness { get; } = randomness;

        public byte[] Subcredential { get; } = subcredential;

        public ulong Revision { get; set; }

        /// <summary>Keepers that have the latest revision.</summary>
        public int Kept { get; set; }

        /// <summary>Those that were brought the latest revision.</summary>
        public RouterId[] Keepers { get; set; } = [];

        public void Dispose()
        {
            Key.Dispose();
            SessionKey.Dispose();
        }
    }

    private readonly SortedDictionary<ulong, PeriodState> _periods = [];
    private Instant _nextWork;
    private Instant _lastPublished = new(long.MinValue / 2);
    private Instant _waitingSince = Instant.Never; // since an introset could be made
    private long _lastUnix;
    private bool _dirty = true;
    private bool _published;

    /// <summary>At least one keeper has the introset of the current period.</summary>
    public bool IsPublished => _published;

    /// <summary>Introsets made so far.</summary>
    public int Publications { get; private set; }

    /// <summary>Keepers that have the latest introset of the current period, and those that were asked to keep it.</summary>
    public (int Kept, int Asked) Keepers => _periods.TryGetValue(ServicePeriod.At(_lastUnix), out PeriodState? period) ? (period.Kept, period.Keepers.Length) : (0, 0);

    private void Publish(Instant now)
    {
        long unix = _lastUnix = _context.UnixSeconds(now);
        ulong current = ServicePeriod.At(unix);
        bool turned = MakePeriods(current, now);
        bool due = _dirty || turned || _queue.Changed || now - _lastPublished >= PublishEvery;
        Instant border = now + TimeSpan.FromSeconds(ServicePeriod.StartOf(current + 1) - unix + 1);
        _nextWork = Instant.Earlier(border, Instant.Later(_lastPublished + PublishEvery, now + LeastBetween));
        if (!due || Established == 0) return;
        if (_waitingSince.IsNever) _waitingSince = now;

        // The first ones wait for the others a moment; a burst of changes makes one introset.
        if (!_published && Established < Math.Min(_options.Introductions, _introductions.Count) && now - _waitingSince < TimeSpan.FromSeconds(3))
        {
            _nextWork = Instant.Earlier(_nextWork, now + Gather);
            return;
        }

        if (now - _lastPublished < LeastBetween)
        {
            _nextWork = Instant.Earlier(_nextWork, _lastPublished + LeastBetween);
            return;
        }

        _dirty = false;
        _queue.Changed = false;
        _lastPublished = now;
        foreach ((ulong number, PeriodState period) in _periods)
        {
            if (number < current) continue;
            Publish(number, period, unix, now);
        }
    }

    private void Publish(ulong number, PeriodState period, long unix, Instant now)
    {
        var content = new IntrosetContent
        {
            SessionX = period.SessionKey.XPublic.ToArray(),
            SessionKem = period.SessionKey.KemPublic.ToArray(),
            SessionKeyId = period.SessionKey.Id,
            EffortSeed = _queue.CurrentSeed.ToArray(),
            SuggestedEffort = _queue.SuggestedEffort,
            Introductions = [.. _introductions.Where(i => i.Path is not null).Select(i => new IntroductionPoint(i.Relay, i.Key.Id))],
            Ports = _options.Ports,
            TakesPackets = _options.TakesPackets,
            ServiceRecords = _options.ServiceRecords,
            Texts = _options.Texts,
        };

        // Rises over a restart without a memory of its own, and tells the minute at most.
        period.Revision = Math.Max(period.Revision + 1, (ulong)(unix / 60) << 16);
        long expires = unix / 60 * 60 + (long)Introset.MaxLife.TotalSeconds;
        Introset introset = Introset.Create(period.Key, Address, content, _options.Clients, period.Revision, expires, _context.Entropy, _options.Instance);
        Publications++;
        ulong revision = period.Revision;
        period.Kept = 0;
        period.Keepers = KeepersOf(number, period);
        foreach (RouterId keeper in period.Keepers) Put(number, keeper, introset, revision, again: true, now);
    }

    private RouterId[] KeepersOf(ulong number, PeriodState period) => IntrosetPlaces.Keepers(period.Key.PublicKey, number, period.Randomness, _context.Directory);

    private void Put(ulong number, RouterId keeper, Introset introset, ulong revision, bool again, Instant now) =>
        _context.Requests.Send(keeper, IntrosetRequests.Put, introset.Encoded, (code, body, at) =>
        {
            if (_closed || !_periods.TryGetValue(number, out PeriodState? period) || period.Revision != revision) return;
            if (code == 0 && body.Length == 1 && body[0] == (byte)IntrosetPut.Stored)
            {
                period.Kept++;
                if (_published || number != ServicePeriod.At(_context.UnixSeconds(at))) return;
                _published = true;
                _context.Events.OnServicePublished(this, at);
            }
            else if (again)
            {
                Put(number, keeper, introset, revision, again: false, at); // once, over another path
            }
            else if (period.Kept == 0)
            {
                // Nobody took it so far: all again after a while.
                _dirty = true;
                _nextWork = Instant.Earlier(_nextWork, at + PublishAgain);
            }
        }, now);

    /// <summary>State for the periods that matter; what is over is wiped. True when something changed.</summary>
    private bool MakePeriods(ulong current, Instant now)
    {
        bool changed = false;
        for (ulong number = current; number <= current + 1; number++)
        {
            if (_periods.ContainsKey(number)) continue;
            byte[] randomness = new byte[ServicePeriod.RandomnessBytes];
            if (!_context.Randomness(number, randomness)) continue;
            BlindedKey key = _key.Blind(number, randomness);
            byte[] subcredential = new byte[32];
            Introset.Subcredential(Address, key.PublicKey, subcredential);
            _periods.Add(number, new PeriodState(key, OnionKeyPair.Create(_context.Entropy), randomness, subcredential));
            changed = true;
        }

        // An introset of the period before may be in use until it expires.
        long unix = _context.UnixSeconds(now);
        foreach (ulong number in _periods.Keys.ToArray())
        {
            if (number >= current || unix < ServicePeriod.StartOf(number + 1) + (long)Introset.MaxLife.TotalSeconds + 600) continue;
            _periods[number].Dispose();
            _periods.Remove(number);
        }

        return changed;
    }
}
