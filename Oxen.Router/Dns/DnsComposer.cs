using System.Buffers.Binary;
using System.Text;
using ARSoft.Tools.Net;
using ARSoft.Tools.Net.Dns;

namespace Oxen.Router.Dns;

/// <summary>Writes answers. The library writes the records; the question goes out byte for byte as it came in, the case of its letters too.</summary>
internal static class DnsComposer
{
    private const ushort ExtendedErrorOption = 15;

    /// <param name="limit">Longer answers become empty ones that say "truncated".</param>
    public static byte[] Write(DnsQuery query, DnsReply reply, bool recursion, ushort udpBytes, int limit, out bool truncated)
    {
        var message = new WireMessage(query, Flags(query, reply.Code, reply.Authoritative, recursion));
        message.AnswerRecords.AddRange(reply.Answers);
        message.AuthorityRecords.AddRange(reply.Authority);
        if (query.HasEdns) message.AdditionalRecords.Add(Options(query, reply, udpBytes));
        byte[] bytes = message.ToBytes();
        truncated = bytes.Length > limit;
        return truncated ? WriteTruncated(query, bytes.AsSpan(2, 2), udpBytes) : bytes;
    }

    /// <summary>Header, question and options alone, with the bit that sends the client to TCP (RFC 2181 section 9: nothing half).</summary>
    /// <param name="flags">The second word of the answer that was too long.</param>
    public static byte[] WriteTruncated(DnsQuery query, ReadOnlySpan<byte> flags, ushort udpBytes)
    {
        var message = new WireMessage(query, (ushort)(BinaryPrimitives.ReadUInt16BigEndian(flags) | DnsNumbers.FlagTruncated));
        if (query.HasEdns) message.AdditionalRecords.Add(new OptRecord(udpBytes) { IsDnsSecOk = query.DnssecOk });
        return message.ToBytes();
    }

    /// <summary>For a message whose question could not be read: twelve bytes.</summary>
    public static byte[] WriteHeaderOnly(ReadOnlySpan<byte> message, int code, bool recursion)
    {
        byte[] header = new byte[DnsNumbers.HeaderBytes];
        message[..4].CopyTo(header);
        ushort flags = BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(2));
        flags = (ushort)(DnsNumbers.FlagResponse | flags & (DnsNumbers.OpcodeMask | DnsNumbers.FlagRecursionDesired) | (recursion ? DnsNumbers.FlagRecursionAvailable : 0) | code);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), flags);
        return header;
    }

    /// <summary>A question of ours to another resolver. What the client's options said of it (subnet, cookie) stays here.</summary>
    /// <param name="udpBytes">0: without EDNS.</param>
    public static byte[] WriteQuestion(DnsQuery query, ushort id, ushort udpBytes)
    {
        ushort flags = (ushort)(DnsNumbers.FlagRecursionDesired | query.Flags & DnsNumbers.FlagCheckingDisabled);
        var message = new WireMessage(query, flags) { TransactionID = id };
        if (udpBytes > 0) message.AdditionalRecords.Add(new OptRecord(udpBytes) { IsDnsSecOk = query.DnssecOk });
        return message.ToBytes();
    }

    /// <summary>Labels as the library wants them. Bytes above 0x7F it cannot keep; no name of ours has any, and a question is copied.</summary>
    public static DomainName ToLibrary(DnsName name)
    {
        string[] labels = new string[name.Labels];
        for (int i = 0; i < labels.Length; i++) labels[i] = Encoding.Latin1.GetString(name.Label(i));
        return new DomainName(labels);
    }

    public static ushort Flags(DnsQuery query, int code, bool authoritative, bool recursion)
    {
        int flags = DnsNumbers.FlagResponse | query.Flags & (DnsNumbers.FlagRecursionDesired | DnsNumbers.FlagCheckingDisabled) | code & DnsNumbers.CodeMask;
        if (authoritative) flags |= DnsNumbers.FlagAuthoritative;
        if (recursion) flags |= DnsNumbers.FlagRecursionAvailable;
        return (ushort)flags;
    }

    private static OptRecord Options(DnsQuery query, DnsReply reply, ushort udpBytes)
    {
        var options = new OptRecord(udpBytes) { IsDnsSecOk = query.DnssecOk, ExtendedReturnCode = (ReturnCode)(reply.Code & ~DnsNumbers.CodeMask) };
        if (reply.ExtendedCode is { } code)
        {
            byte[] data = new byte[2 + Encoding.ASCII.GetByteCount(reply.ExtendedText)];
            BinaryPrimitives.WriteUInt16BigEndian(data, code);
            Encoding.ASCII.GetBytes(reply.ExtendedText, data.AsSpan(2));
            options.Options.Add(new UnknownOption((EDnsOptionType)ExtendedErrorOption, data));
        }

        return options;
    }

    /// <summary>The library's message, with the bytes that it keeps to itself made public.</summary>
    private sealed class WireMessage : DnsMessage
    {
        private readonly DnsQuery _query;

        public WireMessage(DnsQuery query, ushort flags)
        {
            _query = query;
            Flags = flags;
            TransactionID = query.Id;
            Questions.Add(new DnsQuestion(ToLibrary(query.Name), (RecordType)query.Type, (RecordClass)query.Class));
        }

        public byte[] ToBytes()
        {
            byte[] buffer = new byte[GetSectionsMaxLength()];
            BinaryPrimitives.WriteUInt16BigEndian(buffer, TransactionID);
            BinaryPrimitives.WriteUInt16BigEndian(buffer.AsSpan(2), Flags);
            int at = 4;
            EncodeSections(buffer, ref at, []);
            _query.Name.Wire.CopyTo(buffer.AsSpan(DnsNumbers.HeaderBytes));
            Array.Resize(ref buffer, at);
            return buffer;
        }
    }
}
