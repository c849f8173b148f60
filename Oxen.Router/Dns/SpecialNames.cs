using System.Net;
using ARSoft.Tools.Net.Dns;

namespace Oxen.Router.Dns;

/// <summary>
/// Names of the outside that have no business there: they are answered on this machine and never forwarded. From RFC 6761 and
/// the registry it made, RFC 6303 and RFC 7793 (addresses that are local everywhere), and what is known to leak.
/// </summary>
internal static class SpecialNames
{
    private const int Seconds = 3600;

    private static readonly DnsName Arpa = DnsName.Parse("arpa");
    private static readonly DnsName Localhost = DnsName.Parse("localhost");
    private static readonly DnsName Loopback4 = DnsName.Parse("1.0.0.127.in-addr.arpa");
    private static readonly DnsName Loopback6 = DnsName.Parse("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa");

    private static readonly string[] Zones =
    [
        "localhost", "invalid", "test",     // RFC 6761
        "onion",                            // RFC 7686
        "local",                            // RFC 6762: multicast DNS
        "alt",                              // RFC 9476
        "home.arpa",                        // RFC 8375
        "resolver.arpa",                    // RFC 9462: a client must not be led to another resolver
        "service.arpa", "eap-noob.arpa",    // RFC 9665, RFC 9140
        "internal",                         // kept for private use by ICANN, 2024
        "intranet", "private", "corp", "home", "lan", // RFC 6762 appendix G: what people use and what leaks
        "use-application-dns.net",          // browsers ask it before they go around this resolver

        // RFC 6303 section 4, with what RFC 1918 and RFC 6598 keep.
        "0.in-addr.arpa", "10.in-addr.arpa", "127.in-addr.arpa", "254.169.in-addr.arpa", "168.192.in-addr.arpa",
        "2.0.192.in-addr.arpa", "100.51.198.in-addr.arpa", "113.0.203.in-addr.arpa", "255.255.255.255.in-addr.arpa",
        .. Enumerable.Range(16, 16).Select(n => $"{n}.172.in-addr.arpa"),
        .. Enumerable.Range(64, 64).Select(n => $"{n}.100.in-addr.arpa"),
        "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
        "c.f.ip6.arpa", "d.f.ip6.arpa",     // unique local
        "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa",
        "8.b.d.0.1.0.0.2.ip6.arpa",
    ];

    private static readonly Dictionary<DnsName, DnsName> ByName = Zones.Select(DnsName.Parse).ToDictionary(z => z);

    /// <summary>null: not special, may be forwarded.</summary>
    public static DnsReply? TryAnswer(DnsQuery query)
    {
        ArgumentNullException.ThrowIfNull(query);
        DnsName name = query.Name;
        DnsName? zone = ZoneOf(name);
        if (zone is null)
        {
            // A name of one label is a machine's, or a short `.loki` name without its end; the root knows only what is asked of top level domains.
            bool infrastructure = query.Type is DnsNumbers.Ns or DnsNumbers.Soa or DnsNumbers.Ds or DnsNumbers.DnsKey;
            // "No such data": "no such name" would deny everything below it as well (RFC 8020).
            return name.Labels == 1 && !infrastructure ? LocalZone.NoData(DnsName.Root, Seconds) : null;
        }

        if (zone.Equals(Localhost))
        {
            return query.Type switch
            {
                DnsNumbers.A => Found(new ARecord(DnsComposer.ToLibrary(name), Seconds, IPAddress.Loopback)),
                DnsNumbers.Aaaa => Found(new AaaaRecord(DnsComposer.ToLibrary(name), Seconds, IPAddress.IPv6Loopback)),
                _ => LocalZone.NoData(zone, Seconds),
            };
        }

        if (name.Equals(Loopback4) || name.Equals(Loopback6))
        {
            return query.Type == DnsNumbers.Ptr
                ? Found(new PtrRecord(DnsComposer.ToLibrary(name), Seconds, DnsComposer.ToLibrary(Localhost)))
                : LocalZone.NoData(zone, Seconds);
        }

        // RFC 6761 section 6.4, RFC 7686 and the browsers' canary want "no such name" for the zone's own name as well; zones of addresses exist.
        if (!name.Equals(zone) || !zone.IsWithin(Arpa)) return LocalZone.NoName(zone, Seconds);
        return query.Type == DnsNumbers.Soa ? Found(LocalZone.Start(zone, Seconds)) : LocalZone.NoData(zone, Seconds);
    }

    private static DnsName? ZoneOf(DnsName name)
    {
        for (int from = 0; from < name.Labels; from++)
        {
            if (ByName.TryGetValue(name.From(from), out DnsName? zone)) return zone;
        }

        return null;
    }

    private static DnsReply Found(DnsRecordBase record) => new(DnsNumbers.NoError) { Authoritative = true, Answers = [record] };
}
