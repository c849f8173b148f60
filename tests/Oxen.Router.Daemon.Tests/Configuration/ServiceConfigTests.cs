using Oxen.Router.Daemon.Configuration;

namespace Oxen.Router.Daemon.Tests.Configuration;

public class ServiceConfigTests
{
    private const string Head = "[router]\nroles = [\"client\"]\ncontacts = \"c\"\ncontacts_key = \"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"\n";
    private const string Service = "[[service]]\nname = \"web\"\nkey = \"web.key\"\nports = [\"80 -> 127.0.0.1:8080\"]\n";

    private static RouterConfig? Read(string text, out string[] errors)
    {
        RouterConfig? config = ConfigReader.Read(text, "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        errors = [.. diagnostics.Select(d => d.ToString())];
        return config;
    }

    [Fact]
    public void Services_are_read_with_their_ports_and_paths_are_beside_the_file()
    {
        RouterConfig config = Read(Head + Service + Service.Replace("web", "other", StringComparison.Ordinal).Replace("\"80 -> 127.0.0.1:8080\"", "\"53/udp -> [::1]:53\", \"22/tcp->unix:/run/x.sock\"", StringComparison.Ordinal), out string[] errors)!;
        Assert.Empty(errors);
        Assert.Equal(["web", "other"], config.Services.Select(s => s.Name));
        Assert.Equal("/etc/oxen/web.key", config.Services[0].KeyFile);
        Assert.Equal([(6, 80, "127.0.0.1:8080", null)], config.Services[0].Ports.Select(p => ((int)p.Port.Protocol, (int)p.Port.Port, p.Target?.ToString(), p.UnixPath)));
        Assert.Equal([(17, 53, "[::1]:53", null), (6, 22, null, "/run/x.sock")], config.Services[1].Ports.Select(p => ((int)p.Port.Protocol, (int)p.Port.Port, p.Target?.ToString(), p.UnixPath)));
    }

    [Fact]
    public void A_service_may_take_packets_in_place_of_ports_or_beside_them()
    {
        const string Begin = "[[service]]\nname = \"a\"\nkey = \"k\"\ntun = \"oxens0\"\n";
        ServiceConfig usual = Assert.Single(Read(Head + Begin, out string[] errors)!.Services);
        Assert.Empty(errors);
        Assert.Empty(usual.Ports);
        Assert.Equal(new ServiceTunnelConfig("oxens0", ServiceTunnelConfig.DefaultPool4, ServiceTunnelConfig.DefaultPool6), usual.Tunnel);
        ServiceConfig other = Assert.Single(Read(Head + Begin + "pool = [\"10.95.0.0/24\"]\nports = [\"80 -> 10.95.0.1:80\"]\n", out errors)!.Services);
        Assert.Empty(errors);
        Assert.Single(other.Ports);
        Assert.Equal(("10.95.0.0/24", null), (other.Tunnel!.Pool4.ToString(), other.Tunnel.Pool6));
        Assert.Null(Assert.Single(Read(Head + Service, out _)!.Services).Tunnel);
    }

    [Theory]
    [InlineData("80")]
    [InlineData("-> 127.0.0.1:80")]
    [InlineData("0 -> 127.0.0.1:80")]
    [InlineData("65536 -> 127.0.0.1:80")]
    [InlineData("80/sctp -> 127.0.0.1:80")]
    [InlineData("80 -> localhost:80")]
    [InlineData("80 -> 127.0.0.1")]
    [InlineData("80 -> 127.0.0.1:0")]
    [InlineData("53/udp -> unix:/run/x")]
    [InlineData("80 -> unix:run/x")]
    public void A_port_that_is_none_is_an_error_with_its_place(string port)
    {
        Assert.Null(Read(Head + Service.Replace("80 -> 127.0.0.1:8080", port, StringComparison.Ordinal), out string[] errors));
        Assert.StartsWith("/etc/oxen/oxen.toml:8:10: error OXN1005: expected a port", Assert.Single(errors), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[service]\n", "double brackets")]
    [InlineData("[[service]]\n", "`name` is missing in [service]")]
    [InlineData("[[service]]\nname = \"a b\"\nkey = \"k\"\nports = [\"80 -> 127.0.0.1:1\"]\n", "`name` expects")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\nports = []\n", "`ports` is empty")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\nports = [\"80 -> 127.0.0.1:1\"]\nclients = []\n", "`clients` is empty")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\nports = [\"80 -> 127.0.0.1:1\"]\nclients = [\"ab\"]\n", "64 hexadecimal digits")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\nports = [\"80 -> 127.0.0.1:1\"]\nsrv = [\"_http._tcp 80\"]\n", "name priority weight port")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\nports = [\"80 -> 127.0.0.1:1\"]\nprots = []\n", "Did you mean `ports`?")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\nports = [\"80 -> 127.0.0.1:1\", \"80 -> 127.0.0.1:2\"]\n", "named twice")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\nports = [\"80 -> 127.0.0.1:1\"]\npool = [\"10.96.0.0/16\"]\n", "`pool` has the addresses of `tun`")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\ntun = \"s0\"\n[[service]]\nname = \"b\"\nkey = \"l\"\ntun = \"s0\"\n", "two services have the interface s0")]
    [InlineData("[[service]]\nname = \"a\"\nkey = \"k\"\ntun = \"s0\"\n[[service]]\nname = \"b\"\nkey = \"l\"\ntun = \"s1\"\npool = [\"10.96.8.0/24\"]\n", "have addresses of one network")]
    [InlineData("[client]\nservice_keys = [\"abc.loki: k\"]\n", "a service's address")]
    [InlineData("[client]\npacket_size = \"reduced\"\n" + Service, "packets of the full size")]
    public void What_is_wrong_with_a_service_is_told(string section, string cause)
    {
        Assert.Null(Read(Head + section, out string[] errors));
        Assert.Contains(errors, e => e.Contains(cause, StringComparison.Ordinal));
    }

    [Fact]
    public void A_relay_that_is_no_client_hosts_no_service()
    {
        Assert.Null(Read(Head.Replace("\"client\"", "\"relay\"", StringComparison.Ordinal) + "listen = \"192.0.2.1:1\"\nidentity = \"i\"\n" + Service, out string[] errors));
        Assert.Contains("OXN1007", Assert.Single(errors), StringComparison.Ordinal);
    }
}
