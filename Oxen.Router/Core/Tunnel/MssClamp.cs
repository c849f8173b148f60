using System.Buffers.Binary;

namespace Oxen.Router.Core.Tunnel;

/// <summary>Lowers the MSS that a SYN announces to what fits the inner MTU, so that neither end relies on ICMP. Never raises it, never adds it.</summary>
internal static class MssClamp
{
    private const byte EndOfOptions = 0, NoOperation = 1, MaximumSegmentSize = 2;

    /// <param name="partialChecksum">The checksum field holds the pseudo header's sum only, which the MSS is no part of.</param>
    /// <returns>Whether the packet was changed. Malformed options are left alone.</returns>
    public static bool Apply(Span<byte> packet, in IpPacket p, bool partialChecksum)
    {
        if (!p.IsTcp || (p.TcpFlags & IpPacket.TcpSyn) == 0) return false;
        int limit = p.Version == 4 ? TunnelConstants.Mss4 : TunnelConstants.Mss6;
        int at = p.HeaderBytes + 20, end = p.PayloadOffset;
        while (at < end)
        {
            byte kind = packet[at];
            if (kind == EndOfOptions) return false;
            if (kind == NoOperation)
            {
                at++;
                continue;
            }

            if (at + 2 > end || packet[at + 1] < 2 || at + packet[at + 1] > end) return false;
            if (kind != MaximumSegmentSize)
            {
                at += packet[at + 1];
                continue;
            }

            if (packet[at + 1] != 4) return false;
            ushort mss = BinaryPrimitives.ReadUInt16BigEndian(packet[(at + 2)..]);
            if (mss <= limit) return false;
            BinaryPrimitives.WriteUInt16BigEndian(packet[(at + 2)..], (ushort)limit);
            if (partialChecksum) return true;

            // Behind an odd number of NOPs the option's value lies across two words of the sum.
            uint change = InternetChecksum.Change(mss, (ushort)limit);
            if (((at - p.HeaderBytes) & 1) != 0) change = InternetChecksum.AtOddOffset(change);
            Span<byte> checksum = packet.Slice(p.ChecksumOffset, 2);
            BinaryPrimitives.WriteUInt16BigEndian(checksum, InternetChecksum.Update(BinaryPrimitives.ReadUInt16BigEndian(checksum), change));
            return true;
        }

        return false;
    }
}
