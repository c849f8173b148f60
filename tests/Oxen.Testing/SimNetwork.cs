using System.Runtime.InteropServices;
using Oxen.Router.Core;

namespace Oxen.Testing;

/// <summary>
/// A datagram network in virtual time, the same for the same seed: nodes at addresses, ways between them with delay,
/// jitter, loss, reordering, duplication, rate and queue. Everything that happens goes into <see cref="TraceHash"/>, so two
/// runs can be compared by one number. Bytes in, bytes out; knows nothing of what they mean.
/// </summary>
/// <example>
/// <code>
/// var net = new SimNetwork(seed: 7) { Default = new SimLink { Loss = 0.05 } };
/// net.Attach(addressA, nodeA); net.Attach(addressB, nodeB);
/// net.Wake(nodeA);                                     // after calling into a node from outside
/// bool done = net.RunUntil(() => nodeB.Finished, TimeSpan.FromSeconds(30));
/// </code>
/// </example>
internal sealed class SimNetwork(ulong seed)
{
    // By time, and those of one time in the order in which they were put in.
    private readonly PriorityQueue<Entry, UInt128> _queue = new();
    private readonly Stack<Entry> _spare = new();
    private readonly Dictionary<ISimNode, Place> _places = [];
    private readonly Dictionary<UdpAddress, Place> _at = [];
    private readonly Dictionary<(UdpAddress From, UdpAddress To), Way> _ways = [];
    private ulong _order;
    private ulong _random = seed * 0x9E3779B97F4A7C15 + 0x1234567;

    // An event: a datagram arrives, a node is called, or work is done. Made once and used again, with its buffer.
    private sealed class Entry
    {
        public byte[] Bytes = [];
        public int Length;
        public UdpAddress From;
        public UdpAddress To;
        public Place? Place;
        public int Version;
        public Action? Work;
    }

    // A node and its timer. A deadline that moves back, as most do, leaves the entry in the queue where it is: it is put in again when its turn comes.
    private sealed class Place(ISimNode node)
    {
        public readonly ISimNode Node = node;
        public Instant When = Instant.Never;
        public Instant Queued = Instant.Never;
        public int Version;
    }

    private sealed class Way
    {
        public SimLink? Link;
        public long BusyUntil;
    }

    public SimClock Clock { get; } = new();

    public Instant Now => Clock.Now;

    /// <summary>The way between addresses that have none of their own.</summary>
    public SimLink Default { get; set; } = SimLink.Perfect;

    /// <summary>Over every datagram delivered or dropped: time, addresses, bytes.</summary>
    public ulong TraceHash { get; private set; } = 0xCBF29CE484222325;

    public long Sent { get; private set; }

    public long Delivered { get; private set; }

    public long Lost { get; private set; }

    public long QueueDrops { get; private set; }

    /// <summary>Datagrams for an address where nobody is (any more).</summary>
    public long Unreachable { get; private set; }

    public long Duplicated { get; private set; }

    /// <summary>On their way now.</summary>
    public long InFlight { get; private set; }

    public long BytesSent { get; private set; }

    /// <summary>Asked for each datagram with its number (from 0): true drops it. For loss by plan instead of by chance.</summary>
    public Func<long, UdpAddress, UdpAddress, ReadOnlyMemory<byte>, bool>? DropWhen { get; set; }

    /// <summary>Sees each datagram as it is sent, before anything happens to it.</summary>
    public Action<UdpAddress, UdpAddress, ReadOnlyMemory<byte>>? Tap { get; set; }

    public void Attach(in UdpAddress at, ISimNode node)
    {
        Place place = PlaceOf(node);
        _at[at] = place;
        Reschedule(place);
    }

    public void Detach(in UdpAddress at) => _at.Remove(at);

    /// <summary>Sets the way from one address to another; both ways unless told otherwise. Null: back to the default.</summary>
    public void SetLink(in UdpAddress from, in UdpAddress to, SimLink? link, bool bothWays = true)
    {
        WayOf(from, to).Link = link;
        if (bothWays) SetLink(to, from, link, bothWays: false);
    }

