using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Native;

namespace Oxen.Ladder;

// One end of a tunnel with everything that a tunnel through three hops costs its ends, and no relay between them:
//
//   client   TUN -> cut -> number, three layers undone (terminal's first) -> seal -> network      and back: open, three undone, merge
//   far      TUN -> cut -> number, three layers run   (terminal's first) -> seal -> network      and back: open, three run, merge
//
// The far end stands for a terminal that also does its two relays' layers. Keys come from a seed that both processes are told, by the product's own
// chains and epochs; packets of a stranger are dropped and counted as the product does.

/// <summary>What both ends must agree on.</summary>
/// <param name="Seed">Everything secret comes from it.</param>
/// <param name="StartEpoch">The path epoch at the start.</param>
internal sealed record LayeredSecrets(string Seed, uint StartEpoch)
{
    public const int Hops = 3;

    /// <summary>The client's own and the far end's: slot 1, any generation but 0.</summary>
    public PathHandle Handle => new(1, BinaryPrimitives.ReadUInt32BigEndian(Bytes("handle")) | 1);

    public byte[] Bytes(string what) => SHA256.HashData(System.Text.Encoding.UTF8.GetBytes($"{Seed} {what}"));
}

/// <summary>One side of it, for the driver of a shard.</summary>
internal sealed class LayeredEnd : IShardCore, ITunnelPort, IDisposable
{
    public const int Link = 1;
    public const uint ClientIndex = 3, FarIndex = 7; // receiver indexes, as their owners announced them

    private const int Slots = 16, ReadSlots = 8, Cells = 1024;
    private const int PacketAt = SealedDatagram.HeaderBytes + OnionLayer.HeadBytes + 1 + RecordLayout.HeaderBytes;

    // The body of a cell begins at a cache line: the layers load whole lines.
    private const int DatagramAt = 64 - SealedDatagram.HeaderBytes;
    private const int CellBytes = 1472;

    private readonly bool _client;
    private readonly PinnedBlock _slab;
    private readonly int _cellsAt;
    private readonly LinkTable _links;
    private readonly int _sender;
    private readonly HopKeySlab _keys = new(LayeredSecrets.Hops);
    private readonly ulong[] _window = new ulong[ReplayWindow.Words];
    private readonly NetworkClock _network;
    private readonly Coalescer _coalescer;
    private readonly ulong _handle;
    private Segmenter _segmenter;
    private ulong _number;
    private int _read, _cells;

    public LayeredEnd(bool client, LayeredSecrets secrets, UdpAddress peer, NetworkClock network, bool mergeUdp)
    {
        ArgumentNullException.ThrowIfNull(secrets);
        _client = client;
        _network = network;
        int receives = Slots * ReceiveBatch.SlotBytes, reads = ReadSlots * TunReadBatch.SlotBytes;
        _cellsAt = receives + reads;
        _slab = new PinnedBlock(_cellsAt + Cells * CellBytes);
        Receives = new ReceiveBatch(_slab, 0, Slots);
        TunReads = new TunReadBatch(_slab, receives, ReadSlots);
        int most = Slots * (ReceiveBatch.SlotBytes / SealedDatagram.FullBytes);
        TunWrites = new TunWriteBatch(_slab, most, most);
        Transmits = new TransmitBatch(_slab, Cells);
        _coalescer = new Coalescer(_slab, TunWrites, mergeUdp);
        _links = new LinkTable(1, 16, 16, Transmits);
        _links.AddReceiver(client ? ClientIndex : FarIndex, Link, 0, peer, LinkSuite.Aegis128L, secrets.Bytes(client ? "to client" : "to far"));
        _sender = _links.AddSender(Link, 0, client ? FarIndex : ClientIndex, peer, LinkSuite.Aegis128L, secrets.Bytes(client ? "to far" : "to client"));
        _handle = secrets.Handle.ToWire();
        for (int hop = 0; hop < LayeredSecrets.Hops; hop++) _keys.Put(hop, secrets.Bytes($"up {hop}"), secrets.Bytes($"down {hop}"), secrets.StartEpoch);
    }

    public ReceiveBatch Receives { get; }

    public TunReadBatch TunReads { get; }

    public TunWriteBatch TunWrites { get; }

    public TransmitBatch Transmits { get; }

    public DropCounters Drops { get; } = new();

    public Instant NextDeadline => Instant.Never;

    public bool HasPendingWork => false;

    public bool WantsTunReads => TunReads.Count == 0;

    public bool HasTunnelWork => TunReads.Count != 0;

    public void HandleCommands(Instant now)
    {
    }

    public void HandleDatagrams(ReceiveBatch batch, Instant now)
    {
        var epochs = new PathEpochs(_network, now);
        for (int i = 0; i < batch.Count; i++)
        {
            ref Received received = ref batch.Items[i];
            for (int at = 0; at < received.Length; at += received.SegmentBytes)
            {
                DropReason reason = Take(received.Offset + at, Math.Min(received.SegmentBytes, received.Length - at), received.From, epochs, now);
                if (reason != DropReason.None) Drops.Count(reason);
            }
        }
    }

