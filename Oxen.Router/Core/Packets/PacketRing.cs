using System.Diagnostics;
using System.Runtime.InteropServices;
using Oxen.Router.Native;

namespace Oxen.Router.Core.Packets;

/// <summary>What a packet in a <see cref="PacketRing"/> is about; the meaning of the numbers is its two ends' affair.</summary>
internal struct PacketTag
{
    /// <summary>Path, session or route number.</summary>
    public int Subject;

    /// <summary>Generation of the subject, so that a number given away again is not mistaken.</summary>
    public uint Generation;

    /// <summary>Bytes in use, from the slot's <see cref="PacketRing.Headroom"/> on.</summary>
    public int Length;

    /// <summary>Command of the onion content, or kind.</summary>
    public byte Command;

    /// <summary>Hop that a client's packet is for or came from.</summary>
    public byte Hop;

    public UdpAddress From;
    public Instant At;
}

/// <summary>
/// Packets from one thread to one other, without a lock: a ring of fixed slots in the shard's slab, and a tag beside each.
/// The producer writes into a slot that it reserved, the consumer works on the bytes in place and releases in order.
/// </summary>
/// <remarks>Full means full: the producer drops and counts. Waking the consumer is the host's affair.</remarks>
internal sealed class PacketRing
{
    /// <summary>Bytes of a slot: headroom, one packet of the largest class, its tag, room to the next cache line.</summary>
    public const int SlotBytes = 1536;

    /// <summary>
    /// Room in front of the content for link header (32) and onion head with command (17), so that sealing never copies: the
    /// content of an onion packet begins at 64, its body at 47, its link header at 15.
    /// </summary>
    public const int Headroom = 64;

    private readonly PacketTag[] _tags;
    private readonly int _mask;
    private readonly int _offset;
    private readonly PinnedBlock _slab;
    private Cursors _cursors;

    [StructLayout(LayoutKind.Explicit, Size = 192)]
    private struct Cursors
    {
        [FieldOffset(0)] public long Head;      // next to be written; the producer's
        [FieldOffset(8)] public long TailSeen;  // the producer's copy of Tail
        [FieldOffset(64)] public long Tail;     // next to be released; the consumer's
        [FieldOffset(72)] public long HeadSeen; // the consumer's copy of Head
        [FieldOffset(80)] public long Next;     // next to be taken; the consumer's
    }

    /// <param name="slots">A power of two.</param>
    public PacketRing(PinnedBlock slab, int offset, int slots)
    {
        ArgumentNullException.ThrowIfNull(slab);
        if (slots < 2 || (slots & (slots - 1)) != 0) throw new ArgumentOutOfRangeException(nameof(slots), "a power of two");
        if (offset < 0 || (long)offset + (long)slots * SlotBytes > slab.Length) throw new ArgumentOutOfRangeException(nameof(offset));
        _slab = slab;
        _offset = offset;
        _mask = slots - 1;
        _tags = new PacketTag[slots];
    }

    public int Slots => _mask + 1;

    public PinnedBlock Slab => _slab;

    public bool IsEmpty => Volatile.Read(ref _cursors.Head) == Volatile.Read(ref _cursors.Tail);

    /// <summary>Packets between the two ends; exact only for the two ends themselves.</summary>
    public int Depth => (int)(Volatile.Read(ref _cursors.Head) - Volatile.Read(ref _cursors.Tail));

    /// <summary>Packets that were ever put in; for the consumer, who compares it with <see cref="Released"/> later.</summary>
    public long Written => Volatile.Read(ref _cursors.Head);

    /// <summary>Packets that were ever given back to the producer.</summary>
    public long Released => Volatile.Read(ref _cursors.Tail);

    // ---- the producer ----

    /// <summary>A free slot's bytes (all <see cref="SlotBytes"/>), or false when the ring is full. Nothing is visible until <see cref="Commit"/>.</summary>
    public bool TryReserve(out Span<byte> slot)
    {
        long head = _cursors.Head;
        if (head - _cursors.TailSeen > _mask)
        {
            _cursors.TailSeen = Volatile.Read(ref _cursors.Tail);
            if (head - _cursors.TailSeen > _mask)
            {
                slot = default;
                return false;
            }
        }

        slot = Slot(head);
        return true;
    }

    /// <summary>Publishes the slot that <see cref="TryReserve"/> gave.</summary>
    public void Commit(in PacketTag tag)
    {
        long head = _cursors.Head;
        _tags[head & _mask] = tag;
        Volatile.Write(ref _cursors.Head, head + 1);
    }

    // ---- the consumer ----

    /// <summary>Takes the next packet without releasing it; `offset` is the slot's place in the slab.</summary>
    public bool TryTake(out PacketTag tag, out int offset)
    {
        long next = _cursors.Next;
        if (next == _cursors.HeadSeen)
        {
            _cursors.HeadSeen = Volatile.Read(ref _cursors.Head);
            if (next == _cursors.HeadSeen)
            {
                tag = default;
                offset = 0;
                return false;
            }
        }

        tag = _tags[next & _mask];
        offset = _offset + (int)(next & _mask) * SlotBytes;
        _cursors.Next = next + 1;
        return true;
    }

    /// <summary>Gives all taken slots back to the producer.</summary>
    public void ReleaseTaken()
    {
        Debug.Assert(_cursors.Next >= _cursors.Tail, "released more than taken");
        Volatile.Write(ref _cursors.Tail, _cursors.Next);
    }

    private Span<byte> Slot(long number) => _slab.Slice(_offset + (int)(number & _mask) * SlotBytes, SlotBytes);
}
