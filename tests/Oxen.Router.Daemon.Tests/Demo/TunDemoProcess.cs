using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>A running `oxen demo --tun`, as a script sees it through its endpoints file.</summary>
internal sealed class TunDemoProcess : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static int s_number;

    private readonly string _directory;

    private TunDemoProcess(OxenProcess process, string prefix, string directory, JsonElement endpoints)
    {
        Process = process;
        Prefix = prefix;
        _directory = directory;
        Web = endpoints.GetProperty("web_target").GetString()!;
        WebIPv6 = endpoints.TryGetProperty("web_target_ipv6", out JsonElement six) ? six.GetString() : null;
        Target = IPAddress.Parse(endpoints.GetProperty("target").GetString()!);
        TargetIPv6 = endpoints.TryGetProperty("target_ipv6", out six) ? IPAddress.Parse(six.GetString()!) : null;
        Client = endpoints.GetProperty("netns_client").GetString()!;
        Internet = endpoints.GetProperty("netns_internet").GetString()!;
        TargetSpace = endpoints.GetProperty("netns_target").GetString()!;
        Files = endpoints.GetProperty("directory").GetString()!;
        StatusFile = endpoints.GetProperty("status").GetString()!;
        ClientProcess = endpoints.GetProperty("client_process").GetInt32();
        Routers = [.. endpoints.GetProperty("routers").EnumerateArray().Select(r => new Router(
            r.GetProperty("name").GetString()!,
            r.GetProperty("router_id").GetString()!,
            r.GetProperty("netns").GetString()!,
            r.GetProperty("process").GetInt32(),
            r.GetProperty("config").GetString()!))];
    }

    public sealed record Router(string Name, string Id, string Space, int Process, string Config);

    public OxenProcess Process { get; }

    public string Prefix { get; }

    public string Web { get; }

    public string? WebIPv6 { get; }

    public IPAddress Target { get; }

    public IPAddress? TargetIPv6 { get; }

    /// <summary>The client's namespace.</summary>
    public string Client { get; }

    public string Internet { get; }

    public string TargetSpace { get; }

    public string Files { get; }

    public string StatusFile { get; }

    public int ClientProcess { get; }

    public Router[] Routers { get; }

    /// <summary>Skips the test where a demo with a tunnel cannot be, or a program is missing that the test runs in it.</summary>
    public static void Needs(params string[] programs)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "network namespaces need root");
        Assert.SkipUnless(File.Exists("/dev/net/tun"), "/dev/net/tun is not there");
        Assert.SkipUnless(LabNeeds.Has("ip") && IpProgram.TryRun(["netns", "list"]).Code == 0, "ip(8) is not installed");
        Assert.SkipUnless(LabNeeds.Has("nft"), "nft(8) is not installed");
        foreach (string program in programs) Assert.SkipUnless(LabNeeds.Has(program), $"{program} is not installed");
    }

    /// <summary>A prefix that no other demo has: others may run on the same machine.</summary>
    public static string NewPrefix() => string.Create(CultureInfo.InvariantCulture, $"t{Environment.ProcessId}-{Interlocked.Increment(ref s_number)}");

    public static Task<TunDemoProcess> StartAsync(params string[] more) => StartAsync(NewPrefix(), more);

    public static async Task<TunDemoProcess> StartAsync(string prefix, string[] more)
    {
        string directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;
        string endpoints = Path.Combine(directory, "endpoints.json");
        var process = new OxenProcess(["demo", "--tun", "--netns", prefix, "--endpoints", endpoints, .. more]);
        try
        {
            var watch = Stopwatch.StartNew();
            while (!File.Exists(endpoints))
            {
                Assert.False(process.HasExited, $"the demo ended: {process.Output} {process.Errors}");
                Assert.True(watch.Elapsed < Patience, $"the demo did not get ready: {process.Output} {process.Errors}");
                await Task.Delay(20);
            }

            using JsonDocument json = JsonDocument.Parse(await File.ReadAllBytesAsync(endpoints));
            return new TunDemoProcess(process, prefix, directory, json.RootElement);
        }
        catch
        {
            process.Signal("TERM");
            await process.WaitForExitAsync(Patience);
            await process.DisposeAsync();
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    /// <summary>Runs a program of the system inside a namespace, as the demo tells its user to.</summary>
    public static async Task<(int Code, byte[] Output, string Errors)> ExecAsync(string space, params string[] command)
    {
        var start = new ProcessStartInfo("ip", ["netns", "exec", space, .. command]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        using var program = System.Diagnostics.Process.Start(start)!;
        Task<string> errors = program.StandardError.ReadToEndAsync();
        using var output = new MemoryStream();
        await program.StandardOutput.BaseStream.CopyToAsync(output, TestContext.Current.CancellationToken);
        await program.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (program.ExitCode, output.ToArray(), await errors);
    }

    public async Task<StatusReport> ReportAsync() =>
        StatusReport.Parse(await StatusSocket.AskAsync(StatusFile, TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

    public static string[] Spaces(string prefix) =>
        [.. Directory.Exists("/run/netns") ? Directory.GetFiles("/run/netns").Select(f => Path.GetFileName(f)).Where(n => n.StartsWith(prefix + "-", StringComparison.Ordinal)) : []];

    /// <summary>What of a demo, or of any, is to be seen from outside its namespaces.</summary>
    public static string[] Traces(string prefix) =>
    [
        .. Spaces(prefix),
        .. Directory.Exists("/run/oxen") ? Directory.GetFiles("/run/oxen").Where(f => f.Contains($"demo-{prefix}.", StringComparison.Ordinal)) : [],
    ];

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
