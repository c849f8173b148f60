using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>
/// Relays of the path in use are killed and frozen, a process each, during a transfer through the proxy. OXEN_KILLS=100 is the long form.
/// </summary>
[Collection(DemoCollection.Name)]
public sealed class RepairTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // More than what was on its way, or waited at this end, when the relay died: windows and sockets hold some megabytes.
    private const long MoreThanWaits = 24 << 20;

    private static int Kills => int.TryParse(Environment.GetEnvironmentVariable("OXEN_KILLS"), CultureInfo.InvariantCulture, out int kills) ? kills : 6;

    [Fact]
    public async Task A_transfer_outlives_dead_and_frozen_relays_one_after_another()
    {
        await using DemoProcess demo = await DemoProcess.StartAsync("--relays", "9", "--exits", "1");
        var routers = demo.Routers.ToDictionary(r => r.Id);
        var processes = demo.Routers.ToDictionary(r => r.Id, r => r.Process);
        var restarted = new Dictionary<string, OxenProcess>();
        var silences = new List<double>();
        int shared = 0;
        try
        {
            using HttpClient http = demo.Http();
            await using Stream body = await http.GetStreamAsync(new Uri(demo.Web + $"bytes/{1L << 32}"), TestContext.Current.CancellationToken);
            using var flow = new Flow(body);
            for (int kill = 0; kill < Kills; kill++)
            {
                (PathStatus active, PathStatus[] spares) = await PathsAsync(demo, id => OxenProcess.IsAlive(processes[id]));
                string[] relays = [.. active.Hops.SkipLast(1)];
                string victim = relays[kill % relays.Length];
                if (spares.All(s => s.Hops.Contains(victim))) shared++;
                bool freeze = kill % 2 == 1;
                long before = flow.Mark();
                OxenProcess.SignalTo(freeze ? "STOP" : "KILL", processes[victim]);
                for (var watch = Stopwatch.StartNew(); flow.Bytes < before + MoreThanWaits;)
                {
                    Assert.True(watch.Elapsed < Patience && flow.Trouble.Length == 0, $"{(freeze ? "frozen" : "killed")} {routers[victim].Name}: {flow.Bytes - before} bytes since; {flow.Trouble} {(await demo.ReportAsync()).ToJson()}");
                    await Task.Delay(10, TestContext.Current.CancellationToken);
                }

                silences.Add(flow.Silence.TotalMilliseconds);
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(freeze ? "STOP" : "KILL")} {routers[victim].Name}, hop {kill % relays.Length + 1}: {flow.Silence.TotalMilliseconds:F0} ms of silence"));
                if (freeze)
                {
                    OxenProcess.SignalTo("CONT", processes[victim]);
                    continue;
                }

                if (restarted.Remove(victim, out OxenProcess? old)) await old.DisposeAsync();
                var again = new OxenProcess("run", "--config", Path.Combine(routers[victim].Directory, "oxen.toml"), "--stdin");
                restarted[victim] = again;
                processes[victim] = again.Id;
                await again.WaitForLineAsync("ready", Patience);
            }

            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Kills} times: median {silences.Order().ElementAt(Kills / 2):F0} ms, worst {silences.Max():F0} ms, {shared} of a relay that the spare used too"));
            Assert.Equal("", flow.Trouble);
        }
        finally
        {
            foreach (OxenProcess process in restarted.Values) await process.DisposeAsync();
        }
    }

    /// <summary>The path in use and its attached spares, all of whose routers live.</summary>
    private static async Task<(PathStatus Active, PathStatus[] Spares)> PathsAsync(DemoProcess demo, Func<string, bool> lives)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(50, TestContext.Current.CancellationToken))
        {
            StatusReport report = await demo.ReportAsync();
            PathStatus[] spares = [.. report.Paths.Where(p => !p.Active && p.HopMilliseconds[^1] > 0)];
            if (spares.Length > 0 && report.Paths.FirstOrDefault(p => p.Active) is { } active && report.Paths.All(p => p.Hops.All(lives))) return (active, spares);
            Assert.True(watch.Elapsed < Patience, $"no path and spare: {report.ToJson()}");
        }
    }

    /// <summary>Reads a body without end at some megabytes a second, and knows its longest silence.</summary>
    private sealed class Flow : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private long _bytes, _last = Stopwatch.GetTimestamp(), _silence;

        public Flow(Stream body) => _ = Task.Run(() => ReadAsync(body));

        public long Bytes => Interlocked.Read(ref _bytes);

        public TimeSpan Silence => Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _silence));

        public string Trouble { get; private set; } = "";

        public long Mark()
        {
            Interlocked.Exchange(ref _silence, 0);
            return Bytes;
        }

        public void Dispose() => _stop.Cancel();

        private async Task ReadAsync(Stream body)
        {
            byte[] buffer = new byte[64 * 1024];
            try
            {
                while (!_stop.IsCancellationRequested)
                {
                    int read = await body.ReadAsync(buffer, _stop.Token);
                    if (read == 0) throw new IOException("the body ended");
                    long now = Stopwatch.GetTimestamp();
                    Interlocked.Exchange(ref _silence, Math.Max(Interlocked.Read(ref _silence), now - _last));
                    _last = now;
                    Interlocked.Add(ref _bytes, read);
                    await Task.Delay(5, _stop.Token);
                }
            }
            catch (Exception e) when (e is IOException or HttpRequestException or SocketException or ObjectDisposedException or OperationCanceledException)
            {
                if (!_stop.IsCancellationRequested) Trouble = e.Message;
            }
        }
    }
}
