using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Ons;
using Oxen.Ons.Rpc;
using Oxen.Router.Daemon.Run;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>Storage in a network with a ledger: the registry says who keeps messages and in which swarm, and clients ask their node for names.</summary>
public sealed class RunSwarmLedgerTests : IAsyncDisposable
{
    private readonly TestFiles _files = new();
    private readonly List<RouterProcess> _running = [];
    private readonly string[] _names = ["node1", "node2", "node3"];
#pragma warning disable CA5359 // a node's certificate is of its own making
    private readonly HttpClient _http = new(new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = static (_, _, _, _) => true } });
#pragma warning restore CA5359

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_running.Select(r => r.DisposeAsync().AsTask()));
        _http.Dispose();
        _files.Dispose();
    }

    [Fact]
    public async Task Registered_nodes_are_the_swarm_their_proofs_tell_their_doors_and_names_are_resolved_for_clients()
    {
        string alice = _files.At("alice.key"), genesis = _files.At("genesis.bin"), rpc = $"http://{TestFiles.FreeTcp()}/";
        string account = JsonDocument.Parse(await TestFiles.GoodAsync("wallet", "new", "--out", alice, "--json")).RootElement.GetProperty("account").GetString()!;
        await TestFiles.GoodAsync("ledger", "genesis", "--out", genesis, "--network", "swarmed", "--committee", account, "--allocate", account + "=1000", "--quick");
        for (int i = 0; i < _names.Length; i++)
        {
            string ledger = i == 0 ? $"listen = \"{new Uri(rpc).Authority}\"\nsign = [\"{alice}\"]" : $"follow = \"{rpc}\"";
            _files.AddRelay(_names[i], (byte)(71 + i), more: $"[directory]\nnodes = \"ledger\"\n[ledger]\ngenesis = \"{genesis}\"\n{ledger}\n[swarm]\nsize = \"64 MiB\"\nproxy = false\n");
        }

        await _files.SignAsync(_names);
        foreach (string name in _names) _running.Add(await RouterProcess.StartAsync(_files.Config(name), NullLogger.Instance, TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.Contains("not in any swarm", (await TestFiles.OxenAsync("swarm", "status", "--config", _files.ConfigFile("node1"))).Out, StringComparison.Ordinal); // the contact list alone makes none
        foreach (string name in _names) await TestFiles.GoodAsync("node", "register", "--identity", _files.At(name, "identity.key"), "--stake", "100", "--wallet", alice, "--ledger", rpc);
        foreach (string name in _names) await UntilAsync(async () => (await TestFiles.OxenAsync("swarm", "status", "--config", _files.ConfigFile(name))).Code == 0, $"{name} is ready");
        JsonElement figures = JsonDocument.Parse(await TestFiles.GoodAsync("swarm", "status", "--config", _files.ConfigFile("node3"), "--json")).RootElement.GetProperty("figures");
        Assert.Equal((3, 3, 1), (figures.GetProperty("members").GetInt32(), figures.GetProperty("nodes").GetInt32(), figures.GetProperty("swarms").GetInt32()));

        // The nodes prove that they are up, with the ports of their doors; each proof is a block, which makes the next one due.
        string person = "05" + string.Concat(Enumerable.Repeat("ab", 32));
        await TestFiles.GoodAsync("ons", "buy", "alice", "--type", "session", "--value", person, "--wallet", alice, "--ledger", rpc);
        using HttpClient plain = OxendClient.CreateHttp(TimeSpan.FromSeconds(20));
        var client = new OxendClient(plain, new Uri(rpc));
        int[] doors = [.. _names.Select(n => _files.Config(n).Listen.Port).Order()];
        await UntilAsync(
            async () =>
            {
                JsonElement told = await client.CallAsync("get_service_nodes", new { }, TestContext.Current.CancellationToken);
                return told.GetProperty("service_node_states").EnumerateArray().Select(n => n.TryGetProperty("storage_port", out JsonElement port) ? port.GetInt32() : 0).Order().SequenceEqual(doors);
            },
            "the proofs tell the doors");

        // At a node that follows the ledger.
        string hash = NameHash.Of("alice").ToBase64();
        JsonElement found = default;
        await UntilAsync(
            async () =>
            {
                using HttpResponseMessage reply = await AskAsync(new { type = 0, name_hash = hash });
                string text = await reply.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
                Assert.True(reply.StatusCode == HttpStatusCode.OK, text);
                found = JsonDocument.Parse(text).RootElement.GetProperty("result");
                return found.TryGetProperty("nonce", out _); // its copy may be a second behind
            },
            "the name is known there");
        byte[] sealedName = [.. Convert.FromHexString(found.GetProperty("encrypted_value").GetString()!), .. Convert.FromHexString(found.GetProperty("nonce").GetString()!)];
        Assert.Equal(ValueFault.None, ValueCipher.Decrypt(sealedName, "alice", NameType.Session, out byte[]? value));
        Assert.Equal(person, Convert.ToHexStringLower(value!));

        using HttpResponseMessage wrong = await AskAsync(new { type = 0 });
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
        Assert.Contains("name_hash", await wrong.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private Task<HttpResponseMessage> AskAsync(object parameters) => _http.PostAsync(
        $"https://{_files.Config("node2").Listen}/storage_rpc/v1",
        new StringContent(JsonSerializer.Serialize(new { method = "oxend_request", @params = new { endpoint = "ons_resolve", @params = parameters } })), TestContext.Current.CancellationToken);

    private static async Task UntilAsync(Func<Task<bool>> look, string what)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await look())
        {
            Assert.False(limit.IsCancellationRequested, $"waited a minute in vain until {what}");
            await Task.Delay(50, CancellationToken.None);
        }
    }
}
