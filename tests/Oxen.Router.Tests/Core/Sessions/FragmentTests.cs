using Oxen.Router.Core;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Sessions;

/// <summary>Records that no packet of the reduced class holds: in two parts there, whole again here, or dropped and counted.</summary>
public sealed class FragmentTests : IDisposable
{
    private const int Slots = 48;
    private const int ContentBytes = 1167;
    private readonly PinnedBlock _slab = new((Slots * RecordAssembler.SlotBytes) + 64);
    private readonly PinnedBlock _ringSlab = new(64 * PacketRing.SlotBytes);
    private readonly PacketRing _ring;
    private readonly DropCounters _drops = new();
    private readonly RecordAssembler _assembler;
    private readonly PathOutlet _outlet;
    private readonly SeededEntropy _entropy = new(91);
    private Instant _now = Instant.FromMilliseconds(5000);

    public FragmentTests()
    {
        _ring = new PacketRing(_ringSlab, 0, 64);
        _outlet = new PathOutlet(_ring, _drops);
        _assembler = new RecordAssembler(_slab, 64, Slots, _drops);
    }

    public void Dispose()
    {
        _slab.Dispose();
        _ringSlab.Dispose();
    }

    private static PathRef Path(int row) => new(0, new PathNumber(row, 1));

    [Fact]
    public void The_numbers_of_the_specification()
    {
        Assert.Equal((1359, 1356), (RecordLayout.ContentOf(SizeClass.Full), RecordLayout.MaxOf(SizeClass.Full)));
        Assert.Equal((1167, 1164), (RecordLayout.ContentOf(SizeClass.Reduced), RecordLayout.MaxOf(SizeClass.Reduced)));
        byte[] record = new byte[8];
        new RecordFragment(RecordType.Quic, 0x1234, RecordFragment.Last).Write(record, 1);
        Assert.Equal([5, 0, 5, 2, 0x12, 0x34, 1, 0], record);
    }

    [Fact]
    public void Every_record_that_may_be_sent_at_all_fits_into_two_packets_of_the_reduced_class()
    {
        Assert.False(RecordSplitter.IsNeeded(1164, SizeClass.Reduced));
        for (int length = 1165; length <= RecordLayout.MaxBytes; length++)
        {
            Assert.True(RecordSplitter.IsNeeded(length, SizeClass.Reduced));
            for (int room = 0; room <= ContentBytes; room++)
            {
                int first = RecordSplitter.FirstBytes(length, room, SizeClass.Reduced);
                if (first == 0)
                {
                    Assert.True(room - 7 < 1 || length - (room - 7) > ContentBytes - 7);
                    continue;
                }

                Assert.InRange(7 + first, 8, room);
                Assert.InRange(7 + length - first, 8, ContentBytes);
            }

            Assert.NotEqual(0, RecordSplitter.FirstBytes(length, ContentBytes, SizeClass.Reduced));
        }
    }

    [Fact]
    public void Whatever_is_written_to_a_path_of_the_reduced_class_comes_out_as_it_was()
    {
        PathRef reduced = Path(1), full = Path(2);
        _outlet.Open(reduced.Number, SizeClass.Reduced);
        _outlet.Open(full.Number, SizeClass.Full);
        var sent = new Dictionary<PathRef, List<(RecordType Type, byte[] Bytes)>> { [reduced] = [], [full] = [] };
        var came = new Dictionary<PathRef, List<(RecordType Type, byte[] Bytes)>> { [reduced] = [], [full] = [] };
        int packets = 0;
        for (int i = 0; i < 4000; i++)
        {
            byte[] bytes = new byte[_entropy.Next(2) == 0 ? 1165 + _entropy.Next(192) : _entropy.Next(1165)];
            _entropy.FillPublic(bytes);
            RecordType type = _entropy.Next(2) == 0 ? RecordType.Quic : RecordType.Udp;
            PathRef path = _entropy.Next(6) == 0 ? full : reduced;
            int at = _entropy.Next(bytes.Length + 1);
            Assert.True(_outlet.TryRecord(path.Number, type, bytes.AsSpan(0, at), bytes.AsSpan(at)));
            sent[path].Add((type, bytes));
            if (i % 10 != 9) continue;
            _outlet.Flush();
            packets += Receive(came);
        }

        foreach (PathRef path in sent.Keys)
        {
            Assert.Equal(sent[path].Count, came[path].Count);
            for (int i = 0; i < sent[path].Count; i++)
            {
                Assert.Equal(sent[path][i].Type, came[path][i].Type);
                Assert.Equal(sent[path][i].Bytes, came[path][i].Bytes);
            }
        }

        Assert.Equal(0, _drops.Total);
        Assert.Equal(0, _assembler.Waiting);
        Assert.True(packets > 0);
    }

