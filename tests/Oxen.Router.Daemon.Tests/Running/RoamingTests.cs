using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Oxen.Router.Core.Paths;
using Oxen.Router.Daemon.Status;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>What happens to laptops: another address, a sleep, a list that has expired. Relays and client are processes.</summary>
public sealed class RoamingTests(ITestOutputHelper output) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TestFiles _files = new();
    private readonly List<OxenProcess> _processes = [];
    private NetworkLab? _lab;

    public async ValueTask DisposeAsync()
    {
        foreach (OxenProcess process in _processes) await process.DisposeAsync();
        _lab?.Dispose();
        _files.Dispose();
    }

    [Fact]
    public async Task A_client_whose_address_changes_has_a_path_again_soon_and_its_session_lives()
    {
        Assert.SkipUnless(NetworkLab.Missing is null, NetworkLab.Missing ?? "");
        _lab = new NetworkLab();
        string world = _lab.Add("world"), home = _lab.Add("home");
        NetworkLab.Join(world, "w0", home, "h0");
        NetworkLab.Shell(world, "ip addr add 10.200.0.1/16 dev w0; for i in 1 2 3 4 5; do ip addr add 10.2$i.0.1/32 dev lo; done");
        NetworkLab.Shell(home, "ip addr add 10.200.1.1/16 dev h0; ip route add default via 10.200.0.1");

        string[] relays = ["one", "two", "three", "exit"];
        for (int i = 0; i < relays.Length; i++) _files.AddRelay(relays[i], 1, exit: relays[i] == "exit", listen: new IPEndPoint(new IPAddress([10, (byte)(21 + i), 0, 1]), 1090));
        _files.AddClient("client", 2, "spares = 1\n", "127.0.0.1:1080");
        await _files.SignAsync(relays);
        foreach (string relay in relays) await StartAsync(relay, world);
        await StartAsync("client", home);
        StatusReport before = await UntilAsync(r => r.Paths.Any(p => p.Active));
        string exit = before.Paths.First(p => p.Active).Hops[^1];

        // The cable is pulled for a while, and then there is another network.
        NetworkLab.Shell(home, "ip addr del 10.200.1.1/16 dev h0");
        await UntilAsync(r => !r.Paths.Any(p => p.Active));
        NetworkLab.Shell(home, "ip addr add 10.200.7.7/16 dev h0; ip route add default via 10.200.0.1");
        var watch = Stopwatch.StartNew();
        StatusReport after = await UntilAsync(r => r.Paths.Any(p => p.Active));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"a path again {watch.Elapsed.TotalMilliseconds:F0} ms after the network came back"));
        Assert.Equal(exit, after.Paths.First(p => p.Active).Hops[^1]);

        // Another address without a moment in between. When the command is done the old one is nobody's: what comes back after that comes to the new one.
        watch.Restart();
        NetworkLab.Shell(home, "ip addr add 10.200.8.8/16 dev h0; ip addr del 10.200.7.7/16 dev h0; ip addr replace 10.200.8.8/16 dev h0; ip route replace default via 10.200.0.1 src 10.200.8.8");
        after = await UntilTrafficSinceAsync(watch);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"traffic on a path from the new address {watch.Elapsed.TotalMilliseconds:F0} ms after the change began"));
        Assert.Equal(exit, after.Paths.First(p => p.Active).Hops[^1]);
    }

    [Fact]
    public async Task A_client_that_was_stopped_for_long_has_a_path_again_when_it_goes_on()
    {
        int seconds = int.TryParse(Environment.GetEnvironmentVariable("OXEN_SLEEP"), CultureInfo.InvariantCulture, out int given) ? given : 20;
        string[] relays = ["one", "two", "exit"];
        for (int i = 0; i < relays.Length; i++) _files.AddRelay(relays[i], (byte)(61 + i), exit: relays[i] == "exit");
        _files.AddClient("client", 2, "spares = 1\n");
        await _files.SignAsync(relays);
        foreach (string relay in relays) await StartAsync(relay, null);
        OxenProcess client = await StartAsync("client", null);
        await UntilAsync(r => r.Paths.Any(p => p.Active));
        client.Signal("STOP");
        await Task.Delay(TimeSpan.FromSeconds(seconds), TestContext.Current.CancellationToken); // what is tried is the time itself: links of the others end after 15 s
        var watch = Stopwatch.StartNew();
        client.Signal("CONT");
        await UntilTrafficSinceAsync(watch);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"stopped for {seconds} s; traffic on a path begun since {watch.Elapsed.TotalMilliseconds:F0} ms after it went on"));
    }

    private async Task<OxenProcess> StartAsync(string name, string? space)
    {
        string[] arguments = ["run", "--config", _files.ConfigFile(name)];
        OxenProcess process = space is null ? new OxenProcess(arguments) : OxenProcess.In(space, arguments);
        _processes.Add(process);
        await process.WaitForLineAsync("ready", Patience);
        return process;
    }

    /// <summary>
    /// Until the path in use is one whose build began after the watch was started, and more packets have come back on it since this was called. A
    /// path ends twenty minutes after its build began, whenever it is asked for.
    /// </summary>
    private async Task<StatusReport> UntilTrafficSinceAsync(Stopwatch since)
    {
        (string Hops, long Packets) seen = ("", 0);
        TimeSpan asked = since.Elapsed;
        return await UntilAsync(report =>
        {
            // The report was made after it was asked for: the build began no earlier than this.
            TimeSpan asking = asked;
            asked = since.Elapsed;
            if (report.Paths.FirstOrDefault(p => p.Active) is not { } path || asking + TimeSpan.FromSeconds(path.SecondsLeft) - PathConstants.Lifetime <= TimeSpan.Zero) return false;
            string hops = string.Join(' ', path.Hops);
            if (seen.Hops == hops && path.PacketsDown > seen.Packets) return true;
            if (seen.Hops != hops) seen = (hops, path.PacketsDown);
            return false;
        });
    }

    private async Task<StatusReport> UntilAsync(Func<StatusReport, bool> holds)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(20, TestContext.Current.CancellationToken))
        {
            StatusReport report = StatusReport.Parse(await StatusSocket.AskAsync(_files.At("client", "oxen.sock"), Patience, TestContext.Current.CancellationToken));
            if (holds(report)) return report;
            Assert.True(watch.Elapsed < Patience, report.ToJson());
        }
    }
}
