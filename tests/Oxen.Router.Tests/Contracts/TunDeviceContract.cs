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
        using var slab = new PinnedBlock(4 * ReceiveBatch.SlotBytes);
        var batch = new ReceiveBatch(slab, 0, 4);
        Assert.Equal(0, tun.ReadBatch(batch));
        byte[][] packets = [.. Enumerable.Range(1, 6).Select(i => Packet(20 + i, (byte)i))];
        foreach (byte[] p in packets) Assert.True(SystemSends(tun, p));
        var got = new List<byte[]>();
        while (tun.ReadBatch(batch) > 0)
        {
            Assert.InRange(batch.Count, 1, 4);
            for (int i = 0; i < batch.Count; i++) got.Add(slab.Slice(batch.Items[i].Offset, batch.Items[i].Length).ToArray());
        }

        Assert.Equal(packets, got);
    }

    [Fact]
    public void Written_packets_reach_the_system_in_order()
    {
        using ITunDevice tun = Open();
        using var slab = new PinnedBlock(8192);
        var batch = new TransmitBatch(slab, 8);
        slab.Span.Fill(0x45);
        for (int i = 0; i < 5; i++)
        {
            slab.Span[i * 100] = (byte)i;
            Assert.True(batch.TryAdd(i * 100, 40 + i, 0));
        }

        Assert.Equal(5, tun.WriteBatch(batch));
        for (int i = 0; i < 5; i++)
        {
            byte[]? p = SystemReceives(tun);
            Assert.NotNull(p);
            Assert.Equal(40 + i, p.Length);
            Assert.Equal(i, p[0]);
        }
    }

    [Fact]
    public void Nothing_larger_than_the_mtu_passes()
    {
        using ITunDevice tun = Open();
        Assert.InRange(tun.Mtu, 1280, 65535);
        Assert.False(SystemSends(tun, Packet(tun.Mtu + 1, 1)));
        using var slab = new PinnedBlock(70_000);
        var batch = new TransmitBatch(slab, 2);
        batch.TryAdd(0, tun.Mtu + 1, 0);
        batch.TryAdd(0, tun.Mtu, 0);
        Assert.Equal(1, tun.WriteBatch(batch));
        Assert.Equal(tun.Mtu, SystemReceives(tun)?.Length);
    }

    [Fact]
    public void A_closed_device_refuses()
    {
        ITunDevice tun = Open();
        tun.Dispose();
        using var slab = new PinnedBlock(ReceiveBatch.SlotBytes);
        Assert.Throws<ObjectDisposedException>(() => tun.ReadBatch(new ReceiveBatch(slab, 0, 1)));
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

    private protected override byte[]? SystemReceives(ITunDevice device) => ((MemoryTun)device).TryTakeWritten(out byte[] p) ? p : null;
}
