namespace Oxen.Router.Dns;

/// <summary>One question of a client, after the door.</summary>
internal sealed class DnsQuery
{
    public required ushort Id { get; init; }

    /// <summary>The header's second word as it came.</summary>
    public required ushort Flags { get; init; }

    public required DnsName Name { get; init; }

    public required ushort Type { get; init; }

    public required ushort Class { get; init; }

    /// <summary>The client speaks EDNS (RFC 6891): then its answer does too.</summary>
    public bool HasEdns { get; init; }

    public bool DnssecOk { get; init; }

    /// <summary>The largest answer that it takes by UDP; 512 without EDNS, never less.</summary>
    public int UdpBytes { get; init; } = DnsNumbers.PlainUdpBytes;

    public bool RecursionDesired => (Flags & DnsNumbers.FlagRecursionDesired) != 0;

    public bool CheckingDisabled => (Flags & DnsNumbers.FlagCheckingDisabled) != 0;
}

internal enum DnsVerdict : byte
{
    /// <summary>A question to answer.</summary>
    Answer,

    /// <summary>Nothing is sent: an answer to an answer would make two servers talk for ever, and a runt has no id.</summary>
    Drop,

    FormErr,
    NotImp,

    /// <summary>An EDNS version that is not ours; the answer says which is (RFC 6891 section 6.1.3).</summary>
    BadVersion,
}
