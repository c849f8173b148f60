using System.Buffers.Binary;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Hidden;

internal sealed record IntroductionQueueOptions
{
    /// <summary>Introductions that wait at a time.</summary>
    public int Capacity { get; init; } = 256;

    /// <summary>One that waited longer belongs to a client that has gone.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A seed is replaced after so long, and accepted for as long again.</summary>
    public TimeSpan SeedTerm { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Introductions remembered for a seed, 16 bytes each; more are refused until the next seed.</summary>
    public int ReplayCapacity { get; init; } = 1 << 18;

    /// <summary>How often the suggested effort is thought over.</summary>
    public TimeSpan JudgeEvery { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>More is never suggested: some seconds of one core of an honest client.</summary>
    public uint MaxSuggested { get; init; } = 1 << 22;
}

// What a service does with introductions before it does anything dear for them:
//   1 seed     one of the two that are alive
//   2 replay   each is taken once in the life of its seed
//   3 effort   one hash; a claim that is not shown is dropped
//   4 queue    highest effort first, first come first served among equals; a full queue drops its lowest
// A key operation and a path build come after the queue, at the service's own pace.

/// <summary>Introductions that wait for the service, by effort. Single-threaded.</summary>
internal sealed class IntroductionQueue
{
    private sealed class Seed
    {
        public required byte[] Bytes { get; init; }

        public HashSet<UInt128> Seen { get; } = [];
    }

    private readonly record struct Rank(uint Effort, ulong Order) : IComparable<Rank>
    {
        // The one to be taken first compares lowest.
        public int CompareTo(Rank other) => Effort != other.Effort ? other.Effort.CompareTo(Effort) : Order.CompareTo(other.Order);
    }

    private readonly IntroductionQueueOptions _options;
    private readonly IEntropy _entropy;
    private readonly DropCounters _drops;
    private readonly SortedSet<Rank> _ranks = [];
    private readonly Dictionary<Rank, (byte[] Introduction, Instant Came)> _waiting = [];
    private readonly Queue<(Rank Rank, Instant Came)> _byAge = new();
    private Seed _current;
    private Seed? _previous;
    private Instant _seedEnds;
    private Instant _judge;
    private ulong _order;
    private bool _pressed;
    private uint _lowestTaken = uint.MaxValue;

    public IntroductionQueue(IntroductionQueueOptions options, DropCounters drops, IEntropy entropy, Instant now)
    {
        _options = options;
        _entropy = entropy;
        _drops = drops;
        _current = Draw();
        _seedEnds = now + options.SeedTerm;
        _judge = now + options.JudgeEvery;
    }

    public int Count => _waiting.Count;

    /// <summary>For the introset.</summary>
    public ReadOnlySpan<byte> CurrentSeed => _current.Bytes;

    /// <summary>For the introset; 0 while nobody presses.</summary>
    public uint SuggestedEffort { get; private set; }

    /// <summary>True once after seed or suggestion changed: a new introset is due.</summary>
    public bool Changed { get; set; }

    public Instant NextDeadline => Instant.Earlier(_seedEnds, _judge);

    /// <summary>Takes an introduction in, or drops and counts it.</summary>
    public bool Offer(ReadOnlySpan<byte> introduction, Instant now)
    {
        DropReason reason = Judge(introduction, out Seed? seed, out UInt128 name);
        if (reason == DropReason.None)
        {
            uint effort = BinaryPrimitives.ReadUInt32BigEndian(introduction[IntroductionFormat.EffortAt..]);
            DropOld(now);
            if (_waiting.Count >= _options.Capacity)
            {
                _pressed = true;
                Rank last = _ranks.Max;
                if (effort <= last.Effort)
                {
                    _drops.Count(DropReason.IntroductionQueueFull);
                    return false;
                }

                Remove(last);
                _drops.Count(DropReason.IntroductionQueueFull);
            }

            seed!.Seen.Add(name);
            var rank = new Rank(effort, _order++);
            _ranks.Add(rank);
            _waiting.Add(rank, (introduction.ToArray(), now));
            _byAge.Enqueue((rank, now));
            return true;
        }

        _drops.Count(reason);
        return false;
    }

    /// <summary>The next one to be served.</summary>
    public bool TryTake(out byte[] introduction, Instant now)
    {
        DropOld(now);
        introduction = [];
        if (_waiting.Count == 0) return false;
        Rank first = _ranks.Min;
        introduction = _waiting[first].Introduction;
        Remove(first);
        _lowestTaken = Math.Min(_lowestTaken, first.Effort);
        return true;
    }

    public void HandleTimeout(Instant now)
    {
        if (_seedEnds <= now)
        {
            _previous = _current;
            _current = Draw();
            _seedEnds = now + _options.SeedTerm;
            Changed = true;
        }

        if (_judge > now) return;
        _judge = now + _options.JudgeEvery;

        // A queue that overflowed, or is half full now, asks for more than it just served; one that is calm asks for a third less.
        bool pressed = _pressed || _waiting.Count > _options.Capacity / 2;
        uint served = _lowestTaken == uint.MaxValue ? 0 : _lowestTaken;
        uint next = pressed
            ? (uint)Math.Min(_options.MaxSuggested, Math.Max(16UL, 2UL * Math.Max(SuggestedEffort, served)))
            : SuggestedEffort < 16 ? 0 : SuggestedEffort - SuggestedEffort / 3;
        Changed |= next != SuggestedEffort;
        SuggestedEffort = next;
        _pressed = false;
        _lowestTaken = uint.MaxValue;
    }

    private DropReason Judge(ReadOnlySpan<byte> introduction, out Seed? seed, out UInt128 name)
    {
        seed = null;
        name = default;
        if (introduction.Length != IntroductionFormat.Bytes) return DropReason.BadIntroduction;
        ReadOnlySpan<byte> head = introduction.Slice(IntroductionFormat.SeedHeadAt, IntroductionFormat.SeedHeadBytes);
        foreach (Seed? alive in (ReadOnlySpan<Seed?>)[_current, _previous])
            if (alive is not null && head.SequenceEqual(alive.Bytes.AsSpan(0, head.Length))) seed = alive;
        if (seed is null) return DropReason.IntroductionSeed;

        // The name leaves the proof out: another proof does not make another introduction.
        Span<byte> digest = stackalloc byte[32];
        IntroductionEffort.Digest(introduction, seed.Bytes, digest);
        name = BinaryPrimitives.ReadUInt128BigEndian(digest);
        if (seed.Seen.Contains(name)) return DropReason.IntroductionReplay;
        if (seed.Seen.Count >= _options.ReplayCapacity) return DropReason.IntroductionQueueFull;
        return IntroductionEffort.IsShown(introduction, seed.Bytes) ? DropReason.None : DropReason.IntroductionEffort;
    }

    private void DropOld(Instant now)
    {
        while (_byAge.TryPeek(out (Rank Rank, Instant Came) oldest) && (now - oldest.Came > _options.Patience || !_waiting.ContainsKey(oldest.Rank)))
        {
            _byAge.Dequeue();
            if (!_waiting.ContainsKey(oldest.Rank)) continue;
            Remove(oldest.Rank);
            _drops.Count(DropReason.IntroductionTooLate);
            _pressed = true;
        }
    }

    private void Remove(Rank rank)
    {
        _ranks.Remove(rank);
        _waiting.Remove(rank);
    }

    private Seed Draw()
    {
        byte[] bytes = new byte[IntrosetContent.SeedBytes];
        _entropy.FillSecret(bytes);
        return new Seed { Bytes = bytes };
    }
}
