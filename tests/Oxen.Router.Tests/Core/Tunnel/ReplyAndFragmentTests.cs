using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Tunnel;

public sealed class ReplyAndFragmentTests
{
    private readonly SeededEntropy _entropy = new(72);

    [Theory, InlineData(0), InlineData(12)]
    public void Fragments_fit_and_put_together_give_the_original_data(int options)
    {
        for (int length = 1321; length < 9000; length += 97)
        {
            byte[] packet = Udp4(length, options);
            Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket p));
            Assert.True(Ipv4Fragmenter.IsFor(in p));
            byte[] whole = new byte[length], piece = new byte[TunnelConstants.InnerMtu];
            var cut = new Ipv4Fragmenter(p);
            int covered = 0, bytes;
            bool last = false;
            while ((bytes = cut.Next(packet, piece)) != 0)
            {
                Assert.False(last);
                Assert.Equal(DropReason.None, IpClassifier.Read(piece.AsSpan(0, bytes), out IpPacket f));
                Assert.Equal((p.Identification, covered), (f.Identification, f.FragmentOffset));
                Assert.Equal(covered == 0 ? 20 + options : options == 0 ? 20 : 24, f.HeaderBytes);
                piece.AsSpan(f.HeaderBytes, f.Length - f.HeaderBytes).CopyTo(whole.AsSpan(covered));
                covered += f.Length - f.HeaderBytes;
                last = !f.MoreFragments;
            }

            Assert.True(last);
            Assert.Equal(length - p.HeaderBytes, covered);
            Assert.True(whole.AsSpan(0, covered).SequenceEqual(packet.AsSpan(p.HeaderBytes)));
        }
    }

    [Fact]
    public void A_packet_too_big_is_answered_with_the_inner_mtu_and_a_right_checksum()
    {
        byte[] packet = Udp4(3000, 0), reply = new byte[IcmpReply.LongestReply];
        IpClassifier.Read(packet, out IpPacket p);
        int length = IcmpReply.Write(packet, in p, IcmpError.TooBig, 0x0A000001, reply);
        Assert.Equal(576, length);
        Assert.Equal(DropReason.None, IpClassifier.Read(reply.AsSpan(0, length), out IpPacket r));
        Assert.Equal((3, 4, p.Source), (r.IcmpType, r.IcmpCode, r.Destination));
        Assert.Equal(1320, BinaryPrimitives.ReadUInt16BigEndian(reply.AsSpan(26)));
        Assert.True(InternetChecksum.IsTransportValid(reply, in r));

        // Never an error about an error.
        Assert.Equal(0, IcmpReply.Write(reply, in r, IcmpError.NoRoute, 0x0A000001, new byte[IcmpReply.LongestReply]));
    }

    [Fact]
    public void An_ipv6_packet_too_big_is_answered_within_the_minimum_mtu()
    {
        byte[] packet = new byte[2000], reply = new byte[IcmpReply.LongestReply];
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), 1960);
        (packet[6], packet[7], packet[8], packet[24]) = (IpProtocol.Udp, 64, 0xFD, 0x20);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(44), 1960);
        Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket p));
        Assert.Equal(1280, IcmpReply.Write(packet, in p, IcmpError.TooBig, 1234, reply));
        Assert.Equal(DropReason.None, IpClassifier.Read(reply, out IpPacket r));
        Assert.Equal((2, 0, p.Source), (r.IcmpType, r.IcmpCode, r.Destination));
        Assert.Equal(1320u, BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(44)));
        Assert.True(InternetChecksum.IsTransportValid(reply, in r));
    }

    // Options of 12 bytes: a stream id with the copied flag (4), an experiment without it (6), then the end.
    private byte[] Udp4(int length, int options)
    {
        byte[] packet = new byte[length];
        int header = 20 + options;
        _entropy.FillPublic(packet.AsSpan(header));
        packet[0] = (byte)(0x40 | header / 4);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)length);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)_entropy.Next(65536));
        (packet[8], packet[9], packet[12], packet[16]) = (64, IpProtocol.Udp, 10, 192);
        if (options != 0) new byte[] { 30, 6, 0, 0, 0, 0, 136, 4, 1, 2, 0, 0 }.CopyTo(packet, 20);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(header + 4), (ushort)(length - header));
        InternetChecksum.WriteHeader4(packet);
        return packet;
    }
}
