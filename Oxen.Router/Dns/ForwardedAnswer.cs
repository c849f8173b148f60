using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Oxen.Router.Core;

namespace Oxen.Router.Dns;

internal sealed record DnsTtlBounds
{
    /// <summary>Shorter lifetimes are made this long. With zero, an answer that wants no keeping is not kept.</summary>
    public TimeSpan Least { get; init; } = TimeSpan.Zero;

    public TimeSpan Most { get; init; } = TimeSpan.FromDays(1);

    /// <summary>For "no such name" and "no such data" (RFC 2308 section 5 advises one to three hours).</summary>
    public TimeSpan MostNegative { get; init; } = TimeSpan.FromHours(1);
}

/// <summary>
/// An answer of another resolver, kept as the bytes it came in: writing it anew would change what we do not know (types of
/// tomorrow, letters of names, text that is not ASCII). Only ids, flags, lifetimes and the options are ours.
/// </summary>
internal sealed class ForwardedAnswer
{
    private const int MaxRecords = 4096;

    // OPT: root, type 41, size, extended code and flags, no options.
    private const int OptionsBytes = 11;

    private readonly byte[] _message; // without its options; lifetimes within bounds
    private readonly int[] _ttls;
    private readonly int _questionEnd;

    private ForwardedAnswer(byte[] message, int questionEnd, int[] ttls, int seconds)
    {
        _message = message;
        _questionEnd = questionEnd;
        _ttls = ttls;
        Seconds = seconds;
    }

    /// <summary>How long it may be kept; 0: not at all.</summary>
    public int Seconds { get; }

    public int Bytes => _message.Length + _ttls.Length * sizeof(int);

    public int Code => _message[3] & DnsNumbers.CodeMask;

    /// <summary>The answer says that it was cut off. It is good for nothing but asking again by TCP.</summary>
    public bool IsTruncated => (_message[2] & DnsNumbers.FlagTruncated >> 8) != 0;

    /// <summary>Takes what came back for a question.</summary>
    /// <param name="why">With false: which count it belongs to.</param>
    public static bool TryTake(ReadOnlySpan<byte> message, DnsQuery asked, ushort id, DnsTtlBounds bounds, AddressMap map, [NotNullWhen(true)] out ForwardedAnswer? answer, out DnsCount why)
    {
        answer = null;
        why = DnsCount.UpstreamMalformed;
        if (!DnsFrame.TryRead(message, MaxRecords, out DnsFrame frame)) return false;
        why = DnsCount.UpstreamMismatch;
        if (!frame.IsResponse || (frame.Flags & DnsNumbers.OpcodeMask) != 0 || frame.Id != id) return false;
        if (frame.Type != asked.Type || frame.Class != asked.Class || !frame.Question.Equals(asked.Name)) return false;

        int end = message.Length, additional = 0, extended = 0;
        var ttls = new List<int>(frame.Records.Length);
        long least = long.MaxValue, negative = -1;
        bool answers = false;
        byte[] copy = message.ToArray();
        foreach (DnsRecordFrame record in frame.Records)
        {
            if (record.Type == DnsNumbers.Opt && record.Section == DnsSection.Additional)
            {
                // What stands behind the options is a signature or an extra; names may point only backwards, so it can be cut off.
                extended = message[record.TtlAt];
                end = record.At;
                break;
            }

            if (record.Section == DnsSection.Additional) additional++;
            if (IsMapped(message, record, map))
            {
                why = DnsCount.RebindBlocked;
                return false;
            }

            uint ttl = DnsFrame.Ttl(message, record);
            answers |= record.Section == DnsSection.Answer;
            // RFC 2308 section 5: the lesser of the record's own lifetime and its last field.
            if (record.Type == DnsNumbers.Soa && record.Section == DnsSection.Authority && record.DataBytes >= 22)
            {
                negative = Math.Min(ttl, BinaryPrimitives.ReadUInt32BigEndian(message[(record.End - 4)..]));
            }

            uint bounded = (uint)Math.Min(Math.Max(ttl, bounds.Least.TotalSeconds), bounds.Most.TotalSeconds);
            BinaryPrimitives.WriteUInt32BigEndian(copy.AsSpan(record.TtlAt), bounded);
            ttls.Add(record.TtlAt);
            if (record.Section == DnsSection.Answer) least = Math.Min(least, bounded);
        }

        Array.Resize(ref copy, end);
        BinaryPrimitives.WriteUInt16BigEndian(copy.AsSpan(10), (ushort)additional);
        if (extended != 0) copy[3] = (byte)(copy[3] & ~DnsNumbers.CodeMask | DnsNumbers.ServFail); // BADVERS and the like are between the two of us

        int code = copy[3] & DnsNumbers.CodeMask;
        bool complete = (frame.Flags & DnsNumbers.FlagTruncated) == 0 && code is DnsNumbers.NoError or DnsNumbers.NxDomain;
        bool positive = code == DnsNumbers.NoError && answers;
        long seconds = positive ? least : 0;
        if (negative >= 0)
        {
            // An alias that leads to "no": its lifetime or the denial's, whichever is less. A "no" without this record is not kept.
            seconds = Math.Min(least, Math.Min(Math.Max(negative, (long)bounds.Least.TotalSeconds), (long)bounds.MostNegative.TotalSeconds));
            CapTtls(copy, ttls, (uint)seconds);
        }

        if (!complete) seconds = 0;
        answer = new ForwardedAnswer(copy, frame.QuestionEnd, [.. ttls], (int)seconds);
        return true;
    }

