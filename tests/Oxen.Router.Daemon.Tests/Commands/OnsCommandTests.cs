using System.Text.Json;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Tests.Commands;

public class OnsCommandTests
{
    // oxen-core, documentation of ons_resolve
    private const string Hash = "IeynFEjyxigd0Lcmo5FWYaGp/uVXsa5grK8Jml0ai3o=";
    private const string Address = "kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1y.loki";
    private const string Sealed = "b52c088ae51171a9e2e44cc98c10006547e2981d4cbe196525c948fa2fa48a11e8712eccd0ba20e4b93fb3989361df8a";
    private const string Nonce = "6e3e80c7927108612475a0eeddf472af6177c9776d6943ed";

    [Fact]
    public async Task Hash_shows_the_published_hash_and_the_types_that_take_the_name()
    {
        (int code, JsonElement json) = await JsonOf("ons", "hash", "Blocks.LOKI", "--json");
        Assert.Equal(0, code);
        Assert.Equal("blocks.loki", json.GetProperty("name").GetString());
        Assert.Equal(Hash, json.GetProperty("name_hash").GetString());
        Assert.Equal("21eca71448f2c6281dd0b726a3915661a1a9fee557b1ae60acaf099a5d1a8b7a", json.GetProperty("name_hash_hex").GetString());
        Assert.Equal(["lokinet"], json.GetProperty("valid_for").EnumerateArray().Select(t => t.GetString()!));
        Assert.Contains($"name hash: {Hash}\n", (await OxenAsync("ons", "hash", "blocks.loki")).Out, StringComparison.Ordinal);
        Assert.Contains("valid for: session, wallet\n", (await OxenAsync("ons", "hash", "jagerman")).Out, StringComparison.Ordinal);
        Assert.Contains("valid for: no type\n", (await OxenAsync("ons", "hash", "my ons name")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Encrypt_and_decrypt_give_the_published_bytes()
    {
        (int code, JsonElement json) = await JsonOf("ons", "encrypt", "--type", "lokinet", "--name", "blocks.loki", "--value", Address, "--nonce", Nonce, "--json");
        Assert.Equal(0, code);
        Assert.Equal(Sealed + Nonce, json.GetProperty("stored").GetString());
        Assert.Equal(Sealed, json.GetProperty("encrypted_value").GetString());
        Assert.Equal(Nonce, json.GetProperty("nonce").GetString());
        Assert.Equal(Hash, json.GetProperty("name_hash").GetString());
        (code, json) = await JsonOf("ons", "decrypt", "--type", "lokinet", "--name", "blocks.loki", "--stored", Sealed + Nonce, "--json");
        Assert.Equal(0, code);
        Assert.Equal(Address, json.GetProperty("value").GetString());
        Assert.Equal("531a0c517fb23b120c37132ab1d771eda3a6ed7cfd64b374ca6ce61ae95a54e4", json.GetProperty("value_hex").GetString());
    }

    [Fact]
    public async Task Without_a_nonce_each_encryption_differs_and_opens()
    {
        const string Account = "05fb466d312e1666ad1c84c4ee55b7e034151c0e366a313d95d11436a5f36e1e75";
        string[] encrypt = ["ons", "encrypt", "--type", "session", "--name", "jagerman", "--value", Account, "--json"];
        string first = (await JsonOf(encrypt)).Json.GetProperty("stored").GetString()!;
        string second = (await JsonOf(encrypt)).Json.GetProperty("stored").GetString()!;
        Assert.NotEqual(first, second);
        Assert.Contains($"value: {Account}\n", (await OxenAsync("ons", "decrypt", "--type", "session", "--name", "Jagerman", "--stored", first)).Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, "OXN6002", "ons", "decrypt", "--type", "lokinet", "--name", "block.loki", "--stored", Sealed + Nonce)]
    [InlineData(2, "OXN6001", "ons", "decrypt", "--type", "session", "--name", "blocks.loki", "--stored", Sealed + Nonce)]
    [InlineData(2, "OXN6001", "ons", "decrypt", "--type", "lokinet", "--name", "blocks.loki", "--stored", "0g")]
    [InlineData(2, "OXN6001", "ons", "decrypt", "--type", "lokinet", "--name", "blocks.loki", "--stored", "012")]
    [InlineData(2, "OXN6001", "ons", "encrypt", "--type", "lokinet", "--name", "blocks", "--value", Address)]
    [InlineData(2, "OXN6001", "ons", "encrypt", "--type", "lokinet", "--name", "blocks.loki", "--value", "05")]
    [InlineData(2, "OXN2001", "ons", "encrypt", "--type", "lokinet", "--name", "blocks.loki", "--value", Address, "--nonce", "00")]
    [InlineData(2, "OXN2001", "ons", "encrypt", "--type", "dns", "--name", "blocks.loki", "--value", Address)]
    [InlineData(2, "OXN2001", "ons", "encrypt", "--type", "lokinet", "--name", "blocks.loki")]
    [InlineData(2, "OXN6001", "ons", "hash", "")]
    public async Task What_is_wrong_is_said_with_a_code(int exit, string error, params string[] arguments)
    {
        (int code, string text, string errors) = await OxenAsync(arguments);
        Assert.Equal(exit, code);
        Assert.Empty(text);
        Assert.Contains($"error {error}: ", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_names_the_three()
    {
        string text = (await OxenAsync("ons", "--help")).Out;
        foreach (string verb in new[] { "hash", "encrypt", "decrypt" }) Assert.Contains(verb, text, StringComparison.Ordinal);
    }

    private static async Task<(int Code, JsonElement Json)> JsonOf(params string[] arguments)
    {
        (int code, string text, _) = await OxenAsync(arguments);
        return (code, JsonDocument.Parse(text).RootElement);
    }

    private static async Task<(int Code, string Out, string Error)> OxenAsync(params string[] arguments)
    {
        var output = new StringWriter();
        var error = new StringWriter();
        int code = await new CommandTree(new Screen(output, error, interactive: false), new CommandBodies()).RunAsync(arguments, CancellationToken.None);
        return (code, output.ToString(), error.ToString());
    }
}
