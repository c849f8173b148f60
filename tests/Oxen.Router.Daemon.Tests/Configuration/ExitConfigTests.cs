using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests.Configuration;

public sealed class ExitConfigTests
{
    private const string Id = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    private const string Other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    private const string Client = $"[router]\nroles = [\"client\"]\ncontacts = \"c\"\ncontacts_key = \"{Other}\"\n";

    [Fact]
    public async Task A_token_that_the_program_made_fits_the_line_that_it_printed()
    {
        string output = await TestFiles.GoodAsync("exit", "token", "new", "--sessions", "3", "--streams", "77", "--json");
        using var json = System.Text.Json.JsonDocument.Parse(output);
        Assert.True(ExitTokenText.TrySecret(json.RootElement.GetProperty("token").GetString()!, out byte[] token));
        Assert.True(ExitTokenText.TryLine(json.RootElement.GetProperty("line").GetString()!, out Core.Sessions.ExitToken? line));
        Assert.Equal(SHA256.HashData(token), line!.Hash.ToArray());
        Assert.Equal((3, 77), (line.Sessions, line.Streams));
    }

    [Fact]
    public void Exits_have_ranges_and_tokens()
    {
        string text = Client + $"""
            [[client.exits]]
            ranges = ["10.1.0.0/16", "2001:db8::/32"]
            exits = ["{Id}", "{Other}"]
            [[client.exits]]
            exits = ["{Id}"]
            token = "oxt-{Other}"
            """;
        RouterConfig? config = ConfigReader.Read(text, "/etc/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        Assert.Empty(diagnostics);
        Assert.Equal(2, config!.Client.ExitMap.Count);
        Assert.Equal(["10.1.0.0/16", "2001:db8::/32"], config.Client.ExitMap[0].Ranges.Select(r => r.ToString()));
        Assert.Equal(2, config.Client.ExitMap[0].Exits.Count);
        Assert.Equal(Convert.FromHexString(Other), config.Client.ExitMap[1].Token);
    }

    [Theory]
    [InlineData("[[client.exits]]\nranges = [\"10.1.0.0/16\"]\n", "`exits` is missing in [client.exits]")]
    [InlineData("[[client.exits]]\nexits = [\"web.onion\"]\n", "expected an exit's router id")]
    [InlineData("[[client.exits]]\nexits = [\"ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u.loki\"]\n", "expected an exit's router id")]
    [InlineData("[[client.exits]]\nexits = [\"web.loki\", \"WEB.loki\"]\n", "named twice")]
    [InlineData("[[client.exits]]\nexits = [\"web.loki\", \"" + Id + "\"]\n", "not both")]
    [InlineData("[[client.exits]]\nexits = [\"" + Id + "\", \"web.loki\"]\n", "not both")]
    [InlineData("[[client.exits]]\nexits = [\"web.loki\"]\ntoken = \"oxt-" + Id + "\"\n", "hidden services ask for no tokens")]
    [InlineData("[[client.exits]]\nexits = [\"web.loki\"]\n[[client.exits]]\nexits = [\"" + Id + "\"]\n", "for the same traffic")]
    [InlineData("[[client.exits]]\nexits = [\"web.loki\"]\n[tun]\n", "raw packets")]
    [InlineData("[[client.exits]]\nexits = [\"" + Id + "\"]\nranges = [\"10.1.0.1/16\"]\n", "expected a network")]
    [InlineData("[[client.exits]]\nexits = [\"" + Id + "\", \"" + Id + "\"]\n", "named twice")]
    [InlineData("[[client.exits]]\nexits = [\"" + Id + "\"]\ntoken = \"secret\"\n", "expected a token as its exit's operator gave it")]
    [InlineData("[client.exits]\nexits = [\"" + Id + "\"]\n", "[[client.exits]]")]
    [InlineData("[exit]\ntokens = [\"oxt-" + Id + "\"]\n", "only its holder should have")]
    [InlineData("[exit]\ntokens = [\"" + Id + " sessions=0\"]\n", "oxen exit token new")]
    public void What_is_wrong_is_said_and_no_secret_repeated(string more, string message)
    {
        Assert.Null(ConfigReader.Read(Client + more, "/etc/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics));
        string all = string.Join('\n', diagnostics);
        Assert.Contains(message, all, StringComparison.Ordinal);
        Assert.DoesNotContain("\"secret\"", all, StringComparison.Ordinal);
    }

    [Fact]
    public void An_exits_contact_says_what_its_configuration_does()
    {
        string relay = $"[router]\nroles = [\"relay\", \"exit\"]\nlisten = \"192.0.2.1:1090\"\nidentity = \"i\"\ncontacts = \"c\"\ncontacts_key = \"{Other}\"\n[exit]\nranges = [\"0.0.0.0/0\"]\ntokens = [\"{Id}\"]\n";
        RouterConfig? config = ConfigReader.Read(relay, "/etc/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        Assert.Empty(diagnostics);
        Assert.Equal(RouterCapabilities.Relay | RouterCapabilities.Exit | RouterCapabilities.Tokens, config!.Capabilities);
        Assert.Equal("0.0.0.0/0", Assert.Single(config.AnnouncedRanges).ToString());
    }
}
