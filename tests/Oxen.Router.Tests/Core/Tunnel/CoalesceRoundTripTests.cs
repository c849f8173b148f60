using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Tunnel;

/// <summary>
/// Whatever the coalescer makes of packets, cutting it again gives the packets that came, byte for byte and in the order in which
/// they came: of one flow or many, in order or not, lost, twice, or damaged.
/// </summary>
public sealed class CoalesceRoundTripTests : IDisposable
{
    private const int Slot = 1344, Slots = 2048;
    private readonly SeededEntropy _entropy = new(74);
    private readonly PinnedBlock _slab = new(Slots * Slot);
    private readonly TunWriteBatch _writes;
    private readonly Coalescer _coalescer;
    private readonly byte[] _room = new byte[TunnelConstants.InnerMtu];

    public CoalesceRoundTripTests()
    {
        _writes = new TunWriteBatch(_slab, Slots, Slots);
        _coalescer = new Coalescer(_slab, _writes, mergeUdp: true);
    }

    public void Dispose() => _slab.Dispose();

    private enum Kind
    {
        Tcp4,
        Tcp6,
        Udp4,
        Udp6,
    }

    [Fact]
    public void A_super_packet_that_is_cut_and_merged_is_cut_to_the_same_packets_again()
    {
        long merged = 0;
        for (int round = 0; round < 600; round++)
        {
            Flow flow = NewFlow((Kind)(round % 4));
            int payload = 1 + _entropy.Next(_entropy.Next(3) == 0 ? 60_000 : 9_000);
            int segment = Math.Max(1 + _entropy.Next(flow.MostSegment), payload / 1000);
            byte[] super = flow.Super(payload, segment, Flags(), out VirtioHeader header);
            List<byte[]> segments = Cut(super, header);
            Assert.All(segments, s => Assert.True(NaiveValid(s)));

            // The payload is the super-packet's, and each says what the super-packet says of it.
            Assert.Equal(super[flow.Headers..], segments.SelectMany(s => s[flow.Headers..]));
            List<byte[]> again = Through(segments);
            Assert.Equal(segments.Count, again.Count);
            for (int i = 0; i < segments.Count; i++) Assert.Equal(segments[i], again[i]);
            merged = _coalescer.Merged;
        }

        Assert.True(merged > 10_000, $"only {merged} merged");
    }

    [Theory, InlineData(0), InlineData(1), InlineData(2), InlineData(3)]
    public void Disorder_loss_doubles_and_damage_are_passed_on_as_they_came(int what)
    {
        for (int round = 0; round < 120; round++)
        {
            Flow[] flows = [.. Enumerable.Range(0, 1 + _entropy.Next(5)).Select(_ => NewFlow((Kind)_entropy.Next(4)))];
            var arrivals = new List<byte[]>();
            for (int burst = 0; burst < 8; burst++)
            {
                Flow flow = flows[_entropy.Next(flows.Length)];
                byte[] super = flow.Super(1 + _entropy.Next(12_000), 100 + _entropy.Next(flow.MostSegment - 100), Flags(), out VirtioHeader header);
                arrivals.AddRange(Cut(super, header));
            }

            for (int i = arrivals.Count - 1; i > 0; i--)
            {
                int other = Math.Max(0, i - _entropy.Next(4));
                if (what == 0 && _entropy.Next(3) == 0) (arrivals[i], arrivals[other]) = (arrivals[other], arrivals[i]);
                if (what == 1 && _entropy.Next(6) == 0) arrivals.RemoveAt(i);
                if (what == 2 && _entropy.Next(6) == 0) arrivals.Insert(other, [.. arrivals[i]]);
                if (what == 3 && _entropy.Next(6) == 0) arrivals[i][^(1 + _entropy.Next(Math.Min(60, arrivals[i].Length - 21)))] ^= (byte)(1 + _entropy.Next(255));
            }

            // What the classifier would not let through never reaches the coalescer.
            arrivals.RemoveAll(a => IpClassifier.Read(a, out _) != DropReason.None);
            Assert.True(arrivals.Count <= Slots);
            List<byte[]> came = Through(arrivals);
            Dictionary<string, List<string>> before = ByFlow(arrivals), after = ByFlow(came);
            Assert.Equal(before.Keys.Order(), after.Keys.Order());
            foreach ((string flow, List<string> packets) in before) Assert.Equal(packets, after[flow]);
        }
    }

    [Fact]
    public void Sequence_numbers_may_go_once_around()
    {
        Flow flow = NewFlow(Kind.Tcp4);
        flow.Sequence = uint.MaxValue - 3000;
        List<byte[]> segments = Cut(flow.Super(9000, 1000, IpPacket.TcpAck, out VirtioHeader header), header);
        Assert.Equal(0xFFFFFFFF - 3000, BinaryPrimitives.ReadUInt32BigEndian(segments[0].AsSpan(24)));
        Assert.Equal(999u, BinaryPrimitives.ReadUInt32BigEndian(segments[4].AsSpan(24)));
        List<byte[]> again = Through(segments);
        Assert.Equal(segments, again);
        Assert.Equal(9, _coalescer.Merged);
    }

