using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Linux;

// The shapes in which batches cross into this assembly. They have the layout of the router's own Received, Transmit
// and UdpAddress, so that the driver casts arrays instead of copying them; NativeSelfTest and the tests hold both sides to it.

/// <summary>An IPv4 or IPv6 address with port; address bytes in network order, as two big-endian words.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UdpEndPoint
{
    public const byte IPv4 = 4, IPv6 = 6;

    public ulong High;
    public ulong Low;
    public uint Scope;
    public ushort Port;
    public byte Family;
}

/// <summary>One receive: bytes `SegmentBytes` apart at `Offset` of the slab.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UdpArrival
{
    public int Offset;
    public int Length;
    public int SegmentBytes;
    public UdpEndPoint From;
}

/// <summary>One datagram to send: bytes of the slab, and the row of its address.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UdpDeparture
{
    public int Offset;
    public int Length;
    public int Route;
}

/// <summary>What became of a batch, in datagrams. The three add up to the batch.</summary>
internal struct UdpSendResult
{
    public int Sent;

    /// <summary>The socket's or the device's queue was full.</summary>
    public int QueueFull;

    /// <summary>The kernel refused them: no route, too large for the path, forbidden.</summary>
    public int Refused;
}
