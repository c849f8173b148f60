using System.ComponentModel;
using System.Diagnostics;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>The program ip(8), which makes and joins the namespaces of the laboratory.</summary>
internal static class IpProgram
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    // The others for users whose PATH has no sbin.
    private static readonly string[] Places = ["ip", "/usr/sbin/ip", "/sbin/ip"];

    /// <exception cref="UserException">It is not installed, or refuses.</exception>
    public static void Run(params string[] arguments)
    {
        (int code, string words) = TryRun(arguments);
        if (code != 0) throw Refused(string.Join(' ', arguments), words);
    }

    /// <summary>Many commands at once, inside a namespace.</summary>
    /// <exception cref="UserException">One of them is refused; those before it have taken effect.</exception>
    public static void Batch(string space, IEnumerable<string> commands)
    {
        (int code, string words) = TryRun(["-n", space, "-batch", "-"], string.Join('\n', commands) + "\n");
        if (code != 0) throw Refused($"in {space}", words);
    }

    public static (int Code, string Words) TryRun(string[] arguments, string input = "")
    {
        using Process ip = Start(arguments);
        Task<string> errors = ip.StandardError.ReadToEndAsync(), output = ip.StandardOutput.ReadToEndAsync();
        try
        {
            ip.StandardInput.Write(input);
            ip.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended early; its words say why.
        }

        if (!ip.WaitForExit(Patience))
        {
            ip.Kill();
            return (-1, $"it did not end within {Patience.TotalSeconds} s");
        }

        return (ip.ExitCode, (errors.GetAwaiter().GetResult() + output.GetAwaiter().GetResult()).Trim());
    }

    private static UserException Refused(string what, string words) =>
        new(ExitCode.Environment, "OXN3023", $"ip {what}: {words.ReplaceLineEndings(" ")}", "Containers often forbid network namespaces; `oxen demo` without --tun needs none.");

    private static Process Start(string[] arguments)
    {
        foreach (string place in Places)
        {
            try
            {
                var start = new ProcessStartInfo(place, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
                start.Environment["LC_ALL"] = "C";
                return Process.Start(start)!;
            }
            catch (Win32Exception e) when (e.NativeErrorCode is 2 or 13)
            {
                // Not there.
            }
        }

        throw new UserException(ExitCode.Environment, "OXN3022", "the program ip is not installed", "Debian and Ubuntu: `apt install iproute2`.");
    }
}
