using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Oxen.Router.Core;
using Oxen.Router.Core.Links;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Router.Daemon.Tests.Running;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>`oxen demo --tun` from its start to its end, whoever ends it and how; its check; and over a bad network.</summary>
[Collection(DemoCollection.Name)]
public sealed class TunDemoLifeTests(ITestOutputHelper output)
{
    private static readonly string[] Small = ["--relays", "3", "--exits", "1", "--hops", "3"];

    [Fact]
    public async Task The_check_passes_and_tells_the_tunnels_figures()
    {
        TunDemoProcess.Needs();
        string prefix = TunDemoProcess.NewPrefix();
        await using var demo = new OxenProcess("demo", "--tun", "--netns", prefix, "--check", "--json", "--relays", "6");
        int code = await demo.WaitForExitAsync(TimeSpan.FromSeconds(240));
        output.WriteLine(demo.Output);
        Assert.True(code == 0, demo.Output + demo.Errors);
        using JsonDocument json = JsonDocument.Parse(demo.Output);
        Assert.True(json.RootElement.GetProperty("ok").GetBoolean());
        foreach (string name in new[] { "digest_ok", "loki_ok", "dns_ok" }) Assert.True(json.RootElement.GetProperty(name).GetBoolean(), name);
        foreach (string name in new[] { "tun_mbit_per_s", "tun_mbit_per_s_up", "tun_rtt_ms", "tun_repair_ms", "repair_ms", "mbit_per_s", "loki_mbit_per_s" }) Assert.True(json.RootElement.GetProperty(name).GetDouble() > 0, name);
        Assert.Equal(LabNeeds.Has("iperf3") ? "iperf3" : "own", json.RootElement.GetProperty("tun_measured_by").GetString());
        Assert.Empty(TunDemoProcess.Traces(prefix));
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task A_signal_takes_away_namespaces_processes_and_files(string signal)
    {
        TunDemoProcess.Needs();
        string[] outside = Outside();
        await using TunDemoProcess demo = await TunDemoProcess.StartAsync(Small);
        Assert.Equal(8, TunDemoProcess.Spaces(demo.Prefix).Length); // client, 3 relays, exit, target, site, internet
        string[] undo = UndoOf(demo.Routers.Select(r => r.Space));
        Assert.NotEmpty(undo);
        demo.Process.Signal(signal);
        Assert.Equal(0, await demo.Process.WaitForExitAsync(TunDemoProcess.Patience));
        await GoneAsync(demo);
        Assert.False(Directory.Exists(demo.Files));
        Assert.Empty(TunDemoProcess.Traces(demo.Prefix));
        Assert.All(undo, file => Assert.False(File.Exists(file), file));
        Assert.Equal(outside, Outside());
    }

    [Fact]
    public async Task What_a_killed_demo_leaves_the_next_one_takes_away()
    {
        TunDemoProcess.Needs();
        string[] outside = Outside();
        await using TunDemoProcess demo = await TunDemoProcess.StartAsync(Small);

        // An exit that was killed as well leaves its journal.
        OxenProcess.SignalTo("KILL", demo.Routers.Single(r => r.Name == "exit-1").Process);
        string[] undo = UndoOf(demo.Routers.Select(r => r.Space));
        Assert.NotEmpty(undo);
        demo.Process.Signal("KILL");
        await demo.Process.WaitForExitAsync(TunDemoProcess.Patience);
        await GoneAsync(demo);
        Assert.Equal(8, TunDemoProcess.Spaces(demo.Prefix).Length);
        Assert.True(Directory.Exists(demo.Files));

        await using (TunDemoProcess next = await TunDemoProcess.StartAsync(demo.Prefix, Small))
        {
            Assert.False(Directory.Exists(demo.Files));
            using HttpClient http = LabHttp.In(next.Client);
            Assert.Equal(1000, (await http.GetByteArrayAsync(new Uri(next.Web + "bytes/1000"), TestContext.Current.CancellationToken)).Length);
        }

        // Only now: the next one's namespaces may have had the same numbers.
        Assert.All(undo, file => Assert.False(File.Exists(file), file));
        Assert.Empty(TunDemoProcess.Traces(demo.Prefix));
        Assert.Equal(outside, Outside());
    }

    [Fact]
    public async Task A_namespace_that_no_demo_made_is_left_alone()
    {
        TunDemoProcess.Needs();
        string prefix = TunDemoProcess.NewPrefix();
        IpProgram.Run("netns", "add", $"{prefix}-client");
        try
        {
            await using var demo = new OxenProcess("demo", "--tun", "--netns", prefix);
            Assert.Equal(3, await demo.WaitForExitAsync(TunDemoProcess.Patience));
            Assert.Contains("OXN3024", demo.Errors, StringComparison.Ordinal);
            Assert.Equal([$"{prefix}-client"], TunDemoProcess.Traces(prefix));
        }
        finally
        {
            IpProgram.Run("netns", "delete", $"{prefix}-client");
        }
    }

    [Fact]
    public async Task Who_lacks_a_capability_is_told_which()
    {
        TunDemoProcess.Needs("setpriv");
        string prefix = TunDemoProcess.NewPrefix();
        var start = new ProcessStartInfo("setpriv", ["--bounding-set=-sys_admin", OxenProcess.Program, "demo", "--tun", "--netns", prefix]) { RedirectStandardError = true };
        using Process demo = Process.Start(start)!;
        string errors = await demo.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await demo.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(3, demo.ExitCode);
        Assert.Contains("OXN3020", errors, StringComparison.Ordinal);
        Assert.Contains("CAP_SYS_ADMIN", errors, StringComparison.Ordinal);
        Assert.Empty(TunDemoProcess.Traces(prefix));
    }

    [Fact]
    public async Task A_download_over_a_bad_network_arrives_unchanged()
    {
        const int Size = 8 << 20;
        TunDemoProcess.Needs("curl");
        await using TunDemoProcess demo = await TunDemoProcess.StartAsync(Small);

        // In the middle of the laboratory, what the client sends to a relay goes through a relay of the bad network first. It
        // begins while the links stand: to the relays the client moves to another address.
        var bad = new Impairment { Loss = 0.01, Reorder = 0.01, Delay = TimeSpan.FromMilliseconds(2), Jitter = TimeSpan.FromMilliseconds(3) };
        var network = new List<ImpairmentRelay>();
        try
        {
            string rules = "";
            foreach (TunDemoProcess.Router router in demo.Routers)
            {
                var address = UdpAddress.From(new IPEndPoint(IPAddress.Parse($"10.{11 + network.Count}.0.2"), 1090));
                network.Add(new ImpairmentRelay(address, 7 + (ulong)network.Count, bad, space: demo.Internet, front: IPAddress.Parse("10.10.0.1")));
                IPEndPoint front = network[^1].Address.ToIPEndPoint(), to = address.ToIPEndPoint();
                rules += string.Create(CultureInfo.InvariantCulture, $"iifname client ip daddr {to.Address} udp dport {to.Port} dnat to {front.Address}:{front.Port}; ");
            }

            // Rules of NAT are for flows whose first packet they see, and only for the way that it goes. So all is hushed until they are in
            // force, and the relays until the client has spoken on each link, as it does within its keep-alive of 4 s.
            NetworkLab.Shell(demo.Internet, $$"""
                nft 'table ip hush { chain every { type filter hook prerouting priority raw; meta l4proto udp drop; }; }'
                nft 'table ip bad { chain in { type nat hook prerouting priority dstnat; {{rules}}}; }'
                nft 'flush chain ip hush every; add rule ip hush every iifname != client meta l4proto udp drop'
                """);
            await Task.Delay(LinkOptions.KeepAlive + TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken);
            NetworkLab.Shell(demo.Internet, "nft delete table ip hush");

            // The first page may take new links and a new path.
            (int code, byte[] body, string errors) = await TunDemoProcess.ExecAsync(demo.Client, "curl", "--silent", "--show-error", "--max-time", "60", "--retry", "60", "--retry-all-errors", "--retry-delay", "1", "--output", "/dev/null", demo.Web);
            Assert.True(code == 0, errors);
            var watch = Stopwatch.StartNew();
            (code, body, errors) = await TunDemoProcess.ExecAsync(demo.Client, "curl", "--silent", "--show-error", "--max-time", "90", $"{demo.Web}bytes/{Size}");
            Assert.True(code == 0, errors);
            Assert.Equal(await DemoTargets.DigestAsync(Size), SHA256.HashData(body));
            long lost = network.Sum(n => n[FateCause.Lost]), late = network.Sum(n => n[FateCause.Reordered]), delivered = network.Sum(n => n.Delivered);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Size >> 20} MiB in {watch.Elapsed.TotalSeconds:F1} s; {delivered} datagrams delivered, {lost} lost, {late} overtaken"));
            Assert.True(delivered > Size / 1424 && lost > delivered / 400 && late > delivered / 400, $"{delivered} delivered, {lost} lost, {late} overtaken");
        }
        finally
        {
            foreach (ImpairmentRelay relay in network) relay.Dispose();
        }
    }

