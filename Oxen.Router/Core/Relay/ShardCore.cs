// One shard of the data plane: one thread, one socket, its own tables and its own slab. Sans-IO: the driver calls in the
// order that IShardCore names, other threads speak through Post, three packet rings and an event queue.
//
//   slab: receive slots (64 KiB each) | control ring | delivery ring | origination ring
//         with a tunnel also: reads and replies of the TUN device | a ring from each shard, this one too
//
// This file takes what arrives. ShardCore.Commands.cs changes the tables, ShardCore.Sweep.cs moves the epochs on.
using System.Collections.Concurrent;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native;

namespace Oxen.Router.Core.Relay;

/// <summary>The data plane of one shard.</summary>
internal sealed partial class ShardCore : IShardCore, IDisposable
{
    private const int OriginationsPerTurn = 512;
    private const int EventSlots = 1024;

    private readonly NetworkClock _clock;
    private readonly ShardTables _tables;
    private readonly RelayPipeline _pipeline;
    private readonly Originator _originator;
    private readonly EgressLists _egress;
    private readonly Packet[] _packets;
    private readonly ConcurrentQueue<ShardCommand> _commands = new();
    private readonly PinnedBlock _slab;

    public ShardCore(ShardOptions options, NetworkClock clock, IEntropy entropy)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(clock);
        if (options.ShardCount is < 1 or > NumberWindows.MaxRanges) throw new ArgumentException("1 to 16 shards", nameof(options));
        if ((uint)options.Shard >= (uint)options.ShardCount) throw new ArgumentException("shard is not below the shard count", nameof(options));
        if ((options.MaxReceivers & (options.MaxReceivers - 1)) != 0) throw new ArgumentException("receivers: a power of two", nameof(options));
        Options = options;
        _clock = clock;

        int receiveBytes = options.ReceiveSlots * ReceiveBatch.SlotBytes;
        int controlBytes = options.ControlSlots * PacketRing.SlotBytes;
        int deliveryBytes = options.DeliverySlots * PacketRing.SlotBytes;
        int originationBytes = options.OriginationSlots * PacketRing.SlotBytes;
        int tunnelAt = receiveBytes + controlBytes + deliveryBytes + originationBytes;
        TunnelOptions? tunnel = options.Tunnel;
        int tunnelBytes = tunnel is null ? 0 : TunnelLane.SlabBytes(tunnel) + (tunnel.OutSlots + (options.ShardCount - 1) * tunnel.CrossSlots) * PacketRing.SlotBytes;
        _slab = new PinnedBlock(tunnelAt + tunnelBytes);
        Receives = new ReceiveBatch(_slab, 0, options.ReceiveSlots);
        Control = new PacketRing(_slab, receiveBytes, options.ControlSlots);
        Deliveries = new PacketRing(_slab, receiveBytes + controlBytes, options.DeliverySlots);
        Originations = new PacketRing(_slab, receiveBytes + controlBytes + deliveryBytes, options.OriginationSlots);

        // A receive of 64 KiB holds at most 53 datagrams of the smallest class.
        int perReceive = ReceiveBatch.SlotBytes / SealedDatagram.ReducedBytes;
        int packets = options.ReceiveSlots * perReceive;
        int tunnelPackets = tunnel is null ? 0 : tunnel.OutSlots + (options.ShardCount - 1) * tunnel.CrossSlots;
        _packets = new Packet[Math.Max(packets, Math.Max(OriginationsPerTurn, tunnelPackets))];
        Transmits = new TransmitBatch(_slab, packets + OriginationsPerTurn + tunnelPackets);
        Events = new ShardEventQueue(EventSlots);
        _tables = new ShardTables(options, _slab, Transmits, Deliveries, Events, entropy);
        Fairness = new PathFairness(options.MaxSlots);
        _egress = new EgressLists(options.MaxSenders);
        if (tunnel is not null)
        {
            Activity = new PathActivity(options.MaxPaths);
            int ringAt = tunnelAt + TunnelLane.SlabBytes(tunnel);
            TunnelRings = new PacketRing[options.ShardCount];
            for (int i = 0; i < TunnelRings.Length; i++)
            {
                int slots = i == options.Shard ? tunnel.OutSlots : tunnel.CrossSlots;
                TunnelRings[i] = new PacketRing(_slab, ringAt, slots);
                ringAt += slots * PacketRing.SlotBytes;
            }

            Tunnel = new TunnelLane(options, _tables, _slab, tunnelAt, TunnelRings[options.Shard], Activity);
        }

