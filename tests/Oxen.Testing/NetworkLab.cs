using System.ComponentModel;
using System.Diagnostics;

namespace Oxen.Testing;

/// <summary>Network namespaces of one test, joined by veth; gone at its end. Needs root.</summary>
internal sealed class NetworkLab : IDisposable
{
    private readonly string _prefix = $"oxl{Environment.ProcessId}-{Random.Shared.Next(10000)}-";
    private readonly List<string> _made = [];

    /// <summary>Why there can be none here, or null.</summary>
    public static string? Missing => !OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess
        ? "network namespaces need root"
        : Execute("ip", ["netns", "list"]).Code != 0 ? "ip(8) is not installed" : null;

    /// <summary>Makes a namespace with its loopback up; gives its full name.</summary>
    public string Add(string name)
    {
        string full = _prefix + name;
        Good("ip", "netns", "add", full);
        _made.Add(full);
        Shell(full, "ip link set lo up");
        return full;
    }

    /// <summary>A cable between two namespaces, both ends up.</summary>
    public static void Join(string one, string device, string other, string otherDevice)
    {
        Good("ip", "-n", one, "link", "add", device, "type", "veth", "peer", "name", otherDevice, "netns", other);
        Good("ip", "-n", one, "link", "set", device, "up");
        Good("ip", "-n", other, "link", "set", otherDevice, "up");
    }

    /// <summary>Runs lines of shell inside; they must succeed. Gives what they print.</summary>
    public static string Shell(string space, string lines)
    {
        (int code, string output) = TryShell(space, lines);
        return code == 0 ? output : throw new InvalidOperationException($"{lines}: {code} {output}");
    }

    public static (int Code, string Output) TryShell(string space, string lines) => Execute("ip", ["netns", "exec", space, "/bin/sh", "-ec", lines]);

    public void Dispose()
    {
        foreach (string space in _made) Execute("ip", ["netns", "delete", space]);
    }

    private static void Good(params string[] command)
    {
        (int code, string output) = Execute(command[0], command[1..]);
        if (code != 0) throw new InvalidOperationException($"{string.Join(' ', command)}: {code} {output}");
    }

    private static (int Code, string Output) Execute(string program, string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output + errors.GetAwaiter().GetResult());
        }
        catch (Win32Exception e)
        {
            return (-1, e.Message);
        }
    }
}
