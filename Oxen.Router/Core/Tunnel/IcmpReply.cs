using System.Buffers.Binary;

namespace Oxen.Router.Core.Tunnel;

/// <summary>Errors that an end of the tunnel answers with. How often is the caller's business.</summary>
internal enum IcmpError : byte
{
    /// <summary>Fragmentation Needed (RFC 1191) or Packet Too Big (RFC 4443 section 3.2), with <see cref="TunnelConstants.InnerMtu"/>.</summary>
    TooBig,

    /// <summary>Refused by policy: type 3 code 13 (RFC 1812 section 5.2.7.1), or type 1 code 1.</summary>
    Prohibited,

    /// <summary>No way there at present: type 3 code 1 (host), or type 1 code 0 (no route).</summary>
    NoRoute,
}

// Builds an ICMP error about a packet, from `source` (an address of ours) to the packet's sender:
//   IP header without options | type, code, checksum, 4 bytes (MTU or 0) | the packet's beginning, as much as the cap allows
internal static class IcmpReply
{
    public const int LongestReply = TunnelConstants.MinimumMtu;

    /// <param name="about">The packet, as it came; `p` is what the classifier found in it.</param>
    /// <param name="reply">Room for <see cref="LongestReply"/> bytes, apart from `about`.</param>
    /// <param name="source">IPv4: in the lowest 32 bits.</param>
    /// <returns>The reply's length, or 0: this packet is not to be answered.</returns>
    public static int Write(ReadOnlySpan<byte> about, in IpPacket p, IcmpError error, UInt128 source, Span<byte> reply)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(reply.Length, LongestReply, nameof(reply));
        if (!MayAnswer(in p, error)) return 0;
        int header = p.Version == 4 ? TunnelConstants.IPv4HeaderBytes : TunnelConstants.IPv6HeaderBytes;
        int quoted = Math.Min(p.Length, (p.Version == 4 ? TunnelConstants.MinimumReassembly : TunnelConstants.MinimumMtu) - header - 8);
        int length = header + 8 + quoted;
        reply = reply[..length];
        reply[..(header + 8)].Clear();
        about[..quoted].CopyTo(reply[(header + 8)..]);
        uint pseudo = 0;
        if (p.Version == 4)
        {
            // Identification 0 with DF set: an atomic datagram (RFC 6864 section 4.1).
            reply[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(reply[2..], (ushort)length);
            reply[6] = 0x40;
            reply[8] = 64;
            reply[9] = IpProtocol.Icmp;
            BinaryPrimitives.WriteUInt32BigEndian(reply[12..], (uint)source);
            BinaryPrimitives.WriteUInt32BigEndian(reply[16..], p.Source4);
            InternetChecksum.WriteHeader4(reply);
        }
        else
        {
            reply[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(reply[4..], (ushort)(length - header));
            reply[6] = IpProtocol.IcmpV6;
            reply[7] = 64;
            BinaryPrimitives.WriteUInt128BigEndian(reply[8..], source);
            BinaryPrimitives.WriteUInt128BigEndian(reply[24..], p.Source);
            pseudo = InternetChecksum.PseudoHeader6(source, p.Source, IpProtocol.IcmpV6, length - header);
        }

        Span<byte> icmp = reply[header..];
        (icmp[0], icmp[1]) = (p.Version, error) switch
        {
            (4, IcmpError.TooBig) => (IcmpRules.Unreachable4, (byte)4),
            (4, IcmpError.Prohibited) => (IcmpRules.Unreachable4, (byte)13),
            (4, _) => (IcmpRules.Unreachable4, (byte)1),
            (_, IcmpError.TooBig) => (IcmpRules.PacketTooBig6, (byte)0),
            (_, IcmpError.Prohibited) => (IcmpRules.Unreachable6, (byte)1),
            _ => (IcmpRules.Unreachable6, (byte)0),
        };

        // Both families keep the MTU in the last 16 of the 32 bits.
        if (error == IcmpError.TooBig) BinaryPrimitives.WriteUInt16BigEndian(icmp[6..], TunnelConstants.InnerMtu);
        BinaryPrimitives.WriteUInt16BigEndian(icmp[2..], InternetChecksum.Finish(pseudo + InternetChecksum.Sum(icmp)));
        return length;
    }

    /// <summary>
    /// Never to an ICMP message other than echo, a later fragment, a group or broadcast, or a source that is no single host
    /// (RFC 1122 section 3.2.2; RFC 4443 section 2.4 (e), where Packet Too Big may answer a multicast).
    /// </summary>
    public static bool MayAnswer(in IpPacket p, IcmpError error)
    {
        if (p.FragmentOffset != 0) return false;
        if (p.Version == 4)
        {
            if (p.IsIcmp && p.IcmpType is not (IcmpRules.EchoRequest4 or IcmpRules.EchoReply4)) return false;

            // 0/8, 127/8, 224/4, 240/4 with the limited broadcast.
            uint from = p.Source4 >> 24;
            return from is not (0 or 127 or >= 224) && p.Destination4 >> 28 < 14;
        }

        if (p.IsIcmp && p.IcmpType is not (IcmpRules.EchoRequest6 or IcmpRules.EchoReply6)) return false;
        if (p.Source <= UInt128.One || p.Source >> 120 == 0xFF) return false;
        return error == IcmpError.TooBig || p.Destination >> 120 != 0xFF;
    }
}
