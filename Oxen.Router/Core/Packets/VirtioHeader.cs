using System.Runtime.InteropServices;

namespace Oxen.Router.Core.Packets;

/// <summary>
/// What travels in front of each packet of a TUN device with IFF_VNET_HDR: virtio_net_hdr of linux/virtio_net.h, 10 bytes in
/// the machine's own byte order. It says which checksum is still to be computed and how a super-packet is to be cut.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct VirtioHeader
{
    public const int Bytes = 10;

    /// <summary>The checksum at <see cref="ChecksumStart"/> + <see cref="ChecksumOffset"/> holds only the pseudo header's sum.</summary>
    public const byte NeedsChecksum = 1;

    /// <summary>The checksum was verified.</summary>
    public const byte ChecksumValid = 2;

    public const byte NotSegmented = 0, Tcp4 = 1, Tcp6 = 4, Udp = 5;

    /// <summary>Set beside <see cref="Tcp4"/> or <see cref="Tcp6"/>: CWR stands in the first segment only.</summary>
    public const byte EcnBit = 0x80;

    public byte Flags;

    /// <summary><see cref="NotSegmented"/>, or how to cut; <see cref="Udp"/> is USO, of either family.</summary>
    public byte Segmentation;

    /// <summary>Bytes of all headers, IP and transport. A hint; may be 0.</summary>
    public ushort HeaderBytes;

    /// <summary>Payload bytes of each segment but the last.</summary>
    public ushort SegmentBytes;

    /// <summary>Where summing begins, from the packet's first byte.</summary>
    public ushort ChecksumStart;

    /// <summary>Where the checksum stands, from <see cref="ChecksumStart"/>.</summary>
    public ushort ChecksumOffset;
}
