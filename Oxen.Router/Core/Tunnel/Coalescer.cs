using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native;

namespace Oxen.Router.Core.Tunnel;

// The way back of the Segmenter: neighbours of one flow become one super-packet, so that the system runs its path once for
// forty packets. They are written from where they lie; the first one's headers are changed in place.
//
//   groups, in the order in which they were begun:   [ A A A ] [ B ] [ A A ] [ icmp ]
//   flows, by a hash of addresses and ports      ->  the last group of the flow that may still grow
//
// A packet joins the last group of its flow or begins the next one, so a flow keeps its order whatever is merged. What the
// system would do for real segments (generic receive offload) is the measure of what may be merged: the same headers but for
// length, id, sequence and checksum; equal sizes but for a shorter last one; a right checksum, so that no damage is signed anew.

/// <summary>Merges packets that lie in the slab into a <see cref="TunWriteBatch"/>.</summary>
/// <param name="mergeUdp">The device takes USO.</param>
internal sealed class Coalescer(PinnedBlock slab, TunWriteBatch writes, bool mergeUdp)
{
    private const int FlowSlots = 64;
    private const int MostSegments = 64;
    private const byte PlainAck = IpPacket.TcpAck;

    private readonly Entry[] _entries = new Entry[writes.Pieces.Length];
    private readonly Group[] _groups = new Group[writes.Items.Length];
    private readonly int[] _flows = NoFlows();
    private int _entryCount, _groupCount;
    private bool _flowsUsed;

    private struct Entry
    {
        public int Offset, Length, Next;
    }

    private struct Group
    {
        public IpPacket Ip;
        public int First, Last;        // entries
        public int Count, Length;      // Length: of the packet that comes out
        public int SegmentBytes;       // payload of each but the last
        public uint NextSequence;      // TCP
        public uint Hash;
        public bool Growing, Valid, Push;
    }

    /// <summary>Packets waiting for <see cref="Flush"/>.</summary>
    public int Count => _entryCount;

    /// <summary>Packets that went into groups of more than one since the start.</summary>
    public long Merged { get; private set; }

    /// <summary>Takes one packet. False: there is no room before the next <see cref="Flush"/> has been written.</summary>
    public bool TryAdd(int offset, in IpPacket ip)
    {
        if (_entryCount == _entries.Length) return false;
        ReadOnlySpan<byte> packet = slab.Slice(offset, ip.Length);
        uint hash = HashOf(ip);
        ref int flow = ref _flows[hash % FlowSlots];
        bool mergeable = IsMergeable(packet, ip);
        bool valid = mergeable ? InternetChecksum.IsTransportValid(packet, ip) : false;
        mergeable &= valid;
        if (mergeable && flow >= 0 && _groups[flow].Growing && _groups[flow].Hash == hash && TryJoin(ref _groups[flow], packet, ip))
        {
            ref Group group = ref _groups[flow];
            _entries[group.Last].Next = _entryCount;
            group.Last = _entryCount;
            _entries[_entryCount++] = new Entry { Offset = offset + ip.PayloadOffset, Length = ip.Length - ip.PayloadOffset, Next = -1 };
            return true;
        }

        if (_groupCount == _groups.Length) return false;
        bool tcp = ip.IsTcp;
        int payload = ip.Length - ip.PayloadOffset;
        _groups[_groupCount] = new Group
        {
            Ip = ip,
            First = _entryCount,
            Last = _entryCount,
            Count = 1,
            Length = ip.Length,
            SegmentBytes = payload,
            NextSequence = mergeable && tcp ? BinaryPrimitives.ReadUInt32BigEndian(packet[(ip.HeaderBytes + 4)..]) + (uint)payload : 0,
            Hash = hash,
            Growing = mergeable && !(tcp && (ip.TcpFlags & IpPacket.TcpPush) != 0),
            Valid = valid,
        };
        flow = _groupCount++;
        _flowsUsed = true;
        _entries[_entryCount++] = new Entry { Offset = offset, Length = ip.Length, Next = -1 };
        return true;
    }

    /// <summary>Puts everything into the batch, in order. The bytes belong to the batch until it has been written.</summary>
    public void Flush()
    {
        for (int i = 0; i < _groupCount; i++)
        {
            ref Group group = ref _groups[i];
            int firstPiece = writes.PieceCount;
            for (int e = group.First; e >= 0; e = _entries[e].Next)
            {
                writes.Pieces[writes.PieceCount++] = new TunPiece { Offset = _entries[e].Offset, Length = _entries[e].Length };
            }

            ref TunWrite write = ref writes.Items[writes.Count++];
            write = new TunWrite { FirstPiece = firstPiece, PieceCount = group.Count, Length = group.Length };
            if (group.Count == 1)
            {
                if (group.Valid) write.Header.Flags = VirtioHeader.ChecksumValid;
                continue;
            }

            Merged += group.Count;
            WriteHeaders(ref group, ref write.Header);
        }

        _entryCount = 0;
        _groupCount = 0;
        if (!_flowsUsed) return;
        _flows.AsSpan().Fill(-1);
        _flowsUsed = false;
    }

    /// <summary>Forgets what waits: the bytes are about to go.</summary>
    public void Clear()
    {
        _entryCount = 0;
        _groupCount = 0;
        _flows.AsSpan().Fill(-1);
        _flowsUsed = false;
    }

    private static int[] NoFlows()
    {
        int[] flows = new int[FlowSlots];
        flows.AsSpan().Fill(-1);
        return flows;
    }

