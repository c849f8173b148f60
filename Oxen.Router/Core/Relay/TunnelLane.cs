// The shard's side of a tunnel: IP packets go between the TUN device and the paths without leaving the shard's thread.
//
//   out of a path   records -> classify -> is it the lease's?  -> client: own address for the leased one   -> MSS -> Coalescer -> TUN
//                                                              -> exit: may it leave?
//   into a path     TUN -> classify -> whose is it?            -> client: leased address for the own one   -> MSS -> Segmenter
//                       -> records in a ring -> Originator (number, layers, seal)
//
// A ring leads to each shard, the own one too: a peer's path lives in one shard, and the system picks the queue of the device
// by flow. It soon learns to pick the one that the flow's packets came out of, so the rings between shards are small and mostly
// empty; when one is full its packets are dropped, not held, for behind them wait packets of other paths.
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Native;

namespace Oxen.Router.Core.Relay;

/// <summary>One shard's end of a tunnel.</summary>
internal sealed class TunnelLane : ITunnelPort
{
    // A record: type 1, length 2, the packet (docs/protocol/session.md).
    private const int RecordHeader = 3;
    private const byte IpRecord = 1;

    // As PathOutlet has it: "the last hop", whatever the path's length.
    private const byte LastHop = 255;

    private const int ReplySlots = 16;

    // A client without a path keeps what programs send for so long, then tells them that there is no way.
    private static readonly TimeSpan Hold = TimeSpan.FromSeconds(2);

    // The session thread is told of traffic at once when there was none for so long.
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(100);

    private readonly TunnelOptions _options;
    private readonly ShardTables _tables;
    private readonly PinnedBlock _slab;
    private readonly Coalescer _coalescer;
    private readonly IPacketPolicy? _policy;
    private readonly Peer[] _peers;
    private readonly PathActivity[] _activity;
    private readonly PacketRing[] _rings;
    private readonly bool[] _wakes;
    private readonly int _shard;
    private readonly int _repliesAt;
    private readonly long _errorInterval;
    private Action<int>? _wakeShard;
    private int _replies;
    private long _errorNext;

    // What is being cut: the packet at _at of the reads.
    private int _at;
    private bool _cutting, _fragmenting;
    private int _peer;
    private Segmenter _segmenter;
    private Ipv4Fragmenter _fragmenter;

    // The onion packet that is being filled.
    private PacketRing? _openRing;
    private PathNumber _openPath;
    private int _openShard, _openLength;

    private Instant _holdUntil = Instant.Never;
    private bool _holding, _stirred;

    private struct Peer
    {
        public InnerAddresses Leased;
        public PathNumber Path;
        public int Shard;   // -1: no path now
        public int Room;    // content bytes of the path's class, without the command
        public bool Open;
    }

    /// <param name="readsAt">Place in the slab for <see cref="TunnelOptions.ReadSlots"/> reads, and behind them the replies: <see cref="SlabBytes"/>.</param>
    /// <param name="own">The ring from this shard to itself.</param>
    public TunnelLane(ShardOptions shard, ShardTables tables, PinnedBlock slab, int readsAt, PacketRing own, PathActivity activity)
    {
        _options = shard.Tunnel!;
        _shard = shard.Shard;
        _tables = tables;
        _slab = slab;
        _repliesAt = readsAt + _options.ReadSlots * TunReadBatch.SlotBytes;
        TunReads = new TunReadBatch(slab, readsAt, _options.ReadSlots);
        TunWrites = new TunWriteBatch(slab, _options.WritePackets, _options.WritePieces);
        _coalescer = new Coalescer(slab, TunWrites, _options.MergeUdp);
        _policy = _options.Policy?.Invoke();
        if (!_options.IsClient && _policy is null) throw new ArgumentException("an exit's tunnel needs a policy", nameof(shard));
        _peers = new Peer[_options.Peers];
        for (int i = 0; i < _peers.Length; i++) _peers[i].Shard = -1;
        _rings = new PacketRing[shard.ShardCount];
        _activity = new PathActivity[shard.ShardCount];
        _wakes = new bool[shard.ShardCount];
        _rings[_shard] = own;
        _activity[_shard] = activity;
        _errorInterval = 1_000_000_000L / _options.ErrorsPerSecond;
        _holding = _options.IsClient;
    }