    public void HandleTunnel(Instant now)
    {
        var epochs = new PathEpochs(_network, now);
        uint epoch = epochs.Current;
        while (_read < TunReads.Count)
        {
            ref TunRead read = ref TunReads.Items[_read];
            ReadOnlySpan<byte> packet = _slab.Slice(read.Offset, read.Length);
            if (!_segmenter.IsOpen)
            {
                DropReason reason = IpClassifier.Read(packet, out IpPacket ip);
                if (reason == DropReason.None) reason = _segmenter.Begin(ip, read.Header);
                if (reason != DropReason.None)
                {
                    Drops.Count(reason);
                    _read++;
                    continue;
                }
            }

            while (_segmenter.IsOpen && _cells < Cells)
            {
                int offset = _cellsAt + _cells * CellBytes + DatagramAt;
                Span<byte> datagram = _slab.Slice(offset, SealedDatagram.FullBytes);
                _segmenter.TryNext(packet, datagram[PacketAt..^SealedDatagram.TagBytes], out int length);
                Wrap(datagram, length, epoch, now);
                Transmits.TryAdd(offset, SealedDatagram.FullBytes, _sender);
                _cells++;
            }

            if (_segmenter.IsOpen) break;
            _read++;
        }

        if (_read == TunReads.Count)
        {
            TunReads.Clear();
            _read = 0;
        }

        _coalescer.Flush();
    }

    public void HandleOriginations(Instant now)
    {
    }

    public void HandleTimeout(Instant now)
    {
    }

    public void TransmitsSent()
    {
        Transmits.Clear();
        TunWrites.Clear();
        _cells = 0;
    }

    public void Dispose()
    {
        _links.Dispose();
        _keys.Dispose();
        _slab.Dispose();
    }

    private void Wrap(Span<byte> datagram, int length, uint epoch, Instant now)
    {
        Span<byte> body = datagram[SealedDatagram.HeaderBytes..^SealedDatagram.TagBytes];
        BinaryPrimitives.WriteUInt64BigEndian(body, _number++ << 16);
        BinaryPrimitives.WriteUInt64BigEndian(body[8..], 0);
        body[OnionLayer.HeadBytes] = EndCommand.Records;
        body[OnionLayer.HeadBytes + 1] = (byte)RecordType.Ip;
        BinaryPrimitives.WriteUInt16BigEndian(body[(OnionLayer.HeadBytes + 2)..], (ushort)length);
        body[(OnionLayer.HeadBytes + 1 + RecordLayout.HeaderBytes + length)..].Clear();
        PathDirection direction = _client ? PathDirection.Upstream : PathDirection.Downstream;
        LayerTweak tweak = LayerTweak.ForData(SizeClass.Full, direction, epoch);
        for (int hop = LayeredSecrets.Hops - 1; hop >= 0; hop--)
        {
            if (_client) OnionLayer.Inverse(body, _keys.Keys(hop, direction, epoch), tweak);
            else OnionLayer.Forward(body, _keys.Keys(hop, direction, epoch), tweak);
        }

        SealedDatagram.WriteInner(datagram, _handle, epoch, SizeClass.Full);
        _links.Seal(datagram, _sender, now);
    }

    private DropReason Take(int offset, int length, in UdpAddress from, in PathEpochs epochs, Instant now)
    {
        if (length != SealedDatagram.FullBytes) return DropReason.BadLength;
        Span<byte> datagram = _slab.Slice(offset, length);
        if (Demultiplexer.KindOf(datagram[0]) != DatagramKind.Sealed) return DropReason.UnknownKind;
        DropReason reason = _links.Open(datagram, from, out _, out _, now);
        if (reason != DropReason.None) return reason;
        if (!SealedDatagram.TryReadInner(datagram, out ulong handle, out uint epochBits, out _)) return DropReason.ReservedNotZero;
        if (handle != _handle) return DropReason.UnknownPath;
        uint epoch = epochs.Resolve(epochBits);
        if (epoch == 0) return DropReason.WrongEpoch;
        Span<byte> body = datagram[SealedDatagram.HeaderBytes..^SealedDatagram.TagBytes];
        PathDirection direction = _client ? PathDirection.Downstream : PathDirection.Upstream;
        LayerTweak tweak = LayerTweak.ForData(SizeClass.Full, direction, epoch);
        for (int hop = 0; hop < LayeredSecrets.Hops; hop++)
        {
            if (_client) OnionLayer.Inverse(body, _keys.Keys(hop, direction, epoch), tweak);
            else OnionLayer.Forward(body, _keys.Keys(hop, direction, epoch), tweak);
            if (ShardTables.HasTenZeros(body) != (hop == LayeredSecrets.Hops - 1)) return DropReason.NotRecognised;
        }

        ulong number = BinaryPrimitives.ReadUInt64BigEndian(body) >> 16;
        if (!ReplayWindow.IsNew(_window, number)) return DropReason.PathReplay;
        ReplayWindow.Mark(_window, number);
        if (body[OnionLayer.HeadBytes] != EndCommand.Records) return DropReason.BadCommand;
        var records = new RecordReader(body[(OnionLayer.HeadBytes + 1)..]);
        int at = offset + PacketAt;
        while (records.TryRead(out RecordType type, out Span<byte> bytes))
        {
            if (type == RecordType.Ip)
            {
                reason = IpClassifier.Read(bytes, out IpPacket ip);
                if (reason != DropReason.None) return reason;
                if (!_coalescer.TryAdd(at, ip)) return DropReason.TunRefused;
            }

            at += bytes.Length + RecordLayout.HeaderBytes;
        }

        return records.Malformed ? DropReason.BadRecord : DropReason.None;
    }
}