    [Fact]
    public void From_the_system_to_the_path_and_back_nothing_is_allocated()
    {
        Flow flow = NewFlow(Kind.Tcp6);
        byte[] super = flow.Super(50_000, 1240, IpPacket.TcpAck, out VirtioHeader header), work = new byte[super.Length];
        Assert.Equal(0, AllocationAssert.Measure(
            () =>
            {
                super.CopyTo(work, 0);
                IpClassifier.Read(work, out IpPacket ip);
                IcmpRules.Check(in ip);
                AddressTranslation.RewriteSource(work, ref ip, ip.Source + 1, partialChecksum: true);
                MssClamp.Apply(work, in ip, partialChecksum: true);
                var segmenter = default(Segmenter);
                segmenter.Begin(ip, header);
                for (int at = 0; segmenter.TryNext(work, _slab.Slice(at, Slot), out int length); at += Slot)
                {
                    IpClassifier.Read(_slab.Slice(at, length), out IpPacket segment);
                    AddressTranslation.RewriteDestination(_slab.Slice(at, length), ref segment, segment.Destination + 1, partialChecksum: false);
                    _coalescer.TryAdd(at, segment);
                }

                _coalescer.Flush();
                _writes.Clear();
            },
            times: 200));
        Assert.True(_coalescer.Merged > 40 * 200);
    }

    private byte Flags()
    {
        byte flags = IpPacket.TcpAck;
        if (_entropy.Next(3) == 0) flags |= IpPacket.TcpPush;
        if (_entropy.Next(5) == 0) flags |= IpPacket.TcpFin;
        if (_entropy.Next(5) == 0) flags |= IpPacket.TcpCwr;
        if (_entropy.Next(8) == 0) flags |= IpPacket.TcpEcnEcho;
        return flags;
    }

    private Flow NewFlow(Kind kind) => new(kind, _entropy);

    private List<byte[]> Cut(byte[] super, VirtioHeader header)
    {
        Assert.Equal(DropReason.None, IpClassifier.Read(super, out IpPacket ip));
        var segmenter = default(Segmenter);
        Assert.Equal(DropReason.None, segmenter.Begin(ip, header));
        var segments = new List<byte[]>();
        while (segmenter.TryNext(super, _room, out int length)) segments.Add(_room[..length]);
        return segments;
    }

    // Merges packets and does with the result what the receiving system does with super-packets.
    private List<byte[]> Through(List<byte[]> packets)
    {
        for (int i = 0; i < packets.Count; i++)
        {
            packets[i].CopyTo(_slab.Slice(i * Slot, packets[i].Length));
            IpClassifier.Read(packets[i], out IpPacket ip);
            Assert.True(_coalescer.TryAdd(i * Slot, ip));
        }

        _coalescer.Flush();
        var all = new List<byte[]>();
        for (int i = 0; i < _writes.Count; i++)
        {
            TunWrite write = _writes.Items[i];
            var bytes = new List<byte>();
            foreach (TunPiece piece in _writes.Pieces.AsSpan(write.FirstPiece, write.PieceCount)) bytes.AddRange(_slab.Slice(piece.Offset, piece.Length));
            Assert.Equal(write.Length, bytes.Count);
            if (write.PieceCount == 1)
            {
                Assert.True(write.Header.Flags == 0 || (write.Header.Flags == VirtioHeader.ChecksumValid && NaiveValid([.. bytes])));
                Assert.Equal(VirtioHeader.NotSegmented, write.Header.Segmentation);
                all.Add([.. bytes]);
                continue;
            }

            Assert.Equal(VirtioHeader.NeedsChecksum, write.Header.Flags);
            List<byte[]> cut = Cut([.. bytes], write.Header);
            Assert.Equal(write.PieceCount, cut.Count);
            all.AddRange(cut);
        }

        _writes.Clear();
        return all;
    }

    // Packets of each flow in their order. The id of an atomic datagram (DF, no fragment) says nothing (RFC 6864 section 4.1).
    private static Dictionary<string, List<string>> ByFlow(List<byte[]> packets)
    {
        var flows = new Dictionary<string, List<string>>();
        foreach (byte[] packet in packets)
        {
            byte[] copy = [.. packet];
            IpClassifier.Read(copy, out IpPacket ip);
            if (ip.Version == 4 && ip.DontFragment) copy[4] = copy[5] = copy[10] = copy[11] = 0;
            string key = $"{ip.Source} {ip.Destination} {ip.Protocol} {ip.SourcePort} {ip.DestinationPort}";
            if (!flows.TryGetValue(key, out List<string>? list)) flows.Add(key, list = []);
            list.Add(Convert.ToHexString(copy));
        }

        return flows;
    }

