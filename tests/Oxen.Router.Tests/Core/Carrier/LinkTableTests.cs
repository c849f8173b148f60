using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Carrier;

/// <summary>Two link tables facing each other: what one seals the other opens, once.</summary>
public sealed class LinkTableTests : IDisposable
{
    private static readonly UdpAddress Sender = UdpAddress.FromVirtual(1);
    private static readonly UdpAddress Stranger = UdpAddress.FromVirtual(2);

    private readonly SeededEntropy _entropy = new(3);
    private readonly PinnedBlock _slab = new(4096);
    private readonly TransmitBatch _transmits;
    private readonly LinkTable _a;
    private readonly LinkTable _b;
    private readonly ReceiverIndexAllocator _indexes;
    private Instant _now = Instant.FromMilliseconds(1000);

    public LinkTableTests()
    {
        _transmits = new TransmitBatch(_slab, 16);
        _a = new LinkTable(1, 16, 16, _transmits);
        _b = new LinkTable(1, 16, 16, new TransmitBatch(_slab, 16));
        _indexes = new ReceiverIndexAllocator(0, 1, 16, _entropy);
    }

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
        _slab.Dispose();
    }

    private int Join(LinkSuite suite, out uint index, int link = 7)
    {
        byte[] secret = new byte[32];
        _entropy.FillSecret(secret);
        Assert.True(_indexes.TryTake(out index));
        Assert.True(_b.AddReceiver(index, link, 0, Sender, suite, [.. secret]));
        return _a.AddSender(link, 0, index, UdpAddress.FromVirtual(9), suite, [.. secret]);
    }

    private byte[] Seal(int sender, SizeClass size = SizeClass.Full)
    {
        byte[] datagram = new byte[SealedDatagram.Bytes(size)];
        _entropy.FillPublic(datagram.AsSpan(SealedDatagram.HeaderBytes));
        SealedDatagram.WriteInner(datagram, 0x0102030405060708, 2, size);
        Assert.True(_a.Seal(datagram, sender, _now));
        return datagram;
    }

    private DropReason Open(byte[] datagram, UdpAddress? from = null) => _b.Open(datagram, from ?? Sender, out _, out _, _now);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_flipped_bit_is_refused_and_says_why(int suite)
    {
        int sender = Join((LinkSuite)suite, out _);
        byte[] datagram = Seal(sender, SizeClass.Reduced);
        for (int bit = 0; bit < datagram.Length * 8; bit++)
        {
            byte[] changed = [.. datagram];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            DropReason reason = Open(changed);
            DropReason expected = (bit / 8) switch
            {
                // The next epoch is ready; one further ahead is tried once in a while, and this was the occasion.
                0 => bit % 8 >= 6 ? DropReason.LinkAuthentication : (changed[0] & 63) is 1 or 2 ? DropReason.LinkAuthentication : DropReason.WrongLinkEpoch,
                < 4 => DropReason.ReservedNotZero,
                < 8 => DropReason.UnknownIndex,
                _ => DropReason.LinkAuthentication,
            };
            Assert.Equal(expected, reason);
        }

        Assert.Equal(DropReason.None, Open([.. datagram]));
        Assert.Equal(DropReason.LinkReplay, Open([.. datagram]));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_datagram_opens_to_what_was_sealed(int suite)
    {
        int sender = Join((LinkSuite)suite, out uint index);
        for (int i = 0; i < 50; i++)
        {
            byte[] plain = new byte[SealedDatagram.FullBytes];
            _entropy.FillPublic(plain.AsSpan(SealedDatagram.ClearBytes, SealedDatagram.FullBytes - 32));
            byte[] datagram = [.. plain];
            Assert.True(_a.Seal(datagram, sender, _now));
            Assert.Equal(index, SealedDatagram.Index(datagram));
            Assert.Equal((ulong)i, SealedDatagram.Counter(datagram));
            Assert.Equal(DropReason.None, Open(datagram));
            Assert.True(datagram.AsSpan(SealedDatagram.ClearBytes, SealedDatagram.FullBytes - 32).SequenceEqual(plain.AsSpan(SealedDatagram.ClearBytes, SealedDatagram.FullBytes - 32)));
        }
    }

    [Fact]
    public void Keys_roll_every_120_seconds_and_overtaken_packets_are_taken_for_5_more()
    {
        int sender = Join(LinkSuite.Aegis128L, out _);
        var seen = new HashSet<(uint Epoch, ulong Counter)>();
        byte[] late = Seal(sender);
        byte[] tooLate = Seal(sender);
        Assert.Equal(DropReason.None, Open(Seal(sender)));
        for (uint epoch = 1; epoch <= 70; epoch++)
        {
            _now += TimeSpan.FromSeconds(120);
            byte[] first = Seal(sender);
            Assert.Equal((byte)(0x80 | (epoch & 63)), first[0]);
            Assert.True(seen.Add((epoch, SealedDatagram.Counter(first))));
            Assert.Equal(DropReason.None, Open(first));
            _now += TimeSpan.FromSeconds(4.9);
            Assert.Equal(DropReason.None, Open(late));
            _now += TimeSpan.FromSeconds(0.2);
            Assert.Equal(DropReason.WrongLinkEpoch, Open(tooLate));
            Assert.True(_b.NextWipe <= _now);
            _b.WipePrevious(_now);
            late = Seal(sender);
            tooLate = Seal(sender);
        }
    }

    [Fact]
    public void A_link_that_was_silent_for_an_hour_moves_one_epoch_only()
    {
        int sender = Join(LinkSuite.Aegis128L, out _);
        Assert.Equal(DropReason.None, Open(Seal(sender)));
        _now += TimeSpan.FromHours(1);
        Assert.Equal(0x81, Seal(sender)[0]); // lost
        Assert.Equal(DropReason.None, Open(Seal(sender)));
        _now += TimeSpan.FromSeconds(121);
        Assert.Equal(DropReason.None, Open(Seal(sender)));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(30)]
    public void A_link_outlives_epochs_of_which_nothing_arrived(int lost)
    {
        int sender = Join(LinkSuite.Aegis128L, out _);
        Assert.Equal(DropReason.None, Open(Seal(sender)));
        byte[] early = [];
        for (int epoch = 1; epoch <= lost; epoch++)
        {
            _now += TimeSpan.FromSeconds(121);
            early = Seal(sender);
        }

        byte[] forged = Seal(sender);
        forged[^1] ^= 1;
        Assert.Equal(DropReason.LinkAuthentication, Open(forged));
        Assert.Equal(DropReason.WrongLinkEpoch, Open(Seal(sender))); // a trial at a time
        _now += TimeSpan.FromMilliseconds(101);
        byte[] first = Seal(sender);
        Assert.Equal(DropReason.None, Open([.. first]));
        Assert.Equal(DropReason.LinkReplay, Open([.. first]));
        Assert.Equal(DropReason.None, Open(early));
        _now += TimeSpan.FromSeconds(121);
        Assert.Equal(DropReason.None, Open(Seal(sender)));
        _now += TimeSpan.FromSeconds(6);
        _b.WipePrevious(_now);
        Assert.Equal(DropReason.WrongLinkEpoch, Open([.. first]));
    }

    [Fact]
    public void Only_an_authentic_packet_moves_the_epoch()
    {
        int sender = Join(LinkSuite.Aegis128L, out _);
        byte[] forged = Seal(sender);
        forged[0] = 0x81;
        Assert.Equal(DropReason.LinkAuthentication, Open(forged));
        Assert.Equal(0u, _b.Receiver(_indexes.FreeCount is 15 ? ReceiverIndexAllocator.RowOf(SealedDatagram.Index(forged), 1, 16) : 0).Epoch);
        Assert.Equal(DropReason.None, Open(Seal(sender)));
    }

    [Fact]
    public void Another_address_is_dropped_reported_now_and_then_and_taken_after_the_move()
    {
        int sender = Join(LinkSuite.Aegis128L, out _);
        Assert.Equal(DropReason.WrongAddress, _b.Open(Seal(sender), Stranger, out _, out bool moved, _now));
        Assert.True(moved);
        Assert.Equal(DropReason.WrongAddress, _b.Open(Seal(sender), Stranger, out _, out moved, _now));
        Assert.False(moved);
        _now += TimeSpan.FromSeconds(1);
        byte[] forged = Seal(sender);
        forged[100] ^= 1;
        Assert.Equal(DropReason.LinkAuthentication, _b.Open(forged, Stranger, out _, out moved, _now));
        Assert.False(moved);
        _b.Move(7, Stranger);
        Assert.Equal(DropReason.None, _b.Open(Seal(sender), Stranger, out _, out _, _now));
        Assert.Equal(DropReason.WrongAddress, _b.Open(Seal(sender), Sender, out _, out _, _now));
    }

    [Fact]
    public void New_keys_take_over_while_the_old_index_still_opens()
    {
        int sender = Join(LinkSuite.Aegis128L, out uint old);
        byte[] flying = Seal(sender);
        byte[] another = Seal(sender);
        Assert.Equal(sender, Join(LinkSuite.ChaCha20Poly1305, out uint young));
        byte[] first = Seal(sender);
        Assert.Equal(young, SealedDatagram.Index(first));
        Assert.Equal(0UL, SealedDatagram.Counter(first));
        Assert.Equal(DropReason.None, Open(first));
        Assert.Equal(DropReason.None, Open(flying));
        _b.RemoveReceiver(old);
        Assert.Equal(DropReason.UnknownIndex, Open(another));
        Assert.Equal(DropReason.None, Open(Seal(sender)));
    }

    [Fact]
    public void A_removed_link_opens_and_sends_nothing()
    {
        int sender = Join(LinkSuite.Aegis128L, out _);
        byte[] flying = Seal(sender);
        _b.RemoveLink(7);
        _a.RemoveLink(7);
        Assert.Equal(DropReason.UnknownIndex, Open(flying));
        Assert.False(_a.IsSender(sender, 7));
        Assert.Equal(-1, _a.FindSender(7, 0));
        Assert.Equal(sender, Join(LinkSuite.Aegis128L, out _, link: 8));
        Assert.False(_a.IsSender(sender, 7));
    }

    [Fact]
    public void The_sender_of_one_index_never_repeats_a_counter_under_a_key()
    {
        int sender = Join(LinkSuite.AesGcm128, out _);
        var seen = new HashSet<(byte Epoch, uint Index, ulong Counter)>();
        for (int i = 0; i < 3000; i++)
        {
            if (i % 97 == 0) _now += TimeSpan.FromSeconds(50);
            byte[] d = Seal(sender, SizeClass.Reduced);
            Assert.True(seen.Add((d[0], SealedDatagram.Index(d), SealedDatagram.Counter(d))));
            Assert.Equal(0, BinaryPrimitives.ReadInt32BigEndian(d) & 0xFFFFFF);
        }
    }

    [Fact]
    public void Indexes_steer_to_their_shard_and_row_and_are_never_given_twice()
    {
        for (int shards = 1; shards <= 16; shards += 3)
        {
            for (int shard = 0; shard < shards; shard += 2)
            {
                var allocator = new ReceiverIndexAllocator(shard, shards, 32, _entropy);
                var rows = new HashSet<int>();
                for (int i = 0; i < 32; i++)
                {
                    Assert.True(allocator.TryTake(out uint index));
                    Assert.NotEqual(0u, index);
                    Assert.Equal((uint)shard, index % (uint)shards);
                    Assert.True(rows.Add(ReceiverIndexAllocator.RowOf(index, shards, 32)));
                    if (i == 31) allocator.Release(index);
                }

                Assert.True(allocator.TryTake(out _));
                Assert.False(allocator.TryTake(out _));
            }
        }
    }
}