    [Fact]
    public void A_run_of_full_datagrams_wastes_next_to_nothing()
    {
        _outlet.Open(Path(1).Number, SizeClass.Reduced);
        byte[] datagram = new byte[1356];
        for (int i = 0; i < 45; i++) Assert.True(_outlet.TryRecord(Path(1).Number, RecordType.Quic, datagram));
        _outlet.Flush();
        int packets = Receive([]);

        // Cut where each packet ends, not always behind the first 1160 bytes: 45 datagrams would need 90 packets then.
        const int Least = (45 * (1356 + 14) + ContentBytes - 1) / ContentBytes;
        Assert.InRange(packets, Least, Least + 1);
    }

    [Fact]
    public void A_record_that_is_split_goes_into_the_ring_whole_or_not_at_all()
    {
        _outlet.Open(Path(1).Number, SizeClass.Reduced);
        for (int i = 0; i < 63; i++) Assert.True(_outlet.TryCommand(Path(1).Number, 0, 1, [1]));
        Assert.False(_outlet.TryRecord(Path(1).Number, RecordType.Quic, new byte[1356]));
        Assert.Equal(1, _drops[DropReason.OriginationQueueFull]);
        Assert.True(_outlet.TryRecord(Path(1).Number, RecordType.Quic, new byte[1164]));
        Assert.Equal(64, _ring.Depth);
    }

    [Fact]
    public void Session_messages_are_never_split_and_a_path_that_was_forgotten_is_an_unknown_one()
    {
        _outlet.Open(Path(1).Number, SizeClass.Reduced);
        Assert.False(_outlet.TryRecord(Path(1).Number, RecordType.Session, new byte[1165]));
        Assert.Equal(1, _drops[DropReason.TooLarge]);
        _outlet.Forget(Path(1).Number);
        Assert.True(_outlet.TryRecord(Path(1).Number, RecordType.Session, new byte[1165]));
    }

    [Theory, InlineData(1165), InlineData(1320), InlineData(1356)]
    public void A_packet_in_the_slab_is_split_in_place_and_put_together_in_the_slab(int length)
    {
        byte[] packet = new byte[length], content = new byte[1400], next = new byte[1400];
        var splitter = new RecordSplitter(RecordType.Ip);
        for (int round = 0; round < 100; round++)
        {
            _entropy.FillPublic(packet);
            packet.CopyTo(content, RecordLayout.HeaderBytes);
            int more = splitter.SplitInPlace(content, length, next, SizeClass.Reduced);
            Assert.InRange(more, 8, ContentBytes);
            byte[] one = Only(content.AsSpan(0, ContentBytes)), two = Only(next.AsSpan(0, more));
            bool swap = round % 2 == 1;
            Assert.False(_assembler.TryAdd(Path(1), swap ? two : one, _now, out _, out _, out int nothing));
            Assert.Equal(0, nothing);
            Assert.True(_assembler.TryAdd(Path(1), swap ? one : two, _now, out RecordType type, out int offset, out int whole));
            Assert.Equal(RecordType.Ip, type);
            Assert.Equal(packet, _slab.Slice(offset, whole).ToArray());
            _assembler.Release();
        }

        Assert.Equal(0, _drops.Total);
        Assert.Throws<ArgumentException>(() => splitter.SplitInPlace(new byte[1400], 1164, new byte[1400], SizeClass.Reduced));
        Assert.Throws<ArgumentException>(() => splitter.SplitInPlace(new byte[1400], 1357 + 964, new byte[1400], SizeClass.Reduced));
    }

    [Fact]
    public void A_whole_record_keeps_its_place_until_it_is_released()
    {
        var kept = new List<(int Offset, byte Fill)>();
        for (ushort id = 0; id < Slots; id++)
        {
            Assert.False(Add(1, id, 0, [(byte)id, (byte)id]));
            Assert.True(Add(1, id, 1, [(byte)id], out int offset, out int length));
            Assert.Equal(3, length);
            kept.Add((offset, (byte)id));
        }

        Assert.False(Add(1, 99, 0, [9])); // all slots are lent out
        Assert.Equal(1, _drops[DropReason.FragmentTableFull]);
        foreach ((int offset, byte fill) in kept) Assert.Equal([fill, fill, fill], _slab.Slice(offset, 3).ToArray());
        _assembler.Release();
        Assert.False(Add(1, 100, 0, [9]));
        Assert.Equal(1, _assembler.Waiting);
    }

