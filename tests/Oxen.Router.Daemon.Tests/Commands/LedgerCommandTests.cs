using System.Net;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Names;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Tests.Commands;

// The verbs of the ledger against a ledger in this process, over HTTP.
public sealed class LedgerCommandTests : IAsyncLifetime
{
    private const string Address = "kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1y.loki";
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-verbs").FullName;
    private LedgerHost _host = null!;
    private RpcServer _server = null!;
    private BlockSigner _signer = null!;
    private LedgerKey _alice = null!;

    private string Alice => Path.Combine(_directory, "alice.key");

    private string Bob => Path.Combine(_directory, "bob.key");

    private string GenesisFile => Path.Combine(_directory, "genesis");

    public async ValueTask InitializeAsync()
    {
        string account = (await JsonOf("wallet", "new", "--out", Alice, "--json")).Json.GetProperty("account").GetString()!;
        await JsonOf("wallet", "new", "--out", Bob, "--json");
        (int code, _) = await JsonOf("ledger", "genesis", "--out", GenesisFile, "--network", "verbs", "--committee", account, "--allocate", account + "=1000", "--quick", "--json");
        Assert.Equal(0, code);
        _alice = AccountFile.Load(Alice);
        _host = await LedgerHost.OpenAsync(SqliteSequencer.Open(Path.Combine(_directory, "ledger.db")), LedgerStores.ReadGenesis(GenesisFile));
        _signer = new BlockSigner(_host, [_alice], new SigningJournal(null));
        _server = await RpcServer.StartAsync(new LedgerRpc(_host), new IPEndPoint(IPAddress.Loopback, 0), CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _signer.Dispose();
        await _host.DisposeAsync();
        _alice.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_name_is_bought_looked_up_proven_changed_renewed_and_listed()
    {
        Assert.Equal(0, (await JsonOf("ons", "buy", "blocks.loki", "--type", "lokinet_10y", "--value", Address, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        JsonElement found = (await JsonOf("ons", "resolve", "blocks.loki", "--ledger", Url, "--json")).Json;
        Assert.Equal((Address, false), (found.GetProperty("value").GetString(), found.GetProperty("proven").GetBoolean()));
        await SignedAsync();
        JsonElement proven = (await JsonOf("ons", "verify", "blocks.loki", "--genesis", GenesisFile, "--ledger", Url, "--json")).Json;
        Assert.Equal((Address, true), (proven.GetProperty("value").GetString(), proven.GetProperty("proven").GetBoolean()));
        string other = "y" + Address[1..];
        Assert.Equal(0, (await JsonOf("ons", "update", "blocks.loki", "--value", other, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        Assert.Equal(other, (await JsonOf("ons", "resolve", "blocks.loki", "--ledger", Url, "--json")).Json.GetProperty("value").GetString());
        Assert.Equal(0, (await JsonOf("ons", "renew", "blocks.loki", "--type", "lokinet", "--wallet", Alice, "--ledger", Url, "--json")).Code);
        JsonElement list = (await JsonOf("ons", "list", Alice, "--ledger", Url, "--json")).Json;
        Assert.Equal(1UL + 20 + 2, Assert.Single(list.GetProperty("names").EnumerateArray()).GetProperty("expiration_height").GetUInt64());
        Assert.Equal(6, (await JsonOf("ons", "price", "--json")).Json.GetProperty("prices").GetArrayLength());
    }

    [Fact]
    public async Task Refusals_say_what_is_wrong()
    {
        await Refused(1, "OXN6004", "wrong_burn", "ons", "buy", "a.loki", "--value", Address, "--burn", "7.000000001", "--wallet", Alice, "--ledger", Url);
        await Refused(1, "OXN6004", "not_enough_money", "ons", "buy", "a.loki", "--value", Address, "--wallet", Bob, "--ledger", Url);
        await Refused(1, "OXN6005", "nobody has", "ons", "resolve", "a.loki", "--ledger", Url);
        await Refused(1, "OXN6005", "nobody has", "ons", "renew", "a.loki", "--wallet", Alice, "--ledger", Url);
        await Refused(2, "OXN6001", "is no lokinet name", "ons", "buy", "a.b.loki", "--value", Address, "--wallet", Alice, "--ledger", Url);
        await Refused(2, "OXN6001", "is no lokinet value", "ons", "buy", "a.loki", "--value", "x", "--wallet", Alice, "--ledger", Url);
        await Refused(2, "OXN6001", "is no amount", "wallet", "send", new string('0', 64), "1e3", "--wallet", Alice, "--ledger", Url);
        await Refused(5, "OXN6003", "did not answer", "ledger", "status", "--ledger", "http://127.0.0.1:1/");
        await Refused(4, "OXN4001", "does not exist", "wallet", "send", new string('0', 64), "1", "--wallet", Path.Combine(_directory, "none"), "--ledger", Url);
        await Refused(2, "OXN6001", "zz is no owner", "ons", "list", "zz", "--ledger", Url);
        await Refused(2, "OXN6001", "it has a character that no name has", "ons", "zone", "show", "a.b.loki", "--ledger", Url);
        await Refused(3, "OXN6007", "More than half of the cluster's members", "ledger", "verify", "--genesis", GenesisFile, "--store", "etcd:http://127.0.0.1:1/");
        await Refused(3, "OXN6007", "Its directory must be there", "ledger", "verify", "--genesis", GenesisFile, "--store", "sqlite:" + At("none/ledger.db"));
        (int code, _, string text) = await OxenAsync("node", "contribute", new string('0', 64), "1", "--wallet", Bob, "--ledger", "http://127.0.0.1:1/");
        Assert.True(code == 5 && text.Contains("`oxen ledger run` starts one", StringComparison.Ordinal), text);
        Assert.Equal(0, (await JsonOf("ons", "buy", "a.loki", "--value", Address, "--backup", Bob, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        await Refused(1, "OXN6004", "taken", "ons", "buy", "a.loki", "--value", Address, "--wallet", Alice, "--ledger", Url);
    }

    [Fact]
    public async Task Money_moves_nodes_register_and_the_store_is_sound()
    {
        using LedgerKey bob = AccountFile.Load(Bob);
        Assert.Equal(0, (await JsonOf("wallet", "send", bob.Id.ToString(), "12.5", "--wallet", Alice, "--ledger", Url, "--json")).Code);
        Assert.Equal("12.5", (await JsonOf("wallet", "balance", Bob, "--ledger", Url, "--json")).Json.GetProperty("oxen").GetString());
        Assert.Equal(0, (await JsonOf("wallet", "burn", "1", "--memo", "fund 2026", "--wallet", Alice, "--ledger", Url, "--json")).Code);
        (string identity, Core.Directory.RouterId id) = IdentityFile.Create(Path.Combine(_directory, "node"), IdentityFile.RelayRole);
        Assert.Equal(0, (await JsonOf("node", "register", "--identity", identity, "--stake", "100", "--fee", "2.5", "--wallet", Alice, "--ledger", Url, "--json")).Code);
        JsonElement node = Assert.Single((await JsonOf("node", "status", id.ToString(), "--ledger", Url, "--json")).Json.GetProperty("nodes").EnumerateArray());
        Assert.Equal((true, 25_000), (node.GetProperty("active").GetBoolean(), node.GetProperty("operator_fee").GetInt32()));
        JsonElement status = (await JsonOf("ledger", "status", "--ledger", Url, "--json")).Json;
        Assert.Equal(100 * OxenAmount.Oxen, status.GetProperty("staked").GetUInt64());
        JsonElement sound = (await JsonOf("ledger", "verify", "--genesis", GenesisFile, "--store", "sqlite:" + Path.Combine(_directory, "ledger.db"), "--json")).Json;
        Assert.Equal((true, status.GetProperty("state_root").GetString()), (sound.GetProperty("ok").GetBoolean(), sound.GetProperty("state_root").GetString()));
    }

    [Fact]
    public async Task A_zone_is_claimed_bought_changed_renewed_and_names_below_it_published_and_found()
    {
        string reveal = At("zone.reveal"), signer = At("signer.key"), grant = At("grant"), signed = At("www.signed"), other = "y" + Address[1..];
        await JsonOf("wallet", "new", "--out", signer, "--json");
        Assert.Equal(0, (await JsonOf("ons", "zone", "commit", "my-zone.loki", "--years", "2", "--address", Address, "--text", "hi", "--backup", Bob, "--out", reveal, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        await Refused(1, "OXN6004", "too_early", "ons", "zone", "reveal", reveal, "--wallet", Alice, "--ledger", Url);
        await BlockAsync();
        Assert.Equal(0, (await JsonOf("ons", "zone", "reveal", reveal, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        JsonElement zone = (await JsonOf("ons", "zone", "show", "my-zone.loki", "--ledger", Url, "--json")).Json;
        Assert.Equal(("good", true, _alice.Id.ToString()), (zone.GetProperty("content").GetString(), zone.GetProperty("active").GetBoolean(), zone.GetProperty("owner").GetString()));
        Assert.Equal(["address=" + Address, "text=hi"], RecordsOf(zone));

        // The text stays, the delegation comes.
        Assert.Equal(0, (await JsonOf("ons", "zone", "update", "my-zone.loki", "--delegate", signer, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        Assert.Equal(3, RecordsOf((await JsonOf("ons", "zone", "show", "my-zone.loki", "--ledger", Url, "--json")).Json).Length);
        ulong until = zone.GetProperty("expiration_height").GetUInt64();
        Assert.Equal(0, (await JsonOf("ons", "zone", "renew", "my-zone.loki", "--wallet", Alice, "--ledger", Url, "--json")).Code);
        Assert.Equal(until + LedgerRules.Quick.ZoneYearBlocks, (await JsonOf("ons", "zone", "show", "my-zone.loki", "--ledger", Url, "--json")).Json.GetProperty("expiration_height").GetUInt64());

        await Refused(1, "OXN6004", "leaves room for 8 more", "ons", "zone", "renew", "my-zone.loki", "--years", "9", "--wallet", Alice, "--ledger", Url);

        Assert.Equal(0, (await JsonOf("ons", "sub", "grant", "my-zone.loki", "--delegate", signer, "--owner-key", Alice, "--out", grant, "--ledger", Url, "--json")).Code);
        await Refused(1, "OXN6004", "owns my-zone.loki", "ons", "sub", "grant", "my-zone.loki", "--delegate", signer, "--owner-key", Bob, "--out", At("no"), "--ledger", Url);
        Assert.Equal(0, (await JsonOf("ons", "sub", "sign", "www.my-zone.loki", "--address", other, "--grant", grant, "--key", signer, "--out", signed, "--json")).Code);
        await Refused(1, "OXN6005", "nobody has published", "ons", "resolve", "www.my-zone.loki", "--ledger", Url);
        Assert.True((await JsonOf("ons", "sub", "publish", signed, "--ledger", Url, "--json")).Json.GetProperty("accepted").GetBoolean());
        JsonElement listed = Assert.Single((await JsonOf("ons", "sub", "list", "my-zone.loki", "--label", "www", "--ledger", Url, "--json")).Json.GetProperty("names").EnumerateArray());
        Assert.Equal(("www", "address=" + other), (listed.GetProperty("label").GetString(), Assert.Single(RecordsOf(listed))));
        Assert.Equal(other, (await JsonOf("ons", "resolve", "www.my-zone.loki", "--ledger", Url, "--json")).Json.GetProperty("value").GetString());
        Assert.Equal(Address, (await JsonOf("ons", "resolve", "my-zone.loki", "--ledger", Url, "--json")).Json.GetProperty("value").GetString());
        await SignedAsync();
        JsonElement proven = (await JsonOf("ons", "verify", "www.my-zone.loki", "--genesis", GenesisFile, "--ledger", Url, "--json")).Json;
        Assert.Equal((other, true), (proven.GetProperty("value").GetString(), proven.GetProperty("proven").GetBoolean()));
        Assert.InRange(proven.GetProperty("proof_bytes").GetInt32(), 1, 2500);

        Assert.Equal(0, (await JsonOf("ons", "sub", "sign", "www.my-zone.loki", "--remove", "--grant", grant, "--key", signer, "--out", signed, "--json")).Code);
        Assert.Equal(0, (await JsonOf("ons", "sub", "publish", signed, "--ledger", Url, "--json")).Code);
        await Refused(1, "OXN6005", "has no address", "ons", "resolve", "www.my-zone.loki", "--ledger", Url);
        Assert.Equal(0, (await JsonOf("ons", "sub", "sign", "www.my-zone.loki", "--address", other, "--sequence", "1", "--grant", grant, "--key", signer, "--out", signed, "--json")).Code);
        await Refused(1, "OXN6004", "old", "ons", "sub", "publish", signed, "--ledger", Url);
        await Refused(2, "OXN6001", "no signed name", "ons", "sub", "publish", grant, "--ledger", Url);
        await Refused(2, "OXN6001", "is not for --key", "ons", "sub", "sign", "www.my-zone.loki", "--address", other, "--grant", grant, "--key", Bob, "--out", signed);
        await Refused(1, "OXN6005", "nobody has the zone", "ons", "zone", "show", "absent.loki", "--ledger", Url);
    }

    [Fact]
    public async Task A_zone_is_recovered_by_its_second_owner_unless_the_owner_says_no()
    {
        string reveal = At("lost.reveal"), heir = At("heir.key");
        await JsonOf("wallet", "new", "--out", heir, "--json");
        using LedgerKey bob = AccountFile.Load(Bob), next = AccountFile.Load(heir);
        Assert.Equal(0, (await JsonOf("ons", "zone", "commit", "lost-zone.loki", "--backup", bob.Id.ToString(), "--out", reveal, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        await BlockAsync();
        Assert.Equal(0, (await JsonOf("ons", "zone", "reveal", reveal, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        await Refused(1, "OXN6004", "not_signed_by_owner", Recovery("start", "--to", heir)); // alice is not the second owner
        await JsonOf([.. Recovery("start", "--to", heir), "--key", Bob, "--json"]);
        JsonElement pending = (await JsonOf("ons", "zone", "show", "lost-zone.loki", "--ledger", Url, "--json")).Json;
        Assert.Equal(next.Id.ToString(), pending.GetProperty("recovery_owner").GetString());
        await Refused(1, "OXN6004", "too_early", [.. Recovery("finish"), "--key", Bob]);
        await JsonOf([.. Recovery("cancel"), "--json"]);
        await Refused(1, "OXN6004", "no_recovery", [.. Recovery("finish"), "--key", Bob]);
        await JsonOf([.. Recovery("start", "--to", heir), "--key", Bob, "--json"]);
        for (ulong i = 0; i < LedgerRules.Quick.RecoveryDelayBlocks; i++) await BlockAsync();
        await JsonOf([.. Recovery("finish"), "--key", Bob, "--json"]);
        Assert.Equal(next.Id.ToString(), (await JsonOf("ons", "zone", "show", "lost-zone.loki", "--ledger", Url, "--json")).Json.GetProperty("owner").GetString());

        string[] Recovery(string verb, params string[] more) => ["ons", "zone", "recover", verb, "lost-zone.loki", .. more, "--wallet", Alice, "--ledger", Url];
    }

    [Fact]
    public async Task An_address_is_shown_by_a_name_only_if_the_name_leads_to_it()
    {
        (string identity, Core.Directory.RouterId id) = IdentityFile.Create(At("service"), IdentityFile.RelayRole);
        string address = Ons.ZBase32.Encode(Convert.FromHexString(id.ToString())) + ".loki";
        await Refused(1, "OXN6005", "has said no name", "ons", "reverse", "show", address, "--ledger", Url);
        Assert.Equal(0, (await JsonOf("ons", "buy", "shop.loki", "--type", "lokinet_10y", "--value", Address, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        Assert.Equal(0, (await JsonOf("ons", "reverse", "set", "shop.loki", "--key", identity, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        await Refused(1, "OXN6005", "does not lead to it", "ons", "reverse", "show", address, "--ledger", Url);
        Assert.Equal(0, (await JsonOf("ons", "update", "shop.loki", "--value", address, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        JsonElement shown = (await JsonOf("ons", "reverse", "show", address, "--ledger", Url, "--json")).Json;
        Assert.Equal(("shop.loki", true), (shown.GetProperty("name").GetString(), shown.GetProperty("forward_verified").GetBoolean()));
        Assert.Equal(0, (await JsonOf("ons", "reverse", "set", "--key", identity, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        await Refused(1, "OXN6005", "has said no name", "ons", "reverse", "show", address, "--ledger", Url);
    }

    [Fact]
    public async Task A_zone_that_is_over_says_until_when_it_can_be_renewed_and_then_that_it_is_free()
    {
        string reveal = At("old.reveal");
        Assert.Equal(0, (await JsonOf("ons", "zone", "commit", "old-zone.loki", "--out", reveal, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        await BlockAsync();
        Assert.Equal(0, (await JsonOf("ons", "zone", "reveal", reveal, "--wallet", Alice, "--ledger", Url, "--json")).Code);
        Assert.Contains("active", await StateAsync(), StringComparison.Ordinal);
        ulong expires = _host.State.Height + LedgerRules.Quick.ZoneYearBlocks;
        while (_host.State.Height < expires) await BlockAsync();
        Assert.Contains($"expired; it can be renewed up to height {expires + LedgerRules.Quick.GraceBlocks}", await StateAsync(), StringComparison.Ordinal);
        while (_host.State.Height < expires + LedgerRules.Quick.GraceBlocks) await BlockAsync();
        Assert.Contains("over: anybody may buy it", await StateAsync(), StringComparison.Ordinal);
        await Refused(1, "OXN6004", "blocks of grace are over", "ons", "zone", "renew", "old-zone.loki", "--wallet", Alice, "--ledger", Url);

        async Task<string> StateAsync() => (await OxenAsync("ons", "zone", "show", "old-zone.loki", "--ledger", Url)).Out;
    }

    [Fact]
    public async Task A_proof_by_hand_keeps_what_is_known_of_the_node()
    {
        (string identity, Core.Directory.RouterId id) = IdentityFile.Create(At("node"), IdentityFile.RelayRole);
        string[] prove = ["node", "prove", "--identity", identity, "--ledger", Url];
        await Refused(1, "OXN6004", "the ledger knows no node", prove);
        Assert.Equal(0, (await JsonOf("node", "register", "--identity", identity, "--stake", "60", "--wallet", Alice, "--ledger", Url, "--json")).Code);
        await Refused(2, "OXN6001", "the ledger knows no address of this node yet", prove);
        await Refused(2, "OXN6001", "is no IPv4 ADDR:PORT", [.. prove, "--address", "[2001:db8::1]:1090"]);
        await Refused(1, "OXN6004", "the node is still collecting its stake", [.. prove, "--address", "192.0.2.1:1090"]);
        Assert.Equal(0, (await JsonOf("node", "contribute", id.ToString(), "40", "--wallet", Alice, "--ledger", Url, "--json")).Code);

        // The node itself told of a storage.
        await GapAsync();
        using (var router = IdentityFile.Load(identity, IdentityFile.RelayRole))
        using (var key = new LedgerKey(router.Seed))
        {
            var facts = new NodeFacts(0xC0000201, 1090, 443, 444, 1, 2, 3, (ulong)DateTimeOffset.UtcNow.ToUnixTimeSeconds());
            Assert.Null((await _host.SubmitAsync(Operation.Create(new NodeProofBody(facts), key, 0, _host.State.Network))).Refusal);
        }

        await GapAsync();
        await JsonOf([.. prove, "--json"]);
        Assert.Equal(("192.0.2.1", 1090, 443, 444), await FactsAsync());
        await GapAsync();
        await JsonOf([.. prove, "--address", "192.0.2.9:77", "--json"]);
        Assert.Equal(("192.0.2.9", 77, 443, 444), await FactsAsync());

        async Task GapAsync()
        {
            for (ulong i = 0; i < LedgerRules.Quick.ProofGapBlocks; i++) await BlockAsync();
        }

        async Task<(string?, int, int, int)> FactsAsync()
        {
            JsonElement node = Assert.Single((await JsonOf("node", "status", id.ToString(), "--ledger", Url, "--json")).Json.GetProperty("nodes").EnumerateArray());
            return (node.GetProperty("public_ip").GetString(), node.GetProperty("quorumnet_port").GetInt32(), node.GetProperty("storage_port").GetInt32(), node.GetProperty("storage_lmq_port").GetInt32());
        }
    }

    [Fact]
    public async Task Base64_is_printed_as_it_is()
    {
        (_, string output, _) = await OxenAsync("ons", "hash", "shop9.loki", "--json");
        Assert.Contains("\"Uw+zNnbDdmaQwzf+vBcZccth+mYusNPdcBc8ZC7yPTg=\"", output, StringComparison.Ordinal);
    }

    private static string[] RecordsOf(JsonElement json) => [.. json.GetProperty("records").EnumerateArray().Select(r => r.GetProperty("kind").GetString() + "=" + r.GetProperty("value").GetString())];

    private string At(string file) => Path.Combine(_directory, file);

    // A block of something else.
    private async Task BlockAsync() => Assert.Equal(0, (await JsonOf("wallet", "burn", "0.001", "--memo", "block", "--wallet", Alice, "--ledger", Url, "--json")).Code);

    private string Url => _server.Address.ToString();

    // The signer works beside the writer.
    private async Task SignedAsync()
    {
        for (int i = 0; i < 600; i++)
        {
            if ((await _host.SignaturesAtAsync(_host.State.Height)).ByMember.Count > 0) return;
            await Task.Delay(50);
        }

        Assert.Fail("the block was not signed within half a minute");
    }

    private static async Task Refused(int code, string error, string reason, params string[] arguments)
    {
        (int left, _, string err) = await OxenAsync(arguments);
        Assert.Equal(code, left);
        Assert.Contains(error, err, StringComparison.Ordinal);
        Assert.Contains(reason, err, StringComparison.Ordinal);
    }

    private static async Task<(int Code, JsonElement Json)> JsonOf(params string[] arguments)
    {
        (int code, string output, string error) = await OxenAsync(arguments);
        Assert.True(code == 0, error);
        return (code, JsonDocument.Parse(output).RootElement);
    }

    private static async Task<(int Code, string Out, string Error)> OxenAsync(params string[] arguments)
    {
        var output = new StringWriter();
        var error = new StringWriter();
        int code = await new CommandTree(new Screen(output, error, interactive: false), new CommandBodies()).RunAsync(arguments, CancellationToken.None);
        return (code, output.ToString(), error.ToString());
    }
}
