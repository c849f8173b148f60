using System.Text.RegularExpressions;

namespace Oxen.Router.Exit;

/// <summary>One file below /proc/sys/net as it was, and as we set it.</summary>
/// <param name="New">Empty: the kernel changes it of its own accord when forwarding changes; it is only put back.</param>
internal readonly partial record struct KernelSetting(string Path, string Old, string New)
{
    public const string Forwarding4 = "ipv4/ip_forward", Forwarding6 = "ipv6/conf/all/forwarding";

    private const string Root = "/proc/sys/net/";

    /// <summary>IPv6 is in the kernel and not switched off for new interfaces.</summary>
    public static bool HasIPv6 => TryRead("ipv6/conf/default/disable_ipv6") == "0";

    /// <summary>IPv6 is in the kernel, whether it is switched off or not: rules must hold when somebody switches it on.</summary>
    public static bool HasIPv6Stack => Directory.Exists(Root + "ipv6");

    /// <summary>The names that a journal may hold: nothing else is written, whatever a file says.</summary>
    public static bool IsKnown(string path) => Known().IsMatch(path) && !path.Contains("..", StringComparison.Ordinal);

    /// <summary>What has to change so that the kernel forwards, in the order in which it is to change; empty if it does.</summary>
    public static List<KernelSetting> ForForwarding(bool six)
    {
        var found = new List<KernelSetting>();
        if (TryRead(Forwarding4) is { } four && four != "1")
        {
            // Turning it off again sets these for every interface (Documentation/networking/ip-sysctl.rst): what differs is kept.
            foreach (string card in Cards("ipv4"))
            {
                if (card != "all" && TryRead($"ipv4/conf/{card}/forwarding") == "1") found.Add(new KernelSetting($"ipv4/conf/{card}/forwarding", "1", ""));
            }

            if (TryRead("ipv4/conf/all/accept_redirects") is { } redirects) found.Add(new KernelSetting("ipv4/conf/all/accept_redirects", redirects, ""));
            found.Add(new KernelSetting(Forwarding4, four, "1"));
        }

        if (!six || TryRead(Forwarding6) is not { } all || all == "1") return found;
        foreach (string card in Cards("ipv6"))
        {
            if (card is "all" or "lo") continue;
            if (TryRead($"ipv6/conf/{card}/forwarding") == "1") found.Add(new KernelSetting($"ipv6/conf/{card}/forwarding", "1", ""));

            // A machine that forwards believes no router but with 2; it would lose its own way out.
            else if (TryRead($"ipv6/conf/{card}/accept_ra") == "1") found.Add(new KernelSetting($"ipv6/conf/{card}/accept_ra", "1", "2"));
        }

        found.Add(new KernelSetting(Forwarding6, all, "1"));
        return found;
    }

    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    public void Set()
    {
        if (New.Length > 0) File.WriteAllText(Root + Path, New);
    }

    /// <summary>Puts the old value back, unless somebody else has changed it since.</summary>
    public void Undo()
    {
        string? current = TryRead(Path);
        if (current is null || current == Old || (New.Length > 0 && current != New)) return;
        try
        {
            File.WriteAllText(Root + Path, Old);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            // The interface is gone.
        }
    }

    private static IEnumerable<string> Cards(string family) => Directory.EnumerateDirectories($"{Root}{family}/conf").Select(System.IO.Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal);

    private static string? TryRead(string path)
    {
        try
        {
            return File.ReadAllText(Root + path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [GeneratedRegex("^(ipv4/ip_forward|ipv[46]/conf/[^/ ]+/(forwarding|accept_ra|accept_redirects))$")]
    private static partial Regex Known();
}
