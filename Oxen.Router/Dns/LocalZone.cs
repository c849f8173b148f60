using ARSoft.Tools.Net;
using ARSoft.Tools.Net.Dns;

namespace Oxen.Router.Dns;

/// <summary>Answers that need no source: "no such name" and "no such data", with the record that lets them be cached (RFC 2308).</summary>
internal static class LocalZone
{
    private static readonly DomainName Master = DnsComposer.ToLibrary(DnsName.Parse("localhost.loki"));
    private static readonly DomainName Contact = DnsComposer.ToLibrary(DnsName.Parse("nobody.invalid"));

    public static DnsReply NoName(DnsName zone, int seconds) => new(DnsNumbers.NxDomain) { Authoritative = true, Authority = [Start(zone, seconds)] };

    public static DnsReply NoData(DnsName zone, int seconds) => new(DnsNumbers.NoError) { Authoritative = true, Authority = [Start(zone, seconds)] };

    /// <summary>Serial and timers mean nothing here: nobody transfers these zones.</summary>
    public static SoaRecord Start(DnsName zone, int seconds) => new(DnsComposer.ToLibrary(zone), seconds, Master, Contact, 1, 3600, 600, 86_400, seconds);
}
