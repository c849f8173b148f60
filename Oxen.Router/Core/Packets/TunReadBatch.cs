using Oxen.Router.Native;

namespace Oxen.Router.Core.Packets;

/// <summary>One packet that the system sent into the TUN device: an IP packet of up to 64 KiB, to be cut as its header says.</summary>
internal struct TunRead
{
    /// <summary>Where the IP packet begins, in the shard's slab.</summary>
    public int Offset;

    public int Length;

    /// <summary>As the kernel gave it: not yet checked against the packet.</summary>
    public VirtioHeader Header;
}

/// <summary>
/// What the TUN device brought: `Count` packets, one behind the other in the shard's slab, so that many small ones are read in a
/// turn. The driver fills it only after the core has emptied it (<see cref="Clear"/>); the core works on the bytes in place.
/// </summary>
/// <param name="slots">Room for so many packets of the greatest length.</param>
internal sealed class TunReadBatch(PinnedBlock slab, int offset, int slots)
{
    /// <summary>Room for the virtio header in front; packets begin on cache lines.</summary>
    public const int Headroom = 64;

    /// <summary>Headroom, and the longest IP packet there is.</summary>
    public const int SlotBytes = Headroom + 65536;

    private const int PacketsPerSlot = 8;

    private readonly int _end = offset + slots * SlotBytes;
    private int _next = offset;

    public readonly TunRead[] Items = new TunRead[slots * PacketsPerSlot];

    public PinnedBlock Slab { get; } = slab;

    /// <summary>Where the first packet's headroom begins in the slab.</summary>
    public int Offset { get; } = offset;

    public int Count { get; private set; }

    /// <summary>Where the next packet, of any length, may begin; the headroom lies before it. False: no room before the next <see cref="Clear"/>.</summary>
    public bool TryReserve(out int at)
    {
        at = _next + Headroom;
        return Count < Items.Length && _next + SlotBytes <= _end;
    }

    /// <summary>A packet stands where <see cref="TryReserve"/> said.</summary>
    public void Add(int length, in VirtioHeader header)
    {
        Items[Count++] = new TunRead { Offset = _next + Headroom, Length = length, Header = header };
        _next += (Headroom + length + Headroom - 1) & -Headroom;
    }

    public void Clear()
    {
        Count = 0;
        _next = Offset;
    }
}
