using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native;
using Oxen.Router.Native.Linux;
using Oxen.Router.Udp;

namespace Oxen.Ladder;

/// <summary>Writes the packets of the next send: `packets` holds them side by side, `packetBytes` each. Called for every send, so each packet may be its own.</summary>
internal delegate void PreparePackets(Span<byte> packets, int packetBytes);

/// <summary>
/// Source and sink of a rung: one thread, one socket, a closed loop. It keeps at most `window` packets on the way: sends runs of
/// `segments` packets to the machine under test and counts what comes back to its own socket.
/// </summary>
internal sealed class Generator : IDisposable
{
    private const int Slots = 16;

    private readonly IUdpSocket _socket;
    private readonly PinnedBlock _slab;
    private readonly ReceiveBatch _batch;
    private readonly TransmitBatch _out;
    private readonly DropCounters _drops = new();
    private readonly int _packetBytes;
    private readonly int _segments;
    private readonly int _window;
    private readonly PreparePackets? _prepare;
    private Thread? _thread;
    private volatile bool _stop;
    private long _received, _lost;

    public Generator(int packetBytes, int segments, int window, PreparePackets? prepare = null)
    {
        _packetBytes = packetBytes;
        _segments = segments;
        _window = Math.Max(window, segments);
        _prepare = prepare;
        _socket = UdpSocketFactory.Open(UdpAddress.FromBytes([127, 0, 0, 1], 0));
        int perSend = Math.Max(1, 64 / segments) * segments;
        _slab = new PinnedBlock(Slots * ReceiveBatch.SlotBytes + perSend * packetBytes);
        _batch = new ReceiveBatch(_slab, 0, Slots);
        _out = new TransmitBatch(_slab, perSend);
        PerSend = perSend;
    }

    public UdpAddress Address => _socket.LocalAddress;

    /// <summary>Packets that came back.</summary>
    public long Received => Volatile.Read(ref _received);

    /// <summary>Packets given up after half a second without any answer.</summary>
    public long Lost => Volatile.Read(ref _lost);

    private int PerSend { get; }

    public void Start(UdpAddress target, int cpu)
    {
        // Two rows with one address: a run ends where the row changes, so each message has exactly `segments` packets.
        _out.Routes[0] = target;
        _out.Routes[1] = target;
        _stop = false;
        _thread = new Thread(() => Run(cpu)) { IsBackground = true, Name = "generator" };
        _thread.Start();
    }

    public void Stop()
    {
        _stop = true;
        _thread?.Join();
        _thread = null;
    }

    public void Dispose()
    {
        Stop();
        _socket.Dispose();
        _slab.Dispose();
    }

    private void Run(int cpu)
    {
        LinuxThread.PinTo(cpu);
        int start = Slots * ReceiveBatch.SlotBytes;
        int underway = 0;
        while (_socket.Receive(_batch) > 0)
        {
            // What an earlier run left behind.
        }

        while (!_stop)
        {
            int room = Math.Min(PerSend, (_window - underway) / _segments * _segments);
            if (room > 0)
            {
                _prepare?.Invoke(_slab.Slice(start, room * _packetBytes), _packetBytes);
                for (int i = 0; i < room; i++) _out.TryAdd(start + i * _packetBytes, _packetBytes, i / _segments & 1);
                underway += _socket.Send(_out, _drops);
                _out.Clear();
            }

            if (_socket.Receive(_batch) == 0)
            {
                if (room > 0) continue;
                _socket.Wait(TimeSpan.FromMilliseconds(500));
                if (_socket.Receive(_batch) == 0)
                {
                    Volatile.Write(ref _lost, _lost + underway);
                    underway = 0;
                    continue;
                }
            }

            int back = 0;
            for (int i = 0; i < _batch.Count; i++) back += (_batch.Items[i].Length + _batch.Items[i].SegmentBytes - 1) / _batch.Items[i].SegmentBytes;
            underway = Math.Max(0, underway - back);
            Volatile.Write(ref _received, _received + back);
        }
    }
}
