using System.Buffers.Binary;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Relay;

/// <summary>
/// Sends what the session thread wrote: number and ten zeros in front, layers around, an inner header, the link's seal, all in the
/// ring's own slot. The slot goes back to the session thread when the turn's datagrams are sent.
/// </summary>
internal sealed class Originator(ShardTables tables, EgressLists egress, Packet[] packets)
{
    private const int ContentAt = PacketRing.Headroom;
    private const int BodyAt = ContentAt - 1 - OnionLayer.HeadBytes;
    private const int DatagramAt = BodyAt - SealedDatagram.HeaderBytes;

    /// <summary>Drains the ring, at most `limit` packets.</summary>
    public void Run(PacketRing originations, int limit, in PathEpochs epochs, Instant now)
    {
        int count = 0;
        while (count < limit && originations.TryTake(out PacketTag tag, out int offset))
        {
            ref Packet p = ref packets[count];
            DropReason reason = Originate(ref p, tag, offset, epochs, now);
            if (reason == DropReason.None)
            {
                egress.Add(packets, count);
                count++;
            }
            else
            {
                // A refused packet costs a look at the tag: it does not count against the limit of what the turn can send,
                // but the ring's size bounds it.
                tables.Drops.Count(reason);
            }
        }
    }

    /// <summary>
    /// A packet of this hop, towards the client: the body holds command and content; number, own layer and inner header are
    /// added. The way out stands in the path's OutSender afterwards.
    /// </summary>
    public static DropReason WrapDownstream(ShardTables tables, int row, ref PathRow path, uint epoch, Span<byte> datagram, SizeClass size, Instant now)
    {
        if (tables.OutSender(ref path) < 0) return DropReason.NoEgressLink;
        ReadOnlySpan<byte> keys = tables.Keys.Keys(row, PathDirection.Downstream, epoch);
        if (keys.IsEmpty) return DropReason.WrongEpoch;
        Span<byte> body = datagram[SealedDatagram.HeaderBytes..^SealedDatagram.TagBytes];
        if (!tables.TryWriteHead(row, ref path, epoch, body, now)) return DropReason.LinkKeyExhausted;
        OnionLayer.Forward(body, keys, LayerTweak.ForData(size, PathDirection.Downstream, epoch));
        SealedDatagram.WriteInner(datagram, path.OutHandle, epoch, size);
        return DropReason.None;
    }

    // A client's packet for hop `to`: that hop's layer innermost, hop 0's outermost, each by the inverse.
    private static DropReason WrapUpstream(ShardTables tables, int row, ref PathRow path, int to, uint epoch, Span<byte> datagram, SizeClass size, Instant now)
    {
        if (tables.OutSender(ref path) < 0) return DropReason.NoEgressLink;
        for (int hop = to; hop >= 0; hop--)
        {
            if (tables.Keys.Keys(path.KeyRows[hop], PathDirection.Upstream, epoch).IsEmpty) return DropReason.WrongEpoch;
        }

        Span<byte> body = datagram[SealedDatagram.HeaderBytes..^SealedDatagram.TagBytes];
        if (!tables.TryWriteHead(row, ref path, epoch, body, now)) return DropReason.LinkKeyExhausted;
        LayerTweak tweak = LayerTweak.ForData(size, PathDirection.Upstream, epoch);
        for (int hop = to; hop >= 0; hop--) OnionLayer.Inverse(body, tables.Keys.Keys(path.KeyRows[hop], PathDirection.Upstream, epoch), tweak);
        SealedDatagram.WriteInner(datagram, path.OutHandle, epoch, size);
        return DropReason.None;
    }

    private DropReason Originate(ref Packet p, in PacketTag tag, int offset, in PathEpochs epochs, Instant now)
    {
        if (!tables.Hops.IsPath(tag.Subject, tag.Generation)) return DropReason.NoPath;
        ref PathRow path = ref tables.Hops.Path(tag.Subject);
        if (path.Kind == PathKind.Transit) return DropReason.NoPath;
        if (path.Closed) return DropReason.PathClosed;
        if (path.Expires <= now.Nanoseconds) return DropReason.PathExpired;
        int room = SealedDatagram.ContentBytes(path.Class);
        if ((uint)tag.Length > (uint)room) return DropReason.TooLarge;

        int length = SealedDatagram.Bytes(path.Class);
        Span<byte> datagram = tables.Slab.Slice(offset + DatagramAt, length);
        Span<byte> content = tables.Slab.Slice(offset + ContentAt, room);
        content[tag.Length..].Clear();
        datagram[SealedDatagram.HeaderBytes + OnionLayer.HeadBytes] = tag.Command;
        uint epoch = ShardTables.OriginEpoch(path, epochs);
        DropReason reason;
        if (path.Kind == PathKind.Terminal)
        {
            reason = WrapDownstream(tables, tag.Subject, ref path, epoch, datagram, path.Class, now);
        }
        else
        {
            int to = Math.Min(tag.Hop, path.Hops - 1);
            ulong id = BinaryPrimitives.ReadUInt64BigEndian(content);
            reason = WrapUpstream(tables, tag.Subject, ref path, to, epoch, datagram, path.Class, now);
            if (reason == DropReason.None && tag.Command is OnionCommand.Probe or OnionCommand.Statistics)
            {
                path.Probes!.Add(id, (byte)to, tag.Command == OnionCommand.Probe ? OnionCommand.Answer : OnionCommand.StatisticsAnswer);
            }
        }

        if (reason != DropReason.None) return reason;
        if (!tables.Links.Seal(datagram, path.OutSender, now)) return DropReason.LinkKeyExhausted;
        p = new Packet { Offset = offset + DatagramAt, Length = (ushort)length, Verdict = Verdict.Leave, Class = path.Class, Ingress = path.OutSender, Epoch = epoch };
        return DropReason.None;
    }
}
