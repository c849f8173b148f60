using System.Diagnostics;
using System.Globalization;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>The program as its user starts it. Killed at the end if it still runs.</summary>
internal sealed class OxenProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Lock _lock = new();
    private readonly List<string> _output = [];
    private readonly List<string> _errors = [];

    public OxenProcess(params string[] arguments)
        : this(null, arguments)
    {
    }

    private OxenProcess(string? space, string[] arguments)
    {
        var start = new ProcessStartInfo(Program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Add(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Add(_errors, line.Data);
        if (space is null) _process.Start();
        else LinuxNamespace.Run(space, _process.Start); // a child is where the thread is that makes it
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Inside a network namespace.</summary>
    public static OxenProcess In(string space, params string[] arguments) => new(space, arguments);

    /// <summary>The build of the program that belongs to these tests.</summary>
    public static string Program => Path.Combine(AppContext.BaseDirectory, "oxen");

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public StreamWriter Input => _process.StandardInput;

    public string Output
    {
        get
        {
            lock (_lock) return string.Join('\n', _output);
        }
    }

    public string Errors
    {
        get
        {
            lock (_lock) return string.Join('\n', _errors);
        }
    }

    public async Task WaitForLineAsync(string line, TimeSpan patience)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            lock (_lock)
            {
                if (_output.Contains(line)) return;
            }

            Assert.False(_process.HasExited, $"it ended with {(_process.HasExited ? _process.ExitCode : 0)} before it said '{line}': {Errors}");
            Assert.True(watch.Elapsed < patience, $"'{line}' was not said in {patience.TotalSeconds} s: {Output} {Errors}");
            await Task.Delay(20);
        }
    }

    /// <summary>The exit code.</summary>
    public async Task<int> WaitForExitAsync(TimeSpan patience)
    {
        using var limit = new CancellationTokenSource(patience);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"it did not end in {patience.TotalSeconds} s: {Output} {Errors}");
        }

        return _process.ExitCode;
    }

    public void Signal(string name) => SignalTo(name, _process.Id);

    public static void SignalTo(string name, int process)
    {
        using Process kill = Process.Start("/bin/sh", ["-c", string.Create(CultureInfo.InvariantCulture, $"kill -{name} {process}")]);
        kill.WaitForExit();
    }

    public static bool IsAlive(int process)
    {
        try
        {
            // A zombie is dead: only its parent has not looked yet.
            return !File.ReadAllText($"/proc/{process}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private void Add(List<string> to, string? line)
    {
        if (line is null) return;
        lock (_lock) to.Add(line);
    }
}
