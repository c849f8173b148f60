using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Sessions;

/// <summary>
/// Writes records for paths of one shard into its origination ring. Small records for the same path share one packet:
/// the packet stays open until the next record does not fit, another path speaks, or <see cref="Flush"/>. On a path of the
/// reduced class a record that no packet holds is split into two.
/// </summary>
internal sealed class PathOutlet(PacketRing ring, DropCounters drops)
{
    private readonly Dictionary<PathNumber, Splitters> _reduced = [];
    private PacketTag _open;

    private struct Splitters()
    {
        public RecordSplitter Quic = new(RecordType.Quic), Udp = new(RecordType.Udp);
    }

    public PacketRing Ring { get; } = ring;

    /// <summary>Something was committed since the last <see cref="TakeCommitted"/>: the shard must be woken.</summary>
    private bool _committed;

    /// <summary>True when the ring has room for at least `packets` more; a sender with back-pressure asks first.</summary>
    public bool HasRoom(int packets) => Ring.Slots - Ring.Depth > packets;

    /// <summary>A path may be written to from now on. Paths that were never named are of the full class.</summary>
    public void Open(PathNumber path, SizeClass size)
    {
        if (size == SizeClass.Reduced) _reduced[path] = new Splitters();
    }

    /// <summary>The path is no more.</summary>
    public void Forget(PathNumber path) => _reduced.Remove(path);

    /// <summary>
    /// Adds a record of two parts. False, and counted, when it is too large or the ring is full. A record that is split is put
    /// into the ring whole or not at all. Of the types that may be split, the shards write IP packets themselves.
    /// </summary>
    public bool TryRecord(PathNumber path, RecordType type, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default)
    {
        int length = first.Length + second.Length;
        ref Splitters reduced = ref Unsafe.NullRef<Splitters>();
        if (_reduced.Count > 0) reduced = ref CollectionsMarshal.GetValueRefOrNullRef(_reduced, path);
        SizeClass size = Unsafe.IsNullRef(ref reduced) ? SizeClass.Full : SizeClass.Reduced;
        bool split = size == SizeClass.Reduced && RecordSplitter.IsNeeded(length, size);
        if (length > RecordLayout.MaxBytes || (split && type is not (RecordType.Quic or RecordType.Udp)))
        {
            drops.Count(DropReason.TooLarge);
            return false;
        }

        int room = RecordLayout.ContentOf(size) - _open.Length, cut = split ? RecordSplitter.FirstBytes(length, room, size) : 0;
        bool fits = split ? cut > 0 : RecordLayout.HeaderBytes + length <= room;
        if (_open.Length > 0 && (_open.Subject != path.Row || _open.Generation != path.Generation || !fits))
        {
            Flush();
            if (split) cut = RecordSplitter.FirstBytes(length, RecordLayout.ContentOf(size), size);
        }

        if (split && !HasRoom(1))
        {
            drops.Count(DropReason.OriginationQueueFull);
            return false;
        }

        if (!split) return TryWrite(path, size, type, first, second);
        (type == RecordType.Quic ? ref reduced.Quic : ref reduced.Udp).Next(out RecordFragment one, out RecordFragment two);
        return TryWriteParts(path, size, one, first, second, 0, cut) && TryWriteParts(path, size, two, first, second, cut, length);
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

    // The bytes from `from` to `to` of both spans together, as one fragment.
    private bool TryWriteParts(PathNumber path, SizeClass size, RecordFragment fragment, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int from, int to)
    {
        if (!TryReserve(path, size, RecordFragment.RecordBytes + to - from, out Span<byte> record)) return false;
        fragment.Write(record, to - from);
        Span<byte> into = record[RecordFragment.RecordBytes..];
        if (from < first.Length)
        {
            ReadOnlySpan<byte> part = first[from..Math.Min(to, first.Length)];
            part.CopyTo(into);
            into = into[part.Length..];
        }

        if (to > first.Length) second[Math.Max(0, from - first.Length)..(to - first.Length)].CopyTo(into);
        Commit(size);
        return true;
    }

    private bool TryWrite(PathNumber path, SizeClass size, RecordType type, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        int length = first.Length + second.Length;
        if (!TryReserve(path, size, RecordLayout.HeaderBytes + length, out Span<byte> record)) return false;
        RecordLayout.WriteHeader(record, type, length);
        first.CopyTo(record[RecordLayout.HeaderBytes..]);
        second.CopyTo(record[(RecordLayout.HeaderBytes + first.Length)..]);
        Commit(size);
        return true;
    }

    // Room in the open packet, which the caller has seen to fit, or the next one.
    private bool TryReserve(PathNumber path, SizeClass size, int bytes, out Span<byte> record)
    {
        if (_open.Length > 0 && _open.Length + bytes > RecordLayout.ContentOf(size)) Flush();
        if (!Ring.TryReserve(out Span<byte> slot))
        {
            drops.Count(DropReason.OriginationQueueFull);
            record = default;
            return false;
        }

        record = slot.Slice(PacketRing.Headroom + _open.Length, bytes);
        _open = new PacketTag { Subject = path.Row, Generation = path.Generation, Command = EndCommand.Records, Hop = TerminalHop, Length = _open.Length + bytes };
        return true;
    }

    // A packet with so little room left that nothing of use fits is closed.
    private void Commit(SizeClass size)
    {
        if (_open.Length > RecordLayout.ContentOf(size) - 64) Flush();
    }

    /// <summary>Tag value for "the last hop", whatever the path's length.</summary>
    public const byte TerminalHop = 255;
}