    private static async Task GoneAsync(TunDemoProcess demo)
    {
        var watch = Stopwatch.StartNew();
        foreach (int process in demo.Routers.Select(r => r.Process).Append(demo.ClientProcess))
        {
            while (OxenProcess.IsAlive(process))
            {
                Assert.True(watch.Elapsed < TunDemoProcess.Patience, $"process {process} is still there");
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
        }
    }

    /// <summary>What of ours could be seen in this machine's own namespace: interfaces, rules of both families, tables of nft.</summary>
    private static string[] Outside() =>
    [
        .. new[] { "ip -o link", "ip rule", "ip -6 rule", "nft list tables", "sysctl -n net.ipv4.ip_forward" }
            .SelectMany(command => ShellOf(command).Split('\n'))
            .Where(l => l.Contains("oxen", StringComparison.Ordinal) || l.Contains("18500", StringComparison.Ordinal) || l.Trim().Length == 1),
    ];

    private static string ShellOf(string command)
    {
        using Process shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardOutput = true })!;
        return shell.StandardOutput.ReadToEnd();
    }

    private static string[] UndoOf(IEnumerable<string> spaces) =>
        [.. spaces.Select(s => Oxen.Router.Native.Linux.LinuxNamespace.Run(s, Oxen.Router.Exit.UndoJournal.Inode)).Select(i => $"/run/oxen/exit-{i}.undo").Where(File.Exists)];
}
