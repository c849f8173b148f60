using System.Runtime.InteropServices;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Tun;

/// <summary>One queue of a real TUN device. The arrays of the batches have the layout that Native reads and writes.</summary>
internal sealed class LinuxTunDevice : ITunDevice
{
    private readonly LinuxTun _tun;

    internal LinuxTunDevice(LinuxTun tun, int mtu)
    {
        ArgumentNullException.ThrowIfNull(tun);
        _tun = tun;
        Mtu = mtu;
        PollHandle = tun.Fd;
    }

    public string Name => _tun.Name;

    public int Mtu { get; }

    public int PollHandle { get; }

    public Action? OnReadable { get; set; }

    public int Read(TunReadBatch into)
    {
        ArgumentNullException.ThrowIfNull(into);
        int begin = into.Count;
        while (into.Count < into.Slots)
        {
            int offset = into.Offset + into.Count * TunReadBatch.SlotBytes + TunReadBatch.Headroom;
            int length = _tun.Read(into.Slab, offset, TunReadBatch.SlotBytes - TunReadBatch.Headroom);
            if (length == 0) break;
            into.Items[into.Count++] = new TunRead
            {
                Offset = offset,
                Length = length,
                Header = MemoryMarshal.Read<VirtioHeader>(into.Slab.Slice(offset - VirtioHeader.Bytes, VirtioHeader.Bytes)),
            };
        }

        return into.Count - begin;
    }

    public int Write(TunWriteBatch packets, DropCounters drops)
    {
        ArgumentNullException.ThrowIfNull(packets);
        ArgumentNullException.ThrowIfNull(drops);
        int taken = 0;
        foreach (ref TunWrite write in packets.Items.AsSpan(0, packets.Count))
        {
            ReadOnlySpan<SlabPiece> pieces = MemoryMarshal.Cast<TunPiece, SlabPiece>(packets.Pieces.AsSpan(write.FirstPiece, write.PieceCount));
            if (_tun.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<VirtioHeader>(ref write.Header)), packets.Slab, pieces)) taken++;
            else drops.Count(DropReason.TunRefused);
        }

        return taken;
    }

    public void Dispose() => _tun.Dispose();
}
