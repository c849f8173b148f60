namespace Oxen.Router.Core.Tunnel;

/// <summary>What <see cref="IpClassifier"/> found in an IP packet. Offsets count from the packet's first byte; nothing points into it.</summary>
internal struct IpPacket
{
    /// <summary>IPv4: in the lowest 32 bits. The first byte on the wire is the most significant one.</summary>
    public UInt128 Source, Destination;

    /// <summary>As the IP header says; the span may be longer, never shorter.</summary>
    public int Length;

    /// <summary>Where the transport begins: behind all options and extension headers.</summary>
    public int HeaderBytes;

    /// <summary>Where the transport's payload begins; 0 without <see cref="HasTransport"/>.</summary>
    public int PayloadOffset;

    /// <summary>Transport header and payload. UDP: its own length field, which may be less than what IP holds (RFC 9868). Of a fragment: what is in this packet.</summary>
    public int TransportBytes;

    /// <summary>Fragments only: bytes before this one's, in the original packet.</summary>
    public int FragmentOffset;

    /// <summary>IPv4: 16 bits. IPv6: that of the fragment header, 0 without one.</summary>
    public uint Identification;

    /// <summary>Of TCP, UDP, SCTP, with <see cref="HasTransport"/>.</summary>
    public ushort SourcePort, DestinationPort;

    /// <summary>4 or 6.</summary>
    public byte Version;

    /// <summary>The transport: what stands behind all extension headers (<see cref="IpProtocol"/>).</summary>
    public byte Protocol;

    /// <summary>DSCP and ECN.</summary>
    public byte TrafficClass;

    /// <summary>TTL of IPv4, hop limit of IPv6.</summary>
    public byte HopLimit;

    public byte IcmpType, IcmpCode;

    /// <summary>Byte 13 of the TCP header: <see cref="TcpFin"/> and others.</summary>
    public byte TcpFlags;

    /// <summary>IPv4's flag; always true for IPv6, which no router fragments.</summary>
    public bool DontFragment;

    /// <summary>A part of a packet. An IPv6 fragment header on a whole packet (an atomic fragment, RFC 6946) does not count.</summary>
    public bool IsFragment;

    public bool MoreFragments;

    /// <summary>The transport's header is in this packet, whole: false for every fragment but the first, and for "no next header".</summary>
    public bool HasTransport;

    public const byte TcpFin = 1, TcpSyn = 2, TcpReset = 4, TcpPush = 8, TcpAck = 16, TcpUrgent = 32, TcpEcnEcho = 64, TcpCwr = 128;

    public readonly uint Source4 => (uint)Source;

    public readonly uint Destination4 => (uint)Destination;

    public readonly bool IsTcp => Protocol == IpProtocol.Tcp && HasTransport;

    public readonly bool IsUdp => Protocol == IpProtocol.Udp && HasTransport;

    /// <summary>ICMP of this packet's own family.</summary>
    public readonly bool IsIcmp => Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6 && HasTransport;

    /// <summary>Where the transport's checksum stands, from the packet's first byte; 0 when there is none in this packet, or none we know to keep (SCTP's does not cover addresses).</summary>
    public readonly int ChecksumOffset => !HasTransport
        ? 0
        : Protocol switch
        {
            IpProtocol.Tcp => HeaderBytes + 16,
            IpProtocol.Udp => HeaderBytes + 6,
            IpProtocol.Icmp or IpProtocol.IcmpV6 => HeaderBytes + 2,
            _ => 0,
        };
}