    /// <summary>The answer as this client gets it.</summary>
    /// <param name="age">Seconds since it came; lifetimes are that much shorter.</param>
    public byte[] Write(DnsQuery query, uint age, ushort udpBytes, int limit, out bool truncated)
    {
        byte[] bytes = new byte[_message.Length + (query.HasEdns ? OptionsBytes : 0)];
        _message.CopyTo(bytes, 0);
        BinaryPrimitives.WriteUInt16BigEndian(bytes, query.Id);
        // "Authentic" is a promise of whoever checked signatures, over a way that nobody can change; neither holds here.
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(2), DnsComposer.Flags(query, Code, authoritative: false, recursion: true));
        truncated = bytes.Length > limit || IsTruncated;
        if (truncated) return DnsComposer.WriteTruncated(query, bytes.AsSpan(2, 2), udpBytes);

        query.Name.Wire.CopyTo(bytes.AsSpan(DnsNumbers.HeaderBytes)); // the same name; the client's letters
        foreach (int at in _ttls)
        {
            uint ttl = BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(at));
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(at), ttl > age ? ttl - age : 0);
        }

        if (!query.HasEdns) return bytes;
        Span<byte> options = bytes.AsSpan(_message.Length);
        options[2] = (byte)DnsNumbers.Opt;
        BinaryPrimitives.WriteUInt16BigEndian(options[3..], udpBytes);
        if (query.DnssecOk) options[7] = 0x80;
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(10), (ushort)(BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(10)) + 1));
        return bytes;
    }

    private static void CapTtls(byte[] message, List<int> ttls, uint most)
    {
        foreach (int at in ttls)
        {
            if (BinaryPrimitives.ReadUInt32BigEndian(message.AsSpan(at)) > most) BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(at), most);
        }
    }

    // The address of a hidden service as the answer of an outside name: what a page of that name loads would come from the service.
    private static bool IsMapped(ReadOnlySpan<byte> message, in DnsRecordFrame record, AddressMap map)
    {
        ReadOnlySpan<byte> data = message.Slice(record.DataAt, record.DataBytes);
        return (record.Type, record.DataBytes) switch
        {
            (DnsNumbers.A, 4) or (DnsNumbers.Aaaa, 16) => Covers(data, map),
            (DnsNumbers.SvcB or DnsNumbers.Https, > 3) => HintsAreMapped(message, record, map),
            _ => false,
        };
    }

    private static bool Covers(ReadOnlySpan<byte> address, AddressMap map)
    {
        UdpAddress plain = UdpAddress.FromBytes(address, 0);
        // IPv4 inside IPv6 reaches the same place.
        if (address.Length == 16 && plain.High == 0 && plain.Low >> 32 == 0xFFFF) plain = UdpAddress.FromBytes(address[12..], 0);
        return map.Covers(plain);
    }

    // RFC 9460 section 2.2: priority 2, target, then pairs of key 2, length 2, value; 4 and 6 hold addresses.
    private static bool HintsAreMapped(ReadOnlySpan<byte> message, in DnsRecordFrame record, AddressMap map)
    {
        int at = record.DataAt + 2;
        if (!DnsFrame.TrySkipName(message[..record.End], ref at)) return false;
        while (at + 4 <= record.End)
        {
            int key = BinaryPrimitives.ReadUInt16BigEndian(message[at..]), length = BinaryPrimitives.ReadUInt16BigEndian(message[(at + 2)..]);
            at += 4;
            if (at + length > record.End) return false;
            int size = key == 4 ? 4 : key == 6 ? 16 : 0;
            for (int i = 0; size > 0 && i + size <= length; i += size)
            {
                if (Covers(message.Slice(at + i, size), map)) return true;
            }

            at += length;
        }

        return false;
    }
}
