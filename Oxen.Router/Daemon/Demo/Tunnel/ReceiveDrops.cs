using System.Globalization;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>
/// UDP datagrams that reached a namespace and found no room in the socket of a program there. A measuring program that the
/// scheduler leaves waiting for a few milliseconds misses some: nobody's loss on the way. What sockets missed that were open
/// before and after (a router's links) is not among them.
/// </summary>
internal sealed class ReceiveDrops
{
    private readonly string _space;
    private readonly long _all;
    private readonly Dictionary<string, long> _open;

    private ReceiveDrops(string space)
    {
        _space = space;
        (string totals, string[] sockets) = LinuxNamespace.Run(space, () => (File.ReadAllText("/proc/thread-self/net/snmp"), new[] { "udp", "udp6" }
            .Select(f => "/proc/thread-self/net/" + f).Where(File.Exists).SelectMany(File.ReadAllLines).ToArray()));
        _all = Total(totals);
        _open = Sockets(sockets);
    }

    /// <summary>The count as it is now.</summary>
    public static ReceiveDrops In(string space) => new(space);

    /// <summary>Datagrams that programs missed since then.</summary>
    public long Since()
    {
        var now = new ReceiveDrops(_space);
        return Missed(_all, _open, now._all, now._open);
    }

    internal static long Missed(long allBefore, Dictionary<string, long> before, long all, Dictionary<string, long> after) =>
        Math.Max(0, all - allBefore - after.Sum(s => before.TryGetValue(s.Key, out long drops) ? s.Value - drops : 0));

    /// <summary>RcvbufErrors of the two lines "Udp:" of /proc/net/snmp: names, then values.</summary>
    internal static long Total(string snmp)
    {
        string[][] lines = [.. snmp.Split('\n').Where(l => l.StartsWith("Udp: ", StringComparison.Ordinal)).Select(l => l.Split(' '))];
        int column = lines.Length == 2 ? Array.IndexOf(lines[0], "RcvbufErrors") : -1;
        return column >= 0 && column < lines[1].Length && long.TryParse(lines[1][column], CultureInfo.InvariantCulture, out long total) ? total : 0;
    }

    /// <summary>Drops by inode, from lines of /proc/net/udp.</summary>
    internal static Dictionary<string, long> Sockets(IEnumerable<string> lines)
    {
        var drops = new Dictionary<string, long>();
        foreach (string line in lines)
        {
            // sl local remote st queues timer retransmit uid timeout inode references pointer drops
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length >= 13 && long.TryParse(fields[^1], CultureInfo.InvariantCulture, out long count)) drops[fields[9]] = count;
        }

        return drops;
    }
}
