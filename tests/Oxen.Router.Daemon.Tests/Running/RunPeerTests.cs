using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>What a running process says of its peers and its clock. Several processes' worth of routers in this one.</summary>
public sealed class RunPeerTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TestFiles _files = new();
    private readonly List<RouterProcess> _processes = [];

    public async ValueTask DisposeAsync()
    {
        foreach (RouterProcess process in _processes) await process.DisposeAsync();
        _files.Dispose();
    }

    private sealed class Log : ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue($"{eventId.Id} {formatter(state, exception)}");

        public bool Says(int id) => Lines.Any(l => l.StartsWith($"{id} ", StringComparison.Ordinal));
    }

    private sealed class SkewedTime(TimeSpan skew) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + skew;
    }

    private async Task<(RouterProcess Process, Log Log)> StartAsync(string name, TimeSpan skew = default)
    {
        var log = new Log();
        RouterProcess process = await RouterProcess.StartAsync(_files.Config(name), log, new SkewedTime(skew), TestContext.Current.CancellationToken);
        _processes.Add(process);
        return (process, log);
    }

    private static async Task UntilAsync(Func<bool> condition, Func<string> otherwise)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < Patience, otherwise());
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task A_relay_with_another_key_than_the_list_pins_is_told_once_and_the_client_goes_another_way()
    {
        _files.AddRelay("good", 41);
        _files.AddRelay("exit", 42, exit: true);
        _files.AddRelay("true", 43);
        _files.AddClient("client", 2, "spares = 1\n");
        await _files.SignAsync("good", "exit", "true");
        string clientList = _files.At("client", "contacts.list");
        File.Copy(_files.ContactsFile, clientList);
        string config = _files.ConfigFile("client");
        await File.WriteAllTextAsync(config, (await File.ReadAllTextAsync(config, TestContext.Current.CancellationToken)).Replace("../contacts.list", "contacts.list", StringComparison.Ordinal), TestContext.Current.CancellationToken);

        // At the address of `true` somebody else answers, with a key of its own.
        _files.AddRelay("false", 43, listen: _files.Config("true").Listen);
        await _files.SignAsync("good", "exit", "false");
        await StartAsync("good");
        await StartAsync("exit");
        await StartAsync("false");
        (_, Log log) = await StartAsync("client");
        await UntilAsync(() => log.Says(1102) && log.Says(1203), () => string.Join('\n', log.Lines));
        Assert.Contains("OXN5001", Assert.Single(log.Lines, l => l.StartsWith("1102 ", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_relay_whose_clock_is_off_stops_with_the_code_and_the_remedy_and_a_client_corrects_itself()
    {
        _files.AddRelay("off", 44);
        string one = _files.AddRelay("one", 45, exit: true), two = _files.AddRelay("two", 46, exit: true);

        // Three routers on a path of three hops: the middle and the first are `off` and the other exit, in either order.
        _files.AddClient("to-one", 3, $"spares = 0\nexit = \"{one}\"\n");
        _files.AddClient("to-two", 3, $"spares = 0\nexit = \"{two}\"\n");
        await _files.SignAsync("off", "one", "two");
        (RouterProcess off, Log offLog) = await StartAsync("off", TimeSpan.FromSeconds(7));
        (RouterProcess first, _) = await StartAsync("one");
        (RouterProcess second, _) = await StartAsync("two");
        await StartAsync("to-one");
        (_, Log client) = await StartAsync("to-two", TimeSpan.FromSeconds(-40));

        UserException e = await off.Failed.WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.Equal(("OXN5002", 5), (e.Code, e.ExitCode));
        Assert.Matches("off by -(6[.][5-9]|7[.][0-5]) s", e.Message); // what a link's delay adds on a busy machine
        Assert.Contains("chrony", e.Remedy, StringComparison.Ordinal);
        Assert.True(offLog.Says(1003));
        Assert.False(first.Failed.IsCompleted || second.Failed.IsCompleted, "one that is off stops nobody else");
        await UntilAsync(() => client.Says(1005), () => string.Join('\n', client.Lines));
    }

    [Fact]
    public async Task A_client_in_a_network_that_does_not_answer_goes_on_trying_and_takes_the_path_when_it_comes()
    {
        _files.AddRelay("relay", 47);
        _files.AddRelay("exit", 48, exit: true);
        _files.AddClient("client", 2, "spares = 0\n");
        await _files.SignAsync("relay", "exit");
        (RouterProcess client, Log log) = await StartAsync("client");
        await UntilAsync(() => client.ReportAsync().GetAwaiter().GetResult().Trouble.Length > 0, () => "no trouble was told");
        Assert.False(log.Says(1203));
        await StartAsync("relay");
        await StartAsync("exit");
        await UntilAsync(() => log.Says(1203), () => string.Join('\n', log.Lines));
    }
}
