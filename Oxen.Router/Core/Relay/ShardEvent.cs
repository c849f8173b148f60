using System.Runtime.InteropServices;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Relay;

internal enum ShardEventKind : byte
{
    /// <summary>Three packets in an epoch failed at an end of the path: it is closed here, nothing passes any more.</summary>
    PathClosed,

    /// <summary>The client asked this hop to end the path.</summary>
    TeardownReceived,

    /// <summary>A datagram of the link came from `Address`, opened, and was dropped: QUIC should validate the address.</summary>
    LinkAddressChanged,

    /// <summary>A client's path has no number left in this epoch: it needs a successor.</summary>
    NumbersExhausted,

    /// <summary>A command could not be done: a table was full or a link unknown. `Path` or `Link` says whose.</summary>
    CommandRefused,

    /// <summary>A path that was to be retired is no more, and what was written for it before has been sent.</summary>
    PathRetired,
}

/// <summary>What the control thread should know. Small, and never more of them than the queue holds.</summary>
internal struct ShardEvent
{
    public ShardEventKind Kind;
    public PathNumber Path;
    public int Link;
    public UdpAddress Address;
    public Instant At;
}

/// <summary>Events from a shard to the control thread: one producer, one consumer, bounded; what does not fit is counted in <see cref="Lost"/>.</summary>
internal sealed class ShardEventQueue(int slots)
{
    private readonly ShardEvent[] _items = new ShardEvent[slots];
    private Cursors _cursors;

    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Cursors
    {
        [FieldOffset(0)] public long Head;
        [FieldOffset(8)] public long Lost;
        [FieldOffset(64)] public long Tail;
    }

    /// <summary>Nothing waits; the control thread need not be woken.</summary>
    public bool IsEmpty => Volatile.Read(ref _cursors.Tail) == Volatile.Read(ref _cursors.Head);

    /// <summary>How many wait.</summary>
    public int Count => (int)(Volatile.Read(ref _cursors.Head) - Volatile.Read(ref _cursors.Tail));

    public long Lost => Volatile.Read(ref _cursors.Lost);

    public bool TryAdd(in ShardEvent happened)
    {
        long head = _cursors.Head;
        if (head - Volatile.Read(ref _cursors.Tail) >= _items.Length)
        {
            _cursors.Lost++;
            return false;
        }

        _items[head % _items.Length] = happened;
        Volatile.Write(ref _cursors.Head, head + 1);
        return true;
    }

    public bool TryTake(out ShardEvent happened)
    {
        long tail = _cursors.Tail;
        if (tail == Volatile.Read(ref _cursors.Head))
        {
            happened = default;
            return false;
        }

        happened = _items[tail % _items.Length];
        Volatile.Write(ref _cursors.Tail, tail + 1);
        return true;
    }
}
