using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Dns;

namespace Oxen.Router.Daemon.Tests.Configuration;

public sealed class DnsConfigTests
{
    private const string Rest = "contacts = \"c\"\ncontacts_key = \"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"\n";
    private const string Client = "[router]\nroles = [\"client\"]\n" + Rest;                                                        // 4 lines
    private const string Relay = "[router]\nroles = [\"relay\"]\nidentity = \"i\"\nlisten = \"192.0.2.1:1090\"\n" + Rest;         // 6 lines
    private const string Dns = Client + "[dns]\n";                                                                                  // 5 lines

    private static RouterConfig Good(string text)
    {
        RouterConfig? config = ConfigReader.Read(text, "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        Assert.Empty(diagnostics);
        return config!;
    }

    [Fact]
    public void The_section_alone_turns_the_resolver_on_with_its_defaults()
    {
        Assert.Null(Good(Client).Dns);
        DnsServiceOptions dns = Good(Dns).Dns!.Service;
        Assert.Equal(["127.0.0.1:53"], dns.Host.Listen.Select(l => l.ToString()));
        Assert.Equal(["127.0.0.0/8", "::1/128"], dns.Host.Clients.Select(c => c.ToString()));
        Assert.Equal(["9.9.9.9:53", "149.112.112.112:53"], dns.Servers.Select(s => s.ToString()));
        Assert.Equal((DnsForward.Exit, "10.99.0.0/16", "fd6f:7865:6e00:3::/64"), (dns.Forward, dns.Map.IPv4.ToString(), dns.Map.IPv6.ToString()));
        Assert.Equal((TimeSpan.FromHours(1), TimeSpan.FromSeconds(60)), (dns.Map.Lifetime, dns.Zones.AddressTtl));
    }

    [Fact]
    public void Every_key_is_taken()
    {
        DnsServiceOptions dns = Good(Dns + "listen = [\"127.0.0.1:5353\", \"[::1]:53\", \"192.168.7.1:53\"]\nforward = \"upstream\"\nservers = [\"192.0.2.53:53\"]\n"
            + "clients = [\"192.168.7.0/24\"]\nranges = [\"172.16.0.0/24\"]\nlifetime = \"10 min\"\nttl = \"5 s\"\n").Dns!.Service;
        Assert.Equal(["127.0.0.1:5353", "[::1]:53", "192.168.7.1:53"], dns.Host.Listen.Select(l => l.ToString()));
        Assert.Equal(["192.168.7.0/24"], dns.Host.Clients.Select(c => c.ToString()));
        Assert.Equal((DnsForward.Upstream, "192.0.2.53:53", "172.16.0.0/24", null), (dns.Forward, Assert.Single(dns.Servers).ToString(), dns.Map.IPv4.ToString(), dns.Map.IPv6));
        Assert.Equal((TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(5)), (dns.Map.Lifetime, dns.Zones.AddressTtl));
        Assert.Equal((null, false), (dns.Map.Packets ? "" : null, Good(Dns).Dns!.Packets is not null));
        DnsConfig packets = Good(Dns + "packets = \"oxenp0\"\n").Dns!;
        Assert.Equal(("oxenp0", true), (packets.Packets, packets.Service.Map.Packets));
        Assert.Equal(TimeSpan.FromSeconds(7), Good(Dns + "lifetime = \"7 s\"\n").Dns!.Service.Zones.AddressTtl);
    }

    [Theory]
    [InlineData(Relay + "[dns]\n", "7:2: error OXN1007: [dns] is a client's, and `roles` does not have \"client\"")]
    [InlineData(Dns + "forward = \"tor\"\n", "6:11: error OXN1005: ")]
    [InlineData(Dns + "listen = \"127.0.0.1:53\"\n", "6:10: error OXN1004: `listen` expects a list such as")]
    [InlineData(Dns + "listen = []\n", "6:10: error OXN1005: `listen` is empty")]
    [InlineData(Dns + "listen = [\"localhost:53\"]\n", "6:11: error OXN1005: expected an address and port such as \"127.0.0.1:53\" or \"[::1]:53\", found \"localhost:53\"")]
    [InlineData(Dns + "listen = [\"127.0.0.1:53\", \"127.0.0.1:53\"]\n", "6:27: error OXN1005: 127.0.0.1:53 is named twice")]
    [InlineData(Dns + "listen = [\"0.0.0.0:53\"]\n", "6:10: error OXN1007: `listen` has 0.0.0.0:53, beyond this machine, but no `clients` are named")]
    [InlineData(Dns + "clients = [\"0.0.0.0/0\"]\n", "6:11: error OXN1007: a /0 in `clients` is everybody")]
    [InlineData(Dns + "clients = []\n", "6:11: error OXN1005: `clients` is empty")]
    [InlineData(Dns + "servers = []\n", "6:11: error OXN1007: names of the outside are to be forwarded, and `servers` is empty")]
    [InlineData(Dns + "forward = \"none\"\nservers = [\"9.9.9.9:53\"]\n", "7:11: error OXN1007: `servers` are named, and with forward = \"none\" nobody asks them")]
    [InlineData(Dns + "servers = [\"10.99.3.4:53\"]\n", "6:11: error OXN1007: the resolver 10.99.3.4:53 is in the range of mapped addresses")]
    [InlineData(Dns + "servers = [\"9.9.9.9:0\"]\n", "6:11: error OXN1005: 9.9.9.9:0 is no resolver's address")]
    [InlineData(Dns + "forward = \"upstream\"\nservers = [\"127.0.0.1:53\"]\n", "7:11: error OXN1007: the resolver 127.0.0.1:53 is this one: it would ask itself")]
    [InlineData(Dns + "packets = \"a b\"\n", "6:11: error OXN1005: `packets` expects a name for a network interface")]
    [InlineData(Dns + "packets = \"oxenp0\"\nmapped = false\n", "6:11: error OXN1007: `packets` is the interface for packets to mapped addresses, and `mapped` is false")]
    [InlineData(Dns + "packets = \"oxen0\"\n[tun]\n", "6:11: error OXN1007: oxen0 is the interface of [tun]")]
    [InlineData(Dns + "ranges = [\"192.0.2.0/24\"]\n", "6:11: error OXN1005: 192.0.2.0/24 is no private range: its addresses are somebody's")]
    [InlineData(Dns + "ranges = [\"10.0.0.0/30\"]\n", "6:11: error OXN1005: the range 10.0.0.0/30 is none from /8 to /29")]
    [InlineData(Dns + "ranges = [\"10.0.0.0/24\", \"10.1.0.0/24\"]\n", "6:26: error OXN1005: `ranges` has one network of each family")]
    [InlineData(Dns + "ranges = []\n", "6:10: error OXN1005: `ranges` is empty")]
    [InlineData(Dns + "lifetime = \"2 h\"\n", "6:12: error OXN1005: expected a time")]
    [InlineData(Dns + "lifetime = \"500 ms\"\n", "6:12: error OXN1005: `lifetime` is at least \"1 s\"")]
    [InlineData(Dns + "lifetime = \"10 s\"\nttl = \"20 s\"\n", "7:7: error OXN1007: `ttl` is longer than `lifetime`")]
    [InlineData(Dns + "ranges = [\"10.98.0.0/16\"]\n[tun]\n", "6:10: error OXN1007: the tunnel's address 10.98.0.2 is in the range of mapped addresses")]
    [InlineData(Dns + "server = [\"9.9.9.9:53\"]\n", "6:1: error OXN1003: unknown key `server` in [dns]\n  Did you mean `servers`?")]
    public void A_wrong_line_gives_place_expectation_finding_and_remedy(string text, string expected)
    {
        Assert.Null(ConfigReader.Read(text, "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics));
        Assert.StartsWith("/etc/oxen/oxen.toml:" + expected, Assert.Single(diagnostics).ToString(), StringComparison.Ordinal);
    }
}
