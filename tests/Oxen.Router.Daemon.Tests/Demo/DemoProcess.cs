using System.Net;
using System.Text.Json;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>A running `oxen demo --processes`, as a script sees it through its endpoints file.</summary>
internal sealed class DemoProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _directory;

    private DemoProcess(OxenProcess process, string directory, JsonElement endpoints)
    {
        Process = process;
        _directory = directory;
        Socks = IPEndPoint.Parse(endpoints.GetProperty("socks").GetString()!);
        Web = endpoints.GetProperty("web_target").GetString()!;
        UdpEcho = IPEndPoint.Parse(endpoints.GetProperty("udp_echo").GetString()!);
        StatusFile = endpoints.GetProperty("status").GetString()!;
        Routers = [.. endpoints.GetProperty("routers").EnumerateArray().Select(r => new Router(
            r.GetProperty("name").GetString()!,
            r.GetProperty("router_id").GetString()!,
            r.GetProperty("process").GetInt32(),
            Path.GetDirectoryName(r.GetProperty("config").GetString()!)!,
            r.GetProperty("status").GetString()!))];
    }

    public sealed record Router(string Name, string Id, int Process, string Directory, string Status);

    public OxenProcess Process { get; }

    public IPEndPoint Socks { get; }

    public string Web { get; }

    public IPEndPoint UdpEcho { get; }

    public string StatusFile { get; }

    public Router[] Routers { get; }

    public static async Task<DemoProcess> StartAsync(params string[] more)
    {
        string directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;
        string endpoints = Path.Combine(directory, "endpoints.json");
        var process = new OxenProcess(["demo", "--processes", "--socks", "127.0.0.1:0", "--http", "127.0.0.1:0", "--endpoints", endpoints, .. more]);
        try
        {
            using var limit = new CancellationTokenSource(Patience);
            while (!File.Exists(endpoints))
            {
                Assert.False(process.HasExited, $"the demo ended: {process.Output} {process.Errors}");
                Assert.False(limit.IsCancellationRequested, $"the demo did not get ready: {process.Output} {process.Errors}");
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }

            using JsonDocument json = JsonDocument.Parse(await File.ReadAllBytesAsync(endpoints, TestContext.Current.CancellationToken));
            return new DemoProcess(process, directory, json.RootElement);
        }
        catch
        {
            await process.DisposeAsync();
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    public HttpClient Http() => new(new SocketsHttpHandler { Proxy = new WebProxy($"socks5://{Socks}") }) { Timeout = Patience };

    public async Task<StatusReport> ReportAsync() =>
        StatusReport.Parse(await StatusSocket.AskAsync(StatusFile, TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

    public async ValueTask DisposeAsync()
    {
        if (!Process.HasExited)
        {
            Process.Signal("TERM");
            await Process.WaitForExitAsync(Patience);
        }

        await Process.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
