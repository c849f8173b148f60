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
        Assert.Equal(0, (await JsonOf("ons", "buy", "a.loki", "--value", Address, "--wallet", Alice, "--ledger", Url, "--json")).Code);
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
