using Oxen.Router.Native;

namespace Oxen.Router.Core.Packets;

/// <summary>A piece of a packet: bytes of the slab.</summary>
internal struct TunPiece
{
    public int Offset;
    public int Length;
}

/// <summary>One packet for the system: its virtio header, and the pieces that make it up, side by side in <see cref="TunWriteBatch.Pieces"/>.</summary>
internal struct TunWrite
{
    public VirtioHeader Header;
    public int FirstPiece;
    public int PieceCount;

    /// <summary>Bytes of all pieces; at most 65 535.</summary>
    public int Length;
}

/// <summary>
/// Packets to hand to the system, in order. A super-packet is written from where its segments lie (headers of the first, then
/// the payloads), so nothing is copied before the kernel does. The bytes stay in the slab until <see cref="Clear"/>.
/// </summary>
internal sealed class TunWriteBatch(PinnedBlock slab, int packets, int pieces)
{
    public readonly TunWrite[] Items = new TunWrite[packets];
    public readonly TunPiece[] Pieces = new TunPiece[pieces];

    public PinnedBlock Slab { get; } = slab;

    public int Count { get; set; }

    public int PieceCount { get; set; }

    public void Clear()
    {
        Count = 0;
        PieceCount = 0;
    }
}