    [Fact]
    public void A_part_waits_for_two_hundred_milliseconds()
    {
        Add(1, 7, 0, [1]);
        _now += TimeSpan.FromMilliseconds(199);
        Assert.True(Add(1, 7, 1, [2]));
        Add(1, 8, 1, [1]);
        _now += TimeSpan.FromMilliseconds(200);
        _assembler.Expire(_now);
        Assert.Equal((0, 1), (_assembler.Waiting, _drops[DropReason.FragmentTimeout]));
        Assert.False(Add(1, 8, 0, [2])); // too late: it waits alone now
        _now += TimeSpan.FromMilliseconds(200);
        Assert.False(Add(2, 8, 0, [2]));
        Assert.Equal((1, 2), (_assembler.Waiting, _drops[DropReason.FragmentTimeout]));
    }

    [Fact]
    public void Parts_meet_only_within_one_path_type_and_id()
    {
        Assert.False(Add(1, 1, 0, [1]));
        Assert.False(Add(2, 1, 1, [2]));
        Assert.False(Add(1, 2, 1, [2]));
        Assert.False(_assembler.TryAdd(Path(1), [(byte)RecordType.Udp, 0, 1, 1, 2], _now, out _, out _, out _));
        Assert.False(_assembler.TryAdd(new PathRef(1, Path(1).Number), [(byte)RecordType.Quic, 0, 1, 1, 2], _now, out _, out _, out _));
        Assert.False(_assembler.TryAdd(new PathRef(0, new PathNumber(1, 2)), [(byte)RecordType.Quic, 0, 1, 1, 2], _now, out _, out _, out _));
        Assert.Equal(6, _assembler.Waiting);
        Assert.True(Add(1, 1, 1, [2]));
    }

    [Fact]
    public void One_path_has_so_many_slots_and_its_oldest_part_makes_room()
    {
        Add(2, 1, 0, [1]);
        for (ushort id = 0; id < RecordAssembler.MostPerPath + 1; id++) Add(1, id, 0, [1]);
        Assert.Equal((RecordAssembler.MostPerPath + 1, 1), (_assembler.Waiting, _drops[DropReason.FragmentTableFull]));
        Assert.True(Add(2, 1, 1, [2])); // the other path kept its own
        Assert.True(Add(1, 1, 1, [2]));
        Assert.False(Add(1, 0, 1, [2])); // the oldest is gone
    }

    [Fact]
    public void When_the_table_is_full_the_oldest_of_all_makes_room()
    {
        for (int path = 0; path < Slots + 1; path++) Add(path, 1, 0, [1]);
        Assert.Equal((Slots, 1), (_assembler.Waiting, _drops[DropReason.FragmentTableFull]));
        Assert.False(Add(0, 1, 1, [1]));
        Assert.True(Add(Slots, 1, 1, [1]));
    }

    [Theory]
    [InlineData(0, 0, 1)] // padding, a session message, a fragment: of these there are no parts
    [InlineData(4, 0, 1)]
    [InlineData(5, 0, 1)]
    [InlineData(6, 0, 1)]
    [InlineData(2, 2, 1)] // there is no third part
    [InlineData(2, 0, 0)] // and none without bytes
    public void A_malformed_part_is_counted(byte of, byte part, int bytes)
    {
        Assert.False(_assembler.TryAdd(Path(1), [of, 0, 1, part, .. new byte[bytes]], _now, out _, out _, out _));
        Assert.Equal((0, 1), (_assembler.Waiting, _drops[DropReason.BadRecord]));
    }

    [Fact]
    public void Parts_that_make_more_than_any_record_are_dropped_and_the_same_part_again_takes_the_first_ones_place()
    {
        Add(1, 1, 0, new byte[1000]);
        Assert.False(Add(1, 1, 1, new byte[357]));
        Assert.Equal((0, 1), (_assembler.Waiting, _drops[DropReason.BadRecord]));
        Add(1, 2, 0, [1]);
        Add(1, 2, 0, [3, 3]);
        Assert.True(Add(1, 2, 1, [4], out int offset, out int length));
        Assert.Equal([3, 3, 4], _slab.Slice(offset, length).ToArray());
        Assert.Equal(2, _drops[DropReason.BadRecord]);
    }

