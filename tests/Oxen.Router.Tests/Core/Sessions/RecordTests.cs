using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Native;

namespace Oxen.Router.Tests.Core.Sessions;

public sealed class RecordTests : IDisposable
{
    private readonly PinnedBlock _block = new(4 * PacketRing.SlotBytes);
    private readonly DropCounters _drops = new();
    private readonly PacketRing _ring;
    private readonly PathOutlet _outlet;

    public RecordTests()
    {
        _ring = new PacketRing(_block, 0, 4);
        _outlet = new PathOutlet(_ring, _drops);
    }

    private static PathNumber A => new(1, 10);

    private static PathNumber B => new(2, 20);

    [Fact]
    public void Small_records_of_one_path_share_a_packet()
    {
        Assert.True(_outlet.TryRecord(A, RecordType.Session, [1, 2, 3]));
        Assert.True(_outlet.TryRecord(A, RecordType.Udp, [4], [5, 6]));
        Assert.False(_ring.TryTake(out _, out _));
        _outlet.Flush();
        List<(PacketTag Tag, List<(RecordType, byte[])> Records)> packets = Take();
        Assert.Single(packets);
        Assert.Equal(2 * RecordLayout.HeaderBytes + 6, packets[0].Tag.Length);
        Assert.Equal(EndCommand.Records, packets[0].Tag.Command);
        Assert.Equal([(RecordType.Session, new byte[] { 1, 2, 3 }), (RecordType.Udp, [4, 5, 6])], packets[0].Records, Same);
        Assert.True(_outlet.TakeCommitted());
        Assert.False(_outlet.TakeCommitted());
    }

    [Fact]
    public void Another_path_a_command_and_a_record_that_does_not_fit_close_the_packet()
    {
        _outlet.TryRecord(A, RecordType.Udp, [1]);
        _outlet.TryRecord(B, RecordType.Udp, [2]);
        _outlet.TryCommand(B, 3, 1, [9, 9]);
        List<(PacketTag Tag, List<(RecordType, byte[])> Records)> packets = Take();
        Assert.Equal([1, 2, 2], packets.Select(p => p.Tag.Subject));
        Assert.Equal(3, packets[2].Tag.Hop);
        _outlet.TryRecord(A, RecordType.Udp, new byte[1000]);
        _outlet.TryRecord(A, RecordType.Udp, new byte[1000]);
        _outlet.Flush();
        Assert.Equal([1003, 1003], Take().Select(p => p.Tag.Length));
    }

    [Fact]
    public void The_largest_record_fills_a_packet_and_a_larger_one_is_counted()
    {
        Assert.True(_outlet.TryRecord(A, RecordType.Quic, new byte[RecordLayout.MaxBytes]));
        Assert.Equal(RecordLayout.ContentBytes, Take().Single().Tag.Length);
        Assert.False(_outlet.TryRecord(A, RecordType.Quic, new byte[RecordLayout.MaxBytes], [1]));
        Assert.Equal(1, _drops[DropReason.TooLarge]);
    }

    [Fact]
    public void No_packet_is_longer_than_its_content()
    {
        var sizes = new Random(3);
        int sent = 0, received = 0;
        for (int i = 0; i < 5000; i++)
        {
            if (_outlet.TryRecord(sizes.Next(3) == 0 ? B : A, RecordType.Udp, new byte[sizes.Next(RecordLayout.MaxBytes + 1)])) sent++;
            if (_ring.Depth < 3) continue;
            foreach ((PacketTag tag, List<(RecordType, byte[])> records) in Take())
            {
                Assert.InRange(tag.Length, RecordLayout.HeaderBytes, RecordLayout.ContentBytes);
                received += records.Count;
            }
        }

        _outlet.Flush();
        received += Take().Sum(p => p.Records.Count);
        Assert.Equal(sent, received);
    }

    [Fact]
    public void A_full_ring_refuses_and_counts_and_goes_on_later()
    {
        for (int i = 0; i < 4; i++) Assert.True(_outlet.TryCommand(A, 0, 1, [1]));
        Assert.False(_outlet.HasRoom(0));
        Assert.False(_outlet.TryRecord(A, RecordType.Udp, [1]));
        Assert.False(_outlet.TryCommand(A, 0, 1, [1]));
        Assert.Equal(2, _drops[DropReason.OriginationQueueFull]);
        Assert.Equal(4, Take().Count);
        Assert.True(_outlet.HasRoom(3));
        Assert.True(_outlet.TryRecord(A, RecordType.Udp, [1]));
    }

    [Fact]
    public void A_reader_stops_at_the_end_at_padding_and_at_malice()
    {
        Assert.Equal((0, false), Read([]));
        Assert.Equal((0, false), Read(new byte[100]));
        Assert.Equal((1, false), Read([3, 0, 1, 9]));
        Assert.Equal((1, false), Read([3, 0, 1, 9, 0, 0]));
        Assert.Equal((1, true), Read([3, 0, 1, 9, 0, 1]));      // something hides in the padding
        Assert.Equal((1, true), Read([3, 0, 1, 9, 0, 0, 0, 7]));
        Assert.Equal((1, true), Read([3, 0, 1, 9, 3]));         // a header is cut off
        Assert.Equal((0, true), Read([3, 0, 2, 9]));            // longer than the packet
        Assert.Equal((2, false), Read([3, 0, 0, 3, 0, 0]));     // empty records are records
    }

    public void Dispose() => _block.Dispose();

    private static (int Records, bool Malformed) Read(byte[] content)
    {
        var reader = new RecordReader(content);
        int records = 0;
        while (reader.TryRead(out _, out _)) records++;
        return (records, reader.Malformed);
    }

    private static bool Same((RecordType Type, byte[] Bytes) a, (RecordType Type, byte[] Bytes) b) => a.Type == b.Type && a.Bytes.AsSpan().SequenceEqual(b.Bytes);

    private List<(PacketTag Tag, List<(RecordType, byte[])> Records)> Take()
    {
        var packets = new List<(PacketTag, List<(RecordType, byte[])>)>();
        while (_ring.TryTake(out PacketTag tag, out int offset))
        {
            var records = new List<(RecordType, byte[])>();
            if (tag.Command == EndCommand.Records)
            {
                var reader = new RecordReader(_block.Slice(offset + PacketRing.Headroom, tag.Length));
                while (reader.TryRead(out RecordType type, out Span<byte> bytes)) records.Add((type, bytes.ToArray()));
                Assert.False(reader.Malformed);
            }

            packets.Add((tag, records));
        }

        _ring.ReleaseTaken();
        return packets;
    }
}
