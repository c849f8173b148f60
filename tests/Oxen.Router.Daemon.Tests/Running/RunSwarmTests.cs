using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Router.Daemon.Run;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>Storage as its users have it: relays by their configuration, and the verbs of `oxen swarm`.</summary>
public sealed class RunSwarmTests : IAsyncDisposable
{
    private const int Nodes = 5;
    private readonly TestFiles _files = new();
    private readonly List<RouterProcess> _running = [];
    private readonly string[] _names = [.. Enumerable.Range(1, Nodes).Select(i => $"node{i}")];

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_running.Select(r => r.DisposeAsync().AsTask()));
        _files.Dispose();
    }

    private async Task<RouterProcess> StartAsync(string name)
    {
        RouterProcess process = await RouterProcess.StartAsync(_files.Config(name), NullLogger.Instance, TimeProvider.System, TestContext.Current.CancellationToken);
        _running.Add(process);
        return process;
    }

    private async Task<RouterProcess[]> NetworkAsync()
    {
        for (int i = 0; i < Nodes; i++) _files.AddRelay(_names[i], (byte)(61 + i), more: "[swarm]\nsize = \"64 MiB\"\nproxy = false\n");
        _files.AddClient("client", 3);
        await _files.SignAsync(_names);
        RouterProcess[] all = await Task.WhenAll(_names.Select(StartAsync));
        foreach (string name in _names) await ReadyAsync(name);
        return all;
    }

    private async Task ReadyAsync(string name)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while ((await TestFiles.OxenAsync("swarm", "status", "--config", _files.ConfigFile(name))).Code != 0)
        {
            Assert.False(limit.IsCancellationRequested, $"{name} did not get ready: {(await TestFiles.OxenAsync("swarm", "status", "--config", _files.ConfigFile(name))).Out}");
            await Task.Delay(100, CancellationToken.None);
        }
    }

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    [Fact]
    public async Task A_message_is_stored_and_fetched_through_the_onion_and_by_HTTPS_and_two_dead_members_do_not_matter()
    {
        RouterProcess[] nodes = await NetworkAsync();
        string client = _files.ConfigFile("client"), key = _files.At("me.key");
        await TestFiles.GoodAsync("wallet", "new", "--out", key);

        JsonElement stored = Json(await TestFiles.GoodAsync("swarm", "store", "--account", key, "--text", "see you at eight", "--config", client, "--json"));
        Assert.Equal("onion", stored.GetProperty("way").GetString());
        Assert.True(stored.GetProperty("kept").GetInt32() > Nodes / 2);
        string account = stored.GetProperty("account").GetString()!, node = $"https://{_files.Config(_names[0]).Listen}";
        await TestFiles.GoodAsync("swarm", "store", "--to", account, "--text", "second", "--node", node);
        await TestFiles.GoodAsync("swarm", "store", "--account", key, "--text", "a config", "--namespace", "5", "--config", client, "--direct");

        // Two of five go; every message is still there, by either way.
        await nodes[1].DisposeAsync();
        await nodes[3].DisposeAsync();
        JsonElement fetched = Json(await TestFiles.GoodAsync("swarm", "retrieve", "--account", key, "--config", client, "--json"));
        Assert.Equal(["second", "see you at eight"], fetched.GetProperty("messages").EnumerateArray().Select(m => m.GetProperty("text").GetString()).Order());
        string plain = await TestFiles.GoodAsync("swarm", "retrieve", "--account", key, "--namespace", "5", "--node", node);
        Assert.Contains("message=a config", plain, StringComparison.Ordinal);
        Assert.Contains($"account: {account}", plain, StringComparison.Ordinal);
        Assert.Contains("messages: 0", await TestFiles.GoodAsync("swarm", "retrieve", "--account", key, "--namespace", "7", "--node", node), StringComparison.Ordinal);
        (int refused, _, string why) = await TestFiles.OxenAsync("swarm", "store", "--to", account, "--text", "too long", "--keep", "20 d", "--node", node);
        Assert.Equal(1, refused);
        Assert.Contains("10 s to 14 days", why, StringComparison.Ordinal);

        string hash = stored.GetProperty("hash").GetString()!;
        Assert.Contains(hash, await TestFiles.GoodAsync("swarm", "delete", "--account", key, hash, "--config", client), StringComparison.Ordinal);
        fetched = Json(await TestFiles.GoodAsync("swarm", "retrieve", "--account", key, "--out", _files.At("mail"), "--config", client, "--json"));
        Assert.Equal("second", Assert.Single(fetched.GetProperty("messages").EnumerateArray()).GetProperty("text").GetString());
        Assert.Equal("second", await File.ReadAllTextAsync(Assert.Single(Directory.GetFiles(_files.At("mail"))), TestContext.Current.CancellationToken));
        Assert.Equal(1, (await TestFiles.OxenAsync("swarm", "delete", "--account", key, hash, "--config", client, "--direct")).Code);

        JsonElement status = Json(await TestFiles.GoodAsync("swarm", "status", "--config", _files.ConfigFile(_names[0]), "--json")).GetProperty("figures");
        Assert.Equal(Nodes, status.GetProperty("members").GetInt32());
        Assert.True(status.GetProperty("messages").GetInt32() is 2, status.ToString());
        Assert.Contains("clients: served", await TestFiles.GoodAsync("swarm", "status", "--node", node), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_database_is_found_and_moved_away_and_the_swarm_fills_an_empty_one()
    {
        RouterProcess[] nodes = await NetworkAsync();
        string key = _files.At("me.key"), victim = _files.ConfigFile(_names[2]), database = _files.At(_names[2], "swarm", "messages.db");
        await TestFiles.GoodAsync("wallet", "new", "--out", key);
        for (int i = 0; i < 20; i++) await TestFiles.GoodAsync("swarm", "store", "--account", key, "--text", $"message {i} {new string('x', 2000)}", "--config", victim, "--direct");
        (int code, _, string error) = await TestFiles.OxenAsync("swarm", "repair", "--config", victim);
        Assert.Equal(2, code);
        Assert.Contains("the node runs", error, StringComparison.Ordinal);
        await nodes[2].DisposeAsync();
        Assert.Contains("result: sound", await TestFiles.GoodAsync("swarm", "repair", "--config", victim), StringComparison.Ordinal);

        await using (FileStream file = File.OpenWrite(database))
        {
            file.Position = 4096; // every page but the first: the schema is whole, what it points at is not
            byte[] noise = new byte[file.Length - 4096];
            new Random(3).NextBytes(noise);
            await file.WriteAsync(noise, TestContext.Current.CancellationToken);
        }

        (code, string text, _) = await TestFiles.OxenAsync("swarm", "repair", "--config", victim);
        Assert.True(code == 1, text);
        Assert.Contains("damaged", text, StringComparison.Ordinal);
        (code, _, error) = await TestFiles.OxenAsync("run", "--config", victim);
        Assert.Equal(3, code);
        Assert.Contains("OXN7001", error, StringComparison.Ordinal);
        Assert.Contains("oxen swarm repair", error, StringComparison.Ordinal);
        Assert.Contains("moved to", await TestFiles.GoodAsync("swarm", "repair", "--config", victim, "--replace"), StringComparison.Ordinal);
        await StartAsync(_names[2]);
        await ReadyAsync(_names[2]);
        JsonElement status = Json(await TestFiles.GoodAsync("swarm", "status", "--config", victim, "--json")).GetProperty("figures");
        Assert.Equal(20, status.GetProperty("messages").GetInt32());
    }

    [Theory]
    [InlineData("OXN7002", 2, "swarm", "store", "--to", "05ab", "--text", "x", "--node", "https://127.0.0.1:1")]
    [InlineData("OXN7002", 2, "swarm", "store", "--text", "x", "--node", "https://127.0.0.1:1")]
    [InlineData("OXN7002", 2, "swarm", "store", "--to", "05d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "--text", "x")]
    [InlineData("OXN7002", 2, "swarm", "store", "--to", "05d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "--text", "x", "--keep", "long", "--node", "https://127.0.0.1:1")]
    [InlineData("OXN7002", 2, "swarm", "status", "--node", "127.0.0.1:1")]
    [InlineData("OXN7003", 5, "swarm", "status", "--node", "https://127.0.0.1:1")]
    [InlineData("OXN7003", 5, "swarm", "store", "--to", "05d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "--text", "x", "--node", "https://127.0.0.1:1")]
    [InlineData("OXN4001", 4, "swarm", "retrieve", "--account", "/nowhere/me.key", "--node", "https://127.0.0.1:1")]
    public async Task Misuse_and_absence_have_their_codes(string errorCode, int exitCode, params string[] arguments)
    {
        (int code, _, string error) = await TestFiles.OxenAsync(arguments);
        Assert.Equal(exitCode, code);
        Assert.Contains($"error {errorCode}:", error, StringComparison.Ordinal);
    }
}