    /// <summary>Hands a datagram to the network. The bytes are copied.</summary>
    public void Send(ReadOnlySpan<byte> datagram, in UdpAddress from, in UdpAddress to)
    {
        Way way = WayOf(from, to);
        SimLink link = way.Link ?? Default;
        long number = Sent++;
        BytesSent += datagram.Length;
        Entry entry = Datagram(datagram, from, to);
        ReadOnlyMemory<byte> bytes = entry.Bytes.AsMemory(0, datagram.Length);
        Tap?.Invoke(from, to, bytes);
        bool lost = link.Cut || datagram.Length > link.MaxDatagramBytes || (link.Loss > 0 && NextDouble() < link.Loss);
        lost |= DropWhen is not null && DropWhen(number, from, to, bytes);
        if (lost)
        {
            Lost++;
            Trace(1, datagram, from, to);
            _spare.Push(entry);
            return;
        }

        long leaves = Now.Nanoseconds;
        if (link.BitsPerSecond > 0)
        {
            long busy = Math.Max(leaves, way.BusyUntil);
            if ((busy - leaves) / 1e9 * link.BitsPerSecond / 8 + datagram.Length > link.QueueBytes)
            {
                QueueDrops++;
                Trace(2, datagram, from, to);
                _spare.Push(entry);
                return;
            }

            leaves = busy + (long)(datagram.Length * 8e9 / link.BitsPerSecond);
            way.BusyUntil = leaves;
        }

        Deliver(entry, leaves + Travel(link));
        if (link.Duplicate > 0 && NextDouble() < link.Duplicate)
        {
            Duplicated++;
            Deliver(Datagram(datagram, from, to), leaves + Travel(link));
        }
    }

    /// <summary>Calls the node's OnTimer now (within the next step): it was spoken to from outside.</summary>
    public void Wake(ISimNode node) => PushTimer(PlaceOf(node), -1, Now);

    public void Schedule(Instant when, Action work)
    {
        Entry entry = Spare();
        entry.Work = work;
        Push(entry, Math.Max(when.Nanoseconds, Now.Nanoseconds));
    }

    /// <summary>Runs until `done` (asked after each step), the network is silent, or `limit` of virtual time has gone by. Returns what `done` says.</summary>
    public bool RunUntil(Func<bool> done, TimeSpan limit)
    {
        Instant end = Now + limit;
        while (!done())
        {
            if (!_queue.TryPeek(out _, out UInt128 next) || TimeOf(next) > end)
            {
                Clock.AdvanceTo(end);
                return done();
            }

            Step();
        }

        return true;
    }

    /// <summary>Runs for a span of virtual time.</summary>
    public void Run(TimeSpan time) => RunUntil(static () => false, time);

    /// <summary>One event; false when there is none.</summary>
    public bool Step()
    {
        if (!_queue.TryDequeue(out Entry? entry, out UInt128 at)) return false;
        Clock.AdvanceTo(TimeOf(at));
        if (entry.Work is { } work)
        {
            entry.Work = null;
            _spare.Push(entry);
            work();
            return true;
        }

        if (entry.Place is { } place)
        {
            int version = entry.Version;
            entry.Place = null;
            _spare.Push(entry);
            OnTimer(place, version);
            return true;
        }

        Span<byte> datagram = entry.Bytes.AsSpan(0, entry.Length);
        InFlight--;
        Trace(0, datagram, entry.From, entry.To);
        if (_at.TryGetValue(entry.To, out Place? there))
        {
            Delivered++;
            there.Node.OnDatagram(datagram, entry.From, entry.To, Now);
            Reschedule(there);
        }
        else
        {
            Unreachable++;
        }

        _spare.Push(entry);
        return true;
    }

