using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>
/// Does anything leave a client's machine past the tunnel while its kill switch is set? Every way of sending, in every state that the
/// program and its network can be in, with tcpdump at the card. Each case is one line of the test's output.
/// </summary>
[Collection(DemoCollection.Name)]
public sealed class LeakMatrixTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly List<string> _found = [];
    private int _cases;

    [Fact]
    public async Task Nothing_leaves_past_the_tunnel_in_any_state()
    {
        TunDemoProcess.Needs("tcpdump");
        var options = new DemoOptions { Relays = 4, Exits = 1, Hops = 3, Spares = 1 };
        using Lab lab = Lab.Build(new LabPlan(TunDemoProcess.NewPrefix(), options.Relays, options.Exits));
        LabPlan plan = lab.Plan;
        string space = plan.Client.Space;
        await using DemoTargets targets = await DemoTargets.StartAsync(new DemoPlace(plan.Target.Space, plan.Target.Address, Lab.HasIPv6 ? plan.Target.AddressIPv6 : null, 80, 7), TestContext.Current.CancellationToken);
        await using TunNetwork network = await TunNetwork.StartAsync(options, lab, _ => { }, TestContext.Current.CancellationToken);
        uint mark = new TunConfig().Mark;
        await using LeakWitness witness = await LeakWitness.StartAsync(plan, mark);
        LeakProbe[] probes = LeakProbe.All(plan);

        // 1 Without the switch a killed client does leak: the witness can see it, and so this test can fail.
        network.Client.Kill();
        await GoneAsync(network.Client);
        List<string> clear = await RoundAsync("killed, no kill switch (control)", probes, space, witness, counts: false);
        Assert.Contains(clear, l => l.Contains(plan.Target.Address.ToString(), StringComparison.Ordinal));

        string file = network.Client.ConfigFile;
        string config = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(file, config.Replace("[tun]", "[tun]\nkill_switch = true", StringComparison.Ordinal), TestContext.Current.CancellationToken);

        // 2 Its life. Before the first start nothing is set, so that one is not counted.
        ProcessRouter client = Start(network, space);
        await CarriesAsync(client, targets, space);
        await witness.TakeAsync();
        await RoundAsync("running", probes, space, witness);

        await client.DisposeAsync();
        await RoundAsync("stopped", probes, space, witness);

        client = Start(network, space);
        await RoundAsync("starting", probes, space, witness);
        await CarriesAsync(client, targets, space);
        client.Kill();
        await GoneAsync(client);
        await RoundAsync("killed (kill -9)", probes, space, witness);
        await client.DisposeAsync();

        client = Start(network, space);
        await RoundAsync("starting after a kill", probes, space, witness);
        await CarriesAsync(client, targets, space);

        // 3 Its network.
        NetworkLab.Shell(plan.Net, $"ip link set {plan.Client.Name} down");
        await SendAllAsync(probes, space);
        NetworkLab.Shell(plan.Net, $"ip link set {plan.Client.Name} up; ip address replace {plan.Client.GatewayIPv6}/64 dev {plan.Client.Name} nodad");
        await RoundAsync("the cable was out and is back", probes, space, witness);
        await CarriesAsync(client, targets, space);
        await RoundAsync("reconnected", probes, space, witness);

        ProcessRouter victim = network.Routers[1];
        victim.Kill();
        await RoundAsync("a relay was killed", probes, space, witness);
        await CarriesAsync(client, targets, space);

        NetworkLab.Shell(space, $"ip route add 0.0.0.0/1 via {plan.Client.Gateway}; ip route add 128.0.0.0/1 via {plan.Client.Gateway}; ip route add {plan.Target.Address}/32 via {plan.Client.Gateway}; ip -6 route add ::/1 via {plan.Client.GatewayIPv6}; ip -6 route add 8000::/1 via {plan.Client.GatewayIPv6}; ip -6 route add fd00::/8 via {plan.Client.GatewayIPv6} metric 5");
        await RoundAsync("more specific routes, as DHCP option 121 sets them", probes, space, witness);
        NetworkLab.Shell(space, $"ip route del 0.0.0.0/1; ip route del 128.0.0.0/1; ip route del {plan.Target.Address}/32; ip -6 route del ::/1; ip -6 route del 8000::/1; ip -6 route del fd00::/8");

        NetworkLab.Shell(space, "ip rule add priority 1 lookup main; ip -6 rule add priority 1 lookup main");
        await RoundAsync("the main table before all: another default route wins", probes, space, witness);
        NetworkLab.Shell(space, "ip rule del priority 1; ip -6 rule del priority 1");

        NetworkLab.Shell(space, $"ip route flush table main; ip -6 route flush table main; ip address flush dev eth0; ip address add {plan.Client.Address}/24 dev eth0; ip address add {plan.Client.AddressIPv6}/64 dev eth0 nodad; ip route add default via {plan.Client.Gateway}; ip -6 route add default via {plan.Client.GatewayIPv6}");
        await RoundAsync("the card got its addresses and routes anew", probes, space, witness);
        await CarriesAsync(client, targets, space);

        NetworkLab.Shell(space, "ip route flush table 18500; ip -6 route flush table 18500");
        await RoundAsync("the tunnel's routes were flushed", probes, space, witness);
        NetworkLab.Shell(space, "ip rule del priority 18500; ip rule del priority 18501; ip -6 rule del priority 18500; ip -6 rule del priority 18501");
        await RoundAsync("the tunnel's rules were deleted", probes, space, witness);
        NetworkLab.Shell(space, "ip route flush table local proto 111; ip -6 route flush table local proto 111");
        await RoundAsync("the mapped ranges' routes were flushed", probes, space, witness);
        await client.DisposeAsync();

        client = Start(network, space);
        await CarriesAsync(client, targets, space);
        NetworkLab.Shell(space, "sysctl -q -w net.ipv6.conf.all.disable_ipv6=1");
        await RoundAsync("IPv6 was switched off", probes, space, witness);
        NetworkLab.Shell(space, $"sysctl -q -w net.ipv6.conf.all.disable_ipv6=0; ip address replace {plan.Client.AddressIPv6}/64 dev eth0 nodad; ip -6 route replace default via {plan.Client.GatewayIPv6}");
        await RoundAsync("IPv6 was switched on again", probes, space, witness);

        NetworkLab.Shell(space, "ip link delete oxen0");
        await RoundAsync("the interface was deleted", probes, space, witness);
        await GoneAsync(client);
        await RoundAsync("and the program ended by that", probes, space, witness);
        await client.DisposeAsync();

        Assert.True(witness.LinkPackets > 100, "the witness has not seen the links: it looks at the wrong card");
        string status = NetworkLab.Shell(space, $"{Running.OxenProcess.Program} killswitch status");
        Assert.Contains("on", status, StringComparison.Ordinal);
        Assert.Contains("is off", NetworkLab.Shell(space, $"{Running.OxenProcess.Program} killswitch off"), StringComparison.Ordinal);
        Assert.DoesNotContain("oxen_killswitch", NetworkLab.Shell(space, "nft list tables"), StringComparison.Ordinal);
        output.WriteLine($"{_cases} cases, {_found.Count} with packets outside");
        Assert.True(_cases >= 60, $"{_cases} cases");
        Assert.True(_found.Count == 0, string.Join('\n', _found));
    }

    // ---- one state ----

    /// <summary>All probes, one after the other, each with what left meanwhile.</summary>
    private async Task<List<string>> RoundAsync(string state, LeakProbe[] probes, string space, LeakWitness witness, bool counts = true)
    {
        var all = new List<string>();
        List<string> between = await witness.TakeAsync();
        if (between.Count > 0 && counts) _found.Add($"{state} | on the way there | {string.Join("; ", between)}");
        foreach (LeakProbe probe in probes)
        {
            if (!Lab.HasIPv6 && probe.Name.Contains("IPv6", StringComparison.Ordinal)) continue;
            using Socket? open = probe.From(space);
            List<string> leaks = await witness.TakeAsync();
            all.AddRange(leaks);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{state} | {probe.Name} | {leaks.Count} outside"));
            if (!counts) continue;
            _cases++;
            if (leaks.Count > 0) _found.Add($"{state} | {probe.Name} | {string.Join("; ", leaks)}");
        }

        return all;
    }

    private static async Task SendAllAsync(LeakProbe[] probes, string space)
    {
        foreach (LeakProbe probe in probes) probe.From(space)?.Dispose();
        await Task.Yield();
    }

    private static ProcessRouter Start(TunNetwork network, string space) => new("client", network.Client.ConfigFile, network.Client.StatusSocket, space);

    /// <summary>A page comes through the tunnel.</summary>
    private static async Task CarriesAsync(ProcessRouter client, DemoTargets targets, string space)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Patience);
        await client.WaitReadyAsync(limit.Token);
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(100, TestContext.Current.CancellationToken))
        {
            (int code, string words) = NetworkLab.TryShell(space, $"curl -s -m 5 -o /dev/null {targets.Url}");
            if (code == 0) return;
            Assert.True(watch.Elapsed < Patience, $"no page came through the tunnel: {code} {words}");
        }
    }

    private static async Task GoneAsync(ProcessRouter client)
    {
        for (var watch = Stopwatch.StartNew(); Running.OxenProcess.IsAlive(client.ProcessId); await Task.Delay(20)) Assert.True(watch.Elapsed < Patience, "the client does not end");
    }
}
