using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using ARSoft.Tools.Net.Dns;

namespace Oxen.Router.Dns;

/// <summary>
/// Where bytes of clients become a question. The library that reads messages throws on malformed ones, and lets a message of
/// twelve bytes allocate half a megabyte; so <see cref="DnsFrame"/> looks first, and what the library still throws is a FORMERR.
/// </summary>
internal static class DnsDoor
{
    /// <summary>Longer than any question with its options needs to be.</summary>
    public const int MaxQueryBytes = 4096;

    // OPT, a signature, and two to spare.
    private const int MaxRecords = 4;

    /// <param name="query">There with `Answer` and `BadVersion`.</param>
    public static DnsVerdict Read(ArraySegment<byte> message, out DnsQuery? query)
    {
        query = null;
        ReadOnlySpan<byte> bytes = message;
        if (bytes.Length < DnsNumbers.HeaderBytes) return DnsVerdict.Drop;
        ushort flags = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        if ((flags & DnsNumbers.FlagResponse) != 0) return DnsVerdict.Drop;
        if ((flags & DnsNumbers.OpcodeMask) != 0) return DnsVerdict.NotImp;
        if (bytes.Length > MaxQueryBytes || !DnsFrame.TryRead(bytes, MaxRecords, out DnsFrame frame)) return DnsVerdict.FormErr;

        int options = 0;
        foreach (DnsRecordFrame record in frame.Records)
        {
            if (record.Section != DnsSection.Additional) return DnsVerdict.FormErr;
            if (record.Type != DnsNumbers.Opt) continue;
            // One OPT, named by the root (RFC 6891 sections 6.1.1 and 6.1.2).
            if (++options > 1 || bytes[record.At] != 0) return DnsVerdict.FormErr;
        }

        OptRecord? edns = null;
        if (options > 0 && !TryReadOptions(message, out edns)) return DnsVerdict.FormErr;
        query = new DnsQuery
        {
            Id = frame.Id,
            Flags = flags,
            Name = frame.Question,
            Type = frame.Type,
            Class = frame.Class,
            HasEdns = edns is not null,
            DnssecOk = edns?.IsDnsSecOk == true,
            UdpBytes = Math.Max((int)(edns?.UdpPayloadSize ?? 0), DnsNumbers.PlainUdpBytes),
        };
        return edns is { Version: > 0 } ? DnsVerdict.BadVersion : DnsVerdict.Answer;
    }

    private static bool TryReadOptions(ArraySegment<byte> message, [NotNullWhen(true)] out OptRecord? options)
    {
        options = null;
        try
        {
            options = DnsMessage.Parse(message).EDnsOptions;
        }
        catch (Exception)
        {
            // Out of range, unsupported, wrong format, wrong cast: all of them mean that the bytes are no message.
        }

        return options is not null;
    }
}
