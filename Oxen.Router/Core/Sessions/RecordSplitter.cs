using Oxen.Router.Core.Onion;

namespace Oxen.Router.Core.Sessions;

/// <summary>
/// Splits records that no packet of a path's class holds into two fragments. It counts their ids, so there is one for each
/// path, direction and type of record, on the thread that writes them.
/// </summary>
/// <param name="first">Where ids begin: shards that send on one path begin far apart.</param>
internal struct RecordSplitter(RecordType of, ushort first = 0)
{
    private ushort _next = first;

    /// <summary>No packet of the class holds a record of so many bytes.</summary>
    public static bool IsNeeded(int length, SizeClass size) => length > RecordLayout.MaxOf(size);

    /// <summary>
    /// How many bytes of a record go into a packet that has `room` bytes of content left, so that the rest fits into the next
    /// packet; 0: it has too little, begin with a fresh one. Cutting where a packet ends wastes nothing: the rest is followed
    /// by other records.
    /// </summary>
    public static int FirstBytes(int length, int room, SizeClass size)
    {
        int first = Math.Min(room - RecordFragment.RecordBytes, length - 1);
        return first > 0 && length - first <= RecordLayout.ContentOf(size) - RecordFragment.RecordBytes ? first : 0;
    }

    /// <summary>The two fragments of the next record.</summary>
    public void Next(out RecordFragment first, out RecordFragment last)
    {
        first = new RecordFragment(of, _next, RecordFragment.First);
        last = new RecordFragment(of, _next, RecordFragment.Last);
        _next++;
    }

    /// <summary>
    /// Splits a record in the packet that it was written into: `content` is the content of a packet of its own, with `length`
    /// bytes of record behind the room for a record's header. Afterwards the first fragment fills the class's content, and the
    /// last one stands at the start of `next`. Nothing is allocated.
    /// </summary>
    /// <param name="next">Content of the packet behind it, apart from `content`; other records may follow what is written.</param>
    /// <returns>Bytes written to `next`.</returns>
    /// <exception cref="ArgumentException">The record needs no splitting, or is longer than any.</exception>
    public int SplitInPlace(Span<byte> content, int length, Span<byte> next, SizeClass size)
    {
        int filled = RecordLayout.ContentOf(size), first = FirstBytes(length, filled, size);
        if (first == 0 || !IsNeeded(length, size)) throw new ArgumentException("not a record to be split", nameof(length));
        Span<byte> bytes = content.Slice(RecordLayout.HeaderBytes, length);
        Next(out RecordFragment one, out RecordFragment two);
        two.Write(next, length - first);
        bytes[first..].CopyTo(next[RecordFragment.RecordBytes..]);
        bytes[..first].CopyTo(content[RecordFragment.RecordBytes..]); // overlaps: CopyTo moves
        one.Write(content, first);
        return RecordFragment.RecordBytes + length - first;
    }
}