    public TunReadBatch TunReads { get; }

    public TunWriteBatch TunWrites { get; }

    public bool WantsTunReads => TunReads.Count == 0 && !_holding;

    public bool HasTunnelWork => TunReads.Count > 0 && !_holding;

    /// <summary>When a client without a path begins to say so; <see cref="Instant.Never"/> with one.</summary>
    public Instant NextDeadline => _holding ? _holdUntil : Instant.Never;

    /// <summary>Packets that went into groups of more than one on their way to the system.</summary>
    public long Merged => _coalescer.Merged;

    /// <summary>Reads and replies, in the shard's slab.</summary>
    public static int SlabBytes(TunnelOptions options) => options.ReadSlots * TunReadBatch.SlotBytes + ReplySlots * PacketRing.SlotBytes;

    /// <summary>Makes the ways to the other shards known; before the first turn.</summary>
    public void Connect(ReadOnlySpan<ShardCore> shards, Action<int> wakeShard)
    {
        _wakeShard = wakeShard;
        for (int i = 0; i < shards.Length; i++)
        {
            if (i == _shard) continue;
            _rings[i] = shards[i].TunnelRings[_shard];
            _activity[i] = shards[i].Activity!;
        }
    }

    /// <summary>True once after traffic began where there was none: the session thread is to look at its paths.</summary>
    public bool TakeStirred()
    {
        bool stirred = _stirred;
        _stirred = false;
        return stirred;
    }

    // ---- commands ----

    public bool Do(OpenTunnelPeer c)
    {
        if ((uint)c.Peer >= (uint)_peers.Length) return false;
        _peers[c.Peer] = new Peer { Leased = c.Leased, Shard = -1, Open = true };
        return true;
    }

    public bool Do(RouteTunnelPeer c, Instant now)
    {
        if ((uint)c.Peer >= (uint)_peers.Length || !_peers[c.Peer].Open) return false;
        ref Peer peer = ref _peers[c.Peer];
        if (c.Path is { } path)
        {
            peer.Path = path.Number;
            peer.Shard = path.Shard;
            peer.Room = SealedDatagram.ContentBytes(c.Class);
            _holding = false;
        }
        else
        {
            Unroute(ref peer, now);
        }

        return true;
    }

    public bool Do(CloseTunnelPeer c, Instant now)
    {
        if ((uint)c.Peer >= (uint)_peers.Length) return false;
        Unroute(ref _peers[c.Peer], now);
        _peers[c.Peer].Open = false;
        return true;
    }

    public bool Do(BindTunnelPath c)
    {
        // A path that is gone already needs no binding.
        if (_tables.Hops.IsPath(c.Path.Row, c.Path.Generation)) _tables.Hops.Path(c.Path.Row).TunnelPeer = c.Peer + 1;
        return true;
    }

    // ---- out of a path ----

    /// <summary>Takes the IP packets among the records that reached an end of a path. True: there are records of other kinds, for the session thread.</summary>
    /// <param name="offset">Of the content in the slab: it stays there until <see cref="TransmitsSent"/>.</param>
    public bool Take(int row, int offset, int length, Instant now)
    {
        int peer = _tables.Hops.Path(row).TunnelPeer - 1;
        bool others = false, taken = false;
        while (length > 0)
        {
            ReadOnlySpan<byte> rest = _slab.Slice(offset, length);
            if (length < RecordHeader || rest[0] == 0)
            {
                // What remains is padding; it must be zeros, so that nothing hides there.
                if (!others && rest.IndexOfAnyExcept((byte)0) >= 0) _tables.Drops.Count(DropReason.BadRecord);
                break;
            }

            int record = (rest[1] << 8) | rest[2];
            if (record > length - RecordHeader)
            {
                if (!others) _tables.Drops.Count(DropReason.BadRecord);
                break;
            }

            if (rest[0] == IpRecord)
            {
                DropReason reason = peer < 0 ? DropReason.NoTunnel : Leave(peer, offset + RecordHeader, record, now);
                if (reason != DropReason.None) _tables.Drops.Count(reason);
                taken = true;
            }
            else
            {
                others = true;
            }

            offset += RecordHeader + record;
            length -= RecordHeader + record;
        }

        if (taken) _activity[_shard].OnHeard(row, now);
        return others;
    }

