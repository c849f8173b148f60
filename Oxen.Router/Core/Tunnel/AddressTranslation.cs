using System.Buffers.Binary;

namespace Oxen.Router.Core.Tunnel;

// Puts another address into a packet, in place, and every checksum right that covered the old one (RFC 1624):
//   the IPv4 header's; TCP's, UDP's, ICMPv6's (by the pseudo header), where this packet holds it;
//   in an ICMP error the other end of the packet it is about, with that packet's checksums, and then the error's own.
// A checksum that was wrong stays wrong by the same amount. A super-packet is no different: its checksum covers the addresses once.
internal static class AddressTranslation
{
    /// <param name="address">IPv4: in the lowest 32 bits.</param>
    /// <param name="partialChecksum">The transport's checksum field holds the pseudo header's uncomplemented sum (VirtioHeader.NeedsChecksum).</param>
    public static void RewriteSource(Span<byte> packet, ref IpPacket p, UInt128 address, bool partialChecksum)
    {
        Rewrite(packet, in p, p.Version == 4 ? 12 : 8, p.Source, address, partialChecksum, embeddedAt: p.Version == 4 ? 16 : 24);
        p.Source = address;
    }

    /// <inheritdoc cref="RewriteSource"/>
    public static void RewriteDestination(Span<byte> packet, ref IpPacket p, UInt128 address, bool partialChecksum)
    {
        Rewrite(packet, in p, p.Version == 4 ? 16 : 24, p.Destination, address, partialChecksum, embeddedAt: p.Version == 4 ? 12 : 8);
        p.Destination = address;
    }

    private static void Rewrite(Span<byte> packet, in IpPacket p, int at, UInt128 before, UInt128 after, bool partial, int embeddedAt)
    {
        uint change = ChangeOf(p.Version, before, after);
        WriteAddress(packet[at..], p.Version, after);
        if (p.Version == 4) UpdateAt(packet, 10, change);

        int checksum = p.ChecksumOffset;
        if (checksum == 0) return;

        // ICMP of IPv4 has no pseudo header; what follows may still change what it covers.
        uint covered = p.Protocol == IpProtocol.Icmp ? 0 : change;
        if (partial)
        {
            ushort sum = BinaryPrimitives.ReadUInt16BigEndian(packet[checksum..]);
            BinaryPrimitives.WriteUInt16BigEndian(packet[checksum..], InternetChecksum.UpdatePartial(sum, covered));
        }

        if (IcmpRules.IsError(in p))
        {
            uint inside = RewriteEmbedded(packet[p.PayloadOffset..p.Length], p.Version, embeddedAt, before, after, change);
            if (!partial) covered += inside;
        }

        if (partial || covered == 0) return;
        if (p.Protocol == IpProtocol.Udp) UpdateUdp(packet, checksum, covered, p.Version);
        else UpdateAt(packet, checksum, covered);
    }

    // The packet that an error is about, cut off anywhere: returns what the error's checksum gains.
    private static uint RewriteEmbedded(Span<byte> inner, int version, int at, UInt128 before, UInt128 after, uint change)
    {
        if (inner.Length < (version == 4 ? TunnelConstants.IPv4HeaderBytes : TunnelConstants.IPv6HeaderBytes) || inner[0] >> 4 != version) return 0;
        if (ReadAddress(inner[at..], version) != before) return 0;
        WriteAddress(inner[at..], version, after);
        uint gained = change;
        if (version == 4) gained += UpdateAt(inner, 10, change);

        int checksum = version == 4 ? FindChecksum4(inner, out byte protocol) : FindChecksum6(inner, out protocol);
        if (checksum == 0 || checksum + 2 > inner.Length) return gained;
        return gained + (protocol == IpProtocol.Udp ? UpdateUdp(inner, checksum, change, version) : UpdateAt(inner, checksum, change));
    }

    private static int FindChecksum4(ReadOnlySpan<byte> inner, out byte protocol)
    {
        protocol = inner[9];
        int header = (inner[0] & 15) * 4;
        if (header < TunnelConstants.IPv4HeaderBytes || (BinaryPrimitives.ReadUInt16BigEndian(inner[6..]) & 0x1FFF) != 0) return 0;
        return protocol switch
        {
            IpProtocol.Tcp => header + 16,
            IpProtocol.Udp => header + 6,
            _ => 0,
        };
    }

    private static int FindChecksum6(ReadOnlySpan<byte> inner, out byte protocol)
    {
        int at = TunnelConstants.IPv6HeaderBytes;
        protocol = inner[6];
        for (int count = 0; count <= TunnelConstants.MostExtensions; count++)
        {
            switch (protocol)
            {
                case IpProtocol.Tcp:
                    return at + 16;
                case IpProtocol.Udp:
                    return at + 6;
                case IpProtocol.IcmpV6:
                    return at + 2;
                case IpProtocol.HopByHop or IpProtocol.DestinationOptions or IpProtocol.Routing or IpProtocol.Fragment when at + 8 <= inner.Length:
                    bool fragment = protocol == IpProtocol.Fragment;
                    if (fragment && (BinaryPrimitives.ReadUInt16BigEndian(inner[(at + 2)..]) & 0xFFF8) != 0) return 0;
                    protocol = inner[at];
                    at += fragment ? 8 : 8 + inner[at + 1] * 8;
                    break;
                default:
                    return 0;
            }
        }

        return 0;
    }

    // Returns what the sum over the field itself gained.
    private static uint UpdateAt(Span<byte> bytes, int at, uint change)
    {
        ushort before = BinaryPrimitives.ReadUInt16BigEndian(bytes[at..]);
        ushort after = InternetChecksum.Update(before, change);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[at..], after);
        return InternetChecksum.Change(before, after);
    }

    // RFC 768: 0 says that there is none, so a checksum that comes out as 0 is sent as 0xFFFF.
    private static uint UpdateUdp(Span<byte> bytes, int at, uint change, int version)
    {
        ushort before = BinaryPrimitives.ReadUInt16BigEndian(bytes[at..]);
        if (before == 0 && version == 4) return 0;
        ushort after = InternetChecksum.Update(before, change);
        if (after == 0) after = 0xFFFF;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[at..], after);
        return InternetChecksum.Change(before, after);
    }

    private static uint ChangeOf(int version, UInt128 before, UInt128 after)
        => version == 4 ? InternetChecksum.Change((uint)before, (uint)after) : InternetChecksum.Change(before, after);

    private static UInt128 ReadAddress(ReadOnlySpan<byte> from, int version)
        => version == 4 ? BinaryPrimitives.ReadUInt32BigEndian(from) : BinaryPrimitives.ReadUInt128BigEndian(from);

    private static void WriteAddress(Span<byte> to, int version, UInt128 address)
    {
        if (version == 4) BinaryPrimitives.WriteUInt32BigEndian(to, (uint)address);
        else BinaryPrimitives.WriteUInt128BigEndian(to, address);
    }
}