    // Fragments and what has no ports share a flow with their addresses: they keep their place among each other.
    private static uint HashOf(in IpPacket ip)
    {
        ulong mix = (ulong)ip.Source ^ (ulong)(ip.Source >> 64) * 0x9E3779B97F4A7C15 ^ (ulong)ip.Destination * 0xC2B2AE3D27D4EB4F ^ (ulong)(ip.Destination >> 64) * 0x165667B19E3779F9;
        mix ^= ((ulong)ip.SourcePort << 32 | (ulong)ip.DestinationPort << 16 | ip.Protocol) * 0xD6E8FEB86659FD93;
        mix ^= mix >> 32;
        mix *= 0xD6E8FEB86659FD93;
        return (uint)(mix >> 32);
    }

    private bool IsMergeable(ReadOnlySpan<byte> packet, in IpPacket ip)
    {
        int plain = ip.Version == 4 ? TunnelConstants.IPv4HeaderBytes : TunnelConstants.IPv6HeaderBytes;
        if (ip.IsFragment || ip.HeaderBytes != plain || ip.Length == ip.PayloadOffset || !ip.HasTransport) return false;
        if (ip.Protocol == IpProtocol.Tcp) return (ip.TcpFlags & ~IpPacket.TcpPush) == PlainAck;

        // Without a checksum there is nothing to verify; a shorter UDP length leaves bytes that belong to no datagram.
        return mergeUdp && ip.Protocol == IpProtocol.Udp && ip.TransportBytes == ip.Length - ip.HeaderBytes
            && (packet[ip.HeaderBytes + 6] | packet[ip.HeaderBytes + 7]) != 0;
    }

    private bool TryJoin(ref Group group, ReadOnlySpan<byte> packet, in IpPacket ip)
    {
        int payload = ip.Length - ip.PayloadOffset;
        if (payload > group.SegmentBytes || group.Count == MostSegments || group.Length + payload > TunnelConstants.LongestPacket) return false;
        if (ip.PayloadOffset != group.Ip.PayloadOffset || ip.Protocol != group.Ip.Protocol || ip.Version != group.Ip.Version) return false;
        ReadOnlySpan<byte> first = slab.Slice(_entries[group.First].Offset, group.Ip.PayloadOffset);
        if (ip.Version == 4)
        {
            // Version, header length, class; flags; TTL, protocol; addresses. An id counts up, or says nothing (DF, RFC 6864).
            if (!packet[..2].SequenceEqual(first[..2]) || !packet.Slice(6, 4).SequenceEqual(first.Slice(6, 4)) || !packet.Slice(12, 8).SequenceEqual(first.Slice(12, 8))) return false;
            if (!ip.DontFragment && (ushort)ip.Identification != (ushort)(group.Ip.Identification + (uint)group.Count)) return false;
        }
        else if (!packet[..4].SequenceEqual(first[..4]) || !packet.Slice(6, 34).SequenceEqual(first.Slice(6, 34)))
        {
            return false;
        }

        int at = ip.HeaderBytes;
        if (!packet.Slice(at, 4).SequenceEqual(first.Slice(at, 4))) return false; // ports
        if (ip.Protocol == IpProtocol.Tcp)
        {
            if (BinaryPrimitives.ReadUInt32BigEndian(packet[(at + 4)..]) != group.NextSequence) return false;
            if (!packet.Slice(at + 8, 5).SequenceEqual(first.Slice(at + 8, 5)) || !packet.Slice(at + 14, 2).SequenceEqual(first.Slice(at + 14, 2))) return false;
            if (!packet[(at + 18)..ip.PayloadOffset].SequenceEqual(first[(at + 18)..])) return false; // urgent pointer, options
            group.NextSequence += (uint)payload;
            group.Push |= (ip.TcpFlags & IpPacket.TcpPush) != 0;
        }

        group.Length += payload;
        group.Count++;
        group.Growing = payload == group.SegmentBytes && !group.Push;
        return true;
    }

    private void WriteHeaders(ref Group group, ref VirtioHeader header)
    {
        ref IpPacket ip = ref group.Ip;
        Span<byte> packet = slab.Slice(_entries[group.First].Offset, ip.PayloadOffset);
        bool tcp = ip.Protocol == IpProtocol.Tcp;
        int transport = group.Length - ip.HeaderBytes;
        if (ip.Version == 4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)group.Length);
            InternetChecksum.WriteHeader4(packet);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(group.Length - TunnelConstants.IPv6HeaderBytes));
        }

        if (tcp)
        {
            if (group.Push) packet[ip.HeaderBytes + 13] |= IpPacket.TcpPush;
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet[(ip.HeaderBytes + 4)..], (ushort)transport);
        }

        BinaryPrimitives.WriteUInt16BigEndian(packet[ip.ChecksumOffset..], InternetChecksum.Fold(InternetChecksum.PseudoHeader(ip, transport)));
        header = new VirtioHeader
        {
            Flags = VirtioHeader.NeedsChecksum,
            Segmentation = tcp ? ip.Version == 4 ? VirtioHeader.Tcp4 : VirtioHeader.Tcp6 : VirtioHeader.Udp,
            HeaderBytes = (ushort)ip.PayloadOffset,
            SegmentBytes = (ushort)group.SegmentBytes,
            ChecksumStart = (ushort)ip.HeaderBytes,
            ChecksumOffset = (ushort)(ip.ChecksumOffset - ip.HeaderBytes),
        };
    }
}
