using System.Net;
using System.Text;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;
using Oxen.Ons.Proofs;
using Oxen.Ons.Resolving;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using Oxen.Ons.Zones;
using Oxen.Router.Handlers;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Rpc;

public sealed class RpcTests : IAsyncLifetime
{
    private LedgerHost _host = null!;
    private RpcServer _server = null!;
    private HttpClient _http = null!;

    public async ValueTask InitializeAsync()
    {
        Genesis genesis = Genesis.Create("rpc", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob", "carol" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));
        _host = await LedgerHost.OpenAsync(new MemorySequencer(), genesis);
        _server = await RpcServer.StartAsync(new LedgerRpc(_host), new IPEndPoint(IPAddress.Loopback, 0), CancellationToken.None);
        _http = OxendClient.CreateHttp(TimeSpan.FromSeconds(30));
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _server.DisposeAsync();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task Resolve_gives_what_an_oxend_gives_under_both_names()
    {
        byte[] stored = ValueCipher.Encrypt(Key("service").Id.ToArray(), "hello.loki", new byte[24]);
        await Do("alice", Buy("hello.loki", 5, "alice", value: stored));
        foreach (string method in new[] { "ons_resolve", "lns_resolve" })
        {
            foreach (string hash in new[] { NameHash.Of("hello.loki").ToBase64(), NameHash.Of("hello.loki").ToHex(), NameHash.Of("hello.loki").ToBase64()[..43] })
            {
                JsonElement result = await Call(method, new { type = 2, name_hash = hash });
                Assert.Equal(Convert.ToHexStringLower(stored.AsSpan(0, 48)), result.GetProperty("encrypted_value").GetString());
                Assert.Equal(new string('0', 48), result.GetProperty("nonce").GetString());
            }
        }

        Assert.Equal("{}", (await Call("ons_resolve", new { type = 0, name_hash = NameHash.Of("hello.loki").ToBase64() })).GetRawText());
    }

    [Fact]
    public async Task Names_and_owners_are_found_both_ways()
    {
        await Do("alice", Buy("hello", 0, "alice", "bob"));
        Receipt second = await Do("alice", Buy("hello", 1, "alice"));
        await Do("bob", Buy("short.loki", 2, "bob"));
        JsonElement names = await Call("ons_names_to_owners", new { entries = new object[] { new { name_hash = NameHash.Of("hello").ToBase64(), types = new[] { 0, 1 } }, new { name_hash = NameHash.Of("short.loki").ToBase64() } } });
        JsonElement[] entries = [.. names.GetProperty("entries").EnumerateArray()];
        Assert.Equal([(0, 0), (0, 1), (1, 2)], entries.Select(e => (e.GetProperty("entry_index").GetInt32(), e.GetProperty("type").GetInt32())));
        Assert.Equal((Key("alice").Id.ToString(), Key("bob").Id.ToString()), (entries[0].GetProperty("owner").GetString(), entries[0].GetProperty("backup_owner").GetString()));
        Assert.Equal(second.Id.ToString(), entries[1].GetProperty("txid").GetString());
        Assert.False(entries[1].TryGetProperty("backup_owner", out _));
        Assert.Equal(5UL, entries[2].GetProperty("expiration_height").GetUInt64());
        Assert.Equal("OK", names.GetProperty("status").GetString());
        JsonElement owned = await Call("ons_owners_to_names", new { entries = new[] { Key("carol").Id.ToString(), Key("bob").Id.ToString() } });
        Assert.Equal([(1, 0), (1, 2)], owned.GetProperty("entries").EnumerateArray().Select(e => (e.GetProperty("request_index").GetInt32(), e.GetProperty("type").GetInt32())).Order());
        for (int i = 0; i < 3; i++) await Do("carol", new TransferBody(Key("alice").Id, 1));
        Assert.Single((await Call("ons_owners_to_names", new { entries = new[] { Key("bob").Id.ToString() } })).GetProperty("entries").EnumerateArray());
        Assert.Equal(2, (await Call("ons_owners_to_names", new { entries = new[] { Key("bob").Id.ToString() }, include_expired = true })).GetProperty("entries").GetArrayLength());
        Assert.Equal("[1,1,0]", (await Call("get_info", new { })).GetProperty("ons_counts").GetRawText());
    }

    [Theory]
    [InlineData("ons_resolve", """{"type":3,"name_hash":"x"}""", "a type is 0")]
    [InlineData("ons_resolve", """{"type":2,"name_hash":"IeynFEjyxigd0Lcmo5FWYaGp/uVXsa5grK8Jml0ai!o="}""", "malformed base64")]
    [InlineData("ons_resolve", """{"type":2}""", "name_hash is missing")]
    [InlineData("ons_owners_to_names", """{"entries":["zz"]}""", "an owner is 64 hexadecimal digits")]
    [InlineData("ledger_account", """{"acount":"00"}""", "unknown field acount; there are account")]
    [InlineData("ledger_account", """{"account":"00"}""", "account is 64 hexadecimal digits")]
    [InlineData("ledger_submit", """{"operation":"%%%"}""", "operation is malformed base64")]
    [InlineData("ledger_submit", """{"operation":"AAAA"}""", "these bytes are no operation")]
    [InlineData("ledger_header", """{"height":99}""", "there is no block 99")]
    [InlineData("ledger_status", """{"x":1}""", "unknown field x; there are none")]
    [InlineData("nothing", "{}", "there is no method nothing")]
    public async Task What_is_wrong_is_said_precisely(string method, string parameters, string reason)
    {
        JsonElement answer = await Post($$"""{"jsonrpc":"2.0","id":7,"method":"{{method}}","params":{{parameters}}}""");
        Assert.Contains(reason, answer.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(7, answer.GetProperty("id").GetInt32());
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("3")]
    [InlineData("{}")]
    [InlineData("""{"method":3}""")]
    [InlineData("""{"method":"get_info","params":[1]}""")]
    public async Task What_is_no_request_is_refused(string text) => Assert.True((await Post(text)).TryGetProperty("error", out _));

    [Fact]
    public async Task Too_many_entries_are_refused_and_other_paths_are_not_there()
    {
        object[] many = [.. Enumerable.Repeat((object)new { name_hash = NameHash.Of("a").ToHex() }, 257)];
        OxendException e = await Assert.ThrowsAsync<OxendException>(() => Call("ons_names_to_owners", new { entries = many }));
        Assert.Contains("257 entries, 256 are the most", e.Message, StringComparison.Ordinal);
        using HttpResponseMessage got = await _http.GetAsync(_server.Address);
        Assert.Equal(HttpStatusCode.NotFound, got.StatusCode);
    }

    [Fact]
    public async Task An_operation_is_submitted_and_its_refusal_says_why()
    {
        Operation off = Operation.Create(Buy("hello", 0, "alice", burnOff: 1), Key("alice"), 0, _host.State.Network);
        JsonElement refused = await Call("ledger_submit", new { operation = Convert.ToBase64String(off.Encoded) });
        Assert.False(refused.GetProperty("accepted").GetBoolean());
        Assert.Equal("wrong_burn", refused.GetProperty("fault").GetString());
        Operation good = Operation.Create(Buy("hello", 0, "alice"), Key("alice"), 0, _host.State.Network);
        JsonElement taken = await Call("ledger_submit", new { operation = Convert.ToBase64String(good.Encoded) });
        Assert.Equal((true, 1UL), (taken.GetProperty("accepted").GetBoolean(), taken.GetProperty("height").GetUInt64()));
        JsonElement again = await Call("ledger_submit", new { operation = Convert.ToBase64String(good.Encoded) });
        Assert.Equal("replayed", again.GetProperty("fault").GetString());
        Assert.Equal(1UL, (await Call("ledger_account", new { account = Key("alice").Id.ToString() })).GetProperty("nonce").GetUInt64());
    }

    [Fact]
    public async Task Nodes_are_listed_as_an_oxend_lists_them_and_the_source_reads_them()
    {
        foreach (string node in new[] { "n1", "n2" })
        {
            NodeRegisterBody body = new NodeRegisterBody(Key(node).Id, 250, 100 * TestLedger.Oxen, [], []).SignedBy(Key(node), Key("alice").Id, _host.State.Account(Key("alice").Id).Nonce, _host.State.Network);
            await Do("alice", body);
        }

        JsonElement all = await Call("get_service_nodes", new { });
        JsonElement first = all.GetProperty("service_node_states")[0];
        Assert.Equal((2, 25_000UL, 100 * TestLedger.Oxen), (all.GetProperty("service_node_states").GetArrayLength(), first.GetProperty("operator_fee").GetUInt64(), first.GetProperty("total_contributed").GetUInt64()));
        Assert.Equal(64, first.GetProperty("pubkey_x25519").GetString()!.Length);
        JsonElement few = await Call("get_service_nodes", new { fields = new[] { "swarm_id" }, limit = 1 });
        Assert.Equal(["swarm_id"], Assert.Single(few.GetProperty("service_node_states").EnumerateArray()).EnumerateObject().Select(f => f.Name));
        Assert.True((await Call("get_service_nodes", new { poll_block_hash = all.GetProperty("block_hash").GetString() })).GetProperty("unchanged").GetBoolean());
        await using var source = new OxendNodeSource(_server.Address, TimeSpan.FromHours(1), TimeSpan.FromSeconds(30), TimeProvider.System);
        int changed = 0;
        source.Changed += () => changed++;
        Assert.True(await source.RefreshAsync(CancellationToken.None));
        Assert.True(await source.RefreshAsync(CancellationToken.None));
        Assert.Equal(1, changed); // the second time nothing was new
        using var own = new LedgerNodeSource(_host);
        Assert.Equal(own.Current.Nodes.Select(n => (Convert.ToHexString(n.RouterId.Span), n.SwarmId, n.Active, n.Operator)), source.Current.Nodes.Select(n => (Convert.ToHexString(n.RouterId.Span), n.SwarmId, n.Active, n.Operator)));
        Assert.Equal(Key("alice").Id.ToString(), source.Current.Find(Key("n1").Id.ToArray())!.Operator);
    }

    [Fact]
    public async Task A_short_name_becomes_an_address_through_every_source()
    {
        byte[] address = Key("service").Id.ToArray();
        await Do("alice", Buy("hello.loki", 5, "alice", value: ValueCipher.Encrypt(address, "hello.loki", new byte[24])));
        using var oxend = new OxendNameSource([_server.Address], TimeSpan.FromSeconds(30));
        var ledger = new LedgerNameSource(_host, TimeProvider.System);
        var light = new LightNameSource(LightClient.From(_host.State.Genesis), [new RpcProofSource(new OxendClient(_http, _server.Address))], new LightNameOptions { MaxAge = TimeSpan.FromDays(1) }, TimeProvider.System);
        Assert.Equal(NameOutcome.Unavailable, (await light.ResolveAsync("hello", CancellationToken.None)).Outcome); // nothing is signed yet
        BlockHeader header = _host.HeaderAt(1)!;
        foreach (LedgerKey founder in Founders) Assert.True(await _host.SignAsync(1, founder.Id, HeaderSignatures.Sign(header, founder, _host.State.Network)));
        foreach (INameSource source in new INameSource[] { oxend, ledger, light })
        {
            foreach (string name in new[] { "hello", "www.hello" })
            {
                NameAnswer found = await source.ResolveAsync(name, CancellationToken.None);
                Assert.Equal((NameOutcome.Found, Convert.ToHexString(address)), (found.Outcome, Convert.ToHexString(found.Address.Span)));
            }

            Assert.Equal(NameOutcome.NotFound, (await source.ResolveAsync("absent", CancellationToken.None)).Outcome);
            Assert.Equal(NameOutcome.NotFound, (await source.ResolveAsync("-", CancellationToken.None)).Outcome);
        }
    }

    private async Task<Receipt> Do(string signer, OperationBody body)
    {
        Receipt receipt = await _host.SubmitAsync(Operation.Create(body, Key(signer), _host.State.Account(Key(signer).Id).Nonce, _host.State.Network));
        Assert.Null(receipt.Refusal);
        return receipt;
    }

    private Task<JsonElement> Call(string method, object parameters) => new OxendClient(_http, _server.Address).CallAsync(method, parameters, CancellationToken.None);

    private async Task<JsonElement> Post(string text)
    {
        using var content = new StringContent(text, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await _http.PostAsync(new Uri(_server.Address, "json_rpc"), content);
        return JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
    }
}
