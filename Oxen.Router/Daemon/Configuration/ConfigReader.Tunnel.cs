using System.Net;
using System.Net.Sockets;
using Oxen.Router.Tun;
using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

// What the file says of the tunnel: [tun] of a client, `tunnel` and its companions of an exit.
internal sealed partial class ConfigReader
{
    private const int MostRanges = 1024;

    // 253 to 255 are the kernel's own tables, 0 is "unspecified" (ip-route(8)).
    private const long FirstTable = 256, LastNumber = uint.MaxValue;

    private TunConfig? Tun(ConfigSection section, RouterRoles roles, List<ExitMapEntry> exits)
    {
        if (section.Span is not { } span) return null;
        if (!roles.HasFlag(RouterRoles.Client) && roles != RouterRoles.None) Report(span, ConfigDiagnostic.Contradiction, "[tun] is a client's, and `roles` does not have \"client\"", "Add \"client\" to `roles`. An exit's end of the tunnel is `tunnel = true` in [exit].");
        if (exits.Exists(e => e.Ranges.Count == 0 && e.Services.Count > 0)) Report(span, ConfigDiagnostic.Contradiction, "[tun] sends raw packets, and the usual exits are hidden services, which carry connections and datagrams of the proxies alone", "Name routers in [[client.exits]] without ranges, or leave [tun] out.");
        (bool kill, bool lan) = (Truth(section, "kill_switch", false), Truth(section, "kill_switch_lan", false));
        if (kill && roles.HasFlag(RouterRoles.Relay)) Report(section.Values["kill_switch"].Value!.Span, ConfigDiagnostic.Contradiction, "`kill_switch` lets nothing out past the tunnel, and a relay sends past it", "Run the relay on another machine, or in a network namespace of its own.");
        if (lan && !kill) Report(section.Values["kill_switch_lan"].Value!.Span, ConfigDiagnostic.Contradiction, "`kill_switch_lan` is an exception of `kill_switch`, which is off", "Write kill_switch = true, or leave both out.");
        return new TunConfig
        {
            Name = InterfaceName(section, "name", "oxen0"),
            Addresses = Addresses(section),
            Ranges = Networks(section, "ranges", TunConfig.DefaultRanges, "0.0.0.0/0"),
            Routes = Truth(section, "routes", true),
            Queue = (int)Integer(section, "queue", 256, 1, 10_000),
            Table = (uint)Integer(section, "table", 18500, FirstTable, LastNumber),
            Mark = (uint)Integer(section, "mark", 18500, 1, LastNumber),
            Priority = (uint)Integer(section, "priority", 18500, 1, 32_764), // the main table's rule has 32 766
            KillSwitch = kill,
            KillSwitchLan = lan,
        };
    }

    private ExitTunnelConfig? ExitTunnel(ConfigSection section, RouterRoles roles)
    {
        bool on = Truth(section, "tunnel", false);
        (IPNetwork four, IPNetwork? six) = Pool(section, ExitTunnelConfig.DefaultPool4, ExitTunnelConfig.DefaultPool6);
        var config = new ExitTunnelConfig
        {
            Tun = InterfaceName(section, "tun", "oxenx0"),
            Pool4 = four,
            Pool6 = six,
            Connections = (int)Integer(section, "connections", 1024, 1, 1_000_000),
            Nat = Truth(section, "nat", true),
        };
        if (!on) return null;
        if (!roles.HasFlag(RouterRoles.Exit)) Report(section.Values["tunnel"].Value!.Span, ConfigDiagnostic.Contradiction, "`tunnel` is an exit's, and `roles` does not have \"exit\"", "Write roles = [\"relay\", \"exit\"]. A client's end of the tunnel is the section [tun].");
        return config;
    }

