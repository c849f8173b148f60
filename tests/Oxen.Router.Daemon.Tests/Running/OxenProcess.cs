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
        : this(new ProcessStartInfo(Program), arguments)
    {
    }

    private OxenProcess(ProcessStartInfo start, string[] arguments, string? space = null)
    {
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Add(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Add(_errors, line.Data);
        if (space is null) _process.Start();
        else LinuxNamespace.Run(space, _process.Start); // a child is where the thread is that makes it
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>A program of `samples`, beside the tests as they were built.</summary>
    /// <param name="directory">Where it runs: its content root.</param>
    public static OxenProcess Sample(string name, string directory, IEnumerable<KeyValuePair<string, string>> variables, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { WorkingDirectory = directory };
        foreach ((string variable, string value) in variables) start.Environment[variable] = value;
        return new OxenProcess(start, [Path.Combine(AppContext.BaseDirectory, name + ".dll"), .. arguments]);
    }

    /// <summary>Inside a network namespace.</summary>
    public static OxenProcess In(string space, params string[] arguments) => new(new ProcessStartInfo(Program), arguments, space);

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

    public Task WaitForLineAsync(string line, TimeSpan patience) => WaitForLineAsync(line, l => l == line, patience);

    /// <summary>The first line of its output that is so.</summary>
    /// <param name="what">What is waited for, in words.</param>
    public async Task<string> WaitForLineAsync(string what, Predicate<string> wanted, TimeSpan patience)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            bool ended = _process.HasExited; // before the look: what it said last counts
            lock (_lock)
            {
                if (_output.Find(wanted) is { } line) return line;
            }

            Assert.False(ended, $"it ended with {(ended ? _process.ExitCode : 0)} before it said '{what}': {Output} {Errors}");
            Assert.True(watch.Elapsed < patience, $"'{what}' was not said in {patience.TotalSeconds} s: {Output} {Errors}");
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
            // A zombie is dead, only its parent has not looked yet; but its first thread may be one while others still hold its sockets.
            return !File.ReadAllText($"/proc/{process}/stat").Contains(") Z ", StringComparison.Ordinal) || Directory.GetDirectories($"/proc/{process}/task").Length > 1;
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
