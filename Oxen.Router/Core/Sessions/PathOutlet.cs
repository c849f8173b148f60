using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Sessions;

/// <summary>
/// Writes records for paths of one shard into its origination ring. Small records for the same path share one packet:
/// the packet stays open until the next record does not fit, another path speaks, or <see cref="Flush"/>.
/// </summary>
internal sealed class PathOutlet(PacketRing ring, DropCounters drops)
{
    private PacketTag _open;

    public PacketRing Ring { get; } = ring;

    /// <summary>Something was committed since the last <see cref="TakeCommitted"/>: the shard must be woken.</summary>
    private bool _committed;

    /// <summary>True when the ring has room for at least `packets` more; a sender with back-pressure asks first.</summary>
    public bool HasRoom(int packets) => Ring.Slots - Ring.Depth > packets;

    /// <summary>Adds a record of two parts. False, and counted, when it is too large or the ring is full.</summary>
    public bool TryRecord(PathNumber path, RecordType type, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default)
    {
        int length = first.Length + second.Length;
        if (length > RecordLayout.MaxBytes)
        {
            drops.Count(DropReason.TooLarge);
            return false;
        }

        if (_open.Length > 0 && (_open.Subject != path.Row || _open.Generation != path.Generation || _open.Length + RecordLayout.HeaderBytes + length > RecordLayout.ContentBytes)) Flush();
        if (!Ring.TryReserve(out Span<byte> slot))
        {
            drops.Count(DropReason.OriginationQueueFull);
            return false;
        }

        Span<byte> record = slot.Slice(PacketRing.Headroom + _open.Length, RecordLayout.HeaderBytes + length);
        record[0] = (byte)type;
        record[1] = (byte)(length >> 8);
        record[2] = (byte)length;
        first.CopyTo(record[RecordLayout.HeaderBytes..]);
        second.CopyTo(record[(RecordLayout.HeaderBytes + first.Length)..]);
        _open = new PacketTag
        {
            Subject = path.Row,
            Generation = path.Generation,
            Command = EndCommand.Records,
            Hop = TerminalHop,
            Length = _open.Length + record.Length,
        };
        if (_open.Length > RecordLayout.ContentBytes - 64) Flush();
        return true;
    }

    /// <summary>A client's command for one hop of its path.</summary>
    public bool TryCommand(PathNumber path, byte hop, byte command, ReadOnlySpan<byte> content)
    {
        Flush();
        if (!Ring.TryReserve(out Span<byte> slot))
        {
            drops.Count(DropReason.OriginationQueueFull);
            return false;
        }

        content.CopyTo(slot[PacketRing.Headroom..]);
        Ring.Commit(new PacketTag { Subject = path.Row, Generation = path.Generation, Command = command, Hop = hop, Length = content.Length });
        _committed = true;
        return true;
    }

    /// <summary>Closes the packet that is open, if any.</summary>
    public void Flush()
    {
        if (_open.Length == 0) return;
        Ring.Commit(_open);
        _open = default;
        _committed = true;
    }

    public bool TakeCommitted()
    {
        bool committed = _committed;
        _committed = false;
        return committed;
    }

    /// <summary>Tag value for "the last hop", whatever the path's length.</summary>
    public const byte TerminalHop = 255;
}
