using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Oxen.Ladder;

/// <summary>
/// Two network namespaces joined by veth, and every process in them. All of it goes at the end, also after Ctrl-C or a failure; what a killed
/// run left goes at the start of the next.
/// </summary>
internal sealed class TunLab : IDisposable
{
    private const string Prefix = "oxtun";

    public const int CpuA = 0;
    public static readonly int CpuB = Environment.ProcessorCount > 1 ? 1 : 0;

    private readonly List<Process> _processes = [];
    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Lock _lock = new();
    private bool _gone;

    public TunLab()
    {
        foreach (string line in Output("ip", "netns", "list").Split('\n'))
        {
            // oxtun<pid>a, b and c, of a process that is no more
            string name = line.Split(' ')[0];
            if (name.StartsWith(Prefix, StringComparison.Ordinal) && int.TryParse(name[Prefix.Length..^1], out int pid) && !Directory.Exists($"/proc/{pid}")) Remove(name);
        }

        A = $"{Prefix}{Environment.ProcessId}a";
        B = $"{Prefix}{Environment.ProcessId}b";
        foreach (PosixSignal signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP })
        {
            _signals.Add(PosixSignalRegistration.Create(signal, _ =>
            {
                Dispose();
                Environment.Exit(130);
            }));
        }

        try
        {
            Do("ip", "netns", "add", A);
            Do("ip", "netns", "add", B);
            Do("ip", "-n", A, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", B);
            foreach ((string space, string one) in new[] { (A, "1"), (B, "2") })
            {
                Do("ip", "-n", space, "link", "set", "lo", "up");
                Do("ip", "-n", space, "link", "set", "wire", "up");
                Do("ip", "-n", space, "addr", "add", $"10.97.0.{one}/24", "dev", "wire");
                Do("ip", "-n", space, "addr", "add", $"fd97::{one}/64", "dev", "wire", "nodad");
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Namespaces. All of A runs on <see cref="CpuA"/>, all of B on <see cref="CpuB"/>.</summary>
    public string A { get; }

    public string B { get; }

    /// <summary>A third namespace behind B, for what forwards packets: 10.25.0.2 and 2001:db8:25::2, reached by B's "out".</summary>
    public string AddBehind()
    {
        string c = $"{Prefix}{Environment.ProcessId}c";
        Do("ip", "netns", "add", c);
        Do("ip", "-n", B, "link", "add", "out", "type", "veth", "peer", "name", "wire", "netns", c);
        foreach ((string space, string device, string one) in new[] { (B, "out", "1"), (c, "wire", "2") })
        {
            Do("ip", "-n", space, "link", "set", device, "up");
            Do("ip", "-n", space, "addr", "add", $"10.25.0.{one}/24", "dev", device);
            Do("ip", "-n", space, "addr", "add", $"2001:db8:25::{one}/64", "dev", device, "nodad");
        }

        return c;
    }

    /// <summary>Why there can be no such lab here, or null.</summary>
    public static string? Missing()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess) return "network namespaces need root";
        foreach ((string program, string package) in new[] { ("ip", "iproute2"), ("iperf3", "iperf3"), ("taskset", "util-linux") })
        {
            try
            {
                Output(program, program == "ip" ? "-V" : "--version");
            }
            catch (Win32Exception)
            {
                return $"{program} is not installed (Debian: apt install {package})";
            }
        }

        return File.Exists("/dev/net/tun") ? null : "/dev/net/tun does not exist";
    }

    /// <summary>Files and directories that go with it.</summary>
    public IReadOnlyList<string> Temporary { get; init; } = [];

    public static void Delete(IReadOnlyList<string> paths)
    {
        foreach (string path in paths)
        {
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
            else if (path.Length > 0) File.Delete(path);
        }
    }

    /// <summary>Nice value of what <see cref="StartEnd"/> starts.</summary>
    public int Nice { get; init; }

    /// <summary>An end of a machine: a program at the nice value.</summary>
    public Process StartEnd(string space, string program, params string[] arguments)
        => Nice == 0 ? Start(space, program, arguments) : Start(space, "nice", ["-n", Nice.ToString(CultureInfo.InvariantCulture), program, .. arguments]);

    /// <summary>Starts a program in a namespace, on its CPU, with all three streams ours. It ends with the lab.</summary>
    public Process Start(string space, string program, params string[] arguments)
    {
        string cpu = (space == A ? CpuA : CpuB).ToString(CultureInfo.InvariantCulture);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_gone, this);
            Process process = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", space, "taskset", "-c", cpu, program, .. arguments])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            })!;
            _processes.Add(process);
            return process;
        }
    }

    public void Forget(Process process)
    {
        lock (_lock) _processes.Remove(process);
        End(process);
    }

    public static void Do(string program, params string[] arguments)
    {
        (int code, string text) = Execute(program, arguments);
        if (code != 0) throw new IOException($"{program} {string.Join(' ', arguments)}: {text.Trim()} (exit code {code})");
    }

    public static string Output(string program, params string[] arguments) => Execute(program, arguments).Text;

    public void Dispose()
    {
        lock (_lock)
        {
            if (_gone) return;
            _gone = true;
            foreach (Process process in _processes) End(process);
            foreach (char space in "abc") Remove($"{Prefix}{Environment.ProcessId}{space}");
            Delete(Temporary);
        }

        foreach (PosixSignalRegistration signal in _signals) signal.Dispose();
    }

    private static void Remove(string space) => Execute("ip", ["netns", "delete", space]);

    private static void End(Process process)
    {
        try
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
            process.WaitForExit(3000);
        }
        catch (InvalidOperationException)
        {
            // Never started, or gone already.
        }

        process.Dispose();
    }

    private static (int Code, string Text) Execute(string program, string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, text + errors.GetAwaiter().GetResult());
    }
}
