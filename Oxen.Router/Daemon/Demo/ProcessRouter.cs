using System.Diagnostics;
using System.Globalization;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Demo;

/// <summary>
/// A router of the demo in a process of its own: `oxen run --stdin`. Our end of its standard input is its life line: when we close
/// it, or die however it may be, the router stops.
/// </summary>
internal sealed class ProcessRouter : IDemoRouter
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AskPatience = TimeSpan.FromSeconds(10);

    private readonly string? _space;
    private readonly Action<string>? _onLine;
    private Process _process;
    private TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private string _errors = "";
    private RouterFigures _last;

    /// <param name="space">The network namespace that it runs in; null: this program's.</param>
    /// <param name="onLine">Hears every line of its log, on any thread.</param>
    public ProcessRouter(string name, string configFile, string statusSocket, string? space = null, Action<string>? onLine = null)
    {
        Name = name;
        ConfigFile = configFile;
        StatusSocket = statusSocket;
        _last = new RouterFigures { Router = name, DatagramsReceived = 0, DatagramsSent = 0, BytesReceived = 0, BytesSent = 0, DriverBytesAllocated = 0, SessionBytesAllocated = 0, Paths = 0, Drops = new Dictionary<string, long>() };
        (_space, _onLine) = (space, onLine);
        _process = Launch(_ready);
    }

    public string Name { get; }

    public string ConfigFile { get; }

    public string StatusSocket { get; }

    public int ProcessId => _process.Id;

    public async Task WaitReadyAsync(CancellationToken cancel)
    {
        Task exited = _process.WaitForExitAsync(cancel);
        Task first = await Task.WhenAny(_ready.Task, exited).ConfigureAwait(false);
        await first.ConfigureAwait(false);
        if (_ready.Task.IsCompleted) return;
        lock (_lock) throw new UserException(ExitCode.Environment, "OXN3006", $"the process of {Name} ended with exit code {_process.ExitCode}: {_errors.Trim()}", "What it said stands above; `oxen demo` without --processes does with one process.");
    }

    public async Task<RouterFigures> ReadFiguresAsync()
    {
        if (_process.HasExited) return _last;
        try
        {
            StatusReport report = StatusReport.Parse(await Status.StatusSocket.AskAsync(StatusSocket, AskPatience, CancellationToken.None).ConfigureAwait(false));
            return _last = report.Routers[0] with { Router = Name };
        }
        catch (UserException)
        {
            return _last; // it is stopping, or was stopped
        }
    }

    public void Kill() => _process.Kill();

    /// <summary>Stops it where it is, as a machine that hangs.</summary>
    public void Freeze() => Signal("STOP");

    /// <summary>Lets it go on after <see cref="Freeze"/>, or starts it again after <see cref="Kill"/>; completes when it is ready.</summary>
    public async Task ReviveAsync(CancellationToken cancel)
    {
        if (!_process.HasExited)
        {
            Signal("CONT");
            return;
        }

        _process.Dispose();
        _ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _process = Launch(_ready);
        await WaitReadyAsync(cancel).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.StandardInput.Close();
            using var limit = new CancellationTokenSource(StopPatience);
            try
            {
                await _process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
                await _process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }

        _process.Dispose();
    }

    private Process Launch(TaskCompletionSource ready)
    {
        var process = new Process { StartInfo = Self("run", "--config", ConfigFile, "--stdin") };
        process.OutputDataReceived += (_, line) => { if (line.Data == "ready") ready.TrySetResult(); };
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is not { } text) return;
            Keep(text);
            _onLine?.Invoke(text);
        };
        if (_space is null) process.Start();
        else LinuxNamespace.Run(_space, process.Start); // a child is where the thread is that makes it
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    // A signal that .NET has no name for.
    private void Signal(string name)
    {
        using Process kill = Process.Start("/bin/sh", ["-c", string.Create(CultureInfo.InvariantCulture, $"kill -{name} {_process.Id}")]);
        kill.WaitForExit();
    }

    /// <summary>This program once more, whether it runs by its own name or under `dotnet`.</summary>
    private static ProcessStartInfo Self(params string[] arguments)
    {
        string beside = Path.Combine(AppContext.BaseDirectory, "oxen");
        var start = new ProcessStartInfo
        {
            FileName = File.Exists(beside) ? beside : Environment.ProcessPath ?? "dotnet",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        if (!File.Exists(beside)) start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "oxen.dll"));
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        return start;
    }

    private void Keep(string line)
    {
        lock (_lock)
        {
            if (_errors.Length < 4096) _errors += line + "\n";
        }
    }
}
