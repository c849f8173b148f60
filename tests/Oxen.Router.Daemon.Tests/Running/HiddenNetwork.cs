using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Daemon.Status;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>
/// Relays, an exit, a web server with a UDP echo that a hidden service stands for, and a client with its proxies: each a process' worth of
/// routers in this one, with sockets, files and configurations of their own.
/// </summary>
public sealed class HiddenNetwork : IAsyncLifetime
{
    public const int Relays = 7;
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Dictionary<string, RouterProcess> _processes = [];

    internal TestFiles Files { get; } = new();

    internal DemoTargets Targets { get; private set; } = null!;

    /// <summary>Of the service "web" on "host".</summary>
    public string Address { get; private set; } = "";

    internal RouterProcess this[string name] => _processes[name];

    /// <summary>Relay names by router id.</summary>
    public Dictionary<string, string> Names { get; } = [];

    public async ValueTask InitializeAsync()
    {
        Targets = await DemoTargets.StartAsync(DemoPlace.Loopback, TestContext.Current.CancellationToken);
        for (int i = 1; i <= Relays; i++) Names.Add(Files.AddRelay($"relay-{i}", (byte)(150 + i)), $"relay-{i}");
        Names.Add(Files.AddRelay("exit", 149, exit: true, more: $"[exit]\nexcept = [\"allow 127.0.0.1:{Targets.WebPort} tcp\", \"allow 127.0.0.1:{Targets.UdpPort} udp\"]\n"), "exit");
        Address = await NewServiceAsync("host");
        AddHost("host");
        AddClient("client");
        await Files.SignAsync([.. Names.Values]);
        foreach (string relay in Names.Values) await StartAsync(relay);
        await StartAsync("host");
        await StartAsync("client");
        await PublishedAsync("host");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (RouterProcess process in _processes.Values.Reverse()) await process.DisposeAsync();
        if (Targets is not null) await Targets.DisposeAsync();
        Files.Dispose();
    }

    /// <summary>Makes the key of a service with the program's own verb; gives its address.</summary>
    public async Task<string> NewServiceAsync(string directory) => Value(await TestFiles.GoodAsync("keygen", "--role", "service", "--out", Files.At(directory), "--json"), "address");

    /// <summary>Makes the key of a client; gives its public half.</summary>
    public async Task<string> NewClientKeyAsync(string directory) => Value(await TestFiles.GoodAsync("keygen", "--role", "client", "--out", Files.At(directory), "--json"), "key");

    /// <summary>A process that hosts the web server and the echo at ports 80 and 7 of a service.</summary>
    public void AddHost(string name, string more = "", string key = "service.key") => Files.Configure(name, "roles = [\"client\"]", $"""
        [client]
        socks = "off"
        http = "off"
        hops = 3
        spares = 0

        [[service]]
        name = "web"
        key = "{key}"
        ports = ["80 -> 127.0.0.1:{Targets.WebPort}", "7/udp -> 127.0.0.1:{Targets.UdpPort}", "81 -> 127.0.0.1:1"]
        texts = ["a test"]
        {more}
        """);

    public void AddClient(string name, string more = "") => Files.Configure(name, "roles = [\"client\"]", $"""
        [client]
        socks = "127.0.0.1:0"
        http = "127.0.0.1:0"
        hops = 3
        spares = 0
        {more}
        """);

    internal async Task<RouterProcess> StartAsync(string name)
    {
        RouterProcess process = await RouterProcess.StartAsync(Files.Config(name), NullLogger.Instance, TimeProvider.System, TestContext.Current.CancellationToken);
        _processes.Add(name, process);
        return process;
    }

    public async Task StopAsync(string name)
    {
        if (_processes.Remove(name, out RouterProcess? process)) await process.DisposeAsync();
    }

    public async Task PublishedAsync(string host) => await UntilAsync(async () => (await this[host].ReportAsync()).Services.All(s => s.Published), async () => $"{host} published nothing: {(await this[host].ReportAsync()).ToJson()}");

    internal async Task<ServiceClientStatus> ReachedAsync(string client, string address) => (await this[client].ReportAsync()).ServiceClients.Single(s => s.Address == address && s.State == "ready");

    public static async Task UntilAsync(Func<Task<bool>> condition, Func<Task<string>> otherwise)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > Patience) Assert.Fail(await otherwise());
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    internal HttpClient Http(string client = "client") => new(new SocketsHttpHandler { Proxy = new WebProxy($"socks5://{this[client].Socks}"), PooledConnectionIdleTimeout = TimeSpan.FromSeconds(1) }) { Timeout = TimeSpan.FromMinutes(3) };

    /// <summary>curl, as a user has it: exit code, status, body.</summary>
    public static async Task<(int Exit, string Status, string Text, string Errors)> CurlAsync(params string[] arguments)
    {
        string body = Path.GetTempFileName();
        try
        {
            var start = new ProcessStartInfo("curl") { RedirectStandardOutput = true, RedirectStandardError = true };
            foreach (string argument in (string[])["--silent", "--show-error", "--max-time", "120", "--noproxy", "", "--output", body, "--write-out", "%{http_code}", .. arguments]) start.ArgumentList.Add(argument);
            using Process curl = Process.Start(start)!;
            Task<string> errors = curl.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            string status = await curl.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await curl.WaitForExitAsync(TestContext.Current.CancellationToken);
            return (curl.ExitCode, status, await File.ReadAllTextAsync(body, TestContext.Current.CancellationToken), await errors);
        }
        finally
        {
            File.Delete(body);
        }
    }

    private static string Value(string json, string name)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return document.RootElement.GetProperty(name).GetString()!;
    }
}
