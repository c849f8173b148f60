using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Oxen.Router.Dns;

/// <summary>One record where it stands in its message. What is inside the data is not judged here.</summary>
internal readonly record struct DnsRecordFrame(int At, ushort Type, ushort Class, int TtlAt, int DataAt, int DataBytes, DnsSection Section)
{
    public int End => DataAt + DataBytes;
}

internal enum DnsSection : byte
{
    Answer,
    Authority,
    Additional,
}

/// <summary>
/// The frame of a message: its header, its question, and where each record begins and ends. Bytes of strangers meet this
/// first, before any library: every length is inside the message, every name ends within 255 bytes, a pointer leads only
/// backwards. It costs at most a few steps a byte, and one array.
/// </summary>
internal readonly struct DnsFrame
{
    // A name that uses more pointers than this was made to cost us time.
    private const int MaxPointers = 16;

    private DnsFrame(ushort id, ushort flags, DnsName question, ushort type, ushort cls, int questionEnd, DnsRecordFrame[] records)
    {
        Id = id;
        Flags = flags;
        Question = question;
        Type = type;
        Class = cls;
        QuestionEnd = questionEnd;
        Records = records;
    }

    public ushort Id { get; }

    public ushort Flags { get; }

    public DnsName Question { get; }

    public ushort Type { get; }

    public ushort Class { get; }

    /// <summary>Behind the question: it begins at 12.</summary>
    public int QuestionEnd { get; }

    public DnsRecordFrame[] Records { get; }

    public bool IsResponse => (Flags & DnsNumbers.FlagResponse) != 0;

    public int Code => Flags & DnsNumbers.CodeMask;

    /// <summary>Reads a message with exactly one question (RFC 9619). False: malformed, more records than `maxRecords`, or bytes behind the end.</summary>
    public static bool TryRead(ReadOnlySpan<byte> message, int maxRecords, out DnsFrame frame)
    {
        frame = default;
        if (message.Length < DnsNumbers.HeaderBytes) return false;
        if (BinaryPrimitives.ReadUInt16BigEndian(message[4..]) != 1) return false;
        if (!DnsName.TryRead(message, DnsNumbers.HeaderBytes, out DnsName? name)) return false;
        int at = DnsNumbers.HeaderBytes + name.Wire.Length;
        if (at + 4 > message.Length) return false;
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(message[at..]);
        ushort cls = BinaryPrimitives.ReadUInt16BigEndian(message[(at + 2)..]);
        at += 4;
        int questionEnd = at;

        int answers = BinaryPrimitives.ReadUInt16BigEndian(message[6..]);
        int authorities = BinaryPrimitives.ReadUInt16BigEndian(message[8..]);
        int count = answers + authorities + BinaryPrimitives.ReadUInt16BigEndian(message[10..]);
        // A record has at least 11 bytes: a count alone makes nobody allocate.
        if (count > maxRecords || count * 11 > message.Length - at) return false;
        DnsRecordFrame[] records = count == 0 ? [] : new DnsRecordFrame[count];
        for (int i = 0; i < count; i++)
        {
            int start = at;
            if (!TrySkipName(message, ref at) || at + 10 > message.Length) return false;
            int bytes = BinaryPrimitives.ReadUInt16BigEndian(message[(at + 8)..]);
            DnsSection section = i < answers ? DnsSection.Answer : i < answers + authorities ? DnsSection.Authority : DnsSection.Additional;
            records[i] = new DnsRecordFrame(start, BinaryPrimitives.ReadUInt16BigEndian(message[at..]), BinaryPrimitives.ReadUInt16BigEndian(message[(at + 2)..]), at + 4, at + 10, bytes, section);
            at += 10 + bytes;
            if (at > message.Length) return false;
        }

        if (at != message.Length) return false;
        frame = new DnsFrame(
            BinaryPrimitives.ReadUInt16BigEndian(message), BinaryPrimitives.ReadUInt16BigEndian(message[2..]), name, type, cls, questionEnd, records);
        return true;
    }

    /// <summary>Steps over a name that may be compressed (RFC 1035 section 4.1.4).</summary>
    internal static bool TrySkipName(ReadOnlySpan<byte> message, ref int at)
    {
        int position = at, end = -1, bytes = 0, pointers = 0;
        while (true)
        {
            if (position >= message.Length) return false;
            int length = message[position];
            if (length >= 0xC0)
            {
                if (position + 1 >= message.Length) return false;
                int target = (length & 0x3F) << 8 | message[position + 1];
                if (end < 0) end = position + 2;
                // Only backwards, and never into the header: names cannot go in circles.
                if (target >= position || target < DnsNumbers.HeaderBytes || ++pointers > MaxPointers) return false;
                position = target;
                continue;
            }

            if (length > DnsName.MaxLabelBytes) return false;
            bytes += 1 + length;
            position += 1 + length;
            if (bytes > DnsName.MaxBytes) return false;
            if (length > 0) continue;
            at = end < 0 ? position : end;
            return true;
        }
    }

    /// <summary>The record's lifetime in seconds; one with the highest bit set counts as 0 (RFC 2181 section 8).</summary>
    public static uint Ttl(ReadOnlySpan<byte> message, in DnsRecordFrame record)
    {
        uint seconds = BinaryPrimitives.ReadUInt32BigEndian(message[record.TtlAt..]);
        return seconds > int.MaxValue ? 0 : seconds;
    }
}
