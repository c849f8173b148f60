using System.Numerics;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native;

namespace Oxen.Router.Core.Sessions;

// Puts the two fragments of a record together again, in whatever order they come. A part that came alone waits in a slot of
// the slab, at the end where its other part will not stand, so that a whole record always lies in one piece:
//
//   first part waits:   [ first ......            ]   the last one goes right behind it
//   last part waits:    [            ...... last  ]   the first one goes right before it
//
// What a stranger can take is bounded three times: slots in all, slots of one path, and the time that a part may wait. Full
// means that the oldest makes room: parts of one record are sent one after the other, so an old one has lost its other part.
// One thread owns an instance (a shard for IP packets, the session thread for the rest); nothing is allocated after the start.

/// <summary>Waiting parts of split records, in the slab.</summary>
internal sealed class RecordAssembler
{
    /// <summary>How long a part waits: several times what packets of one path overtake each other by.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(200);

    /// <summary>Parts that one path may have waiting.</summary>
    public const int MostPerPath = 32;

    /// <summary>Slab bytes for each slot: the longest record, to the next cache line.</summary>
    public const int SlotBytes = (RecordLayout.MaxBytes + 63) & ~63;

    private readonly PinnedBlock _slab;
    private readonly int _start;
    private readonly DropCounters _drops;
    private readonly Slot[] _slots;
    private readonly int[] _buckets;
    private readonly int[] _free, _done;
    private int _freeCount, _doneCount;
    private int _oldest = -1, _newest = -1;

    private struct Slot
    {
        public PathRef Path;
        public RecordFragment Part;
        public int Length;
        public Instant Until;
        public int Next;           // in the bucket
        public int Older, Newer;
    }

    /// <param name="start">Where `slots` * <see cref="SlotBytes"/> bytes of the slab are ours.</param>
    public RecordAssembler(PinnedBlock slab, int start, int slots, DropCounters drops)
    {
        ArgumentNullException.ThrowIfNull(slab);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(slots);
        if (start < 0 || start + (long)slots * SlotBytes > slab.Length) throw new ArgumentOutOfRangeException(nameof(start));
        _slab = slab;
        _start = start;
        _drops = drops;
        _slots = new Slot[slots];
        _buckets = new int[BitOperations.RoundUpToPowerOf2((uint)slots)];
        _buckets.AsSpan().Fill(-1);
        _free = new int[slots];
        _done = new int[slots];
        _freeCount = slots;
        for (int i = 0; i < slots; i++) _free[i] = slots - 1 - i;
    }

    /// <summary>Parts that wait for their other part.</summary>
    public int Waiting => _slots.Length - _freeCount - _doneCount;

    /// <summary>
    /// Takes the bytes of a record of type 5. True: it was the second part; the whole record stands at `offset` of the slab until
    /// <see cref="Release"/>. False: it waits, or was dropped and counted.
    /// </summary>
    /// <param name="path">Where it came from; parts of different paths never meet.</param>
    /// <param name="bytes">May lie in the same slab, outside of our slots.</param>
    /// <param name="type">Of the whole record.</param>
    public bool TryAdd(PathRef path, ReadOnlySpan<byte> bytes, Instant now, out RecordType type, out int offset, out int length)
    {
        type = RecordType.End;
        offset = 0;
        length = 0;
        Expire(now);
        if (!RecordFragment.TryRead(bytes, out RecordFragment part, out ReadOnlySpan<byte> data))
        {
            _drops.Count(DropReason.BadRecord);
            return false;
        }

        int found = -1, ofPath = 0, oldestOfPath = -1;
        for (int i = _buckets[Bucket(path)]; i >= 0; i = _slots[i].Next)
        {
            ref Slot slot = ref _slots[i];
            if (slot.Path != path) continue;
            ofPath++;
            oldestOfPath = i; // a bucket's newest stands first
            if (slot.Part.Of == part.Of && slot.Part.Id == part.Id) found = i;
        }

        if (found >= 0 && _slots[found].Part.Part != part.Part) return TryJoin(found, part, data, out type, out offset, out length);

        // Nothing comes twice through the onion layer, so the id has gone once around, or the sender is no good: the newer one counts.
        if (found >= 0) Drop(found, DropReason.BadRecord);
        else if (ofPath == MostPerPath) Drop(oldestOfPath, DropReason.FragmentTableFull);
        else if (_freeCount == 0 && _oldest >= 0) Drop(_oldest, DropReason.FragmentTableFull);
        if (_freeCount == 0 || data.Length > RecordLayout.MaxBytes)
        {
            _drops.Count(_freeCount == 0 ? DropReason.FragmentTableFull : DropReason.BadRecord);
            return false;
        }

        Wait(path, part, data, now);
        return false;
    }

    /// <summary>The whole records that <see cref="TryAdd"/> gave are no longer needed.</summary>
    public void Release()
    {
        while (_doneCount > 0) _free[_freeCount++] = _done[--_doneCount];
    }

    /// <summary>Drops and counts the parts that have waited too long. <see cref="TryAdd"/> does so as well.</summary>
    public void Expire(Instant now)
    {
        while (_oldest >= 0 && _slots[_oldest].Until <= now) Drop(_oldest, DropReason.FragmentTimeout);
    }

    private void Wait(PathRef path, RecordFragment part, ReadOnlySpan<byte> data, Instant now)
    {
        int i = _free[--_freeCount];
        ref int bucket = ref _buckets[Bucket(path)];
        _slots[i] = new Slot { Path = path, Part = part, Length = data.Length, Until = now + Patience, Next = bucket, Older = _newest, Newer = -1 };
        bucket = i;
        if (_newest >= 0) _slots[_newest].Newer = i;
        else _oldest = i;
        _newest = i;
        data.CopyTo(_slab.Slice(At(i) + (part.Part == RecordFragment.First ? 0 : RecordLayout.MaxBytes - data.Length), data.Length));
    }

    private bool TryJoin(int i, RecordFragment part, ReadOnlySpan<byte> data, out RecordType type, out int offset, out int length)
    {
        int waited = _slots[i].Length;
        type = part.Of;
        offset = At(i);
        length = waited + data.Length;
        if (length > RecordLayout.MaxBytes)
        {
            Drop(i, DropReason.BadRecord);
            return false;
        }

        if (part.Part == RecordFragment.Last)
        {
            data.CopyTo(_slab.Slice(offset + waited, data.Length));
        }
        else
        {
            offset += RecordLayout.MaxBytes - length;
            data.CopyTo(_slab.Slice(offset, data.Length));
        }

        Unlink(i);
        _done[_doneCount++] = i;
        return true;
    }

    private void Drop(int i, DropReason reason)
    {
        _drops.Count(reason);
        Unlink(i);
        _free[_freeCount++] = i;
    }

    private void Unlink(int i)
    {
        ref Slot slot = ref _slots[i];
        if (slot.Older >= 0) _slots[slot.Older].Newer = slot.Newer;
        else _oldest = slot.Newer;
        if (slot.Newer >= 0) _slots[slot.Newer].Older = slot.Older;
        else _newest = slot.Older;
        ref int at = ref _buckets[Bucket(slot.Path)];
        while (at != i) at = ref _slots[at].Next;
        at = slot.Next;
    }

    private int At(int i) => _start + i * SlotBytes;

    private int Bucket(PathRef path) => (int)(((uint)path.Number.Row * 4 + (uint)path.Shard) * 0x9E3779B1u >> 8) & (_buckets.Length - 1);
}
