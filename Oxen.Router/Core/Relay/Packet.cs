using System.Runtime.InteropServices;
using Oxen.Router.Core.Onion;

namespace Oxen.Router.Core.Relay;

/// <summary>Where a packet stands in the pipeline.</summary>
internal enum Verdict : byte
{
    /// <summary>Opened; goes on to the next stage.</summary>
    Undecided,

    /// <summary>Counted and forgotten.</summary>
    Drop,

    /// <summary>Peeled, for another hop: to the replay filter, then out.</summary>
    Forward,

    /// <summary>Ten zeros: for us.</summary>
    Addressed,

    /// <summary>Has its new inner header: to be sealed for a link.</summary>
    Leave,

    /// <summary>Handed to a ring, or answered and done with.</summary>
    Done,
}

/// <summary>What moves through the stages; the bytes stay where the network put them.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Packet
{
    public int Offset;       // of the datagram, in the slab
    public ushort Length;
    public Verdict Verdict;
    public SizeClass Class;
    public int Ingress;      // row of the link's receiver; the sender's row once it leaves
    public int Slot;         // row of the slot table
    public uint Epoch;       // absolute path epoch; 0 until looked up
    public int Next;         // next packet of the same egress
}
