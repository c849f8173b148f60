using Oxen.Router.Core.Packets;
using Oxen.Router.Native;

namespace Oxen.Router.Tests.Core.Packets;

public sealed class PacketRingTests
{
    [Fact]
    public void A_full_ring_refuses_and_a_released_slot_is_given_again()
    {
        using var slab = new PinnedBlock(4 * PacketRing.SlotBytes);
        var ring = new PacketRing(slab, 0, 4);
        for (int i = 0; i < 4; i++)
        {
            Assert.True(ring.TryReserve(out Span<byte> slot));
            slot[0] = (byte)i;
            ring.Commit(new PacketTag { Subject = i });
        }

        Assert.False(ring.TryReserve(out _));
        Assert.True(ring.TryTake(out PacketTag tag, out int offset));
        Assert.Equal(0, tag.Subject);
        Assert.Equal(0, slab.Span[offset]);
        Assert.False(ring.TryReserve(out _));
        ring.ReleaseTaken();
        Assert.True(ring.TryReserve(out _));
    }

    [Fact]
    public void Two_threads_see_every_packet_once_and_in_order()
    {
        using var slab = new PinnedBlock(64 * PacketRing.SlotBytes);
        var ring = new PacketRing(slab, 0, 64);
        const int Total = 200_000;
        var producer = new Thread(() =>
        {
            for (int i = 0; i < Total;)
            {
                if (!ring.TryReserve(out Span<byte> slot))
                {
                    Thread.Yield();
                    continue;
                }

                BitConverter.TryWriteBytes(slot, i);
                ring.Commit(new PacketTag { Subject = i });
                i++;
            }
        });
        producer.Start();
        int expected = 0;
        while (expected < Total)
        {
            if (!ring.TryTake(out PacketTag tag, out int offset))
            {
                Thread.Yield();
                continue;
            }

            Assert.Equal(expected, tag.Subject);
            Assert.Equal(expected, BitConverter.ToInt32(slab.Span[offset..]));
            ring.ReleaseTaken();
            expected++;
        }

        producer.Join();
        Assert.True(ring.IsEmpty);
    }
}
