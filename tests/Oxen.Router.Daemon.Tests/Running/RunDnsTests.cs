using System.Diagnostics;
using System.Net;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Dns;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>`oxen run` with [dns], asked by `dig`.</summary>
public sealed class RunDnsTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly string Service = new OnionAddress(OnionKind.Service, [.. Enumerable.Range(1, 31).Select(i => (byte)i), 9]).ToString();

    private readonly TestFiles _files = new();
    private readonly List<OxenProcess> _processes = [];

    public async ValueTask DisposeAsync()
    {
        foreach (OxenProcess process in _processes) await process.DisposeAsync();
        _files.Dispose();
    }

    [Fact]
    public async Task Names_of_services_become_addresses_and_names_of_the_outside_go_through_the_exit()
    {
        Assert.SkipUnless(Dig("-v").Code == 0, "dig is not installed");
        await using DemoNames outside = DemoNames.Start(DemoPlace.Loopback, 0);
        IPEndPoint dns = await NetworkAsync($"[dns]\nmapped = false\nlisten = [\"LISTEN\"]\nservers = [\"{outside.EndPoint}\"]\n", outside);
        string Ask(params string[] question) => Dig(["+short", "+tries=1", "+timeout=20", "-p", $"{dns.Port}", "@127.0.0.1", .. question]).Output.Trim();

        string four = Ask(Service, "A"), six = Ask(Service, "AAAA");
        Assert.StartsWith("10.99.", four, StringComparison.Ordinal);
        Assert.StartsWith("fd6f:7865:6e00:3:", six, StringComparison.Ordinal);
        Assert.Equal(Service + ".", Ask("-x", four));
        Assert.Equal(Service + ".", Ask("-x", six));
        Assert.Contains($"address={Service}", Ask(Service, "TXT"), StringComparison.Ordinal);
        Assert.Equal("127.0.0.1", Ask("localhost.loki", "A"));
        Assert.Contains("NXDOMAIN", Dig("-p", $"{dns.Port}", "@127.0.0.1", "nobody.loki").Output, StringComparison.Ordinal);

        // The first path may need a moment.
        var watch = Stopwatch.StartNew();
        while (Ask(DemoNames.Name, "A") != "127.0.0.1") Assert.True(watch.Elapsed < Patience, "no answer came through the exit");
        Assert.Equal("127.0.0.1", Ask("+tcp", DemoNames.Name, "A"));
        Assert.Contains("NXDOMAIN", Dig("-p", $"{dns.Port}", "@127.0.0.1", "nobody.example").Output, StringComparison.Ordinal);
        Assert.DoesNotContain(outside.Asked, n => n.EndsWith("loki", StringComparison.Ordinal));

        StatusReport report = StatusReport.Parse(await TestFiles.GoodAsync("status", "--config", _files.ConfigFile("client"), "--json"));
        Assert.Equal((dns.ToString(), "exit", 1), (Assert.Single(report.Dns!.Listen), report.Dns.Forward, report.Dns.Mapped));
        Assert.True(report.Dns.Counts["forwarded"] >= 2);
        Assert.Contains("go through the exit", await TestFiles.GoodAsync("status", "--config", _files.ConfigFile("client")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_address_is_told_with_its_code()
    {
        await using DemoNames taken = DemoNames.Start(DemoPlace.Loopback, 0);
        _files.AddRelay("relay", 43);
        await _files.SignAsync("relay");
        _files.AddClient("client", 2, socks: "off", more: $"[dns]\nlisten = [\"{taken.EndPoint}\"]\nforward = \"none\"\nmapped = false\n");
        (int code, _, string error) = await TestFiles.OxenAsync("run", "--config", _files.ConfigFile("client"));
        Assert.Equal(3, code);
        Assert.Contains("OXN3001", error, StringComparison.Ordinal);
        Assert.Contains($"DNS resolver: the address {taken.EndPoint} is in use", error, StringComparison.Ordinal);
    }

    private async Task<IPEndPoint> NetworkAsync(string dns, DemoNames outside)
    {
        IPEndPoint listen = TestFiles.FreeTcp();
        _files.AddRelay("relay", 41);
        _files.AddRelay("exit", 42, exit: true, more: $"[exit]\nexcept = [\"allow {outside.EndPoint} tcp\"]\n");
        _files.AddClient("client", 2, "spares = 0\n" + dns.Replace("LISTEN", listen.ToString(), StringComparison.Ordinal), "off");
        await _files.SignAsync("relay", "exit");
        await Task.WhenAll(RunAsync("relay"), RunAsync("exit"), RunAsync("client"));
        return listen;
    }

    private async Task RunAsync(string name)
    {
        var process = new OxenProcess("run", "--config", _files.ConfigFile(name));
        _processes.Add(process);
        await process.WaitForLineAsync("ready", Patience);
    }

    private static (int Code, string Output) Dig(params string[] arguments)
    {
        try
        {
            using Process dig = Process.Start(new ProcessStartInfo("dig", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            string output = dig.StandardOutput.ReadToEnd();
            dig.WaitForExit();
            return (dig.ExitCode, output);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return (-1, e.Message);
        }
    }
}
