using Oxen.Router.Core.Packets;
using Oxen.Router.Native;
using Oxen.Router.Tun;
using Oxen.Testing;

namespace Oxen.Router.Tests.Contracts;

/// <summary>What every <see cref="ITunDevice"/> promises.</summary>
public abstract class TunDeviceContract
{
    private protected abstract ITunDevice Open();

    /// <summary>The system's side: routes a packet into the device.</summary>
    private protected abstract bool SystemSends(ITunDevice device, byte[] packet);

    /// <summary>The system's side: what the device handed to it.</summary>
    private protected abstract byte[]? SystemReceives(ITunDevice device);

    [Fact]
    public void Packets_are_read_in_order_and_whole()
    {
        using ITunDevice tun = Open();
        using var slab = new PinnedBlock(4 * TunReadBatch.SlotBytes);
        var batch = new TunReadBatch(slab, 0, 4);
        Assert.Equal(0, tun.Read(batch));
        byte[][] packets = [.. Enumerable.Range(1, 6).Select(i => Packet(20 + i, (byte)i))];
        foreach (byte[] p in packets) Assert.True(SystemSends(tun, p));
        var got = new List<byte[]>();
        while (tun.Read(batch) > 0)
        {
            Assert.InRange(batch.Count, 1, batch.Items.Length);
            for (int i = 0; i < batch.Count; i++) got.Add(slab.Slice(batch.Items[i].Offset, batch.Items[i].Length).ToArray());
            batch.Clear();
        }

        Assert.Equal(packets, got);
    }

    [Fact]
    public void Written_packets_reach_the_system_in_order_put_together_from_their_pieces()
    {
        using ITunDevice tun = Open();
        using var slab = new PinnedBlock(8192);
        var batch = new TunWriteBatch(slab, 8, 16);
        slab.Span.Fill(0x45);
        for (int i = 0; i < 5; i++)
        {
            slab.Span[i * 100] = (byte)i;
            batch.Pieces[batch.PieceCount++] = new TunPiece { Offset = i * 100, Length = 20 };
            batch.Pieces[batch.PieceCount++] = new TunPiece { Offset = 4096, Length = 20 + i };
            batch.Items[batch.Count++] = new TunWrite { FirstPiece = batch.PieceCount - 2, PieceCount = 2, Length = 40 + i };
        }

        Assert.Equal(5, tun.Write(batch, new DropCounters()));
        for (int i = 0; i < 5; i++)
        {
            byte[]? p = SystemReceives(tun);
            Assert.NotNull(p);
            Assert.Equal(40 + i, p.Length);
            Assert.Equal(i, p[0]);
        }
    }

    [Fact]
    public void A_packet_longer_than_the_mtu_that_is_not_to_be_cut_is_not_sent_by_the_system()
    {
        using ITunDevice tun = Open();
        Assert.InRange(tun.Mtu, 1280, 65535);
        Assert.False(SystemSends(tun, Packet(tun.Mtu + 1, 1)));
    }

    [Fact]
    public void A_closed_device_refuses()
    {
        ITunDevice tun = Open();
        tun.Dispose();
        using var slab = new PinnedBlock(TunReadBatch.SlotBytes);
        Assert.Throws<ObjectDisposedException>(() => tun.Read(new TunReadBatch(slab, 0, 1)));
    }

    private static byte[] Packet(int length, byte fill)
    {
        byte[] p = new byte[length];
        p.AsSpan().Fill(fill);
        return p;
    }
}

public sealed class MemoryTunTests : TunDeviceContract
{
    private protected override ITunDevice Open() => new MemoryTun();

    private protected override bool SystemSends(ITunDevice device, byte[] packet) => ((MemoryTun)device).SystemSends(packet);

    private protected override byte[]? SystemReceives(ITunDevice device) => ((MemoryTun)device).TryTakeWritten(out TunPacket p) ? p.Bytes : null;
}
