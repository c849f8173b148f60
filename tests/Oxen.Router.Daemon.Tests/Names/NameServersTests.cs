using System.Diagnostics;
using System.Text.Json;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Names;
using Oxen.Router.Daemon.Tests.Running;
using Oxen.Router.Handlers;

namespace Oxen.Router.Daemon.Tests.Names;

/// <summary>Three processes of `oxen ledger run`: one makes the blocks, two copy it, and names are found at each.</summary>
public sealed class NameServersTests : IAsyncLifetime
{
    private const string Address = "kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1y.loki";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-servers-").FullName;
    private readonly List<OxenProcess> _processes = [];
    private readonly List<string> _urls = [];

    public async ValueTask InitializeAsync()
    {
        string account = (await JsonAsync("wallet", "new", "--out", At("alice.key"))).GetProperty("account").GetString()!;
        await JsonAsync("wallet", "new", "--out", At("signer.key"));
        await JsonAsync("ledger", "genesis", "--out", At("genesis"), "--network", "servers", "--committee", account, "--allocate", account + "=1000", "--quick");
        await StartAsync("main", "--sign", At("alice.key"));
        await StartAsync("one", "--follow", _urls[0]);
        await StartAsync("two", "--follow", _urls[0]);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (OxenProcess process in _processes) await process.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_name_below_a_zone_is_published_at_one_process_and_proven_at_another()
    {
        // Everything goes to a copy, which hands it on. It learns a second later what became of it, and with it the number of the next operation.
        await UntilAsync(1, "ons", "zone", "commit", "my-zone.loki", "--address", Address, "--out", At("reveal"), "--wallet", At("alice.key"));
        await UntilAsync(1, "wallet", "send", new string('1', 64), "1", "--wallet", At("alice.key"));
        await UntilAsync(1, "ons", "zone", "reveal", At("reveal"), "--wallet", At("alice.key"));
        await UntilAsync(2, "ons", "zone", "show", "my-zone.loki");
        await UntilAsync(1, "ons", "zone", "show", "my-zone.loki");
        await UntilAsync(1, "ons", "zone", "update", "my-zone.loki", "--delegate", At("signer.key"), "--wallet", At("alice.key"));
        await UntilAsync(1, "ons", "sub", "grant", "my-zone.loki", "--delegate", At("signer.key"), "--owner-key", At("alice.key"), "--out", At("grant"));
        string other = "y" + Address[1..];
        await JsonAsync("ons", "sub", "sign", "www.my-zone.loki", "--address", other, "--grant", At("grant"), "--key", At("signer.key"), "--out", At("www"));
        Assert.True((await UntilAsync(1, "ons", "sub", "publish", At("www"))).GetProperty("accepted").GetBoolean());

        // At the other copy, which got it from the ledger that both follow. Until it knows of the delegation, what is below belongs to the zone itself.
        var watch = Stopwatch.StartNew();
        while ((await UntilAsync(2, "ons", "resolve", "www.my-zone.loki")).GetProperty("value").GetString() != other) Assert.True(watch.Elapsed < Patience, "the other copy did not get the name below the zone");
        JsonElement proven = await UntilAsync(2, "ons", "verify", "www.my-zone.loki", "--genesis", At("genesis"));
        Assert.Equal((other, true), (proven.GetProperty("value").GetString(), proven.GetProperty("proven").GetBoolean()));
    }

    [Fact]
    public async Task Names_are_found_while_most_of_the_servers_answer_and_not_known_when_too_few_do()
    {
        foreach (string name in new[] { "first", "second", "third" }) await AtAsync(0, "ons", "buy", name + ".loki", "--type", "lokinet_10y", "--value", Address, "--wallet", At("alice.key"));
        for (int i = 0; i < 3; i++) await UntilAsync(i, "ons", "resolve", "third.loki");
        using NameEnd names = NameEnd.Open(new NamesConfig { Source = NamesFrom.Oxend, Servers = [.. _urls.Select(u => new Uri(u))] }, null, null, TimeProvider.System)!;
        Assert.Equal((NameOutcome.Found, ""), await LookUpAsync(names, "first"));
        Assert.Equal((NameOutcome.NotFound, ""), await LookUpAsync(names, "nobodys"));
        await StopLastAsync();
        Assert.Equal((NameOutcome.Found, ""), await LookUpAsync(names, "second")); // two of three
        await StopLastAsync();
        (NameOutcome outcome, string reason) = await LookUpAsync(names, "third");
        Assert.Equal(NameOutcome.Unavailable, outcome);
        foreach (string gone in _urls[1..]) Assert.Contains(gone.TrimEnd('/'), reason, StringComparison.Ordinal); // says who did not answer
        Assert.Equal((NameOutcome.Found, ""), await LookUpAsync(names, "first")); // kept
    }

    private static async Task<(NameOutcome Outcome, string Reason)> LookUpAsync(NameEnd names, string name)
    {
        using var limit = new CancellationTokenSource(Patience);
        NameAnswer answer = await names.Source.ResolveAsync(name, limit.Token);
        return (answer.Outcome, answer.Reason);
    }

    private string At(string name) => Path.Combine(_directory, name);

    private async Task StartAsync(string name, params string[] more)
    {
        var process = new OxenProcess(["ledger", "run", "--genesis", At("genesis"), "--store", "sqlite:" + At(name + ".db"), "--listen", "127.0.0.1:0", .. more]);
        _processes.Add(process);
        using JsonDocument ready = JsonDocument.Parse(await process.WaitForLineAsync("ready", l => l.Contains("\"ready\"", StringComparison.Ordinal), Patience));
        _urls.Add(ready.RootElement.GetProperty("ledger").GetString()!);
    }

    private async Task StopLastAsync()
    {
        OxenProcess last = _processes[^1];
        _processes.Remove(last);
        await last.DisposeAsync();
    }

    private Task<JsonElement> AtAsync(int server, params string[] arguments) => JsonAsync([.. arguments, "--ledger", _urls[server]]);

    private static async Task<JsonElement> JsonAsync(params string[] arguments) => JsonDocument.Parse(await TestFiles.GoodAsync([.. arguments, "--json"])).RootElement;

    // A copy looks every second: what is not there yet is asked for again.
    private async Task<JsonElement> UntilAsync(int server, params string[] arguments)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            (int code, string output, string error) = await TestFiles.OxenAsync([.. arguments, "--ledger", _urls[server], "--json"]);
            if (code == 0) return JsonDocument.Parse(output).RootElement;
            Assert.True(watch.Elapsed < Patience, error);
            await Task.Delay(100);
        }
    }
}
