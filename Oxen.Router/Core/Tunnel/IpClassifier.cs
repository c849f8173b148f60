using System.Buffers.Binary;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Tunnel;

// Reads one IP packet, of either family, that anybody may have written: any bytes give an IpPacket or a DropReason.
//
//   IPv4  header (checksum, length) -> options -> fragment fields -> transport
//   IPv6  header (length) -> extension headers, each in turn -> transport
//
// Both ends of the tunnel translate or check addresses. So a packet whose meaning hangs on addresses that stand elsewhere
// than in its header (source routes, recorded routes, AH, mobility, HIP, shim6) is refused rather than carried half right.
internal static class IpClassifier
{
    // Option kinds of IPv4 (RFC 791 section 3.1) and IPv6 (RFC 8200 section 4.2, RFC 2675, RFC 6275 section 6.3).
    private const byte EndOfOptions = 0, NoOperation = 1, RecordRoute = 7, Timestamp = 68, LooseSourceRoute = 131, StrictSourceRoute = 137;
    private const byte Pad1 = 0, JumboPayload = 0xC2, HomeAddress = 0xC9;

    /// <summary>Reads the packet at the start of the span. `result` is to be used only after <see cref="DropReason.None"/>.</summary>
    public static DropReason Read(ReadOnlySpan<byte> packet, out IpPacket result)
    {
        result = default;
        if (packet.Length < TunnelConstants.IPv4HeaderBytes) return DropReason.BadIpHeader;
        return (packet[0] >> 4) switch
        {
            4 => ReadIPv4(packet, ref result),
            6 => ReadIPv6(packet, ref result),
            _ => DropReason.BadIpHeader,
        };
    }

    //  0        1      2         4        6              8     9          10         12       16            20
    //  +--------+------+---------+--------+--------------+-----+----------+----------+--------+-------------+---------
    //  | 4, IHL | DSCP | length  | id     | flags 3, frag| TTL | protocol | checksum | source | destination | options
    //  +--------+------+---------+--------+--------------+-----+----------+----------+--------+-------------+---------
    //  RFC 791 section 3.1
    private static DropReason ReadIPv4(ReadOnlySpan<byte> packet, ref IpPacket p)
    {
        int header = (packet[0] & 15) * 4;
        int length = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if (header < TunnelConstants.IPv4HeaderBytes || header > length || length > packet.Length) return DropReason.BadIpHeader;
        packet = packet[..length];
        if (InternetChecksum.Fold(InternetChecksum.SumScalar(packet[..header])) != 0xFFFF) return DropReason.BadIpHeader;

        int fragment = BinaryPrimitives.ReadUInt16BigEndian(packet[6..]);
        if ((fragment & 0x8000) != 0) return DropReason.BadIpHeader;
        p.Version = 4;
        p.TrafficClass = packet[1];
        p.Length = length;
        p.Identification = BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        p.DontFragment = (fragment & 0x4000) != 0;
        p.MoreFragments = (fragment & 0x2000) != 0;
        p.FragmentOffset = (fragment & 0x1FFF) * 8;
        p.IsFragment = p.MoreFragments || p.FragmentOffset != 0;
        p.HopLimit = packet[8];
        p.Protocol = packet[9];
        p.Source = BinaryPrimitives.ReadUInt32BigEndian(packet[12..]);
        p.Destination = BinaryPrimitives.ReadUInt32BigEndian(packet[16..]);
        p.HeaderBytes = header;
        p.TransportBytes = length - header;

        DropReason reason = header == TunnelConstants.IPv4HeaderBytes ? DropReason.None : CheckOptions4(packet[TunnelConstants.IPv4HeaderBytes..header]);
        if (reason == DropReason.None && p.IsFragment) reason = CheckFragment(in p, header);
        if (reason != DropReason.None) return reason;
        return p.Protocol switch
        {
            IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Icmp or IpProtocol.Sctp or IpProtocol.Esp => ReadTransport(packet, ref p),
            IpProtocol.Authentication or IpProtocol.Mobility or IpProtocol.HostIdentity or IpProtocol.Shim6 => DropReason.AddressBoundHeader,
            _ => DropReason.UnknownIpProtocol,
        };
    }

