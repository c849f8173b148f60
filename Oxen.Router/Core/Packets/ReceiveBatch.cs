using Oxen.Router.Native;

namespace Oxen.Router.Core.Packets;

/// <summary>One receive from the kernel: datagrams of one sender, `SegmentBytes` apart (GRO); the last may be shorter.</summary>
internal struct Received
{
    /// <summary>Where the first datagram begins, in the shard's slab.</summary>
    public int Offset;

    /// <summary>Bytes of all datagrams together.</summary>
    public int Length;

    /// <summary>Bytes from one datagram's beginning to the next; equal to <see cref="Length"/> for a single datagram.</summary>
    public int SegmentBytes;

    public UdpAddress From;
}

/// <summary>
/// What one call to the socket brought: `Count` receives, each in a slot of 64 KiB at the start of the shard's slab.
/// The driver owns it; the core works on the bytes in place.
/// </summary>
internal sealed class ReceiveBatch(PinnedBlock slab, int offset, int slots)
{
    /// <summary>A GRO receive carries at most this much.</summary>
    public const int SlotBytes = 65536;

    public readonly Received[] Items = new Received[slots];

    public PinnedBlock Slab { get; } = slab;

    /// <summary>Where slot 0 begins in the slab; slot i begins at `Offset + i * SlotBytes`.</summary>
    public int Offset { get; } = offset;

    public int Slots { get; } = slots;

    public int Count { get; set; }

    /// <summary>Datagrams that the kernel dropped for want of buffer since the last batch (SO_RXQ_OVFL).</summary>
    public uint KernelDrops { get; set; }
}
