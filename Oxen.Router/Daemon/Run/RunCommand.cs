using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Run;

/// <summary>`oxen run`: runs one configuration until a signal, the end of standard input, or an error that it cannot go on with.</summary>
internal static class RunCommand
{
    public static async Task<int> RunAsync(RunOptions options, Screen screen, CancellationToken cancel)
    {
        RouterConfig config = options.Config;
        MemoryGuard.TryClose(); // keys are in memory from here on
        using ILoggerFactory loggers = Logging(config.Log);
        ILogger log = loggers.CreateLogger("oxen");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await using RouterProcess process = await RouterProcess.StartAsync(config, log, TimeProvider.System, stop.Token).ConfigureAwait(false);

        Say(screen, options, "ready", process);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registration = stop.Token.Register(ended.SetResult);
        if (options.EndsWithInput) _ = Task.Run(() => WaitForEndOfInput(stop), CancellationToken.None);
        Task first = await Task.WhenAny(process.Failed, ended.Task).ConfigureAwait(false);
        Say(screen, options, "stopping");
        await process.StopAsync().ConfigureAwait(false);
        Say(screen, options, "stopped");
        return first == process.Failed ? throw await process.Failed.ConfigureAwait(false) : ExitCode.Ok;
    }

    private static void Say(Screen screen, RunOptions options, string what, RouterProcess? process = null)
    {
        if (options.Json)
        {
            screen.JsonLine(json =>
            {
                json.WriteString("event", what);
                if (process is null) return;
                json.WriteNumber("process", Environment.ProcessId);
                if (process.RelayAddress is { } relay) json.WriteString("udp", relay.ToString());
                if (process.Socks is { } socks) json.WriteString("socks", socks.ToString());
                if (process.Http is { } http) json.WriteString("http", http.ToString());
                if (process.Dns is { } dns) json.WriteString("dns", dns.ToString());
                if (process.LedgerRpc is { } ledger) json.WriteString("ledger", ledger.ToString());
                if (!process.Services.Any()) return;
                json.WriteStartObject("services");
                foreach ((string name, string address) in process.Services) json.WriteString(name, address);
                json.WriteEndObject();
            });
        }
        else if (what == "ready")
        {
            screen.Output.WriteLine(what);
            screen.Output.Flush();
        }
    }

    private static void WaitForEndOfInput(CancellationTokenSource stop)
    {
        Span<byte> ignored = stackalloc byte[256];
        using Stream input = Console.OpenStandardInput();
        while (input.Read(ignored) > 0)
        {
            // What is said there is nothing to us.
        }

        try
        {
            stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended before its starter did.
        }
    }

    private static ILoggerFactory Logging(LogConfig config) => LoggerFactory.Create(builder =>
    {
        builder.SetMinimumLevel(Enum.Parse<LogLevel>(config.Level, ignoreCase: true));
        builder.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        if (config.Format == "json") builder.AddJsonConsole(json => { json.UseUtcTimestamp = true; json.TimestampFormat = "O"; });
        else builder.AddSimpleConsole(plain => { plain.SingleLine = true; plain.ColorBehavior = LoggerColorBehavior.Disabled; plain.TimestampFormat = "yyyy-MM-dd HH:mm:ss "; });
    });
}
