using Oxen.Router.Daemon.Configuration;

namespace Oxen.Router.Daemon.Tests.Configuration;

public sealed class TunnelConfigTests
{
    private const string Rest = "contacts = \"c\"\ncontacts_key = \"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"\n";
    private const string Client = "[router]\nroles = [\"client\"]\n" + Rest;                                                                 // 4 lines
    private const string Exit = "[router]\nroles = [\"relay\", \"exit\"]\nidentity = \"i\"\nlisten = \"192.0.2.1:1090\"\n" + Rest + "[exit]\n"; // 7 lines

    private static RouterConfig Good(string text)
    {
        RouterConfig? config = ConfigReader.Read(text, "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        Assert.Empty(diagnostics);
        return config!;
    }

    [Fact]
    public void The_section_alone_turns_the_tunnel_on_with_its_defaults()
    {
        Assert.Null(Good(Client).Tun);
        TunConfig tun = Good(Client + "[tun]\n").Tun!;
        Assert.Equal("oxen0", tun.Name);
        Assert.Equal(["10.98.0.2/32", "fd6f:7865:6e00:2::2/128"], tun.Addresses.Select(a => a.ToString()));
        Assert.Equal(["0.0.0.0/0", "::/0"], tun.Ranges.Select(r => r.ToString()));
        Assert.Equal((256, true, 18500u, 18500u, 18500u), (tun.Queue, tun.Routes, tun.Table, tun.Mark, tun.Priority));
        Assert.Equal((false, false), (tun.KillSwitch, tun.KillSwitchLan));
    }

    [Fact]
    public void Every_key_of_the_client_is_taken()
    {
        TunConfig tun = Good(Client + "[tun]\nname = \"t1\"\naddresses = [\"10.1.2.3\"]\nranges = [\"192.0.2.0/24\"]\nroutes = false\nqueue = 500\ntable = 300\nmark = 7\npriority = 9\nkill_switch = true\nkill_switch_lan = true\n").Tun!;
        Assert.Equal("t1", tun.Name);
        Assert.Equal("10.1.2.3/32", Assert.Single(tun.Addresses).ToString());
        Assert.Equal("192.0.2.0/24", Assert.Single(tun.Ranges).ToString());
        Assert.Equal((500, false, 300u, 7u, 9u), (tun.Queue, tun.Routes, tun.Table, tun.Mark, tun.Priority));
        Assert.Equal((true, true), (tun.KillSwitch, tun.KillSwitchLan));
    }

    [Fact]
    public void An_exit_has_a_tunnel_only_if_it_says_so()
    {
        Assert.Null(Good(Exit).Exit.Tunnel);
        Assert.Null(Good(Exit + "tun = \"x\"\n").Exit.Tunnel);
        Assert.Equal("relay, exit", Good(Exit).Capabilities.ToString().ToLowerInvariant());
        Assert.Equal("relay, exit, tunnel", Good(Exit + "tunnel = true\n").Capabilities.ToString().ToLowerInvariant());
        ExitTunnelConfig tunnel = Good(Exit + "tunnel = true\n").Exit.Tunnel!;
        Assert.Equal(("oxenx0", "10.97.0.0/16", "fd6f:7865:6e00:1::/64", 1024, true, 65533), (tunnel.Tun, tunnel.Pool4.ToString(), tunnel.Pool6.ToString(), tunnel.Connections, tunnel.Nat, tunnel.Leases));
        tunnel = Good(Exit + "tunnel = true\ntun = \"x\"\npool = [\"10.0.0.0/29\"]\nconnections = 3\nnat = false\n").Exit.Tunnel!;
        Assert.Equal(("x", "10.0.0.0/29", null, 3, false, 5), (tunnel.Tun, tunnel.Pool4.ToString(), tunnel.Pool6, tunnel.Connections, tunnel.Nat, tunnel.Leases));
    }

    [Theory]
    [InlineData(Client + "[tun]\nname = \"a/b\"\n", "6:8: error OXN1005: `name` expects a name for a network interface: 1 to 15 letters, digits, -, _ or ., found \"a/b\"")]
    [InlineData(Client + "[tun]\nname = \"sixteen-letters-\"\n", "6:8: error OXN1005: `name` expects")]
    [InlineData(Client + "[tun]\naddresses = [\"10.98.0.2/33\"]\n", "6:14: error OXN1005: expected an address such as \"10.98.0.2/32\", found \"10.98.0.2/33\"")]
    [InlineData(Client + "[tun]\naddresses = [\"10.98.2\"]\n", "6:14: error OXN1005: expected an address")]
    [InlineData(Client + "[tun]\naddresses = [\"10.0.0.1\", \"10.0.0.2\"]\n", "6:26: error OXN1005: the tunnel has one address of each family; this is a second one")]
    [InlineData(Client + "[tun]\naddresses = [\"127.0.0.9\"]\n", "6:14: error OXN1005: 127.0.0.9 is no address that one machine can have")]
    [InlineData(Client + "[tun]\naddresses = []\n", "6:13: error OXN1005: `addresses` is empty")]
    [InlineData(Client + "[tun]\nranges = [\"10.0.0.1/8\"]\n", "6:11: error OXN1005: 10.0.0.1/8 has bits behind its /8 prefix\n  Write \"10.0.0.0/8\".")]
    [InlineData(Client + "[tun]\nranges = [\"10.0.0.0\"]\n", "6:11: error OXN1005: expected a network such as \"0.0.0.0/0\", found \"10.0.0.0\"")]
    [InlineData(Client + "[tun]\nranges = [\"::/0\", \"::/0\"]\n", "6:19: error OXN1005: ::/0 is named twice")]
    [InlineData(Client + "[tun]\nroutes = \"true\"\n", "6:10: error OXN1004: `routes` expects true or false, found the text \"true\"\n  Without quotes.")]
    [InlineData(Client + "[tun]\ntable = 254\n", "6:9: error OXN1005: `table` expects a number from 256 to 4294967295, found the number 254")]
    [InlineData(Client + "[tun]\nmark = 0\n", "6:8: error OXN1005: `mark` expects a number from 1")]
    [InlineData(Client + "[tun]\nkill_switch = 1\n", "6:15: error OXN1004: `kill_switch` expects true or false")]
    [InlineData(Client + "[tun]\nkill_switch_lan = true\n", "6:19: error OXN1007: `kill_switch_lan` is an exception of `kill_switch`, which is off")]
    [InlineData("[router]\nroles = [\"relay\", \"client\"]\nidentity = \"i\"\nlisten = \"192.0.2.1:1090\"\n" + Rest + "[tun]\nkill_switch = true\n", "8:15: error OXN1007: `kill_switch` lets nothing out past the tunnel, and a relay sends past it")]
    [InlineData(Client + "[tun]\nqueu = 1\n", "6:1: error OXN1003: unknown key `queu` in [tun]\n  Did you mean `queue`?")]
    [InlineData(Exit + "[tun]\n", "8:2: error OXN1007: [tun] is a client's, and `roles` does not have \"client\"\n  Add \"client\" to `roles`. An exit's end of the tunnel is `tunnel = true` in [exit].")]
    [InlineData(Client + "[exit]\ntunnel = true\n", "6:10: error OXN1007: `tunnel` is an exit's, and `roles` does not have \"exit\"")]
    [InlineData(Exit + "pool = [\"10.0.0.0/30\"]\n", "8:9: error OXN1005: the pool 10.0.0.0/30 is too small\n  /29 is the smallest; each session takes one address, and three are kept.")]
    [InlineData(Exit + "pool = [\"fd00::/64\"]\n", "8:8: error OXN1005: `pool` has no IPv4 network")]
    [InlineData(Exit + "pool = [\"10.0.0.0/8\", \"11.0.0.0/8\"]\n", "8:23: error OXN1005: `pool` has one network of each family; this is a second one")]
    [InlineData(Exit + "pool = [\"10.0.0.0/24\", \"fd00::/127\"]\n", "8:24: error OXN1005: the pool fd00::/127 is too small")]
    [InlineData(Exit + "connections = 0\n", "8:15: error OXN1005: `connections` expects a number from 1 to 1000000, found the number 0")]
    public void A_wrong_tunnel_line_gives_place_expectation_finding_and_remedy(string text, string expected)
    {
        Assert.Null(ConfigReader.Read(text, "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics));
        Assert.StartsWith("/etc/oxen/oxen.toml:" + expected, Assert.Single(diagnostics).ToString(), StringComparison.Ordinal);
    }
}
