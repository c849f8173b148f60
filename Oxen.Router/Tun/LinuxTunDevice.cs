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

    public void Wait(int milliseconds) => _tun.Wait(milliseconds);

    public int Read(TunReadBatch into)
    {
        ArgumentNullException.ThrowIfNull(into);
        int begin = into.Count;
        while (into.TryReserve(out int at))
        {
            int length = _tun.Read(into.Slab, at, TunReadBatch.SlotBytes - TunReadBatch.Headroom);
            if (length == 0) break;
            into.Add(length, MemoryMarshal.Read<VirtioHeader>(into.Slab.Slice(at - VirtioHeader.Bytes, VirtioHeader.Bytes)));
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
