using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Oxen.Router.Daemon.Status;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>`oxen run` as processes: traffic, status, and the ways to end it.</summary>
public sealed class RunLifeTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(45); // for starts on a busy machine
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(5);

    private readonly TestFiles _files = new();
    private readonly WebTarget _web = new();
    private readonly Dictionary<string, OxenProcess> _processes = [];

    public async ValueTask DisposeAsync()
    {
        foreach (OxenProcess process in _processes.Values) await process.DisposeAsync();
        await _web.DisposeAsync();
        _files.Dispose();
    }

    private async Task<OxenProcess> RunAsync(string name, params string[] more)
    {
        var process = new OxenProcess(["run", "--config", _files.ConfigFile(name), .. more]);
        _processes[name] = process;
        await process.WaitForLineAsync("ready", Patience);
        return process;
    }

    private string Status(string name) => _files.At(name, "oxen.sock");

    private async Task<StatusReport> ReportAsync(string name) => StatusReport.Parse(await TestFiles.GoodAsync("status", "--config", _files.ConfigFile(name), "--json"));

    /// <summary>Two relays, an exit and a client, each in its process; gives a proxy for the web server.</summary>
    private async Task<HttpClient> NetworkAsync()
    {
        _files.AddRelay("relay", 33);
        _files.AddRelay("exit", 34, exit: true, more: $"[exit]\nexcept = [\"allow {_web.EndPoint} tcp\"]\n");
        IPEndPoint socks = TestFiles.FreeTcp();
        _files.AddClient("client", 2, "spares = 0\n", socks.ToString());
        await _files.SignAsync("relay", "exit");
        await Task.WhenAll(RunAsync("relay"), RunAsync("exit"), RunAsync("client"));
        return new HttpClient(new SocketsHttpHandler { Proxy = new WebProxy($"socks5://{socks}") }) { Timeout = Patience };
    }

    private async Task<string> ShortAsync(HttpClient http)
    {
        // A path may need a moment: the client was perhaps there before its relays.
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return await http.GetStringAsync(new Uri(_web.Url + "short"), TestContext.Current.CancellationToken);
            }
            catch (HttpRequestException) when (watch.Elapsed < Patience)
            {
                await Task.Delay(100, TestContext.Current.CancellationToken);
            }
        }
    }

    [Theory]
    [InlineData("relay", "TERM")]
    [InlineData("exit", "TERM")]
    [InlineData("client", "TERM")]
    [InlineData("client", "INT")]
    public async Task A_signal_during_traffic_ends_it_in_time_with_code_0_and_nothing_is_left(string who, string signal)
    {
        using HttpClient http = await NetworkAsync();
        Assert.Equal("hello\n", await ShortAsync(http));
        await using Stream body = await http.GetStreamAsync(new Uri(_web.Url), TestContext.Current.CancellationToken);
        byte[] buffer = new byte[65536];
        long received = 0;
        while (received < 1 << 20) received += await body.ReadAsync(buffer, TestContext.Current.CancellationToken);
        Task reading = Task.Run(async () =>
        {
            try
            {
                while (await body.ReadAsync(buffer, TestContext.Current.CancellationToken) > 0)
                {
                    // On and on.
                }
            }
            catch (IOException)
            {
                // The proxy went away.
            }
        });

        Assert.True(File.Exists(Status(who)));
        var watch = Stopwatch.StartNew();
        _processes[who].Signal(signal);
        Assert.Equal(0, await _processes[who].WaitForExitAsync(TimeSpan.FromSeconds(20)));
        Assert.True(watch.Elapsed < StopTime + TimeSpan.FromSeconds(3), $"it took {watch.Elapsed.TotalSeconds:F1} s"); // the 3 s are a busy machine's
        Assert.False(File.Exists(Status(who)));
        Assert.Contains("stopped", _processes[who].Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", _processes[who].Errors, StringComparison.Ordinal);
        if (who == "client") await reading.WaitAsync(Patience, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_second_signal_ends_it_at_once()
    {
        using HttpClient http = await NetworkAsync();
        await ShortAsync(http);
        await using Stream body = await http.GetStreamAsync(new Uri(_web.Url), TestContext.Current.CancellationToken);
        OxenProcess client = _processes["client"];
        client.Signal("TERM");
        while (!client.Errors.Contains("stopping", StringComparison.Ordinal) && !client.HasExited) await Task.Delay(5, TestContext.Current.CancellationToken);
        client.Signal("TERM");
        await client.WaitForExitAsync(Patience);
        Assert.Equal(143, client.ExitCode);
    }

    [Fact]
    public async Task Status_tells_what_each_did_as_json_and_as_text()
    {
        using HttpClient http = await NetworkAsync();
        await ShortAsync(http);
        StatusReport client = await ReportAsync("client"), relay = await ReportAsync("relay"), exit = await ReportAsync("exit");
        Assert.Equal(("client", "relay", "relay, exit"), (client.Roles, relay.Roles, exit.Roles));
        Assert.Equal(_processes["relay"].Id, relay.Process);
        PathStatus path = Assert.Single(client.Paths, p => p.Active);
        Assert.Equal(2, path.Hops.Count);
        Assert.True(path.PacketsUp > 0 && path.PacketsDown > 0);
        Assert.True(Assert.Single(relay.Routers).DatagramsReceived > 0);
        Assert.Equal(1, relay.Routers[0].Paths);
        Assert.Equal("", client.Trouble);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Status("relay")));

        string text = await TestFiles.GoodAsync("status", "--socket", Status("client"));
        Assert.Contains("roles: client", text, StringComparison.Ordinal);
        Assert.Contains("path=in use", text, StringComparison.Ordinal);

        // A second one with the same files, and one whose predecessor was killed.
        (int code, _, string error) = await TestFiles.OxenAsync("run", "--config", _files.ConfigFile("relay"));
        Assert.Equal(3, code);
        Assert.Contains("OXN3001", error, StringComparison.Ordinal);
        _processes["relay"].Signal("KILL");
        await _processes["relay"].WaitForExitAsync(Patience);
        (code, _, error) = await TestFiles.OxenAsync("status", "--config", _files.ConfigFile("relay"));
        Assert.Equal(3, code);
        Assert.Contains("OXN3005", error, StringComparison.Ordinal);
        Assert.True(File.Exists(Status("relay")));
        await RunAsync("relay");
        Assert.Equal("relay", (await ReportAsync("relay")).Roles);
    }

    [Fact]
    public async Task The_end_of_standard_input_is_the_end_and_events_are_json_lines()
    {
        _files.AddRelay("relay", 35);
        await _files.SignAsync("relay");
        var process = new OxenProcess("run", "--config", _files.ConfigFile("relay"), "--stdin", "--json");
        _processes["relay"] = process;
        var watch = Stopwatch.StartNew();
        while (process.Output.Length == 0 && !process.HasExited && watch.Elapsed < Patience) await Task.Delay(20, TestContext.Current.CancellationToken);
        process.Input.Close();
        Assert.Equal(0, await process.WaitForExitAsync(Patience));
        string[] events = [.. process.Output.Split('\n').Select(l => JsonDocument.Parse(l).RootElement).Select(e => e.GetProperty("event").GetString()!)];
        Assert.Equal(["ready", "stopping", "stopped"], events);
        JsonElement ready = JsonDocument.Parse(process.Output.Split('\n')[0]).RootElement;
        Assert.Equal(_files.Config("relay").Listen.ToString(), ready.GetProperty("udp").GetString());
        Assert.Equal(process.Id, ready.GetProperty("process").GetInt32());
    }

    [Fact]
    public async Task Relay_and_client_in_one_process_are_two_routers_with_sockets_of_their_own()
    {
        IPEndPoint socks = TestFiles.FreeTcp();
        _files.AddRelay("exit", 34, exit: true, more: $"[exit]\nexcept = [\"allow {_web.EndPoint} tcp\"]\n");
        _files.AddRelay("relay", 33);
        _files.AddRelay("both", 36, more: $"[client]\nsocks = \"{socks}\"\nhttp = \"off\"\nhops = 3\nspares = 0\n");
        string file = _files.ConfigFile("both");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken)).Replace("[\"relay\"]", "[\"relay\", \"client\"]", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        await _files.SignAsync("relay", "exit", "both");
        await Task.WhenAll(RunAsync("relay"), RunAsync("exit"), RunAsync("both"));
        using var http = new HttpClient(new SocketsHttpHandler { Proxy = new WebProxy($"socks5://{socks}") }) { Timeout = Patience };
        Assert.Equal("hello\n", await ShortAsync(http));
        StatusReport report = await ReportAsync("both");
        Assert.Equal(["relay", "client"], report.Routers.Select(r => r.Router));
        Assert.True(report.Routers[0].DatagramsReceived > 0, "its relay is a hop of its own client's path: the only two relays there are");
        Assert.True(report.Routers[1].DatagramsReceived > 0);
        _processes["both"].Signal("TERM");
        Assert.Equal(0, await _processes["both"].WaitForExitAsync(Patience));
    }
}
