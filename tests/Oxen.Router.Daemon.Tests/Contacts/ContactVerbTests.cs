using System.Text.Json;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests.Contacts;

public sealed class ContactVerbTests : IDisposable
{
    private readonly TestFiles _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task What_is_signed_is_what_is_shown()
    {
        string relay = _files.AddRelay("relay", 51), exit = _files.AddRelay("exit", 52, exit: true, more: "region = \"eu\"\n");
        await TestFiles.GoodAsync("contact", "--config", _files.ConfigFile("relay"), "--out", _files.At("relay", "relay.contact"), "--valid", "10");
        await TestFiles.GoodAsync("contact", "--config", _files.ConfigFile("exit"), "--out", _files.At("exit", "relay.contact"));
        string made = await TestFiles.GoodAsync("contacts", "sign", "--key", _files.At("list.key"), "--out", _files.ContactsFile, "--valid", "3", "--network", "ours", "--json", _files.At("relay", "relay.contact"), _files.At("exit", "relay.contact"));
        Assert.Equal(_files.ListKey, JsonDocument.Parse(made).RootElement.GetProperty("contacts_key").GetString());

        using JsonDocument shown = JsonDocument.Parse(await TestFiles.GoodAsync("contacts", "show", _files.ContactsFile, "--key", _files.ListKey, "--json"));
        JsonElement root = shown.RootElement;
        Assert.True(root.GetProperty("ok").GetBoolean());
        Assert.True(root.GetProperty("signature_checked").GetBoolean());
        Assert.Equal("ours", root.GetProperty("network").GetString());
        Assert.InRange(root.GetProperty("expires").GetInt64() - DateTimeOffset.UtcNow.ToUnixTimeSeconds(), 3 * 86400 - 60, 3 * 86400);
        JsonElement[] routers = [.. root.GetProperty("routers").EnumerateArray()];
        Assert.Equal(new[] { relay, exit }.Order(StringComparer.Ordinal), routers.Select(r => r.GetProperty("router_id").GetString()));
        JsonElement first = routers.Single(r => r.GetProperty("router_id").GetString() == relay), second = routers.Single(r => r.GetProperty("router_id").GetString() == exit);
        Assert.False(first.GetProperty("exit").GetBoolean());
        Assert.True(second.GetProperty("exit").GetBoolean());
        Assert.Equal("eu", second.GetProperty("region").GetString());
        Assert.Equal("relay", first.GetProperty("operator").GetString());
        Assert.Equal(_files.Config("relay").Listen.ToString(), first.GetProperty("addresses")[0].GetString());
        Assert.All(routers, r => Assert.Equal("good", r.GetProperty("verdict").GetString()));
        Assert.Contains("signature was not checked", await TestFiles.GoodAsync("contacts", "show", _files.ContactsFile), StringComparison.Ordinal);
        Assert.Contains(relay, await TestFiles.GoodAsync("contacts", "show", _files.At("relay", "relay.contact")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_wrong_with_a_list_is_said_in_words_and_exits_1()
    {
        _files.AddRelay("relay", 51);
        await _files.SignAsync("relay");
        _files.Keygen("list", "other");
        _files.SignBy(_files.At("other", "list.key"), "oxen", DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1), "relay");
        Assert.Equal((1, "verdict: its signature is not by the key that it must be signed with"), await VerdictAsync("--key", _files.ListKey));
        _files.SignBy(_files.At("list.key"), "oxen", DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(-1), "relay");
        Assert.Equal((1, "verdict: it has expired"), await VerdictAsync("--key", _files.ListKey));
        Assert.Equal((1, "verdict: it has expired"), await VerdictAsync());
        await File.WriteAllTextAsync(_files.ContactsFile, "OXCL and something else that is no list at all, though long enough to look at twice, or even three times, by far", TestContext.Current.CancellationToken);
        (int code, _, string error) = await TestFiles.OxenAsync("contacts", "show", _files.ContactsFile);
        Assert.Equal(1, code);
        Assert.Contains("OXN4004", error, StringComparison.Ordinal);
    }

    private async Task<(int Code, string Verdict)> VerdictAsync(params string[] more)
    {
        (int code, string output, _) = await TestFiles.OxenAsync(["contacts", "show", _files.ContactsFile, .. more]);
        return (code, output.Split('\n').Single(l => l.StartsWith("verdict:", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_contact_that_was_changed_is_not_signed()
    {
        _files.AddRelay("relay", 51);
        await _files.SignAsync("relay");
        string path = _files.At("relay", "relay.contact");
        byte[] contact = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
        contact[1] ^= (byte)RouterCapabilities.Exit;
        await File.WriteAllBytesAsync(path, contact, TestContext.Current.CancellationToken);
        (int code, _, string error) = await TestFiles.OxenAsync("contacts", "sign", "--key", _files.At("list.key"), "--out", _files.At("new.list"), path);
        Assert.Equal(4, code);
        Assert.Contains($"the contact {path} is refused: its signature", error, StringComparison.Ordinal);
        Assert.False(File.Exists(_files.At("new.list")));
    }

    [Fact]
    public async Task A_relays_key_signs_no_list_and_a_client_has_no_contact()
    {
        _files.AddRelay("relay", 51);
        _files.AddClient("client", 4);
        await _files.SignAsync("relay");
        (int code, _, string error) = await TestFiles.OxenAsync("contacts", "sign", "--key", _files.At("relay", "identity.key"), "--out", _files.At("new.list"), _files.At("relay", "relay.contact"));
        Assert.Equal(4, code);
        Assert.Contains("its role is relay, not list", error, StringComparison.Ordinal);
        (code, _, error) = await TestFiles.OxenAsync("contact", "--config", _files.ConfigFile("client"), "--out", _files.At("x"));
        Assert.Equal(2, code);
        Assert.Contains("only a relay has a contact", error, StringComparison.Ordinal);
        (code, _, error) = await TestFiles.OxenAsync("contacts", "sign", "--key", "k", "--out", "o", "--valid", "400", "--network", "two words", "c");
        Assert.Equal(2, code);
        Assert.Contains("1 to 399", error, StringComparison.Ordinal);
        Assert.Contains("visible ASCII", error, StringComparison.Ordinal);
    }
}
