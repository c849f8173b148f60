using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Daemon.Status;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>Why there is no path: `oxen status` says it in words, and what to do. Several processes' worth of routers in this one.</summary>
public sealed class TroubleTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TestFiles _files = new();
    private readonly List<RouterProcess> _processes = [];

    public async ValueTask DisposeAsync()
    {
        foreach (RouterProcess process in _processes) await process.DisposeAsync();
        _files.Dispose();
    }

    private sealed class SkewedTime(TimeSpan skew) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + skew;
    }

    private async Task<RouterProcess> StartAsync(string name, TimeSpan skew = default)
    {
        RouterProcess process = await RouterProcess.StartAsync(_files.Config(name), NullLogger.Instance, new SkewedTime(skew), TestContext.Current.CancellationToken);
        _processes.Add(process);
        return process;
    }

    private static async Task<StatusReport> UntilAsync(RouterProcess client, Func<StatusReport, bool> holds)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(20, TestContext.Current.CancellationToken))
        {
            StatusReport report = await client.ReportAsync();
            if (holds(report)) return report;
            Assert.True(watch.Elapsed < Patience, report.ToJson());
        }
    }

    private async Task SaysAsync(string words, string client = "", TimeSpan skew = default)
    {
        _files.AddClient("client", 2, "spares = 0\n" + client);
        RouterProcess process = await StartAsync("client", skew);
        await UntilAsync(process, r => r.Trouble.Contains(words, StringComparison.Ordinal));
    }

    private async Task<(string Relay, string Exit)> NetworkAsync(string exitMore = "")
    {
        string relay = _files.AddRelay("relay", 71), exit = _files.AddRelay("exit", 72, exit: true, more: exitMore);
        await _files.SignAsync("relay", "exit");
        return (relay, exit);
    }

    [Fact]
    public async Task No_relay_answers()
    {
        await NetworkAsync();
        await SaysAsync("check this machine's connection");
    }

    [Fact]
    public async Task The_rules_leave_nothing()
    {
        (string relay, string exit) = await NetworkAsync();
        await SaysAsync("your rules in [client] leave out", $"exclude = [\"{relay}\", \"{exit}\"]\n");
    }

    [Fact]
    public async Task The_exit_is_not_on_the_list()
    {
        await NetworkAsync();
        await StartAsync("relay");
        await SaysAsync("the last hop asked for is not in the directory", $"exit = \"{new string('4', 64)}\"\n");
    }

    [Fact]
    public async Task The_exit_asks_for_a_token_that_this_client_does_not_have()
    {
        (_, string exit) = await NetworkAsync($"[exit]\ntokens = [\"{new string('5', 64)}\"]\n");
        await StartAsync("relay");
        await StartAsync("exit");
        await SaysAsync("the exit serves only who shows a token: ask its operator for one", $"exit = \"{exit}\"\n");
    }

    [Fact]
    public async Task No_exit_serves_everybody()
    {
        await NetworkAsync($"[exit]\nranges = [\"10.1.0.0/16\"]\n");
        await SaysAsync("none serves everybody and goes everywhere: name one in [[client.exits]]");
    }

    [Fact]
    public async Task The_clock_is_off_by_more_than_is_corrected()
    {
        await NetworkAsync();
        await StartAsync("relay");
        await StartAsync("exit");
        await SaysAsync("this machine's clock is off by", skew: TimeSpan.FromDays(-9));
    }

    [Fact]
    public async Task With_the_token_the_exit_serves()
    {
        string line = ExitTokenLine(out string token);
        (_, string exit) = await NetworkAsync($"[exit]\ntokens = [\"{line}\"]\n");
        await StartAsync("relay");
        await StartAsync("exit");
        _files.AddClient("client", 2, $"spares = 0\n[[client.exits]]\nexits = [\"{exit}\"]\ntoken = \"{token}\"\n");
        await UntilAsync(await StartAsync("client"), r => r.Paths.Any(p => p.Active) && r.Trouble.Length == 0);
    }

    [Fact]
    public async Task A_list_that_has_expired_is_no_end_for_who_was_there_before()
    {
        string[] relays = ["one", "two", "exit"];
        for (int i = 0; i < relays.Length; i++) _files.AddRelay(relays[i], (byte)(73 + i), exit: relays[i] == "exit");
        _files.AddClient("client", 2, "spares = 0\n");
        await _files.SignAsync(relays);
        foreach (string relay in relays) await StartAsync(relay);
        RouterProcess client = await StartAsync("client");
        await UntilAsync(client, r => r.Paths.Any(p => p.Active) && r.Network.Any(n => n.AskedUnixSeconds > 0));
        foreach (RouterProcess process in _processes) await process.StopAsync();
        _processes.Clear();

        // Forty days later: the list was valid for thirty.
        TimeSpan later = TimeSpan.FromDays(40);
        foreach (string relay in relays) await StartAsync(relay, later);
        client = await StartAsync("client", later);
        StatusReport report = await UntilAsync(client, r => r.Paths.Any(p => p.Active));
        Assert.Equal(3, report.Network.Single(n => n.Router == "client").Members);
    }

    private static string ExitTokenLine(out string token)
    {
        byte[] bytes = System.Security.Cryptography.RandomNumberGenerator.GetBytes(32);
        token = Oxen.Router.Daemon.Configuration.ExitTokenText.Secret(bytes);
        return Oxen.Router.Daemon.Configuration.ExitTokenText.Line(bytes, 4, 64);
    }
}
