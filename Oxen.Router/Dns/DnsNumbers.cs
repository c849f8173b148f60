namespace Oxen.Router.Dns;

/// <summary>Numbers of the wire that this resolver decides by: RFC 1035, and the registry of DNS parameters.</summary>
internal static class DnsNumbers
{
    public const int HeaderBytes = 12;

    /// <summary>What a client without EDNS takes by UDP (RFC 1035 section 4.2.1).</summary>
    public const int PlainUdpBytes = 512;

    // Types.
    public const ushort A = 1, Ns = 2, CName = 5, Soa = 6, Ptr = 12, Txt = 16, Aaaa = 28, Srv = 33, Opt = 41, Ds = 43, DnsKey = 48, SvcB = 64, Https = 65;
    public const ushort Ixfr = 251, Axfr = 252, MailB = 253, MailA = 254, Any = 255;

    public const ushort ClassIn = 1;

    // Codes of an answer. BadVersion needs EDNS.
    public const int NoError = 0, FormErr = 1, ServFail = 2, NxDomain = 3, NotImp = 4, Refused = 5, BadVersion = 16;

    // Bits of the second word of the header.
    public const ushort FlagResponse = 0x8000, FlagAuthoritative = 0x0400, FlagTruncated = 0x0200, FlagRecursionDesired = 0x0100;
    public const ushort FlagRecursionAvailable = 0x0080, FlagAuthentic = 0x0020, FlagCheckingDisabled = 0x0010;
    public const ushort OpcodeMask = 0x7800, CodeMask = 0x000F;
}
