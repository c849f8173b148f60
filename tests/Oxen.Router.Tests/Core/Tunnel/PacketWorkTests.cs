using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Tunnel;

/// <summary>Checksums, translation and the MSS clamp, judged by a word-by-word RFC 1071 loop that shares nothing with ours.</summary>
public sealed class PacketWorkTests
{
    private const int Rounds = 4000;
    private readonly SeededEntropy _entropy = new(71);

    [Fact]
    public void Sums_equal_the_naive_loop_at_every_length_and_alignment()
    {
        byte[] data = new byte[2048 + 64], copy = new byte[2048];
        _entropy.FillPublic(data);
        for (int length = 0; length <= 2048; length++)
        {
            ReadOnlySpan<byte> part = data.AsSpan(length % 61, length);
            ushort naive = Naive(part);
            Assert.Equal(naive, InternetChecksum.Fold(InternetChecksum.Sum(part)));
            Assert.Equal(naive, InternetChecksum.Fold(InternetChecksum.SumScalar(part)));
            Assert.Equal(naive, InternetChecksum.Fold(InternetChecksum.Sum256(part)));
            Assert.Equal(naive, InternetChecksum.Fold(InternetChecksum.Sum512(part)));
            for (int kernel = 0; kernel < 3; kernel++)
            {
                copy.AsSpan().Fill(0xA5);
                uint sum = kernel switch { 0 => InternetChecksum.CopyAndSum(part, copy), 1 => InternetChecksum.CopyAndSum256(part, copy), _ => InternetChecksum.CopyAndSum512(part, copy) };
                Assert.Equal(naive, InternetChecksum.Fold(sum));
                Assert.True(part.SequenceEqual(copy.AsSpan(0, length)));
                Assert.True(copy.AsSpan(length).IndexOfAnyExcept((byte)0xA5) < 0, "wrote behind the end");
            }

            int cut = length / 3;
            uint rest = InternetChecksum.Sum(part[cut..]);
            Assert.Equal(naive, InternetChecksum.Fold(InternetChecksum.Sum(part[..cut]) + (cut % 2 == 0 ? rest : InternetChecksum.AtOddOffset(rest))));
        }
    }

    [Fact]
    public void All_ones_of_the_longest_packet_do_not_overflow()
    {
        byte[] ones = new byte[65534];
        ones.AsSpan().Fill(0xFF);
        Assert.Equal(0xFFFF, InternetChecksum.Fold(InternetChecksum.Sum(ones)));
        Assert.Equal(0xFFFF, InternetChecksum.Fold(InternetChecksum.Sum256(ones)));
        Assert.Equal(0xFFFF, InternetChecksum.Fold(InternetChecksum.Sum512(ones)));
        Assert.Equal(0xFFFF, InternetChecksum.Fold(InternetChecksum.SumScalar(ones)));
    }