    /// <summary>A random number from the network's seed, uniform in [0, 1).</summary>
    public double NextDouble()
    {
        // SplitMix64
        ulong z = _random += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
    }

    private long Travel(SimLink link)
    {
        long time = link.Delay.Ticks * 100;
        if (link.Jitter > TimeSpan.Zero) time += (long)(NextDouble() * link.Jitter.Ticks * 100);
        if (link.Reorder > 0 && NextDouble() < link.Reorder) time += link.ReorderDelay.Ticks * 100;
        return time;
    }

    private Entry Spare() => _spare.TryPop(out Entry? entry) ? entry : new Entry();

    private Entry Datagram(ReadOnlySpan<byte> datagram, in UdpAddress from, in UdpAddress to)
    {
        Entry entry = Spare();
        if (entry.Bytes.Length < datagram.Length) entry.Bytes = new byte[Math.Max(2048, datagram.Length)];
        datagram.CopyTo(entry.Bytes);
        entry.Length = datagram.Length;
        entry.From = from;
        entry.To = to;
        return entry;
    }

    private void Deliver(Entry entry, long when)
    {
        InFlight++;
        Push(entry, when);
    }

    private void Push(Entry entry, long when) => _queue.Enqueue(entry, new UInt128((ulong)when, _order++));

    private static Instant TimeOf(UInt128 at) => new((long)(ulong)(at >> 64));

    private Place PlaceOf(ISimNode node)
    {
        ref Place? place = ref CollectionsMarshal.GetValueRefOrAddDefault(_places, node, out _);
        return place ??= new Place(node);
    }

    private Way WayOf(in UdpAddress from, in UdpAddress to)
    {
        ref Way? way = ref CollectionsMarshal.GetValueRefOrAddDefault(_ways, (from, to), out _);
        return way ??= new Way();
    }

    // Version -1: whatever the deadline is.
    private void PushTimer(Place place, int version, Instant when)
    {
        Entry entry = Spare();
        entry.Place = place;
        entry.Version = version;
        Push(entry, Math.Max(when.Nanoseconds, Now.Nanoseconds));
    }

    private void OnTimer(Place place, int version)
    {
        if (version >= 0)
        {
            if (version != place.Version) return;
            place.Queued = Instant.Never;
            if (place.When > Now)
            {
                Queue(place);
                return;
            }
        }

        place.Node.OnTimer(Now);
        Reschedule(place);
    }

    private void Reschedule(Place place)
    {
        place.When = place.Node.NextDeadline;
        Queue(place);
    }

    private void Queue(Place place)
    {
        if (place.When >= place.Queued) return;
        place.Queued = place.When;
        PushTimer(place, ++place.Version, place.When);
    }

    // Four strands side by side, so that the multiplications need not wait for each other.
    private void Trace(byte what, ReadOnlySpan<byte> datagram, in UdpAddress from, in UdpAddress to)
    {
        ulong h = Mix(TraceHash, what);
        h = Mix(h, (ulong)Now.Nanoseconds);
        h = Mix(Mix(h, from.High ^ from.Low), from.Port);
        h = Mix(Mix(h, to.High ^ to.Low), to.Port);
        h = Mix(h, (ulong)datagram.Length);
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(datagram);
        ulong a = h, b = h + 1, c = h + 2, d = h + 3;
        int i = 0;
        for (; i + 4 <= words.Length; i += 4)
        {
            a = Mix(a, words[i]);
            b = Mix(b, words[i + 1]);
            c = Mix(c, words[i + 2]);
            d = Mix(d, words[i + 3]);
        }

        for (; i < words.Length; i++) a = Mix(a, words[i]);
        foreach (byte rest in datagram[(words.Length * sizeof(ulong))..]) b = Mix(b, rest);
        TraceHash = Mix(Mix(a, b), Mix(c, d));
    }

    private static ulong Mix(ulong h, ulong x)
    {
        h = (h ^ x) * 0x9E3779B97F4A7C15;
        return h ^ (h >> 29);
    }
}