    // RFC 1071 over a pseudo header written out; a UDP checksum of 0 over IPv4 is absent (RFC 768).
    private static bool NaiveValid(byte[] packet)
    {
        bool four = packet[0] >> 4 == 4;
        int header = four ? 20 : 40;
        byte protocol = packet[four ? 9 : 6];
        if (four && Naive(packet.AsSpan(0, 20)) != 0xFFFF) return false;
        int length = packet.Length - header;
        return Naive([.. four ? packet[12..20] : packet[8..40], 0, protocol, (byte)(length >> 8), (byte)length, .. packet[header..]]) == 0xFFFF;
    }

    private static int Naive(ReadOnlySpan<byte> bytes)
    {
        int sum = 0;
        for (int i = 0; i < bytes.Length; i += 2)
        {
            sum += (bytes[i] << 8) + (i + 1 < bytes.Length ? bytes[i + 1] : 0);
            if (sum > 0xFFFF) sum -= 0xFFFF;
        }

        return sum;
    }

    private sealed class Flow(Kind kind, SeededEntropy entropy)
    {
        private readonly byte[] _addresses = Bytes(entropy, 32);
        private readonly byte[] _ports = Bytes(entropy, 4);
        private readonly byte[] _options = kind is Kind.Udp4 or Kind.Udp6 || entropy.Next(2) == 0 ? [] : [1, 1, 8, 10, .. Bytes(entropy, 8)];
        private readonly bool _dontFragment = entropy.Next(2) == 0;
        private readonly byte _class = (byte)entropy.Next(256);
        private ushort _id = (ushort)entropy.Next(65536);

        private bool IsTcp => kind is Kind.Tcp4 or Kind.Tcp6;

        private int IpBytes => kind is Kind.Tcp4 or Kind.Udp4 ? 20 : 40;

        public uint Sequence { get; set; } = entropy.Next(2) == 0 ? uint.MaxValue - (uint)entropy.Next(20_000) : (uint)entropy.NextUInt64();

        public int Headers => IpBytes + (IsTcp ? 20 + _options.Length : 8);

        public int MostSegment => TunnelConstants.InnerMtu - Headers;

        public byte[] Super(int payload, int segment, byte flags, out VirtioHeader header)
        {
            byte[] p = new byte[Headers + payload];
            entropy.FillPublic(p.AsSpan(Headers));
            byte protocol = IsTcp ? IpProtocol.Tcp : IpProtocol.Udp;
            if (IpBytes == 20)
            {
                p[0] = 0x45;
                p[1] = _class;
                BinaryPrimitives.WriteUInt16BigEndian(p.AsSpan(2), (ushort)p.Length);
                BinaryPrimitives.WriteUInt16BigEndian(p.AsSpan(4), _id);
                _id += (ushort)((payload + segment - 1) / segment);
                p[6] = (byte)(_dontFragment ? 0x40 : 0);
                p[8] = 64;
                p[9] = protocol;
                _addresses.AsSpan(0, 8).CopyTo(p.AsSpan(12));
                InternetChecksum.WriteHeader4(p);
            }
            else
            {
                p[0] = (byte)(0x60 | _class >> 4);
                p[1] = (byte)(_class << 4);
                BinaryPrimitives.WriteUInt16BigEndian(p.AsSpan(4), (ushort)(p.Length - 40));
                p[6] = protocol;
                p[7] = 64;
                _addresses.CopyTo(p.AsSpan(8));
            }

            Span<byte> transport = p.AsSpan(IpBytes);
            _ports.CopyTo(transport);
            if (IsTcp)
            {
                BinaryPrimitives.WriteUInt32BigEndian(transport[4..], Sequence);
                transport[8] = 9;
                transport[12] = (byte)((20 + _options.Length) / 4 << 4);
                transport[13] = flags;
                transport[14] = 0x10;
                _options.CopyTo(transport[20..]);
                Sequence += (uint)payload;
            }
            else
            {
                BinaryPrimitives.WriteUInt16BigEndian(transport[4..], (ushort)(8 + payload));
            }

            header = new VirtioHeader
            {
                Flags = VirtioHeader.NeedsChecksum,
                Segmentation = kind switch { Kind.Tcp4 => VirtioHeader.Tcp4, Kind.Tcp6 => VirtioHeader.Tcp6, _ => VirtioHeader.Udp },
                SegmentBytes = (ushort)segment,
                ChecksumStart = (ushort)IpBytes,
                ChecksumOffset = (ushort)(IsTcp ? 16 : 6),
            };
            if (IsTcp && (flags & IpPacket.TcpCwr) != 0) header.Segmentation |= VirtioHeader.EcnBit;
            return p;
        }

        private static byte[] Bytes(SeededEntropy entropy, int count)
        {
            byte[] bytes = new byte[count];
            entropy.FillPublic(bytes);
            return bytes;
        }
    }
}