    // ---- into a path ----

    public void HandleTunnel(Instant now)
    {
        if (_holding && _holdUntil.IsNever) _holdUntil = now + Hold;
        if (TunReads.Count > 0 && !_holding) Enter(now);
        CloseOpen();
        for (int shard = 0; shard < _wakes.Length; shard++)
        {
            if (!_wakes[shard]) continue;
            _wakes[shard] = false;
            _wakeShard!(shard);
        }

        _coalescer.Flush();
    }

    /// <summary>A client waits no longer for a path.</summary>
    public void HandleTimeout(Instant now)
    {
        if (_holding && _holdUntil <= now) _holding = false;
    }

    public void TransmitsSent()
    {
        TunWrites.Clear();
        if (_coalescer.Count > 0) _coalescer.Clear(); // a turn that broke
        _replies = 0;
    }

    private void Enter(Instant now)
    {
        while (_at < TunReads.Count)
        {
            ref TunRead read = ref TunReads.Items[_at];
            if (!_cutting && !Begin(ref read, now))
            {
                _at++;
                continue;
            }

            if (!Cut(read, now)) break;
            _cutting = _fragmenting = false;
            _at++;
        }

        if (_at == TunReads.Count)
        {
            TunReads.Clear();
            _at = 0;
        }
    }

    // False: dropped, with its reason counted.
    private bool Begin(ref TunRead read, Instant now)
    {
        Span<byte> packet = _slab.Slice(read.Offset, read.Length);
        bool partial = (read.Header.Flags & VirtioHeader.NeedsChecksum) != 0;
        DropReason reason = IpClassifier.Read(packet, out IpPacket ip);
        if (reason == DropReason.None) reason = FindPeer(ip, out _peer);
        if (reason == DropReason.None && _peers[_peer].Shard < 0)
        {
            if (_options.IsClient) AnswerSystem(packet, ip, IcmpError.NoRoute, now);
            reason = DropReason.NoPath;
        }

        if (reason != DropReason.None)
        {
            _tables.Drops.Count(reason);
            return false;
        }

        if (_options.IsClient)
        {
            ref readonly InnerAddresses leased = ref _peers[_peer].Leased;
            AddressTranslation.RewriteSource(packet, ref ip, ip.Version == 4 ? leased.IPv4 : leased.IPv6, partial);
        }

        MssClamp.Apply(packet, ip, partial);
        reason = _segmenter.Begin(ip, read.Header);
        if (reason == DropReason.TooLarge && read.Header.Segmentation == VirtioHeader.NotSegmented && Ipv4Fragmenter.IsFor(ip))
        {
            if (partial) InternetChecksum.WriteTransport(packet, ip);
            _fragmenter = new Ipv4Fragmenter(ip);
            _fragmenting = true;
            reason = DropReason.None;
        }

        if (reason != DropReason.None)
        {
            if (reason == DropReason.TooLarge) AnswerTooBig(packet, ref ip, partial, now);
            _tables.Drops.Count(reason);
            return false;
        }

        _cutting = true;
        return true;
    }

