using System.Buffers.Binary;
using System.Text;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Gossip;

/// <summary>Which set a message speaks of.</summary>
internal enum DirectorySet : byte
{
    Contacts = 1,

    /// <summary>The registry: who may be a relay, and who answers for it.</summary>
    Members = 2,
}

internal enum RangeMode : byte
{
    /// <summary>Nothing to say: equal, or not asked for.</summary>
    Same = 0,

    /// <summary>Fingerprint of the range follows.</summary>
    Fingerprint = 1,

    /// <summary>The asker wants the items of the range.</summary>
    Want = 2,

    /// <summary>All items of the answerer in the range follow.</summary>
    List = 3,
}

// Ranges of a set, one after another, that together cover all ids (docs/protocol/directory.md#reconciliation):
//
//   mode 1 | length of bound 1 (0: no bound, the last range) | bound | fingerprint 16, or count 2 and items
//
// A range goes from the bound before it to its own, which it does not hold. A bound is the beginning of an id; zeros follow.
// Items: contacts are id 32 | published 8 | digest 16; members are id 32 | length 1 | operator.

/// <summary>One range as it was read.</summary>
internal readonly ref struct ReadRange
{
    public required RangeMode Mode { get; init; }

    public required RouterId From { get; init; }

    /// <summary>Meaningless in the last range.</summary>
    public required RouterId To { get; init; }

    public required bool IsLast { get; init; }

    public UInt128 Fingerprint { get; init; }

    public int ItemCount { get; init; }

    /// <summary>Where the items of a list stand: read with <see cref="RangeReader.TryItem"/>.</summary>
    public ReadOnlySpan<byte> Items { get; init; }

    public (int Begin, int End) In(ItemSet set) => (set.LowerBound(From), IsLast ? set.Count : set.LowerBound(To));
}

/// <summary>Reads the ranges of a message of a stranger.</summary>
internal ref struct RangeReader(ReadOnlySpan<byte> bytes, DirectorySet set)
{
    public const int MaxItems = 1024;

    private readonly DirectorySet _set = set;
    private WireReader _reader = new(bytes);
    private RouterId _from;
    private bool _first = true;

    /// <summary>The message is not of the form. <see cref="TryNext"/> gives nothing any more.</summary>
    public bool Failed { get; private set; }

    /// <summary>The last range was read and nothing followed.</summary>
    public bool Ended { get; private set; }

    public bool TryNext(out ReadRange range)
    {
        range = default;
        if (Failed || Ended) return false;
        byte mode = _reader.Byte();
        int boundBytes = _reader.Byte();
        if (_reader.Failed || mode > (byte)RangeMode.List || boundBytes > RouterId.Bytes) return Fail();
        Span<byte> bound = stackalloc byte[RouterId.Bytes];
        bound.Clear();
        _reader.Take(boundBytes).CopyTo(bound);
        var to = new RouterId(bound);
        bool last = boundBytes == 0;
        if (!last && (_first ? to.IsNone : to.CompareTo(_from) <= 0)) return Fail();

        UInt128 fingerprint = 0;
        int count = 0;
        ReadOnlySpan<byte> items = default;
        if (mode == (byte)RangeMode.Fingerprint)
        {
            ReadOnlySpan<byte> value = _reader.Take(16);
            if (!value.IsEmpty) fingerprint = BinaryPrimitives.ReadUInt128BigEndian(value);
        }
        else if (mode == (byte)RangeMode.List)
        {
            count = _reader.UInt16();
            if (count > MaxItems) return Fail();
            items = _reader.Rest;
            for (int i = 0; i < count; i++)
            {
                _reader.Take(RouterId.Bytes);
                _reader.Take(_set == DirectorySet.Contacts ? 24 : _reader.Byte());
            }

            items = items[..(items.Length - _reader.Remaining)];
        }

        if (_reader.Failed) return Fail();
        range = new ReadRange { Mode = (RangeMode)mode, From = _from, To = to, IsLast = last, Fingerprint = fingerprint, ItemCount = count, Items = items };
        if (last)
        {
            Ended = _reader.Remaining == 0;
            Failed = !Ended;
            if (Failed) return false;
        }

        _from = to;
        _first = false;
        return true;
    }

    /// <summary>Reads one item of a list and moves on. False: the operator is no text of the form.</summary>
    public readonly bool TryItem(ref ReadOnlySpan<byte> items, out SetItem item)
    {
        var id = new RouterId(items[..RouterId.Bytes]);
        items = items[RouterId.Bytes..];
        if (_set == DirectorySet.Contacts)
        {
            item = new SetItem(id, BinaryPrimitives.ReadUInt128BigEndian(items[8..]), BinaryPrimitives.ReadInt64BigEndian(items), "");
            items = items[24..];
            return true;
        }

        int length = items[0];
        item = default;
        string name = Encoding.Latin1.GetString(items.Slice(1, length));
        items = items[(1 + length)..];
        if (!RelayRoster.IsOperator(name)) return false;
        item = SetItem.Of(new RosterEntry(id, name));
        return true;
    }

    private bool Fail()
    {
        Failed = true;
        return false;
    }
}