    [Fact]
    public void Any_order_loss_and_malice_leave_a_table_that_still_works_and_only_whole_records_come_out()
    {
        var pending = new List<(int Path, byte[] Bytes)>();
        var known = new HashSet<string>();
        int whole = 0;
        for (int i = 0; i < 60_000; i++)
        {
            if (_entropy.Next(2) == 0)
            {
                byte[] bytes = new byte[2 + _entropy.Next(1355)];
                _entropy.FillPublic(bytes);
                int path = _entropy.Next(5), cut = 1 + _entropy.Next(Math.Min(1352, bytes.Length - 1));
                known.Add(Convert.ToHexString(bytes));
                byte[] head = [(byte)RecordType.Ip, (byte)(i >> 8), (byte)i];
                if (_entropy.Next(10) != 0) pending.Add((path, [.. head, 0, .. bytes.AsSpan(0, cut)]));
                if (_entropy.Next(10) != 0) pending.Add((path, [.. head, 1, .. bytes.AsSpan(cut)]));
                if (_entropy.Next(10) == 0) pending.Add((_entropy.Next(5), [(byte)_entropy.Next(7), (byte)_entropy.Next(2), 1, (byte)_entropy.Next(3), .. bytes.AsSpan(0, _entropy.Next(bytes.Length))]));
            }

            if (pending.Count == 0) continue;
            int pick = _entropy.Next(Math.Min(pending.Count, 6));
            (int from, byte[] part) = pending[pick];
            pending.RemoveAt(pick);
            if (_assembler.TryAdd(Path(from), part, _now, out _, out int offset, out int length))
            {
                bool forged = part[1] < 2 && part[2] == 1; // an id that the malice above may have used
                Assert.True(forged || known.Contains(Convert.ToHexString(_slab.Slice(offset, length))));
                whole++;
            }

            if (_entropy.Next(4) == 0) _assembler.Release();
            if (_entropy.Next(50) == 0) _now += TimeSpan.FromMilliseconds(_entropy.Next(120));
            Assert.InRange(_assembler.Waiting, 0, Slots);
        }

        Assert.True(whole > 5000, $"{whole}");
        Assert.All([DropReason.FragmentTimeout, DropReason.FragmentTableFull, DropReason.BadRecord], reason => Assert.NotEqual(0, _drops[reason]));
        _now += TimeSpan.FromSeconds(1);
        _assembler.Expire(_now);
        _assembler.Release();
        Assert.Equal(0, _assembler.Waiting);
        for (ushort id = 0; id < Slots; id++) Assert.False(Add(id, 1, 0, [1])); // every slot is there again
        Assert.Equal(Slots, _assembler.Waiting);
    }

    [Fact]
    public void Splitting_and_assembling_allocate_nothing()
    {
        byte[] content = new byte[1400], next = new byte[1400];
        var splitter = new RecordSplitter(RecordType.Ip);
        Assert.Equal(0, AllocationAssert.Measure(() =>
        {
            int more = splitter.SplitInPlace(content, 1320, next, SizeClass.Reduced);
            _assembler.TryAdd(Path(1), content.AsSpan(3, ContentBytes - 3), _now, out _, out _, out _);
            _assembler.TryAdd(Path(1), next.AsSpan(3, more - 3), _now, out _, out _, out _);
            _assembler.Release();
        }));
        _outlet.Open(Path(1).Number, SizeClass.Reduced);
        Assert.Equal(0, AllocationAssert.Measure(() =>
        {
            _outlet.TryRecord(Path(1).Number, RecordType.Quic, content.AsSpan(0, 1356));
            _outlet.Flush();
            while (_ring.TryTake(out _, out _)) { }
            _ring.ReleaseTaken();
        }));
        Assert.Equal(0, _drops.Total);
    }

    private bool Add(int path, ushort id, byte part, byte[] bytes) => Add(path, id, part, bytes, out _, out _);

    private bool Add(int path, ushort id, byte part, byte[] bytes, out int offset, out int length) =>
        _assembler.TryAdd(Path(path), [(byte)RecordType.Quic, (byte)(id >> 8), (byte)id, part, .. bytes], _now, out _, out offset, out length);

    // The bytes of the only record in some content.
    private static byte[] Only(Span<byte> content)
    {
        var reader = new RecordReader(content);
        Assert.True(reader.TryRead(out RecordType type, out Span<byte> bytes));
        Assert.Equal(RecordType.Fragment, type);
        Assert.False(reader.TryRead(out _, out _));
        Assert.False(reader.Malformed);
        return bytes.ToArray();
    }

    private int Receive(Dictionary<PathRef, List<(RecordType Type, byte[] Bytes)>> came)
    {
        int packets = 0;
        while (_ring.TryTake(out PacketTag tag, out int offset))
        {
            packets++;
            var path = new PathRef(0, new PathNumber(tag.Subject, tag.Generation));
            Assert.InRange(tag.Length, 1, tag.Subject == 1 ? ContentBytes : 1359);
            var reader = new RecordReader(_ringSlab.Slice(offset + PacketRing.Headroom, tag.Length));
            while (reader.TryRead(out RecordType type, out Span<byte> bytes))
            {
                byte[] whole = bytes.ToArray();
                if (type == RecordType.Fragment)
                {
                    Assert.Equal(1, tag.Subject);
                    if (!_assembler.TryAdd(path, bytes, _now, out type, out int at, out int length)) continue;
                    whole = _slab.Slice(at, length).ToArray();
                    _assembler.Release();
                }

                if (came.TryGetValue(path, out List<(RecordType Type, byte[] Bytes)>? list)) list.Add((type, whole));
            }

            Assert.False(reader.Malformed);
        }

        _ring.ReleaseTaken();
        return packets;
    }
}
