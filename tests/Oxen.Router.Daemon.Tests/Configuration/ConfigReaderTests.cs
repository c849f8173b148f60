using Oxen.Router.Core.Onion;
using Oxen.Router.Daemon.Configuration;

namespace Oxen.Router.Daemon.Tests.Configuration;

public sealed class ConfigReaderTests
{
    private const string Key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    private const string Good = $"[router]\nroles = [\"client\"]\nidentity = \"identity.key\"\ncontacts = \"contacts.oxcl\"\ncontacts_key = \"{Key}\"\n";

    [Theory, InlineData("", false), InlineData("packet_size = \"full\"\n", false), InlineData("packet_size = \"reduced\"\n", true)]
    public void A_client_may_ask_for_shorter_packets(string line, bool reduced)
        => Assert.Equal(reduced ? SizeClass.Reduced : SizeClass.Full, ConfigReader.Read(Good + "[client]\n" + line, "/etc/oxen/oxen.toml", out _)!.Client.PacketSize);

    private static string[] Errors(string text)
    {
        RouterConfig? config = ConfigReader.Read(text, "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        Assert.Equal(config is null, diagnostics.Count > 0);
        return [.. diagnostics.Select(d => d.ToString().Replace("/etc/oxen/", "", StringComparison.Ordinal))];
    }

    [Fact]
    public void A_small_file_gives_the_documented_defaults_and_paths_beside_it()
    {
        RouterConfig? config = ConfigReader.Read(Good, "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        Assert.Empty(diagnostics);
        Assert.Equal("/etc/oxen/identity.key", config!.IdentityFile);
        Assert.Equal(RouterRoles.Client, config.Roles);
        Assert.Equal("127.0.0.1:1080", config.Client.Socks!.ToString());
        Assert.Equal(4, config.Client.Hops);
        Assert.Equal(["deny *:25", "allow *:*"], config.Exit.Rules.Select(r => r.ToString()));
    }

    [Theory]
    [InlineData(Good + "[client]\nsock = \"127.0.0.1:1\"\n", "oxen.toml:7:1: error OXN1003: unknown key `sock` in [client]\n  Did you mean `socks`?")]
    [InlineData(Good + "[cleint]\n", "oxen.toml:6:2: error OXN1002: unknown section [cleint]\n  Did you mean [client]?")]
    [InlineData(Good + "[client]\nhops = 9\n", "oxen.toml:7:8: error OXN1005: `hops` expects a number from 2 to 8, found the number 9")]
    [InlineData(Good + "[client]\nhops = \"4\"\n", "oxen.toml:7:8: error OXN1004: `hops` expects a number from 2 to 8, found the text \"4\"")]
    [InlineData(Good + "[client]\npacket_size = \"small\"\n", "oxen.toml:7:15: error OXN1005: expected one of \"full\", \"reduced\", found \"small\"\n  Known are \"full\", \"reduced\".")]
    [InlineData(Good + "[client]\nsocks = 1080\n", "oxen.toml:7:9: error OXN1004: `socks` expects an address and port such as \"127.0.0.1:1080\" or \"[::1]:1080\", or \"off\", found the number 1080\n  Put it in quotes.")]
    [InlineData(Good + "[relay]\nreplay_filter = \"100\"\n", "oxen.toml:7:17: error OXN1005: expected a size such as \"128 MiB\" (B, KiB, MiB, GiB) from 1 MiB to 4096 MiB, found \"100\"")]
    [InlineData(Good + "[relay]\noperator = \"Jane & Co\"\n", "oxen.toml:7:12: error OXN1005: `operator` expects up to 32 of a-z, 0-9, -, ., _, found \"Jane & Co\"")]
    [InlineData("[router]\nroles = [\"relay\"]\nidentity = \"i\"\ncontacts = \"c\"\ncontacts_key = \"" + Key + "\"\n", "oxen.toml:2:9: error OXN1007: others must know where to reach a relay, and `listen` is 0.0.0.0:1090\n  Set `address` to its own address and port, or `listen` on that.")]
    [InlineData(Good + "[exit]\nrules = [\"allow *:80\", \"deny 10.0.0.0/33:*\"]\n", "oxen.toml:7:39: error OXN1005: in the rule \"deny 10.0.0.0/33:*\": a prefix length is 0 to 32\n  A rule looks like `allow *:80,443 tcp` or `deny 10.0.0.0/8:*`.")]
    [InlineData(Good + "[client]\nsocks = \"0.0.0.0:1080\"\n", "oxen.toml:7:9: error OXN1007: `socks` listens beyond this machine, but no `users` are set\n  Listen on 127.0.0.1 or [::1], or set users = [\"name:password\"].")]
    [InlineData(Good + "[log]\nlevel = \"warn\"\n", "oxen.toml:7:9: error OXN1005: expected one of \"trace\", \"debug\", \"information\", \"warning\", \"error\", found \"warn\"\n  Known are \"trace\", \"debug\", \"information\", \"warning\", \"error\".")]
    [InlineData("hops = 4\n" + Good, "oxen.toml:1:1: error OXN1003: `hops` stands outside of any section\n  It belongs below [client].")]
    public void A_wrong_line_gives_place_expectation_finding_and_remedy(string text, string expected) => Assert.Equal(expected, Assert.Single(Errors(text)));

    [Fact]
    public void All_errors_are_told_at_once_in_the_order_of_the_file()
    {
        string[] errors = Errors("[router]\nroles = [\"rely\"]\nlisten = \"x\"\n[client]\nusers = [\"nopassword\", 7]\n");
        Assert.Collection(
            errors,
            e => Assert.StartsWith("oxen.toml:1:2: error OXN1006: `identity` is missing in [router]", e, StringComparison.Ordinal),
            e => Assert.Contains("`contacts` is missing", e, StringComparison.Ordinal),
            e => Assert.Contains("`contacts_key` is missing", e, StringComparison.Ordinal),
            e => Assert.StartsWith("oxen.toml:2:10: error OXN1005: expected \"relay\", \"exit\" or \"client\", found \"rely\"\n  Did you mean \"relay\"?", e, StringComparison.Ordinal),
            e => Assert.StartsWith("oxen.toml:3:10: error OXN1005", e, StringComparison.Ordinal),
            e => Assert.StartsWith("oxen.toml:5:10: error OXN1005: expected \"name:password\"", e, StringComparison.Ordinal),
            e => Assert.StartsWith("oxen.toml:5:24: error OXN1004", e, StringComparison.Ordinal));
        Assert.DoesNotContain(errors, e => e.Contains("nopassword", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("[router\n")]
    [InlineData("[router]\nroles = \n")]
    [InlineData("[router]\nroles = [\"client\"]\nroles = [\"relay\"]\n")]
    [InlineData("\u0001")]
    public void Broken_toml_has_a_place_too(string text)
    {
        string[] errors = Errors(text);
        Assert.Matches(@"^oxen\.toml:\d+:\d+: error OXN100[136]: ", errors[0]);
    }

    [Fact]
    public void An_exit_that_is_no_relay_is_a_contradiction() => Assert.Contains("OXN1007", Assert.Single(Errors(Good.Replace("client", "exit", StringComparison.Ordinal))), StringComparison.Ordinal);

    [Fact]
    public void Revoked_proofs_without_the_key_of_proofs_are_a_contradiction() =>
        Assert.Contains(Errors(Good + "[swarm]\npro_revocations = \"revoked.json\"\n"), e => e.Contains("OXN1007", StringComparison.Ordinal) && e.Contains("`pro_revocations` without `pro_key`", StringComparison.Ordinal));

    [Fact]
    public void The_example_file_is_valid_and_has_every_key_even_those_in_comments()
    {
        string path = Path.Combine(Root(), "Oxen.Router", "Daemon", "oxen.example.toml");
        string text = File.ReadAllText(path);
        RouterConfig? config = ConfigReader.Read(text, path, out IReadOnlyList<ConfigDiagnostic> diagnostics);
        Assert.Empty(diagnostics);
        string uncommented = string.Join('\n', text.Split('\n').Select(l => System.Text.RegularExpressions.Regex.IsMatch(l, @"^# ([a-z_]+ = |\[(tun|dns|swarm|ledger|\[service\]|\[client\.exits\])\]$)") ? l[2..] : l));
        uncommented = uncommented.Replace("roles = [\"client\"]", "roles = [\"client\", \"relay\"]", StringComparison.Ordinal); // a relay's section is among them
        string sound = uncommented.Replace("interval = \"2 s\"\n", "", StringComparison.Ordinal); // a ledger that follows has no pace of its own
        RouterConfig? everything = ConfigReader.Read(sound, path, out diagnostics);
        Assert.Empty(diagnostics);
        Assert.Equal(config!.Client.Hops, everything!.Client.Hops);
        Assert.Equal(config.Relay, everything.Relay);
        Assert.Equal(config.Log, everything.Log);
        Assert.Null(config.Tun); // that the section is there turns the tunnel on
        Assert.NotNull(everything.Tun);
        Assert.Null(config.Dns);
        Assert.NotNull(everything.Dns);
        Assert.Null(config.Swarm);
        Assert.NotNull(everything.Swarm);
        Assert.Empty(config.Services);
        Assert.Equal("web", Assert.Single(everything.Services).Name);
        foreach ((string section, IReadOnlyList<string> keys) in ConfigSchema.Sections.Concat(ConfigSchema.Tables))
        {
            string part = uncommented[uncommented.IndexOf($"[{section}]", StringComparison.Ordinal)..];
            foreach (string key in keys) Assert.Contains($"\n{key} = ", part, StringComparison.Ordinal);
        }

        Assert.Equal(32, Assert.Single(everything.Client.ExitMap).Token.Length);
        Assert.Equal(8, Assert.Single(everything.Exit.Tokens).Sessions);
    }

    [Fact]
    public void A_client_needs_no_identity_and_a_relay_has_its_onion_key_beside_it()
    {
        Assert.Empty(Errors(Good.Replace("identity = \"identity.key\"\n", "", StringComparison.Ordinal)));
        string relay = Good.Replace("client", "relay", StringComparison.Ordinal) + "listen = \"192.0.2.1:1090\"\n";
        RouterConfig? config = ConfigReader.Read(relay.Replace("identity.key", "keys/identity.key", StringComparison.Ordinal), "/etc/oxen/oxen.toml", out _);
        Assert.Equal("/etc/oxen/keys/onion.key", config!.OnionKeyFile);
        Assert.Equal("/etc/oxen/oxen.sock", config.StatusSocket);
    }

    [Theory]
    [InlineData("100 MiB", 100 << 20)]
    [InlineData("1.5KiB", 1536)]
    [InlineData("0 B", 0)]
    public void Sizes_carry_their_unit(string text, long expected)
    {
        Assert.True(Units.TrySize(text, out long bytes));
        Assert.Equal(expected, bytes);
    }

    [Theory]
    [InlineData("100")]
    [InlineData("100 MB")]
    [InlineData("-1 MiB")]
    [InlineData("1e9 B")]
    [InlineData("99999999999 GiB")]
    [InlineData("")]
    public void Other_sizes_are_refused(string text) => Assert.False(Units.TrySize(text, out _));

    internal static string Root()
    {
        string? at = AppContext.BaseDirectory;
        while (at is not null && !File.Exists(Path.Combine(at, "Oxen.Router.sln"))) at = Path.GetDirectoryName(at);
        return at ?? throw new InvalidOperationException("the repository's root is not above the tests");
    }
}
