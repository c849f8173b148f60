using System.Collections.Concurrent;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Tun;

namespace Oxen.Testing;

/// <summary>A TUN device in memory: what a test puts in at <see cref="SystemSends"/> is read, what is written comes out of <see cref="TryTakeWritten"/>.</summary>
internal sealed class MemoryTun(string name = "oxen0", int mtu = 1320, int queue = 64) : ITunDevice
{
    private readonly ConcurrentQueue<byte[]> _toRead = new();
    private readonly ConcurrentQueue<byte[]> _written = new();
    private bool _closed;

    public string Name { get; } = name;

    public int Mtu { get; } = mtu;

    /// <summary>The system routes a packet into the interface. False when the queue is full or the packet too large: it is lost.</summary>
    public bool SystemSends(ReadOnlySpan<byte> packet)
    {
        if (_closed || packet.IsEmpty || packet.Length > Mtu || _toRead.Count >= queue) return false;
        _toRead.Enqueue(packet.ToArray());
        return true;
    }

    public bool TryTakeWritten(out byte[] packet) => _written.TryDequeue(out packet!);

    public int ReadBatch(ReceiveBatch into)
    {
        ArgumentNullException.ThrowIfNull(into);
        ObjectDisposedException.ThrowIf(_closed, this);
        int n = 0;
        while (n < into.Slots && _toRead.TryDequeue(out byte[]? packet))
        {
            int offset = into.Offset + n * ReceiveBatch.SlotBytes;
            packet.CopyTo(into.Slab.Slice(offset, packet.Length));
            into.Items[n++] = new Received { Offset = offset, Length = packet.Length, SegmentBytes = packet.Length, From = default(UdpAddress) };
        }

        into.Count = n;
        into.KernelDrops = 0;
        return n;
    }

    public int WriteBatch(TransmitBatch packets)
    {
        ArgumentNullException.ThrowIfNull(packets);
        ObjectDisposedException.ThrowIf(_closed, this);
        int taken = 0;
        foreach (ref readonly Transmit t in packets.Items.AsSpan(0, packets.Count))
        {
            if (t.Length == 0 || t.Length > Mtu || _written.Count >= queue) continue;
            _written.Enqueue(packets.Slab.Slice(t.Offset, t.Length).ToArray());
            taken++;
        }

        return taken;
    }

    public void Dispose() => _closed = true;
}