    // False: no room in this turn. What a full ring to another shard costs is lost at once.
    private bool Cut(in TunRead read, Instant now)
    {
        ReadOnlySpan<byte> packet = _slab.Slice(read.Offset, read.Length);
        while (_fragmenting || _segmenter.IsOpen)
        {
            ref Peer peer = ref _peers[_peer];
            int need = _fragmenting ? TunnelConstants.InnerMtu : _segmenter.NextLength;
            Span<byte> into = default;
            DropReason reason = peer.Shard < 0 ? DropReason.NoPath : TryOpen(peer, need, out into, now);
            if (reason == DropReason.OriginationQueueFull && peer.Shard == _shard) return false;
            if (reason != DropReason.None)
            {
                _segmenter.Close();
                _tables.Drops.Count(reason);
                return true;
            }

            int length;
            if (_fragmenting)
            {
                length = _fragmenter.Next(packet, into);
                if (length == 0) return true;
            }
            else if (!_segmenter.TryNext(packet, into, out length))
            {
                return true;
            }

            Close(length);
        }

        return true;
    }

    private DropReason FindPeer(in IpPacket ip, out int peer)
    {
        peer = 0;
        if (_options.IsClient)
        {
            // What the system says to its neighbours by multicast is no affair of the path.
            UInt128 own = ip.Version == 4 ? _options.Own.IPv4 : _options.Own.IPv6;
            bool host = ip.Version == 4 ? ip.Destination4 >> 28 < 14 && ip.Destination4 >> 24 != 127 : ip.Destination >> 120 != 0xFF && ip.Destination >> 118 != 0x3FA;
            return own != 0 && ip.Source == own && host ? DropReason.None : DropReason.TunnelAddress;
        }

        UInt128 number = ip.Version == 4 ? ip.Destination - _options.First.IPv4 : ip.Destination - _options.First.IPv6;
        if ((ip.Version == 6 && _options.First.IPv6 == 0) || number >= (UInt128)_peers.Length) return DropReason.TunnelAddress;
        peer = (int)number;
        return _peers[peer].Open ? DropReason.None : DropReason.TunnelAddress;
    }

    private DropReason Leave(int peer, int offset, int length, Instant now)
    {
        Span<byte> packet = _slab.Slice(offset, length);
        DropReason reason = IpClassifier.Read(packet, out IpPacket ip);
        if (reason != DropReason.None) return reason;
        if (ip.Length != length) return DropReason.BadRecord;
        ref Peer owner = ref _peers[peer];
        if (!owner.Open) return DropReason.NoTunnel;
        UInt128 leased = ip.Version == 4 ? owner.Leased.IPv4 : owner.Leased.IPv6;
        if (_options.IsClient)
        {
            UInt128 own = ip.Version == 4 ? _options.Own.IPv4 : _options.Own.IPv6;
            if (own == 0 || leased == 0 || ip.Destination != leased) return DropReason.TunnelAddress;
            AddressTranslation.RewriteDestination(packet, ref ip, own, partialChecksum: false);
        }
        else
        {
            if (leased == 0 || ip.Source != leased) return DropReason.TunnelAddress;
            reason = _policy!.Check(ip, packet);
            if (reason != DropReason.None)
            {
                AnswerPeer(ref owner, packet, ip, IcmpError.Prohibited, now);
                return reason;
            }
        }

        MssClamp.Apply(packet, ip, partialChecksum: false);
        return _coalescer.TryAdd(offset, ip) ? DropReason.None : DropReason.TunnelQueueFull;
    }

    // ---- onion packets ----

    // Room for a record of so many bytes on the peer's path, behind others of the same path while they fit.
    private DropReason TryOpen(in Peer peer, int length, out Span<byte> into, Instant now)
    {
        into = default;
        if (RecordHeader + length > peer.Room) return DropReason.TooLarge;
        bool joins = _openRing is not null && _openPath == peer.Path && _openShard == peer.Shard && _openLength + RecordHeader + length <= peer.Room;
        if (!joins) CloseOpen();
        PacketRing ring = _rings[peer.Shard];
        if (!ring.TryReserve(out Span<byte> slot)) return DropReason.OriginationQueueFull;
        if (!joins)
        {
            (_openRing, _openPath, _openShard, _openLength) = (ring, peer.Path, peer.Shard, 0);
            if (now - _activity[peer.Shard].OnSent(peer.Path.Row, now) > Quiet) _stirred = true;
        }

        into = slot[(PacketRing.Headroom + _openLength + RecordHeader)..];
        return DropReason.None;
    }

