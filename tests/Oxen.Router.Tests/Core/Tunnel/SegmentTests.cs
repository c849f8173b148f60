using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Tunnel;

/// <summary>Super-packets are cut to packets that are whole in themselves, and neighbours of a flow become super-packets again.</summary>
public class SegmentTests
{
    private const int Slot = 1536;

    [Theory]
    [InlineData(4, true, 40_000, 1268)]
    [InlineData(6, true, 60_000, 1248)]
    [InlineData(4, false, 30_000, 1292)]
    [InlineData(6, false, 9_999, 100)]
    public void Segments_have_right_checksums_and_join_to_the_super_packet_again(int version, bool tcp, int payload, int segment)
    {
        byte[] super = Super(version, tcp, payload, out VirtioHeader header, segment);
        using var slab = new PinnedBlock(1024 * Slot);
        List<(int Offset, IpPacket Ip)> segments = Cut(super, header, slab);
        Assert.Equal((payload + segment - 1) / segment, segments.Count);
        foreach ((int offset, IpPacket ip) in segments)
        {
            Assert.InRange(ip.Length, 1, TunnelConstants.InnerMtu);
            Assert.True(NaiveValid(slab.Slice(offset, ip.Length), ip), "checksum of a segment");
        }

        var writes = new TunWriteBatch(slab, 1024, 1024);
        var coalescer = new Coalescer(slab, writes, mergeUdp: true);
        foreach ((int offset, IpPacket ip) in segments) Assert.True(coalescer.TryAdd(offset, ip));
        coalescer.Flush();
        var joined = new List<byte>();
        int before = 0;
        for (int i = 0; i < writes.Count; i++)
        {
            byte[] packet = Bytes(writes, i);
            Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket ip));
            if (writes.Items[i].PieceCount > 1) Assert.Equal(segment, writes.Items[i].Header.SegmentBytes);
            joined.AddRange(packet.AsSpan(ip.PayloadOffset));
            if (tcp) Assert.Equal((uint)(1000 + before), BinaryPrimitives.ReadUInt32BigEndian(packet.AsSpan(ip.HeaderBytes + 4)));
            before = joined.Count;
        }

        Assert.InRange(writes.Count, 1, 1 + segments.Count / 40);
        IpClassifier.Read(super, out IpPacket whole);
        Assert.Equal(super[whole.PayloadOffset..], joined);
    }

    [Fact]
    public void Only_the_first_segment_says_CWR_and_only_the_last_FIN_and_PSH()
    {
        byte[] super = Super(4, true, 5000, out VirtioHeader header, 1268);
        super[33] = IpPacket.TcpAck | IpPacket.TcpFin | IpPacket.TcpPush | IpPacket.TcpCwr;
        using var slab = new PinnedBlock(64 * Slot);
        List<(int Offset, IpPacket Ip)> segments = Cut(super, header, slab);
        Assert.Equal(IpPacket.TcpAck | IpPacket.TcpCwr, segments[0].Ip.TcpFlags);
        Assert.Equal(IpPacket.TcpAck, segments[1].Ip.TcpFlags);
        Assert.Equal(IpPacket.TcpAck | IpPacket.TcpFin | IpPacket.TcpPush, segments[^1].Ip.TcpFlags);
    }

    [Fact]
    public void A_gap_another_flow_or_a_wrong_checksum_is_never_merged_and_order_is_kept_within_a_flow()
    {
        byte[] super = Super(4, true, 1268 * 6, out VirtioHeader header, 1268);
        using var slab = new PinnedBlock(64 * Slot);
        List<(int Offset, IpPacket Ip)> segments = Cut(super, header, slab);
        slab.Slice(segments[4].Offset, segments[4].Ip.Length)[^1] ^= 1; // damage
        var writes = new TunWriteBatch(slab, 64, 64);
        var coalescer = new Coalescer(slab, writes, mergeUdp: true);
        foreach (int i in (int[])[0, 1, 3, 4, 5]) Assert.True(coalescer.TryAdd(segments[i].Offset, segments[i].Ip));
        byte[] damaged = slab.Slice(segments[4].Offset, segments[4].Ip.Length).ToArray();
        coalescer.Flush();
        Assert.Equal([2, 1, 1, 1], writes.Items.Take(writes.Count).Select(w => w.PieceCount));
        Assert.Equal(damaged, Bytes(writes, 2));
        Assert.Equal(0, writes.Items[2].Header.Flags);
    }

    [Theory]
    [InlineData(VirtioHeader.Tcp6, 1268, 20, 16)] // the other family
    [InlineData(VirtioHeader.Tcp4, 0, 20, 16)]    // cut into nothing
    [InlineData(VirtioHeader.Tcp4, 1268, 24, 16)] // the sum begins elsewhere
    [InlineData(VirtioHeader.Tcp4, 1268, 20, 6)]  // and ends elsewhere
    [InlineData(VirtioHeader.Udp, 1268, 20, 16)]
    [InlineData(9, 1268, 20, 16)]
    public void A_virtio_header_that_does_not_fit_its_packet_is_refused(byte kind, ushort segment, ushort start, ushort offset)
    {
        byte[] super = Super(4, true, 5000, out VirtioHeader header, 1268);
        header.Segmentation = kind;
        header.SegmentBytes = segment;
        header.ChecksumStart = start;
        header.ChecksumOffset = offset;
        IpClassifier.Read(super, out IpPacket ip);
        var segmenter = default(Segmenter);
        Assert.Equal(DropReason.BadVirtioHeader, segmenter.Begin(ip, header));
        Assert.False(segmenter.IsOpen);
    }

    [Fact]
    public void Segments_longer_than_the_inner_MTU_are_their_senders_affair()
    {
        byte[] super = Super(4, true, 5000, out VirtioHeader header, 1460);
        IpClassifier.Read(super, out IpPacket ip);
        Assert.Equal(DropReason.TooLarge, default(Segmenter).Begin(ip, header));
    }

    [Fact]
    public void Cutting_and_merging_allocate_nothing()
    {
        byte[] super = Super(6, true, 60_000, out VirtioHeader header, 1248);
        using var slab = new PinnedBlock(64 * Slot);
        var writes = new TunWriteBatch(slab, 64, 64);
        var coalescer = new Coalescer(slab, writes, mergeUdp: true);
        long bytes = AllocationAssert.Measure(() =>
        {
            IpClassifier.Read(super, out IpPacket ip);
            var segmenter = default(Segmenter);
            segmenter.Begin(ip, header);
            for (int i = 0; segmenter.TryNext(super, slab.Slice(i * Slot, Slot), out int length); i++)
            {
                IpClassifier.Read(slab.Slice(i * Slot, length), out IpPacket cut);
                coalescer.TryAdd(i * Slot, cut);
            }

            coalescer.Flush();
            writes.Clear();
        });
        Assert.Equal(0, bytes);
    }

    private static List<(int Offset, IpPacket Ip)> Cut(byte[] super, VirtioHeader header, PinnedBlock slab)
    {
        Assert.Equal(DropReason.None, IpClassifier.Read(super, out IpPacket whole));
        var segmenter = default(Segmenter);
        Assert.Equal(DropReason.None, segmenter.Begin(whole, header));
        var segments = new List<(int, IpPacket)>();
        for (int at = 0; segmenter.TryNext(super, slab.Slice(at, Slot), out int length); at += Slot)
        {
            Assert.Equal(DropReason.None, IpClassifier.Read(slab.Slice(at, length), out IpPacket ip));
            segments.Add((at, ip));
        }

        return segments;
    }

    private static byte[] Bytes(TunWriteBatch writes, int i)
    {
        var bytes = new List<byte>();
        TunWrite write = writes.Items[i];
        foreach (TunPiece piece in writes.Pieces.AsSpan(write.FirstPiece, write.PieceCount)) bytes.AddRange(writes.Slab.Slice(piece.Offset, piece.Length));
        Assert.Equal(write.Length, bytes.Count);
        return [.. bytes];
    }

    private static byte[] Super(int version, bool tcp, int payload, out VirtioHeader header, int segment)
    {
        int ip = version == 4 ? 20 : 40;
        int transport = tcp ? 20 : 8;
        byte[] p = new byte[ip + transport + payload];
        if (version == 4)
        {
            p[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(p.AsSpan(2), (ushort)p.Length);
            p[6] = 0x40;
            p[8] = 64;
            p[9] = (byte)(tcp ? 6 : 17);
            new byte[] { 10, 98, 0, 2, 192, 0, 2, 7 }.CopyTo(p, 12);
            InternetChecksum.WriteHeader4(p);
        }
        else
        {
            p[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(p.AsSpan(4), (ushort)(p.Length - 40));
            p[6] = (byte)(tcp ? 6 : 17);
            p[7] = 64;
            for (int i = 8; i < 40; i++) p[i] = (byte)(i * 7);
        }

        BinaryPrimitives.WriteUInt16BigEndian(p.AsSpan(ip), 40000);
        BinaryPrimitives.WriteUInt16BigEndian(p.AsSpan(ip + 2), 443);
        if (tcp)
        {
            BinaryPrimitives.WriteUInt32BigEndian(p.AsSpan(ip + 4), 1000);
            p[ip + 12] = 0x50;
            p[ip + 13] = IpPacket.TcpAck;
            p[ip + 14] = 0x10;
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(p.AsSpan(ip + 4), (ushort)(8 + payload));
        }

        new Random(payload).NextBytes(p.AsSpan(ip + transport));
        header = new VirtioHeader
        {
            Flags = VirtioHeader.NeedsChecksum,
            Segmentation = tcp ? version == 4 ? VirtioHeader.Tcp4 : VirtioHeader.Tcp6 : VirtioHeader.Udp,
            SegmentBytes = (ushort)segment,
            ChecksumStart = (ushort)ip,
            ChecksumOffset = (ushort)(tcp ? 16 : 6),
        };
        return p;
    }

    // RFC 1071, word by word, over a pseudo header written out.
    private static bool NaiveValid(ReadOnlySpan<byte> packet, in IpPacket ip)
    {
        var all = new List<byte>();
        all.AddRange(ip.Version == 4 ? packet.Slice(12, 8) : packet.Slice(8, 32));
        int length = packet.Length - ip.HeaderBytes;
        all.AddRange([0, ip.Protocol, (byte)(length >> 8), (byte)length]);
        all.AddRange(packet[ip.HeaderBytes..]);
        if (all.Count % 2 == 1) all.Add(0);
        long sum = 0;
        for (int i = 0; i < all.Count; i += 2) sum += all[i] << 8 | all[i + 1];
        while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
        return sum == 0xFFFF;
    }
}
