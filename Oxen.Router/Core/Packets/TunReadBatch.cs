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
/// What the TUN device brought: `Count` packets, each in a slot of its own in the shard's slab. The driver fills it only after
/// the core has emptied it (<see cref="Count"/> is 0 again); the core works on the bytes in place.
/// </summary>
internal sealed class TunReadBatch(PinnedBlock slab, int offset, int slots)
{
    /// <summary>Room for the virtio header in front; the IP packet begins at this place of its slot.</summary>
    public const int Headroom = 64;

    /// <summary>Headroom, and the longest IP packet there is.</summary>
    public const int SlotBytes = Headroom + 65536;

    public readonly TunRead[] Items = new TunRead[slots];

    public PinnedBlock Slab { get; } = slab;

    /// <summary>Where slot 0 begins in the slab; slot i begins at `Offset + i * SlotBytes`.</summary>
    public int Offset { get; } = offset;

    public int Slots { get; } = slots;

    public int Count { get; set; }
}