    [Theory, InlineData(4), InlineData(6)]
    public void A_translated_packet_is_as_valid_as_before(int version)
    {
        for (int i = 0; i < Rounds; i++)
        {
            byte protocol = (i % 3) switch { 0 => IpProtocol.Tcp, 1 => IpProtocol.Udp, _ => version == 4 ? IpProtocol.Icmp : IpProtocol.IcmpV6 };
            byte[] packet = Packet(version, protocol, 24 + _entropy.Next(200), echo: true);
            Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket p));
            Assert.True(NaiveValid(packet, p));
            UInt128 source = Address(version), destination = Address(version);
            AddressTranslation.RewriteSource(packet, ref p, source, partialChecksum: false);
            AddressTranslation.RewriteDestination(packet, ref p, destination, partialChecksum: false);
            Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket after));
            Assert.Equal((source, destination), (after.Source, after.Destination));
            Assert.True(NaiveValid(packet, after), $"round {i}");
        }
    }

    [Theory, InlineData(4), InlineData(6)]
    public void An_error_is_translated_with_the_packet_that_it_is_about(int version)
    {
        for (int i = 0; i < Rounds; i++)
        {
            byte[] about = Packet(version, i % 2 == 0 ? IpProtocol.Tcp : IpProtocol.Udp, 24 + _entropy.Next(60), echo: false);
            IpClassifier.Read(about, out IpPacket lost);
            byte[] error = Wrap(version, about, Address(version), lost.Source);
            Assert.Equal(DropReason.None, IpClassifier.Read(error, out IpPacket p));
            Assert.True(IcmpRules.IsError(in p) && NaiveValid(error, p));
            UInt128 local = Address(version);
            AddressTranslation.RewriteDestination(error, ref p, local, partialChecksum: false);
            Assert.True(NaiveValid(error, p));
            Assert.Equal(DropReason.None, IpClassifier.Read(error.AsSpan(p.PayloadOffset), out IpPacket inner));
            Assert.Equal((local, lost.Destination), (inner.Source, inner.Destination));
            Assert.True(NaiveValid(error.AsSpan(p.PayloadOffset), inner));
        }
    }

    [Theory, InlineData(4), InlineData(6)]
    public void A_partial_checksum_follows_the_address_and_can_be_finished(int version)
    {
        byte[] packet = Packet(version, IpProtocol.Tcp, 200, echo: false);
        IpClassifier.Read(packet, out IpPacket p);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(p.ChecksumOffset), InternetChecksum.Fold(InternetChecksum.PseudoHeader(in p, p.TransportBytes)));
        AddressTranslation.RewriteSource(packet, ref p, Address(version), partialChecksum: true);

        // As the kernel finishes it: the sum from the transport's first byte, with the partial one in its field.
        ushort sum = (ushort)~Naive(packet.AsSpan(p.HeaderBytes));
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(p.ChecksumOffset), sum);
        Assert.True(NaiveValid(packet, p));
    }

    [Fact]
    public void An_absent_checksum_of_udp_over_ipv4_stays_absent()
    {
        byte[] packet = Packet(4, IpProtocol.Udp, 40, echo: false);
        IpClassifier.Read(packet, out IpPacket p);
        packet[p.ChecksumOffset] = packet[p.ChecksumOffset + 1] = 0;
        AddressTranslation.RewriteSource(packet, ref p, 0x0A000001, partialChecksum: false);
        Assert.Equal(0, packet[p.ChecksumOffset] | packet[p.ChecksumOffset + 1]);
    }

    [Theory]
    [InlineData(4, 0, 1460, 1280), InlineData(4, 1, 9000, 1280), InlineData(6, 0, 1440, 1260), InlineData(6, 3, 65535, 1260), InlineData(4, 1, 536, 536), InlineData(6, 0, 1260, 1260)]
    public void A_syn_announces_no_more_than_fits(int version, int padding, int announced, int expected)
    {
        byte[] packet = Packet(version, IpProtocol.Tcp, 28, echo: false);
        IpClassifier.Read(packet, out IpPacket p);
        Span<byte> tcp = packet.AsSpan(p.HeaderBytes);
        tcp[12] = 7 << 4;
        tcp[13] = IpPacket.TcpSyn;
        tcp[20..28].Clear();
        tcp.Slice(20, padding).Fill(1);
        tcp[20 + padding] = 2;
        tcp[21 + padding] = 4;
        BinaryPrimitives.WriteUInt16BigEndian(tcp[(22 + padding)..], (ushort)announced);
        IpClassifier.Read(packet, out p);
        InternetChecksum.WriteTransport(packet, in p);
        Assert.Equal(announced != expected, MssClamp.Apply(packet, in p, partialChecksum: false));
        Assert.Equal(expected, BinaryPrimitives.ReadUInt16BigEndian(tcp[(22 + padding)..]));
        Assert.True(NaiveValid(packet, p));
    }

    [Fact]
    public void Nothing_is_allocated()
    {
        byte[] packet = Packet(6, IpProtocol.Tcp, 1200, echo: false), copy = new byte[packet.Length];
        Assert.Equal(0, AllocationAssert.Measure(() =>
        {
            IpClassifier.Read(packet, out IpPacket p);
            AddressTranslation.RewriteSource(packet, ref p, p.Source + 1, partialChecksum: false);
            MssClamp.Apply(packet, in p, partialChecksum: false);
            InternetChecksum.CopyAndSum(packet, copy);
        }));
    }

    private UInt128 Address(int version) => version == 4 ? (uint)_entropy.NextUInt64() : new UInt128(_entropy.NextUInt64(), _entropy.NextUInt64());

    private byte[] Packet(int version, byte protocol, int transport, bool echo)
    {
        int header = version == 4 ? 20 : 40;
        byte[] packet = new byte[header + transport];
        _entropy.FillPublic(packet.AsSpan(header));
        Header(packet, version, protocol, Address(version), Address(version));
        Span<byte> t = packet.AsSpan(header);
        if (protocol == IpProtocol.Tcp) (t[12], t[13]) = (5 << 4, IpPacket.TcpAck);
        if (protocol == IpProtocol.Udp) BinaryPrimitives.WriteUInt16BigEndian(t[4..], (ushort)transport);
        if (echo && protocol is IpProtocol.Icmp or IpProtocol.IcmpV6) (t[0], t[1]) = (version == 4 ? IcmpRules.EchoRequest4 : IcmpRules.EchoRequest6, 0);
        Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket p));
        InternetChecksum.WriteTransport(packet, in p);
        return packet;
    }

    private static byte[] Wrap(int version, byte[] about, UInt128 source, UInt128 destination)
    {
        int header = version == 4 ? 20 : 40;
        byte[] packet = new byte[header + 8 + about.Length];
        about.CopyTo(packet, header + 8);
        packet[header] = version == 4 ? IcmpRules.Unreachable4 : IcmpRules.PacketTooBig6;
        Header(packet, version, version == 4 ? IpProtocol.Icmp : IpProtocol.IcmpV6, source, destination);
        IpClassifier.Read(packet, out IpPacket p);
        InternetChecksum.WriteTransport(packet, in p);
        return packet;
    }

    private static void Header(Span<byte> packet, int version, byte protocol, UInt128 source, UInt128 destination)
    {
        if (version == 4)
        {
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
            packet[8] = 64;
            packet[9] = protocol;
            BinaryPrimitives.WriteUInt32BigEndian(packet[12..], (uint)source);
            BinaryPrimitives.WriteUInt32BigEndian(packet[16..], (uint)destination);
            BinaryPrimitives.WriteUInt16BigEndian(packet[10..], (ushort)~Naive(packet[..20]));
            return;
        }

        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(packet.Length - 40));
        packet[6] = protocol;
        packet[7] = 64;
        BinaryPrimitives.WriteUInt128BigEndian(packet[8..], source);
        BinaryPrimitives.WriteUInt128BigEndian(packet[24..], destination);
    }

    // RFC 1071 section 1, word by word.
    private static ushort Naive(ReadOnlySpan<byte> data)
    {
        int sum = 0;
        for (int i = 0; i < data.Length; i += 2)
        {
            sum += data[i] << 8 | (i + 1 < data.Length ? data[i + 1] : 0);
            if (sum > 0xFFFF) sum -= 0xFFFF;
        }

        return (ushort)sum;
    }

    private static bool NaiveValid(ReadOnlySpan<byte> packet, IpPacket p)
    {
        int header = p.Version == 4 ? 20 : 40, length = p.Length - header;
        if (p.Version == 4 && Naive(packet[..20]) != 0xFFFF) return false;
        ReadOnlySpan<byte> addresses = p.Version == 4 ? packet[12..20] : packet[8..40];
        bool pseudo = p.Protocol != IpProtocol.Icmp;
        byte[] whole = [.. pseudo ? addresses : [], .. pseudo ? [(byte)(length >> 8), (byte)length, 0, p.Protocol] : Array.Empty<byte>(), .. packet.Slice(header, length)];
        return Naive(whole) == 0xFFFF;
    }
}