    // Record Route and Timestamp are here because the sender's own system enters its address into them.
    private static DropReason CheckOptions4(ReadOnlySpan<byte> options)
    {
        while (!options.IsEmpty)
        {
            byte kind = options[0];
            if (kind == EndOfOptions) break;
            if (kind == NoOperation)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || options[1] < 2 || options[1] > options.Length) return DropReason.BadIpHeader;
            if (kind is LooseSourceRoute or StrictSourceRoute or RecordRoute or Timestamp) return DropReason.AddressBoundHeader;
            options = options[options[1]..];
        }

        return DropReason.None;
    }

    //  0                     4                6             7           8        24            40
    //  +---------------------+----------------+-------------+-----------+--------+-------------+--------------------
    //  | 6, class 8, flow 20 | payload length | next header | hop limit | source | destination | extension headers
    //  +---------------------+----------------+-------------+-----------+--------+-------------+--------------------
    //  RFC 8200 section 3. A jumbogram's payload length is 0 (RFC 2675): what follows is then too short to be a transport.
    private static DropReason ReadIPv6(ReadOnlySpan<byte> packet, ref IpPacket p)
    {
        if (packet.Length < TunnelConstants.IPv6HeaderBytes) return DropReason.BadIpHeader;
        int length = TunnelConstants.IPv6HeaderBytes + BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        if (length > packet.Length || length > TunnelConstants.LongestPacket) return DropReason.BadIpHeader;
        packet = packet[..length];
        p.Version = 6;
        p.TrafficClass = (byte)(BinaryPrimitives.ReadUInt16BigEndian(packet) >> 4);
        p.Length = length;
        p.DontFragment = true;
        p.HopLimit = packet[7];
        p.Source = BinaryPrimitives.ReadUInt128BigEndian(packet[8..]);
        p.Destination = BinaryPrimitives.ReadUInt128BigEndian(packet[24..]);

        int at = TunnelConstants.IPv6HeaderBytes;
        byte next = packet[6];
        bool fragmented = false;
        for (int count = 0; ; count++)
        {
            p.Protocol = next;
            p.HeaderBytes = at;
            p.TransportBytes = length - at;
            switch (next)
            {
                case IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.IcmpV6 or IpProtocol.Sctp or IpProtocol.Esp:
                    return ReadTransport(packet, ref p);
                case IpProtocol.NoNextHeader:
                    return DropReason.None;
                case IpProtocol.HopByHop or IpProtocol.DestinationOptions or IpProtocol.Routing or IpProtocol.Fragment:
                    break;
                case IpProtocol.Authentication or IpProtocol.Mobility or IpProtocol.HostIdentity or IpProtocol.Shim6:
                    return DropReason.AddressBoundHeader;
                default:
                    return DropReason.UnknownIpProtocol;
            }

            // Behind a later fragment's header stands data, not the header that it names: its transport cannot be told.
            if (p.FragmentOffset != 0) return DropReason.BadFragment;
            if (count == TunnelConstants.MostExtensions || length - at < 8) return DropReason.BadIpHeader;

            // Hop-by-hop options stand first or nowhere (RFC 8200 section 4.1).
            if (next == IpProtocol.HopByHop && count != 0) return DropReason.BadIpHeader;
            ReadOnlySpan<byte> header = packet[at..];
            next = header[0];
            if (p.Protocol == IpProtocol.Fragment)
            {
                if (fragmented) return DropReason.BadFragment;
                fragmented = true;
                at += 8;
                if (ReadFragment(header, at, ref p) is var bad and not DropReason.None) return bad;
                continue;
            }

            int bytes = 8 + header[1] * 8;
            if (bytes > header.Length) return DropReason.BadIpHeader;

            // Type 0 is forbidden (RFC 5095). Of any other, segments left means that the destination is not the last one.
            DropReason reason = p.Protocol == IpProtocol.Routing
                ? header[2] == 0 || header[3] != 0 ? DropReason.AddressBoundHeader : DropReason.None
                : CheckOptions6(header[2..bytes]);
            if (reason != DropReason.None) return reason;
            at += bytes;
        }
    }

    //  0             1          2                        4
    //  +-------------+----------+------------------------+----------------+
    //  | next header | reserved | offset 13, 0 0, more 1 | identification |   RFC 8200 section 4.5
    //  +-------------+----------+------------------------+----------------+
    private static DropReason ReadFragment(ReadOnlySpan<byte> header, int end, ref IpPacket p)
    {
        int field = BinaryPrimitives.ReadUInt16BigEndian(header[2..]);
        p.FragmentOffset = field & 0xFFF8;
        p.MoreFragments = (field & 1) != 0;
        p.IsFragment = p.MoreFragments || p.FragmentOffset != 0;
        p.Identification = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
        p.HeaderBytes = end;
        return p.IsFragment ? CheckFragment(in p, end - 8 - TunnelConstants.IPv6HeaderBytes) : DropReason.None;
    }

    // `kept` is what the reassembled packet's length field counts beside the fragments' data, as far as this one shows it: the
    // header of IPv4, the extension headers of IPv6 before the fragment header, which is no part of it.
    private static DropReason CheckFragment(in IpPacket p, int kept)
    {
        int data = p.Length - p.HeaderBytes;
        if (data == 0 || (p.MoreFragments && data % 8 != 0)) return DropReason.BadFragment;
        return kept + p.FragmentOffset + data > TunnelConstants.LongestPacket ? DropReason.BadFragment : DropReason.None;
    }

    // Options of hop-by-hop and destination headers: each fits, none is a jumbogram's or an alternative source address.
    private static DropReason CheckOptions6(ReadOnlySpan<byte> options)
    {
        while (!options.IsEmpty)
        {
            byte kind = options[0];
            if (kind == Pad1)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || 2 + options[1] > options.Length || kind == JumboPayload) return DropReason.BadIpHeader;
            if (kind == HomeAddress) return DropReason.AddressBoundHeader;
            options = options[(2 + options[1])..];
        }

        return DropReason.None;
    }

    // The transport's header must be here whole, in a first fragment too (RFC 7112; RFC 1858 for IPv4): policies read ports.
    private static DropReason ReadTransport(ReadOnlySpan<byte> packet, ref IpPacket p)
    {
        // A second fragment that begins inside the TCP header overwrites its flags (RFC 1858 section 4, RFC 3128).
        if (p.FragmentOffset != 0) return p.Protocol == IpProtocol.Tcp && p.FragmentOffset == 8 ? DropReason.BadFragment : DropReason.None;

        ReadOnlySpan<byte> transport = packet[p.HeaderBytes..];
        int header = 8;
        switch (p.Protocol)
        {
            case IpProtocol.Tcp:
                if (transport.Length < 20) return DropReason.BadTransportHeader;
                header = (transport[12] >> 4) * 4;
                if (header < 20) return DropReason.BadTransportHeader;
                p.TcpFlags = transport[13];
                break;
            case IpProtocol.Udp:
                if (transport.Length < 8) return DropReason.BadTransportHeader;
                int length = BinaryPrimitives.ReadUInt16BigEndian(transport[4..]);
                if (length < 8) return DropReason.BadTransportHeader;
                if (p.IsFragment) break;
                if (length > transport.Length) return DropReason.BadTransportHeader;
                p.TransportBytes = length;
                break;
            case IpProtocol.Sctp:
                header = 12;
                break;
            default: // ESP; ICMP of both families, where every message has 8 bytes
                break;
        }

        if (transport.Length < header) return DropReason.BadTransportHeader;
        p.HasTransport = true;
        p.PayloadOffset = p.HeaderBytes + header;
        if (p.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6)
        {
            p.IcmpType = transport[0];
            p.IcmpCode = transport[1];
        }
        else if (p.Protocol != IpProtocol.Esp)
        {
            p.SourcePort = BinaryPrimitives.ReadUInt16BigEndian(transport);
            p.DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(transport[2..]);
        }

        return DropReason.None;
    }
}
