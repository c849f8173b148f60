using System.Net;
using System.Net.Sockets;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Tun;

/// <summary>An address and the length of its network's prefix.</summary>
internal readonly record struct InterfaceAddress(IPAddress Address, int Prefix)
{
    public override string ToString() => $"{Address}/{Prefix}";

    /// <summary>"10.98.0.2/32"; without a prefix, one address.</summary>
    public static bool TryParse(string text, out InterfaceAddress address)
    {
        address = default;
        string[] parts = (text ?? "").Split('/');
        if (parts.Length > 2 || !IPAddress.TryParse(parts[0], out IPAddress? ip)) return false;
        int most = ip.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
        int prefix = most;
        if (parts.Length == 2 && (!int.TryParse(parts[1], out prefix) || prefix < 0 || prefix > most)) return false;
        address = new InterfaceAddress(ip, prefix);
        return true;
    }
}

/// <summary>How a tunnel's network interface is set up.</summary>
internal sealed record TunInterfaceOptions
{
    public required string Name { get; init; }

    /// <summary>One for each shard.</summary>
    public int Queues { get; init; } = 1;

    public required int Mtu { get; init; }

    public IReadOnlyList<InterfaceAddress> Addresses { get; init; } = [];

    /// <summary>What goes into the tunnel.</summary>
    public IReadOnlyList<IPNetwork> Ranges { get; init; } = [];

    /// <summary>
    /// Packets that wait to be read. It counts packets, small and of 64 KiB alike: 64 lose bursts of small ones and a fifth of the
    /// speed of eight streams, 500 are up to 32 MiB of delay (bench/README.md#stalls).
    /// </summary>
    public int QueueLength { get; init; } = 256;

    /// <summary>
    /// Routing table of the ranges; the two rules that lead to it have the priorities <see cref="RulePriority"/> and the next. 0:
    /// the ranges go into the main table (an exit's pool), without rules.
    /// </summary>
    public uint Table { get; init; }

    /// <summary>The mark that our own UDP sockets carry: they pass by the tunnel.</summary>
    public uint Mark { get; init; }

    public uint RulePriority { get; init; } = 18500;

    /// <summary>The system leaves cutting and checksums to us. False: every packet is whole, as on a wire.</summary>
    public bool SuperPackets { get; init; } = true;
}

/// <summary>
/// A TUN device of ours with its addresses, routes and rules, in the namespace of the thread that makes it. Everything is undone at the
/// end; what a killed process left (rules; all else vanishes with its device) goes at the next start.
/// </summary>
internal sealed class TunInterface : IDisposable
{
    private readonly List<RouteRule> _rules = [];
    private readonly LinuxTunDevice[] _queues;

    // Kept: what it undoes is in the namespace that it was opened in, whichever thread disposes.
    private readonly Netlink _netlink = new();

    private TunInterface(LinuxTunDevice[] queues, string name)
    {
        _queues = queues;
        Name = name;
    }

    public string Name { get; }

    /// <summary>One device for each shard.</summary>
    public IReadOnlyList<ITunDevice> Queues => _queues;

    /// <summary>The kernel takes several UDP datagrams as one (USO, Linux 6.2).</summary>
    public bool MergesUdp { get; private init; }

    /// <summary>IPv6 works on this machine.</summary>
    public bool HasIPv6 { get; private set; } = true;

    /// <exception cref="TunException">The device, an address, a route or a rule is refused; everything done before is undone.</exception>
    public static TunInterface Open(TunInterfaceOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Table != 0 && options.Mark == 0) throw new ArgumentException("a rule that lets our own packets pass by needs their mark", nameof(options));
        LinuxTun[] tuns = LinuxTun.Open(options.Name, options.Queues, options.SuperPackets);
        var made = new TunInterface([.. tuns.Select(t => new LinuxTunDevice(t, options.Mtu))], options.Name) { MergesUdp = tuns.All(t => t.HasUdpSegmentation) };
        try
        {
            made.SetUp(options);
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        for (int i = _rules.Count - 1; i >= 0; i--)
        {
            try
            {
                _netlink.TryRemoveRule(_rules[i]);
            }
            catch (TunException)
            {
                // A rule that leads to an empty table does no harm, and the next start takes it away.
            }
        }

        _rules.Clear();
        _netlink.Dispose();
        foreach (LinuxTunDevice queue in _queues) queue.Dispose();
    }

