using System.Buffers;
using System.Buffers.Binary;
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
    private readonly PriorityQueue<Entry, (long Time, long Order)> _queue = new();
    private readonly Dictionary<UdpAddress, ISimNode> _nodes = [];
    private readonly Dictionary<ISimNode, (Instant When, int Version)> _deadlines = [];
    private readonly Dictionary<(UdpAddress From, UdpAddress To), SimLink> _links = [];
    private readonly Dictionary<(UdpAddress From, UdpAddress To), long> _busyUntil = [];
    private long _order;
    private ulong _random = seed * 0x9E3779B97F4A7C15 + 0x1234567;

    private sealed class Entry
    {
        public byte[]? Bytes;
        public int Length;
        public UdpAddress From;
        public UdpAddress To;
        public ISimNode? Node;
        public int Version;
        public Action? Work;
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
        _nodes[at] = node;
        Reschedule(node);
    }

    public void Detach(in UdpAddress at) => _nodes.Remove(at);

    /// <summary>Sets the way from one address to another; both ways unless told otherwise. Null: back to the default.</summary>
    public void SetLink(in UdpAddress from, in UdpAddress to, SimLink? link, bool bothWays = true)
    {
        if (link is null) _links.Remove((from, to));
        else _links[(from, to)] = link;
        if (bothWays) SetLink(to, from, link, bothWays: false);
    }

    /// <summary>Hands a datagram to the network. The bytes are copied.</summary>
    public void Send(ReadOnlySpan<byte> datagram, in UdpAddress from, in UdpAddress to)
    {
        SimLink link = _links.GetValueOrDefault((from, to), Default);
        long number = Sent++;
        BytesSent += datagram.Length;
        byte[] bytes = ArrayPool<byte>.Shared.Rent(datagram.Length);
        datagram.CopyTo(bytes);
        Tap?.Invoke(from, to, bytes.AsMemory(0, datagram.Length));
        bool lost = link.Cut || datagram.Length > link.MaxDatagramBytes || (link.Loss > 0 && NextDouble() < link.Loss);
        lost |= DropWhen is not null && DropWhen(number, from, to, bytes.AsMemory(0, datagram.Length));
        if (lost)
        {
            Lost++;
            Trace(1, datagram, from, to);
            ArrayPool<byte>.Shared.Return(bytes);
            return;
        }

        long leaves = Now.Nanoseconds;
        if (link.BitsPerSecond > 0)
        {
            long busy = Math.Max(leaves, _busyUntil.GetValueOrDefault((from, to)));
            if ((busy - leaves) / 1e9 * link.BitsPerSecond / 8 + datagram.Length > link.QueueBytes)
            {
                QueueDrops++;
                Trace(2, datagram, from, to);
                ArrayPool<byte>.Shared.Return(bytes);
                return;
            }

            leaves = busy + (long)(datagram.Length * 8e9 / link.BitsPerSecond);
            _busyUntil[(from, to)] = leaves;
        }

        Deliver(bytes, datagram.Length, from, to, leaves + Travel(link));
        if (link.Duplicate > 0 && NextDouble() < link.Duplicate)
        {
            byte[] twin = ArrayPool<byte>.Shared.Rent(datagram.Length);
            datagram.CopyTo(twin);
            Duplicated++;
            Deliver(twin, datagram.Length, from, to, leaves + Travel(link));
        }
    }

    /// <summary>Calls the node's OnTimer now (within the next step): it was spoken to from outside.</summary>
    public void Wake(ISimNode node) => Push(new Entry { Node = node, Version = -1 }, Now.Nanoseconds);

    public void Schedule(Instant when, Action work) => Push(new Entry { Work = work }, Math.Max(when.Nanoseconds, Now.Nanoseconds));

    /// <summary>Runs until `done` (asked after each step), the network is silent, or `limit` of virtual time has gone by. Returns what `done` says.</summary>
    public bool RunUntil(Func<bool> done, TimeSpan limit)
    {
        Instant end = Now + limit;
        while (!done())
        {
            if (!_queue.TryPeek(out _, out (long Time, long Order) next) || next.Time > end.Nanoseconds)
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
        if (!_queue.TryDequeue(out Entry? entry, out (long Time, long Order) at)) return false;
        Clock.AdvanceTo(new Instant(at.Time));
        if (entry.Work is not null)
        {
            entry.Work();
            return true;
        }

        if (entry.Bytes is not null)
        {
            Span<byte> datagram = entry.Bytes.AsSpan(0, entry.Length);
            InFlight--;
            Trace(0, datagram, entry.From, entry.To);
            if (_nodes.TryGetValue(entry.To, out ISimNode? node))
            {
                Delivered++;
                node.OnDatagram(datagram, entry.From, entry.To, Now);
                Reschedule(node);
            }
            else
            {
                Unreachable++;
            }

            ArrayPool<byte>.Shared.Return(entry.Bytes);
            return true;
        }

        if (entry.Version >= 0 && _deadlines.GetValueOrDefault(entry.Node!).Version != entry.Version) return true;
        if (entry.Version >= 0) _deadlines[entry.Node!] = (Instant.Never, entry.Version + 1);
        entry.Node!.OnTimer(Now);
        Reschedule(entry.Node);
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

    private void Deliver(byte[] bytes, int length, in UdpAddress from, in UdpAddress to, long when)
    {
        InFlight++;
        Push(new Entry { Bytes = bytes, Length = length, From = from, To = to }, when);
    }

    private void Push(Entry entry, long when) => _queue.Enqueue(entry, (when, _order++));

    private void Reschedule(ISimNode node)
    {
        Instant next = node.NextDeadline;
        (Instant when, int version) = _deadlines.GetValueOrDefault(node, (Instant.Never, 0));
        if (when == next && !next.IsNever) return;
        _deadlines[node] = (next, version + 1);
        if (!next.IsNever) Push(new Entry { Node = node, Version = version + 1 }, Math.Max(next.Nanoseconds, Now.Nanoseconds));
    }

    private void Trace(byte what, ReadOnlySpan<byte> datagram, in UdpAddress from, in UdpAddress to)
    {
        ulong h = Mix(TraceHash, what);
        h = Mix(h, (ulong)Now.Nanoseconds);
        h = Mix(Mix(h, from.High ^ from.Low), from.Port);
        h = Mix(Mix(h, to.High ^ to.Low), to.Port);
        h = Mix(h, (ulong)datagram.Length);
        while (datagram.Length >= 8)
        {
            h = Mix(h, BinaryPrimitives.ReadUInt64LittleEndian(datagram));
            datagram = datagram[8..];
        }

        foreach (byte b in datagram) h = Mix(h, b);
        TraceHash = h;
    }

    private static ulong Mix(ulong h, ulong x)
    {
        h = (h ^ x) * 0x9E3779B97F4A7C15;
        return h ^ (h >> 29);
    }
}
