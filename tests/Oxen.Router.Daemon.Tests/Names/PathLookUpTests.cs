using System.Net.Sockets;
using System.Text.Json;
using Oxen.Ons;
using Oxen.Ons.Nodes;
using Oxen.Ons.Rpc;
using Oxen.Router.Core.Paths;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Names;
using Oxen.Router.Handlers;
using Oxen.Router.Transport;

namespace Oxen.Router.Daemon.Tests.Names;

/// <summary>Names looked up through real paths, at routers of this process over real sockets.</summary>
public sealed class PathLookUpTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static DemoNetworkOptions Small(DemoLedger? ledger) => new() { Relays = 3, Exits = 1, Paths = new ClientPathOptions { Hops = 3, Spares = 0 }, Ledger = ledger };

    [Fact]
    public async Task A_bought_name_is_proven_through_a_path_and_so_is_that_there_is_none()
    {
        using var limit = new CancellationTokenSource(Patience);
        await using var ledger = new DemoLedger();
        await using DemoNetwork network = await DemoNetwork.StartAsync(Small(ledger), limit.Token);
        await ledger.BeginAsync();
        await ledger.FillAsync(network.Members, DemoLedger.Name, null, limit.Token);
        using NameEnd names = NameEnd.OverPaths(ledger.Genesis, network.Client.Client!, TimeSpan.FromMinutes(5), TimeProvider.System);
        NameAnswer found = await names.Source.ResolveAsync("hello", limit.Token);
        Assert.Equal((NameOutcome.Found, "", Convert.ToHexString(ledger.Address.Span)), (found.Outcome, found.Reason, Convert.ToHexString(found.Address.Span)));
        Assert.Equal(NameOutcome.NotFound, (await names.Source.ResolveAsync("absent", limit.Token)).Outcome);
        Assert.Equal(2, ledger.Plugin.Answered);
        await names.Source.ResolveAsync("hello", limit.Token);
        Assert.Equal(2, ledger.Plugin.Answered); // kept

        // The routers are service nodes, and tools for an oxend are served.
        using var nodes = new LedgerNodeSource(await ledger.Opening);
        Assert.Equal(network.Members.Select(m => m.Identity.Id.ToString()).Order(), nodes.Current.Nodes.Select(n => Convert.ToHexStringLower(n.RouterId.Span)).Order());
        using HttpClient http = OxendClient.CreateHttp(Patience);
        JsonElement resolved = await new OxendClient(http, ledger.Rpc).CallAsync("ons_resolve", new { type = 2, name_hash = NameHash.Of(DemoLedger.Name).ToBase64() }, limit.Token);
        Assert.Equal(96, resolved.GetProperty("encrypted_value").GetString()!.Length);
    }

    [Fact]
    public async Task A_relay_that_is_no_exit_answers_and_a_program_of_its_own_looks_up_there()
    {
        using var limit = new CancellationTokenSource(Patience);
        await using var ledger = new DemoLedger();
        await using DemoNetwork network = await DemoNetwork.StartAsync(Small(ledger) with { Relays = 4, Answering = name => name == "relay-2" }, limit.Token);
        await ledger.BeginAsync();
        await ledger.FillAsync(network.Members, DemoLedger.Name, null, limit.Token);
        using NameEnd names = NameEnd.OverPaths(ledger.Genesis, network.Client.Client!, TimeSpan.FromMinutes(5), TimeProvider.System);
        NameAnswer found = await names.Source.ResolveAsync("hello", limit.Token);
        Assert.Equal((NameOutcome.Found, ""), (found.Outcome, found.Reason));
        Assert.Equal(1, ledger.Plugin.Answered);

        // A router inside of a program, with a directory and paths of its own.
        await using var oxen = new OxenClient(network.JoinOptions("program", 3));
        SocketException absent = await Assert.ThrowsAnyAsync<SocketException>(async () => await oxen.ConnectAsync("nobody-has-this.loki", 80, cancel: limit.Token));
        Assert.Contains("no hidden service has this name", absent.Message, StringComparison.Ordinal);
        Assert.Equal(2, ledger.Plugin.Answered);
    }

    [Fact]
    public async Task Routers_without_a_ledger_say_so_and_nothing_is_believed()
    {
        using var limit = new CancellationTokenSource(Patience);
        await using var elsewhere = new DemoLedger();
        await using DemoNetwork network = await DemoNetwork.StartAsync(Small(null), limit.Token);
        using NameEnd names = NameEnd.OverPaths(elsewhere.Genesis, network.Client.Client!, TimeSpan.FromMinutes(5), TimeProvider.System);
        NameAnswer answer = await names.Source.ResolveAsync("hello", limit.Token);
        Assert.Equal(NameOutcome.Unavailable, answer.Outcome);
        Assert.Contains("has no copy of the ledger", answer.Reason, StringComparison.Ordinal);
    }
}
