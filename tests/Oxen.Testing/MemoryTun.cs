using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Oxen.Router.Core.Packets;
using Oxen.Router.Tun;

namespace Oxen.Testing;

/// <summary>A packet as the system and a TUN device exchange it.</summary>
internal sealed record TunPacket(VirtioHeader Header, byte[] Bytes);

/// <summary>
/// One queue of a TUN device in memory: what a test puts in at <see cref="SystemSends(ReadOnlySpan{byte}, VirtioHeader)"/> is read, what is
/// written comes out of <see cref="TryTakeWritten"/>.
/// </summary>
internal sealed class MemoryTun(string name = "oxen0", int mtu = 1320, int queue = 64) : ITunDevice
{
    private readonly ConcurrentQueue<TunPacket> _toRead = new();
    private readonly ConcurrentQueue<TunPacket> _written = new();
    private bool _closed;

    public string Name { get; } = name;

    public int Mtu { get; } = mtu;

    public int PollHandle => -1;

    public Action? OnReadable { get; set; }

    /// <summary>The system routes a packet into the interface. False when the queue is full or the packet too large and not to be cut: it is lost.</summary>
    public bool SystemSends(ReadOnlySpan<byte> packet, VirtioHeader header = default)
    {
        if (_closed || packet.IsEmpty || packet.Length > 65535 || _toRead.Count >= queue) return false;
        if (packet.Length > Mtu && header.Segmentation == VirtioHeader.NotSegmented) return false;
        _toRead.Enqueue(new TunPacket(header, packet.ToArray()));
        OnReadable?.Invoke();
        return true;
    }

    public void Wait(int milliseconds) => SpinWait.SpinUntil(() => _closed || !_toRead.IsEmpty, milliseconds);

    public bool TryTakeWritten(out TunPacket packet) => _written.TryDequeue(out packet!);

    public int Read(TunReadBatch into)
    {
        ArgumentNullException.ThrowIfNull(into);
        ObjectDisposedException.ThrowIf(_closed, this);
        int begin = into.Count;
        while (into.TryReserve(out int at) && _toRead.TryDequeue(out TunPacket? packet))
        {
            packet.Bytes.CopyTo(into.Slab.Slice(at, packet.Bytes.Length));
            into.Add(packet.Bytes.Length, packet.Header);
        }

        return into.Count - begin;
    }

    public int Write(TunWriteBatch packets, DropCounters drops)
    {
        ArgumentNullException.ThrowIfNull(packets);
        ArgumentNullException.ThrowIfNull(drops);
        ObjectDisposedException.ThrowIf(_closed, this);
        int taken = 0;
        foreach (ref readonly TunWrite write in packets.Items.AsSpan(0, packets.Count))
        {
            var bytes = new List<byte>(write.Length);
            foreach (ref readonly TunPiece piece in packets.Pieces.AsSpan(write.FirstPiece, write.PieceCount)) bytes.AddRange(packets.Slab.Slice(piece.Offset, piece.Length));
            if (bytes.Count == 0 || (bytes.Count > Mtu && write.Header.Segmentation == VirtioHeader.NotSegmented))
            {
                drops.Count(DropReason.SendFailed);
                continue;
            }

            _written.Enqueue(new TunPacket(write.Header, [.. CollectionsMarshal.AsSpan(bytes)]));
            taken++;
        }

        return taken;
    }

    public void Dispose() => _closed = true;
}