    // The record that TryOpen gave room for has so many bytes.
    private void Close(int length)
    {
        _openRing!.TryReserve(out Span<byte> slot);
        Span<byte> record = slot[(PacketRing.Headroom + _openLength)..];
        record[0] = IpRecord;
        record[1] = (byte)(length >> 8);
        record[2] = (byte)length;
        _openLength += RecordHeader + length;
    }

    private void CloseOpen()
    {
        if (_openRing is not { } ring) return;
        if (_openLength > 0)
        {
            ring.Commit(new PacketTag { Subject = _openPath.Row, Generation = _openPath.Generation, Command = OnionCommand.FirstOfEnds, Hop = LastHop, Length = _openLength });
            if (_openShard != _shard) _wakes[_openShard] = true;
        }

        _openRing = null;
        _openLength = 0;
    }

    // ---- ICMP errors ----

    private bool MayAnswer(Instant now)
    {
        long empty = Math.Max(_errorNext, now.Nanoseconds);
        if (empty - now.Nanoseconds > _errorInterval * ReplySlots) return false;
        _errorNext = empty + _errorInterval;
        return true;
    }

    // The sender is to send less at a time: it is on this side of the tunnel.
    private void AnswerTooBig(Span<byte> packet, ref IpPacket ip, bool partial, Instant now)
    {
        if (_options.IsClient) AddressTranslation.RewriteSource(packet, ref ip, ip.Version == 4 ? _options.Own.IPv4 : _options.Own.IPv6, partial);
        AnswerSystem(packet, ip, IcmpError.TooBig, now);
    }

    // The error's source is a neighbour of the interface's own address: the system takes none from itself.
    private void AnswerSystem(ReadOnlySpan<byte> packet, in IpPacket ip, IcmpError error, Instant now)
    {
        UInt128 own = ip.Version == 4 ? _options.Own.IPv4 : _options.Own.IPv6;
        if (own == 0 || _replies == ReplySlots || !IcmpReply.MayAnswer(ip, error) || !MayAnswer(now)) return;
        int offset = _repliesAt + _replies * PacketRing.SlotBytes;
        int length = IcmpReply.Write(packet, ip, error, own ^ 1, _slab.Slice(offset, PacketRing.SlotBytes));
        if (length == 0 || IpClassifier.Read(_slab.Slice(offset, length), out IpPacket reply) != DropReason.None) return;
        if (_coalescer.TryAdd(offset, reply)) _replies++;
    }

    private void AnswerPeer(ref Peer peer, ReadOnlySpan<byte> packet, in IpPacket ip, IcmpError error, Instant now)
    {
        UInt128 own = ip.Version == 4 ? _options.Own.IPv4 : _options.Own.IPv6;
        if (own == 0 || peer.Shard < 0 || !IcmpReply.MayAnswer(ip, error) || !MayAnswer(now)) return;
        if (TryOpen(peer, Math.Min(IcmpReply.LongestReply, peer.Room - RecordHeader), out Span<byte> into, now) != DropReason.None || into.Length < IcmpReply.LongestReply) return;
        int length = IcmpReply.Write(packet, ip, error, own, into);
        if (length > 0 && length + RecordHeader <= peer.Room) Close(length);
    }

    private void Unroute(ref Peer peer, Instant now)
    {
        if (peer.Shard >= 0 && _options.IsClient)
        {
            _holding = true;
            _holdUntil = now + Hold;
        }

        peer.Shard = -1;
    }
}
