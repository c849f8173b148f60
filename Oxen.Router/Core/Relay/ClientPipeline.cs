using System.Buffers.Binary;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Relay;

/// <summary>
/// What comes back to a client: every hop ran its layer forward, so each is undone in turn, hop 0 first, until ten zeros
/// say whose packet it is. Data is taken from the terminal's layer only, answers from the hop that was asked.
/// </summary>
internal sealed class ClientPipeline(ShardTables tables, TunnelLane? tunnel)
{
    /// <param name="bodyAt">Of the body in the slab.</param>
    public DropReason Receive(int row, int bodyAt, Span<byte> body, SizeClass size, uint epoch, Instant now)
    {
        ref PathRow path = ref tables.Hops.Path(row);
        LayerTweak tweak = LayerTweak.ForData(size, PathDirection.Downstream, epoch);
        int hop = 0;
        for (; hop < path.Hops; hop++)
        {
            ReadOnlySpan<byte> keys = tables.Keys.Keys(path.KeyRows[hop], PathDirection.Downstream, epoch);
            if (keys.IsEmpty) return DropReason.WrongEpoch;
            OnionLayer.Inverse(body, keys, tweak);
            if (ShardTables.HasTenZeros(body)) break;
        }

        if (hop == path.Hops)
        {
            tables.CountFailure(row, epoch, now);
            return DropReason.NotRecognised;
        }

        DropReason replayed = tables.TakeNumber(body, ref path.Windows[hop]);
        if (replayed != DropReason.None) return replayed;

        byte command = body[OnionLayer.HeadBytes];
        ReadOnlySpan<byte> content = body[(OnionLayer.HeadBytes + 1)..];
        switch (command)
        {
            case OnionCommand.Answer or OnionCommand.StatisticsAnswer:
                ulong id = BinaryPrimitives.ReadUInt64BigEndian(content);
                if (!path.Probes!.TryTake(id, (byte)hop, command)) return DropReason.UnexpectedAnswer;
                content = content[..(command == OnionCommand.Answer ? OnionCommand.IdBytes : OnionCommand.StatisticsBytes)];
                break;
            case OnionCommand.FirstOfEnds when hop == path.Hops - 1 && tunnel is not null && !tunnel.Take(row, bodyAt + OnionLayer.HeadBytes + 1, content.Length, now):
                return DropReason.None;
            case >= OnionCommand.FirstOfEnds when hop == path.Hops - 1:
                break;
            default:
                return DropReason.BadCommand;
        }

        tables.Deliver(row, (byte)hop, command, content, now);
        return DropReason.None;
    }
}
