using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Core.Hidden;

/// <summary>
/// One side's end of what a rendezvous joined: our path to it, and the seal between client and service. Small records share a packet
/// until <see cref="Flush"/>.
/// </summary>
internal sealed class HiddenJoint(HiddenPath path, JointSeal seal, PathOutlet[] outlets, DropCounters drops) : IDisposable
{
    private readonly byte[] _open = new byte[JointSeal.ContentBytes];
    private int _used;

    public HiddenPath Path { get; } = path;

    public long PacketsSent { get; private set; }

    public long PacketsReceived { get; private set; }

    /// <summary>Whether the ring has room for a burst.</summary>
    public bool HasRoom => outlets[Path.Ref.Shard].HasRoom(64);

    public bool TryRecord(RecordType type, ReadOnlySpan<byte> bytes, Instant now)
    {
        if (bytes.Length > JointSeal.MaxRecordBytes)
        {
            drops.Count(DropReason.TooLarge);
            return false;
        }

        if (_used + RecordLayout.HeaderBytes + bytes.Length > JointSeal.InnerBytes) Flush();
        Span<byte> record = _open.AsSpan(JointSeal.CounterBytes + _used, RecordLayout.HeaderBytes + bytes.Length);
        record[0] = (byte)type;
        record[1] = (byte)(bytes.Length >> 8);
        record[2] = (byte)bytes.Length;
        bytes.CopyTo(record[RecordLayout.HeaderBytes..]);
        _used += record.Length;
        Path.Health.OnTrafficSent(now);
        return true;
    }

    /// <summary>Seals and sends what is open.</summary>
    public void Flush()
    {
        if (_used == 0) return;
        int used = _used;
        _used = 0;
        if (!seal.Seal(_open, used))
        {
            drops.Count(DropReason.LinkKeyExhausted);
            return;
        }

        if (outlets[Path.Ref.Shard].TryCommand(Path.Ref.Number, PathOutlet.TerminalHop, EndCommand.Joined, _open)) PacketsSent++;
    }

    /// <summary>Opens a packet in place; `records` are its records and their padding.</summary>
    public bool TryOpen(Span<byte> content, out Span<byte> records)
    {
        records = default;
        DropReason reason = seal.Open(content);
        if (reason != DropReason.None)
        {
            drops.Count(reason);
            return false;
        }

        PacketsReceived++;
        records = content.Slice(JointSeal.CounterBytes, JointSeal.InnerBytes);
        return true;
    }

    public void Dispose() => seal.Dispose();
}
