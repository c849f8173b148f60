using System.ComponentModel;
using System.Diagnostics;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>
/// A program inside a namespace. It ends with us, however we end: a shell waits at our end of its standard input, and ends the
/// program when that closes.
/// </summary>
internal sealed class LabProcess : IAsyncDisposable
{
    // In the background a shell gives programs no standard input, so the watcher needs the pipe by another number.
    private const string Life = """
        exec 3<&0
        "$@" </dev/null 3<&- & program=$!
        ( read -r _; kill -KILL $program ) <&3 >/dev/null 2>&1 & watcher=$!
        wait $program; code=$?
        kill $watcher 2>/dev/null
        exit $code
        """;

    private readonly Process _shell;
    private readonly Task<string> _output, _errors;

    public LabProcess(string space, params string[] command)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", Life, "sh", .. command]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        _shell = StartIn(space, start);
        _output = _shell.StandardOutput.ReadToEndAsync();
        _errors = _shell.StandardError.ReadToEndAsync();
    }

    public int Id => _shell.Id;

    public bool HasExited => _shell.HasExited;

    /// <summary>A child is where the thread is that makes it.</summary>
    /// <exception cref="Win32Exception">There is no such program.</exception>
    public static Process StartIn(string space, ProcessStartInfo start) => LinuxNamespace.Run(space, () => Process.Start(start)!);

    public async Task<(int Code, string Output, string Errors)> WaitAsync(CancellationToken cancel)
    {
        await _shell.WaitForExitAsync(cancel).ConfigureAwait(false);
        return (_shell.ExitCode, await _output.ConfigureAwait(false), await _errors.ConfigureAwait(false));
    }

    /// <summary>Ends it if it still runs.</summary>
    public async ValueTask DisposeAsync()
    {
        _shell.StandardInput.Close();
        await _shell.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        _shell.Dispose();
    }
}