/// <summary>Writes ranges into a message of bounded length.</summary>
internal sealed class RangeWriter(DirectorySet set, int maxBytes)
{
    private const int MaxHeadBytes = 2 + RouterId.Bytes;

    private readonly byte[] _buffer = new byte[maxBytes];
    private int _at;
    private int _lastHead = -1;

    public int Room => _buffer.Length - _at;

    public bool IsEmpty => _at == 0;

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _at);

    /// <summary>Bytes that a fingerprint takes at most.</summary>
    public static int FingerprintBytes => MaxHeadBytes + 16;

    public static int ListBytes(DirectorySet set, ReadOnlySpan<SetItem> items)
    {
        int bytes = MaxHeadBytes + 2;
        foreach (SetItem item in items) bytes += RouterId.Bytes + (set == DirectorySet.Contacts ? 24 : 1 + item.Operator.Length);
        return bytes;
    }

    public void Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_buffer.AsSpan(_at));
        _at += bytes.Length;
    }

    public void Same(in RouterId to, bool last) => Empty(RangeMode.Same, to, last);

    public void Want(in RouterId to, bool last) => Empty(RangeMode.Want, to, last);

    public void Fingerprint(UInt128 fingerprint, in RouterId to, bool last)
    {
        Head(RangeMode.Fingerprint, to, last);
        BinaryPrimitives.WriteUInt128BigEndian(_buffer.AsSpan(_at), fingerprint);
        _at += 16;
    }

    public void List(ReadOnlySpan<SetItem> items, in RouterId to, bool last)
    {
        Head(RangeMode.List, to, last);
        BinaryPrimitives.WriteUInt16BigEndian(_buffer.AsSpan(_at), (ushort)items.Length);
        _at += 2;
        foreach (SetItem item in items)
        {
            item.Id.CopyTo(_buffer.AsSpan(_at));
            _at += RouterId.Bytes;
            if (set == DirectorySet.Contacts)
            {
                BinaryPrimitives.WriteInt64BigEndian(_buffer.AsSpan(_at), item.Published);
                BinaryPrimitives.WriteUInt128BigEndian(_buffer.AsSpan(_at + 8), item.Digest);
                _at += 24;
            }
            else
            {
                _buffer[_at] = (byte)item.Operator.Length;
                _at += 1 + Encoding.ASCII.GetBytes(item.Operator, _buffer.AsSpan(_at + 1));
            }
        }

        _lastHead = -1;
    }

    /// <summary>
    /// Fingerprints of `parts` equal parts of [begin, end), which lies between the bound written last and `to`.
    /// </summary>
    public void Split(ItemSet items, int begin, int end, int parts, in RouterId to, bool last)
    {
        int count = end - begin;
        parts = Math.Clamp(Math.Min(parts, count), 1, parts);
        for (int part = 0; part < parts; part++)
        {
            int a = begin + (count * part / parts), b = begin + (count * (part + 1) / parts);
            if (part == parts - 1) Fingerprint(items.Fingerprint(a, b), to, last);
            else Fingerprint(items.Fingerprint(a, b), Between(items[b - 1].Id, items[b].Id), last: false);
        }
    }

    /// <summary>The shortest beginning of `b`, filled with zeros, that is above `a`.</summary>
    public static RouterId Between(RouterId a, RouterId b)
    {
        Span<byte> low = stackalloc byte[RouterId.Bytes], high = stackalloc byte[RouterId.Bytes];
        a.CopyTo(low);
        b.CopyTo(high);
        int same = low.CommonPrefixLength(high);
        high[(same + 1)..].Clear();
        return new RouterId(high);
    }

    // Neighbouring ranges that say nothing become one.
    private void Empty(RangeMode mode, in RouterId to, bool last)
    {
        if (mode == RangeMode.Same && _lastHead >= 0) _at = _lastHead;
        int head = _at;
        Head(mode, to, last);
        _lastHead = mode == RangeMode.Same ? head : -1;
    }

    private void Head(RangeMode mode, in RouterId to, bool last)
    {
        _buffer[_at] = (byte)mode;
        Span<byte> bound = stackalloc byte[RouterId.Bytes];
        to.CopyTo(bound);
        int length = last ? 0 : bound.TrimEnd((byte)0).Length;
        _buffer[_at + 1] = (byte)length;
        bound[..length].CopyTo(_buffer.AsSpan(_at + 2));
        _at += 2 + length;
        _lastHead = -1;
    }
}
