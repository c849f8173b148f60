using System.Globalization;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>What a machine must have for `oxen demo --tun`.</summary>
internal static class LabNeeds
{
    private const int NetAdmin = 12, NetRaw = 13, SysAdmin = 21; // capability.h

    /// <exception cref="UserException">Something is missing: the first thing, with what to do.</exception>
    public static void Check()
    {
        const string Otherwise = "Run it as root (`sudo oxen demo --tun`), or `oxen demo` without --tun, which needs no rights.";
        if (!Environment.IsPrivilegedProcess) throw new UserException(ExitCode.Environment, "OXN3020", "--tun makes network namespaces and interfaces, and only root may", Otherwise);
        ulong held = Capabilities();
        string[] missing = [.. new[] { (SysAdmin, "CAP_SYS_ADMIN"), (NetAdmin, "CAP_NET_ADMIN"), (NetRaw, "CAP_NET_RAW") }.Where(c => (held >> c.Item1 & 1) == 0).Select(c => c.Item2)];
        if (missing.Length > 0) throw new UserException(ExitCode.Environment, "OXN3020", $"--tun makes network namespaces and interfaces; this root lacks {string.Join(", ", missing)}", "Containers are often started without them (`docker run --privileged` has them). `oxen demo` without --tun needs none.");
        if (!File.Exists("/dev/net/tun")) throw new UserException(ExitCode.Environment, "OXN3022", "/dev/net/tun is not there", "`modprobe tun` loads the driver; a container needs the device passed in (`docker run --device /dev/net/tun`).");
        (int code, string words) = IpProgram.TryRun(["netns", "list"]);
        if (code != 0) throw new UserException(ExitCode.Environment, "OXN3022", $"`ip netns` does not work here: {words.ReplaceLineEndings(" ")}", "Debian and Ubuntu: `apt install iproute2`; the one of busybox has no namespaces.");
    }

    /// <summary>Is there a program of this name in the usual places?</summary>
    public static bool Has(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Append("/sbin").Any(d => d.Length > 0 && File.Exists(Path.Combine(d, program)));

    private static ulong Capabilities()
    {
        const string Line = "CapEff:";
        string found = File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith(Line, StringComparison.Ordinal)) ?? Line + "0";
        return ulong.Parse(found.AsSpan(Line.Length).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }
}
