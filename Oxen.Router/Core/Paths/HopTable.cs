using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Paths;

/// <summary>What a packet on a slot is to us.</summary>
internal enum SlotKind : byte
{
    Free = 0,

    /// <summary>The path was closed here; the slot waits for its removal.</summary>
    Closed,
    TransitUp,
    TransitDown,
    TerminalUp,
    ClientDown,
}

/// <summary>One direction of a path, as its handle finds it: one cache line.</summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
internal struct SlotRow
{
    public uint Generation;
    public SlotKind Kind;
    public SizeClass Class;
    public int IngressLink;
    public int Path;             // row of the path; its keys have the same row
    public int EgressSender;     // row of the link table, -1 until found
    public int EgressLink;
    public ulong EgressHandle;   // as on the wire
    public long Expires;         // nanoseconds
    public long CapNext;         // when the cap's bucket is empty again (GCRA)
    public int CapInterval;      // nanoseconds a packet; 0 no cap
    public int Credit;           // share left over from the last batch
    public long Packets;         // taken on this direction

    public readonly PathDirection Direction => Kind is SlotKind.TransitUp or SlotKind.TerminalUp ? PathDirection.Upstream : PathDirection.Downstream;
}

internal enum PathKind : byte
{
    None = 0,
    Transit,
    Terminal,
    Client,
}

[InlineArray(Length)]
internal struct PerHop
{
    public const int Length = 8;
    private int _first;
}

/// <summary>A path as a whole: what is looked at for its ends and for hop control, not for packets that pass through.</summary>
internal struct PathRow
{
    public uint Generation;
    public PathKind Kind;
    public SizeClass Class;
    public byte Hops;            // a client's; else 1
    public byte Failures;        // in FailureEpoch
    public bool Closed;
    public uint FailureEpoch;
    public int UpSlot;           // rows of the slot table, or -1
    public int DownSlot;
    public int OutSender;        // where what we originate leaves
    public int OutLink;
    public byte OutShard;
    public byte OnwardShard;     // a transit path's other egress
    public ulong OutHandle;
    public ulong NextNumber;     // of what we originate: runs on over the path's life
    public ulong NumberLimit;    // the hard stop of NumberEpoch
    public uint NumberEpoch;
    public uint StartEpoch;
    public long AnswerNext;      // GCRA
    public long Expires;
    public PerHop KeyRows;
    public PerHop Windows;       // first window of each hop that we hear
    public OutstandingProbes? Probes;
    public int JoinedRow;        // a rendezvous: 1 + the row of the path that packets cross to; 0 none
    public uint JoinedGeneration;
    public int TunnelPeer;       // 1 + the peer whose IP packets come out here; 0 none
}

/// <summary>
/// The shard's tables of slots and paths. Written by commands between batches; read by array index on the packet path.
/// </summary>
internal sealed class HopTable
{
    private readonly int _shard;
    private readonly uint _shardCount;
    private readonly SlotRow[] _slots;
    private readonly PathRow[] _paths;

    public HopTable(int shard, int shardCount, int slots, int paths)
    {
        _shard = shard;
        _shardCount = (uint)shardCount;

        // Pinned so that rows can lie on cache lines for good.
        _slots = GC.AllocateArray<SlotRow>(slots, pinned: true);
        _paths = new PathRow[paths];
    }

    public int PathCount => _paths.Length;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref SlotRow Slot(int row) => ref _slots[row];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref PathRow Path(int row) => ref _paths[row];

    /// <summary>The row that a slot number of ours names, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int RowOf(uint slot)
    {
        uint row = _shardCount == 1 ? slot : slot / _shardCount;
        if (row >= (uint)_slots.Length || (_shardCount != 1 && slot % _shardCount != (uint)_shard)) return -1;
        return (int)row;
    }

    /// <summary>The handle of a row, for the replay filter's mix.</summary>
    public uint SlotNumber(int row) => (uint)row * _shardCount + (uint)_shard;

    /// <summary>Whether the number names a path of this generation.</summary>
    public bool IsPath(int row, uint generation)
        => (uint)row < (uint)_paths.Length && _paths[row].Kind != PathKind.None && _paths[row].Generation == generation;

    /// <summary>May a packet with this handle, from this link and in this class, use the slot? Needs no key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public DropReason Check(in SlotRow slot, uint generation, int link, SizeClass size, Instant now)
    {
        if (slot.Kind == SlotKind.Free) return DropReason.UnknownPath;
        if (slot.Generation != generation) return DropReason.StaleHandle;
        if (slot.IngressLink != link) return DropReason.WrongLink;
        if (slot.Kind == SlotKind.Closed) return DropReason.PathClosed;
        if (slot.Class != size) return DropReason.WrongClass;
        if (slot.Expires <= now.Nanoseconds) return DropReason.PathExpired;
        return DropReason.None;
    }
}
