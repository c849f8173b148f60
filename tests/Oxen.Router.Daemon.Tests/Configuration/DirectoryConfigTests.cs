using Oxen.Router.Daemon.Configuration;

namespace Oxen.Router.Daemon.Tests.Configuration;

/// <summary>[directory], and the rules of [client] about which relays its paths take.</summary>
public sealed class DirectoryConfigTests
{
    private const string Key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    private const string Good = $"[router]\nroles = [\"client\"]\ncontacts = \"contacts.list\"\ncontacts_key = \"{Key}\"\n";

    private static RouterConfig? Read(string more, out string[] errors)
    {
        RouterConfig? config = ConfigReader.Read(Good + more, "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        errors = [.. diagnostics.Select(d => d.ToString().Replace("/etc/oxen/", "", StringComparison.Ordinal))];
        return config;
    }

    [Fact]
    public void Without_a_word_a_router_follows_the_network_and_two_guards_carry_its_paths()
    {
        RouterConfig? config = Read("", out string[] errors);
        Assert.Empty(errors);
        Assert.True(config!.Directory.Gossip);
        Assert.Equal("/etc/oxen/state", config.Directory.StateDirectory);
        Assert.Equal((5, 3), (config.Directory.Sources, config.Directory.Agree));
        Assert.Equal("", config.Directory.NetworksFile);
        Assert.Equal(2, config.Client.Guards);
        Assert.Empty(config.Client.Rules.Routers);
        Assert.False(config.Client.Rules.PrefersQuick);
    }

    [Fact]
    public void Everything_that_is_said_is_read()
    {
        RouterConfig? config = Read(
            $"""
            [client]
            guards = 3
            exclude = ["{Key}", "192.0.2.0/24", "2001:db8::/32"]
            exclude_countries = ["xx", "yy"]
            regions = ["eu-1"]
            latency = "low"

            [directory]
            gossip = false
            state = "elsewhere"
            sources = 7
            agree = 5
            networks = "networks.csv"
            """,
            out string[] errors);
        Assert.Empty(errors);
        Assert.Equal(3, config!.Client.Guards);
        Assert.Equal(Key, Assert.Single(config.Client.Rules.Routers).ToString());
        Assert.Equal(2, config.Client.Rules.Networks.Count);
        Assert.Equal(["xx", "yy"], config.Client.Rules.Countries);
        Assert.Equal(["eu-1"], config.Client.Rules.Regions);
        Assert.True(config.Client.Rules.PrefersQuick);
        Assert.False(config.Directory.Gossip);
        Assert.Equal("/etc/oxen/elsewhere", config.Directory.StateDirectory);
        Assert.Equal((7, 5), (config.Directory.Sources, config.Directory.Agree));
        Assert.Equal("/etc/oxen/networks.csv", config.Directory.NetworksFile);
    }

    [Theory]
    [InlineData("[client]\nexclude = [\"192.0.2.1/24\"]\n", "oxen.toml:6:12: error OXN1005: expected a router id (64 hexadecimal digits) or a network such as \"192.0.2.0/24\", found \"192.0.2.1/24\"\n  Bits of a network behind its length must be zero.")]
    [InlineData("[client]\nexclude_countries = [\"DE\"]\n[directory]\nnetworks = \"n\"\n", "oxen.toml:6:22: error OXN1005: expected a country of two lower-case letters such as \"de\", found \"DE\"\n  ISO 3166 has them.")]
    [InlineData("[client]\nexclude_countries = [\"de\"]\n", "oxen.toml:6:21: error OXN1007: which country a relay is in is not known without a table of networks\n  Set `networks` in [directory].")]
    [InlineData("[client]\nregions = [\"Europe\"]\n", "oxen.toml:6:12: error OXN1005: expected a region of 1 to 16 of a-z, 0-9, -, found \"Europe\"\n  `oxen contacts show` tells the regions of a list.")]
    [InlineData("[client]\nlatency = \"least\"\n", "oxen.toml:6:11: error OXN1005: expected one of \"any\", \"low\", found \"least\"")]
    [InlineData("[client]\nguards = 5\n", "oxen.toml:6:10: error OXN1005: `guards` expects a number from 1 to 4, found the number 5")]
    [InlineData("[directory]\nsources = 5\nagree = 2\n", "oxen.toml:7:9: error OXN1007: `agree` = 2 of 5 `sources`: fewer than half could then say who is a relay, or nobody ever\n  Set it from 3 to 5.")]
    [InlineData("[directory]\nsources = 3\nagree = 4\n", "oxen.toml:7:9: error OXN1007: `agree` = 4 of 3 `sources`: fewer than half could then say who is a relay, or nobody ever\n  Set it from 2 to 3.")]
    [InlineData("[directory]\ngosip = true\n", "oxen.toml:6:1: error OXN1003: unknown key `gosip` in [directory]\n  Did you mean `gossip`?")]
    public void A_wrong_value_gives_place_expectation_finding_and_remedy(string more, string expected)
    {
        Assert.Null(Read(more, out string[] errors));
        Assert.StartsWith(expected, Assert.Single(errors), StringComparison.Ordinal);
    }
}