        _pipeline = new RelayPipeline(_tables, new ClientPipeline(_tables, Tunnel), Fairness, _egress, _packets, Tunnel);
        _originator = new Originator(_tables, _egress, _packets);
    }

    public ShardOptions Options { get; }

    /// <summary>Where the driver receives into.</summary>
    public ReceiveBatch Receives { get; }

    public PinnedBlock Slab => _slab;

    /// <summary>QUIC datagrams, to the control thread: From, Length, At; bytes from the headroom on.</summary>
    public PacketRing Control { get; }

    /// <summary>
    /// Content that reached an end of a path, to the session thread: Subject and Generation are the <see cref="PathNumber"/>,
    /// Hop who answered (client), Command, Length, At; content from the headroom on, padding and all.
    /// </summary>
    public PacketRing Deliveries { get; }

    /// <summary>
    /// Content to originate, from the session thread: Subject and Generation are the <see cref="PathNumber"/>, Hop the hop
    /// addressed (client; anything from the terminal's on means the terminal), Command, Length; content from the headroom on.
    /// </summary>
    public PacketRing Originations { get; }

    /// <summary>This shard's end of the tunnel; null without one.</summary>
    public TunnelLane? Tunnel { get; }

    /// <summary>Contents of IP packets for paths of this shard, from the lane of each shard.</summary>
    public PacketRing[] TunnelRings { get; } = [];

    /// <summary>When IP packets passed on each path; null without a tunnel.</summary>
    public PathActivity? Activity { get; }

    /// <summary>What the control thread should know.</summary>
    public ShardEventQueue Events { get; }

    public TransmitBatch Transmits { get; }

    public DropCounters Drops => _tables.Drops;

    /// <summary>Packets that crossed between paths which a rendezvous joined.</summary>
    public long Crossed => _tables.Crossed;

    public PathFairness Fairness { get; }

    /// <summary>The replay filter, for its metrics.</summary>
    public ReplayFilter Filter => _tables.Filter;

    /// <summary>The tables, for tests and metrics on the shard's own thread.</summary>
    public ShardTables Tables => _tables;

    public bool HasPendingWork
    {
        get
        {
            if (!_commands.IsEmpty || !Originations.IsEmpty || _retiring.Count > 0) return true;
            foreach (PacketRing ring in TunnelRings) if (!ring.IsEmpty) return true;
            return false;
        }
    }

    /// <summary>Asks for a change of the tables. Any thread; waking the driver is the caller's affair.</summary>
    public void Post(ShardCommand command)
    {
        ArgumentNullException.ThrowIfNull(command);
        _commands.Enqueue(command);
    }

    public void HandleDatagrams(ReceiveBatch batch, Instant now)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var epochs = new PathEpochs(_clock, now);
        Fairness.BeginBatch(batch.Count == batch.Slots, batch.KernelDrops);
        int count = 0;
        int begun = 0;
        for (int i = 0; i < batch.Count; i++)
        {
            ref Received received = ref batch.Items[i];
            int segment = Math.Max(received.SegmentBytes, 1);
            for (int at = 0; at < received.Length; at += segment)
            {
                int offset = received.Offset + at;
                int length = Math.Min(segment, received.Length - at);
                byte first = _slab.Slice(offset, 1)[0];
                switch (Demultiplexer.KindOf(first))
                {
                    case DatagramKind.Sealed when length is SealedDatagram.FullBytes or SealedDatagram.ReducedBytes && count < _packets.Length:
                        _packets[count++] = new Packet { Offset = offset, Length = (ushort)length, Next = i };
                        if (count - begun == RelayPipeline.Chunk)
                        {
                            _pipeline.Run(begun, count, batch.Items, epochs, now);
                            begun = count;
                        }

                        break;
                    case DatagramKind.Sealed:
                        Drops.Count(length < SealedDatagram.HeaderBytes + SealedDatagram.TagBytes ? DropReason.Runt : DropReason.BadLength);
                        break;
                    case DatagramKind.Quic:
                        ToControl(offset, length, received.From, now);
                        break;
                    default:
                        Drops.Count(DropReason.UnknownKind);
                        break;
                }
            }
        }

        if (count > begun) _pipeline.Run(begun, count, batch.Items, epochs, now);
        Fairness.EndBatch();
        _egress.MoveTo(Transmits, _packets, Drops);
    }

    public void HandleOriginations(Instant now)
    {
        if (!Originations.IsEmpty) Originate(Originations, OriginationsPerTurn, now);
        foreach (PacketRing ring in TunnelRings) if (!ring.IsEmpty) Originate(ring, ring.Slots, now);
    }

    public void TransmitsSent()
    {
        Transmits.Clear();
        Originations.ReleaseTaken();
        foreach (PacketRing ring in TunnelRings) ring.ReleaseTaken();
        Tunnel?.TransmitsSent();
        if (_retiring.Count > 0) Retire();
    }

    public void Dispose()
    {
        _tables.Dispose();
        _slab.Dispose();
    }

    private void Originate(PacketRing ring, int most, Instant now)
    {
        _originator.Run(ring, Math.Min(most, Transmits.Capacity - Transmits.Count), new PathEpochs(_clock, now), now);
        _egress.MoveTo(Transmits, _packets, Drops);
    }

    private void ToControl(int offset, int length, in UdpAddress from, Instant now)
    {
        if (length > PacketRing.SlotBytes - PacketRing.Headroom)
        {
            Drops.Count(DropReason.BadLength);
            return;
        }

        if (!Control.TryReserve(out Span<byte> slot))
        {
            Drops.Count(DropReason.ControlQueueFull);
            return;
        }

        _slab.Slice(offset, length).CopyTo(slot[PacketRing.Headroom..]);
        Control.Commit(new PacketTag { From = from, Length = length, At = now });
    }
}
