using Oxen.Router.Core.Packets;
using Oxen.Router.Native;

namespace Oxen.Router.Tun;

/// <summary>Gets one packet that the system sent into an interface; the bytes may be changed and are gone afterwards.</summary>
internal delegate void PacketHandler(Span<byte> packet);

/// <summary>
/// A TUN device of whole packets (without <see cref="TunInterfaceOptions.SuperPackets"/>) with a thread of its own that reads it: for what a
/// session thread carries, not a shard.
/// </summary>
internal sealed class PacketDevice : IDisposable
{
    private const int ReadSlots = 4;

    // How late an end is noticed while nothing comes; a look so seldom costs nothing.
    private const int LookMilliseconds = 500;

    private readonly ITunDevice _device;
    private readonly PacketHandler _handler;
    private readonly PinnedBlock _slab = new((ReadSlots * TunReadBatch.SlotBytes) + (2 * PacketWriter.RoomBytes));
    private readonly TunReadBatch _read;
    private readonly Thread _thread;
    private readonly Action<Exception> _lost;
    private volatile bool _stop;

    /// <param name="handler">On the device's thread.</param>
    /// <param name="lost">The interface is gone, or the handler failed: nothing is read any more.</param>
    public PacketDevice(ITunDevice device, SharedDropCounters drops, PacketHandler handler, Action<Exception> lost)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
        _handler = handler;
        _lost = lost;
        _read = new TunReadBatch(_slab, 0, ReadSlots);
        Inward = new PacketWriter(device, _slab, ReadSlots * TunReadBatch.SlotBytes, drops);
        Answers = new PacketWriter(device, _slab, (ReadSlots * TunReadBatch.SlotBytes) + PacketWriter.RoomBytes, drops);
        _thread = new Thread(Run) { Name = $"packets of {device.Name}", IsBackground = true };
    }

    /// <summary>For one thread, such as the sessions'.</summary>
    public PacketWriter Inward { get; }

    /// <summary>For the device's own thread: errors that it answers with.</summary>
    public PacketWriter Answers { get; }

    public void Start() => _thread.Start();

    /// <summary>Ends the thread; nobody may write any more. The device stays.</summary>
    public void Dispose()
    {
        _stop = true;
        if (_thread.IsAlive) _thread.Join();
        _slab.Dispose();
    }

    private void Run()
    {
        try
        {
            while (!_stop)
            {
                _device.Wait(LookMilliseconds);
                while (!_stop && _device.Read(_read) > 0)
                {
                    for (int i = 0; i < _read.Count; i++) _handler(_slab.Slice(_read.Items[i].Offset, _read.Items[i].Length));
                    _read.Clear();
                }
            }
        }
        catch (Exception e)
        {
            if (!_stop) _lost(e);
        }
    }
}

/// <summary>Hands packets to the system one by one. One thread.</summary>
internal sealed class PacketWriter
{
    public const int RoomBytes = 2048;

    private readonly ITunDevice _device;
    private readonly PinnedBlock _slab;
    private readonly int _offset;
    private readonly TunWriteBatch _batch;
    private readonly DropCounters _refused = new();
    private readonly SharedDropCounters _drops;

    public PacketWriter(ITunDevice device, PinnedBlock slab, int offset, SharedDropCounters drops)
    {
        (_device, _slab, _offset, _drops) = (device, slab, offset, drops);
        _batch = new TunWriteBatch(slab, 1, 1);
    }

    /// <summary>False: the system did not take it; counted.</summary>
    /// <param name="packet">At most <see cref="RoomBytes"/>.</param>
    /// <exception cref="IOException">The interface is gone.</exception>
    public bool Write(ReadOnlySpan<byte> packet)
    {
        packet.CopyTo(_slab.Slice(_offset, RoomBytes));
        _batch.Pieces[0] = new TunPiece { Offset = _offset, Length = packet.Length };
        _batch.Items[0] = new TunWrite { FirstPiece = 0, PieceCount = 1, Length = packet.Length };
        (_batch.Count, _batch.PieceCount) = (1, 1);
        if (_device.Write(_batch, _refused) == 1) return true;
        _drops.Count(DropReason.TunRefused);
        return false;
    }
}
