using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Native;
using Oxen.Router.Udp;

namespace Oxen.Router.Hosting;

/// <summary>The control thread of a router: QUIC datagrams from the shards in, QUIC datagrams out on shard 0's address.</summary>
internal sealed class ControlLoop : LoopThread
{
    private const int BufferBytes = 64 * 1024;
    private const int Buffers = 8;

    // What a shard's ring gives in a turn, and what may be answered in one: each datagram of a flood may ask for a Retry, and
    // an answer that has no room costs an honest client its first datagram.
    private const int DatagramsPerTurn = 64;

    private readonly ShardCore[] _shards;
    private readonly Action<int> _wakeShard;
    private readonly DataPlane _dataPlane;
    private readonly PinnedBlock _slab = new(Buffers * BufferBytes);
    private readonly TransmitBatch _batch;
    private readonly IUdpSender _sender;
    private ControlCore? _core;
    private int _directoryTold = -1;

    public ControlLoop(string name, MonotonicClock clock, ShardCore[] shards, DataPlane dataPlane, IUdpSender sender, Action<int> wakeShard, Action<string, Exception> onFault)
        : base(name, clock, onFault)
    {
        _shards = shards;
        _dataPlane = dataPlane;
        _sender = sender;
        _wakeShard = wakeShard;
        _batch = new TransmitBatch(_slab, 1024) { Routes = new UdpAddress[DatagramsPerTurn] };
    }

    public DropCounters Drops { get; } = new();

    /// <summary>Called on this thread when the directory is known and whenever it has changed.</summary>
    public Action<NodeDirectory>? DirectoryChanged { get; set; }

    /// <summary>The state machines; only for the loop's own thread.</summary>
    public ControlCore Core
    {
        get => _core!;
        set => _core = value;
    }

    protected override Instant NextDeadline => Core.NextDeadline;

    /// <summary>Says good-bye on every link and waits until that has left.</summary>
    public Task StopCoreAsync() => InvokeAsync(now =>
    {
        Core.Stop(now);
        Transmit(now);
        return true;
    });

    public override void Dispose()
    {
        base.Dispose();
        _core?.Dispose();
        _sender.Dispose();
        _slab.Dispose();
    }

    protected override bool Turn(Instant now)
    {
        bool more = false;
        for (int shard = 0; shard < _shards.Length; shard++)
        {
            PacketRing ring = _shards[shard].Control;
            int taken = 0;
            while (taken < DatagramsPerTurn && ring.TryTake(out PacketTag tag, out int offset))
            {
                Core.HandleDatagram(ring.Slab.Slice(offset + PacketRing.Headroom, tag.Length), tag.From, now);
                taken++;
            }

            if (taken > 0) ring.ReleaseTaken();
            more |= taken == DatagramsPerTurn;
            while (_shards[shard].Events.TryTake(out ShardEvent happened)) Core.HandleShardEvent(shard, happened, now);
            if (taken > 0) more |= Transmit(now);
        }

        if (Core.NextDeadline <= now) Core.HandleTimeout(now);
        if (DirectoryChanged is { } changed && Core.Nodes.Version != _directoryTold)
        {
            _directoryTold = Core.Nodes.Version;
            changed(Core.Nodes);
        }

        more |= Transmit(now);
        for (int shard = 0; shard < _shards.Length; shard++) if (_dataPlane.TakePosted(shard)) _wakeShard(shard);
        return more;
    }

    private bool Transmit(Instant now)
    {
        int begin = 0, routes = 0;
        bool room = true;
        while (room && Core.TryTransmit(_slab.Slice(begin, BufferBytes), out int bytes, out int segmentBytes, out UdpAddress to, now))
        {
            _batch.Routes[routes] = to;
            for (int at = 0; at < bytes; at += segmentBytes) _batch.TryAdd(begin + at, Math.Min(segmentBytes, bytes - at), routes);
            routes++;
            begin += bytes;
            room = routes < DatagramsPerTurn && begin + BufferBytes <= _slab.Length;
        }

        if (_batch.Count == 0) return false;
        _sender.Send(_batch, Drops);
        _batch.Clear();
        return !room;
    }
}