    private string InterfaceName(ConfigSection section, string key, string otherwise)
    {
        const string Form = "a name for a network interface: 1 to 15 letters, digits, -, _ or .";
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item) || !TryString(item, key, Form, out string text)) return otherwise;

        // The kernel would take more; these can stand in a file name and in nft's text without quotes.
        if (text.Length is > 0 and <= 15 && text is not ("." or ".." or "all" or "default") && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')) return text;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"`{key}` expects {Form}, found \"{Shorten(text)}\"", "");
        return otherwise;
    }

    private IReadOnlyList<InterfaceAddress> Addresses(ConfigSection section)
    {
        if (!section.Values.TryGetValue("addresses", out KeyValueSyntax? item)) return TunConfig.DefaultAddresses;
        var found = new List<InterfaceAddress>();
        foreach ((string text, SourceSpan span) in Strings(item, "addresses"))
        {
            if (!TryPrefix(text, out IPAddress address, out int prefix)) Report(span, ConfigDiagnostic.WrongValue, $"expected an address such as \"10.98.0.2/32\", found \"{Shorten(text)}\"", "");
            else if (!IsHost(address)) Report(span, ConfigDiagnostic.WrongValue, $"{address} is no address that one machine can have", "Private ones are 10.0.0.0/8 and fc00::/7.");
            else if (found.Any(a => a.Address.AddressFamily == address.AddressFamily)) Report(span, ConfigDiagnostic.WrongValue, "the tunnel has one address of each family; this is a second one", "");
            else found.Add(new InterfaceAddress(address, prefix));
        }

        if (found.Count == 0 && item.Value is ArraySyntax { Items.ChildrenCount: 0 }) Report(item.Value.Span, ConfigDiagnostic.WrongValue, "`addresses` is empty", "Name an IPv4 or an IPv6 address, or both.");
        return found;
    }

    private IReadOnlyList<IPNetwork> Networks(ConfigSection section, string key, IReadOnlyList<IPNetwork> otherwise, string example)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item)) return otherwise;
        var found = new List<IPNetwork>();
        foreach ((string text, SourceSpan span) in Strings(item, key))
        {
            if (!TryNetwork(text, example, span, out IPNetwork network)) continue;
            if (found.Contains(network)) Report(span, ConfigDiagnostic.WrongValue, $"{network} is named twice", "");
            else if (found.Count == MostRanges) Report(span, ConfigDiagnostic.WrongValue, $"`{key}` has at most {MostRanges} entries", "");
            else found.Add(network);
        }

        return found;
    }

    private (IPNetwork Four, IPNetwork? Six) Pool(ConfigSection section, IPNetwork default4, IPNetwork? default6)
    {
        if (!section.Values.TryGetValue("pool", out KeyValueSyntax? item)) return (default4, default6);
        IPNetwork? four = null, six = null;
        int before = _diagnostics.Count;
        foreach ((string text, SourceSpan span) in Strings(item, "pool"))
        {
            if (!TryNetwork(text, "10.97.0.0/16", span, out IPNetwork network)) continue;
            bool isFour = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
            (int least, int most) = isFour ? (8, 29) : (32, 124);
            if (network.PrefixLength > most) Report(span, ConfigDiagnostic.WrongValue, $"the pool {network} is too small", $"/{most} is the smallest; each session takes one address, and three are kept.");
            else if (network.PrefixLength < least) Report(span, ConfigDiagnostic.WrongValue, $"the pool {network} is larger than any exit needs", $"/{least} is the largest.");
            else if (!IsHost(network.BaseAddress)) Report(span, ConfigDiagnostic.WrongValue, $"{network} has no addresses for machines", "Private ones are 10.0.0.0/8 and fc00::/7.");
            else if ((isFour ? four : six) is not null) Report(span, ConfigDiagnostic.WrongValue, "`pool` has one network of each family; this is a second one", "");
            else if (isFour) four = network;
            else six = network;
        }

        if (four is null && _diagnostics.Count == before) Report(item.Value!.Span, ConfigDiagnostic.WrongValue, "`pool` has no IPv4 network", $"Write pool = [\"{default4}\", \"{default6}\"]; the IPv6 one may be left out.");
        return (four ?? default4, six);
    }

    private bool Truth(ConfigSection section, string key, bool otherwise)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item)) return otherwise;
        if (item.Value is BooleanValueSyntax value) return value.Value;
        Report(item.Value!.Span, ConfigDiagnostic.WrongType, $"`{key}` expects true or false, found {Found(item.Value)}", item.Value is StringValueSyntax ? "Without quotes." : "");
        return otherwise;
    }

    private bool TryNetwork(string text, string example, SourceSpan span, out IPNetwork network)
    {
        network = default;
        if (!text.Contains('/', StringComparison.Ordinal) || !TryPrefix(text, out IPAddress address, out int prefix))
        {
            Report(span, ConfigDiagnostic.WrongValue, $"expected a network such as \"{example}\", found \"{Shorten(text)}\"", "An address, a slash, and how many of its bits are the network's.");
            return false;
        }

        IPAddress begin = Masked(address, prefix);
        network = new IPNetwork(begin, prefix);
        if (begin.Equals(address)) return true;
        Report(span, ConfigDiagnostic.WrongValue, $"{text} has bits behind its /{prefix} prefix", $"Write \"{network}\".");
        return false;
    }

    private static bool TryPrefix(string text, out IPAddress address, out int prefix)
    {
        address = IPAddress.None;
        prefix = 0;

        // The system's parser takes "10.1" and "0x7f.1" for IPv4, and zones and mapped addresses for IPv6.
        string host = text.Split('/')[0];
        if (host.Contains('%', StringComparison.Ordinal) || host.Contains('[', StringComparison.Ordinal)) return false;
        if (!host.Contains(':', StringComparison.Ordinal) && !Core.Wire.ProxyDestination.TryParseIPv4(host, out _)) return false;
        if (!InterfaceAddress.TryParse(text, out InterfaceAddress found) || found.Address.IsIPv4MappedToIPv6) return false;
        (address, prefix) = found;
        return true;
    }

    private static bool IsHost(IPAddress address) => !IPAddress.IsLoopback(address) && !IPAddress.Any.Equals(address) && !IPAddress.IPv6Any.Equals(address)
        && (address.AddressFamily == AddressFamily.InterNetwork ? address.GetAddressBytes()[0] is > 0 and < 224 and not 127 : !address.IsIPv6Multicast && !address.IsIPv6LinkLocal);

    private static IPAddress Masked(IPAddress address, int prefix)
    {
        byte[] bytes = address.GetAddressBytes();
        for (int i = 0; i < bytes.Length; i++)
        {
            int kept = Math.Clamp(prefix - 8 * i, 0, 8);
            bytes[i] &= (byte)(0xFF00 >> kept);
        }

        return new IPAddress(bytes);
    }
}