    private void SetUp(TunInterfaceOptions options)
    {
        Netlink netlink = _netlink;
        int index = Netlink.IndexOf(options.Name);
        HasIPv6 = IPv6Works(options.Name);

        // The kernel is not to talk of its own accord: no address from the network, no solicitations.
        TrySetting($"/proc/sys/net/ipv6/conf/{options.Name}/accept_ra", "0");
        TrySetting($"/proc/sys/net/ipv6/conf/{options.Name}/autoconf", "0");
        TrySetting($"/proc/sys/net/ipv6/conf/{options.Name}/addr_gen_mode", "1");
        TrySetting($"/proc/sys/net/ipv6/conf/{options.Name}/router_solicitations", "0");

        // What comes out of the tunnel comes back from where it went only by the other table: the loose check (RFC 3704).
        TrySetting($"/proc/sys/net/ipv4/conf/{options.Name}/rp_filter", "2");
        netlink.SetUp(index, options.Mtu, options.QueueLength);
        foreach (InterfaceAddress address in options.Addresses.Where(a => Takes(a.Address.AddressFamily))) netlink.AddAddress(index, address.Address, address.Prefix);
        foreach (IPNetwork range in options.Ranges.Where(r => Takes(r.BaseAddress.AddressFamily))) netlink.AddRoute(range, index, options.Table == 0 ? Netlink.MainTable : options.Table);
        if (options.Table == 0) return;

        foreach (AddressFamily family in (ReadOnlySpan<AddressFamily>)[AddressFamily.InterNetwork, AddressFamily.InterNetworkV6])
        {
            if (!Takes(family)) continue;
            RemoveLeftOvers(netlink, family, options);
            if (options.Ranges.All(r => r.BaseAddress.AddressFamily != family)) continue;

            // 1 whatever is nearer than a default route stays where it was   2 all that is not our own goes to our table
            Add(netlink, new RouteRule(family, options.RulePriority, Netlink.MainTable, SuppressPrefix: 0));
            Add(netlink, new RouteRule(family, options.RulePriority + 1, options.Table, options.Mark, Invert: true));
        }
    }

    private bool Takes(AddressFamily family) => family == AddressFamily.InterNetwork || HasIPv6;

    private void Add(Netlink netlink, RouteRule rule)
    {
        netlink.AddRule(rule);
        _rules.Add(rule);
    }

    // A killed process leaves its rules, whatever priority and families it had: ours by their number, this tunnel's by its
    // table. A living one that used the table would have refused our routes before.
    private static void RemoveLeftOvers(Netlink netlink, AddressFamily family, TunInterfaceOptions options)
    {
        IReadOnlyList<(uint Priority, uint Table)> ours = netlink.OurRules(family);
        foreach ((uint priority, uint table) in ours)
        {
            if (table == options.Table)
            {
                netlink.RemoveRule(family, priority);
                if (ours.Contains((priority - 1, Netlink.MainTable))) netlink.RemoveRule(family, priority - 1);
            }
            else if (table != Netlink.MainTable && priority - options.RulePriority <= 1)
            {
                throw new TunException(TunFault.RangeTaken, $"the routing rule {priority} belongs to another tunnel");
            }
        }
    }

    private static bool IPv6Works(string name)
    {
        try
        {
            return File.ReadAllText($"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").Trim() == "0";
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static void TrySetting(string file, string value)
    {
        try
        {
            File.WriteAllText(file, value);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not on this kernel; the tunnel works without it.
        }
    }
}
