using System.Net;
using System.Net.Sockets;
using Oxen.Router.Dns;
using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

// [dns]: the resolver.
internal sealed partial class ConfigReader
{
    private const int MostListeners = 8, MostServers = 8, MostClients = 64;
    private static readonly IReadOnlyList<IPEndPoint> DefaultListen = new DnsHostOptions().Listen;

    private DnsConfig? Dns(ConfigSection section, RouterRoles roles, TunConfig? tun)
    {
        if (section.Span is not { } span) return null;
        if (!roles.HasFlag(RouterRoles.Client) && roles != RouterRoles.None) Report(span, ConfigDiagnostic.Contradiction, "[dns] is a client's, and `roles` does not have \"client\"", "Add \"client\" to `roles`. An exit resolves names by the system's resolver.");
        DnsForward forward = OneOf(section, "forward", "exit", ["exit", "upstream", "none"]) switch { "exit" => DnsForward.Exit, "upstream" => DnsForward.Upstream, _ => DnsForward.None };
        IReadOnlyList<IPEndPoint> listen = EndPoints(section, "listen", DefaultListen, MostListeners), servers = EndPoints(section, "servers", new DnsServiceOptions().Servers, MostServers);
        (IPNetwork? four, IPNetwork? six) = Ranges(section, tun);
        IReadOnlyList<IPNetwork> clients = Networks(section, "clients", new DnsHostOptions().Clients, "192.168.0.0/24");
        var defaults = new DnsServiceOptions();
        TimeSpan lifetime = Time(section, "lifetime", defaults.Map.Lifetime), ttl = Time(section, "ttl", TimeSpan.FromTicks(Math.Min(defaults.Zones.AddressTtl.Ticks, lifetime.Ticks)));
        CheckForwarding(section, forward, listen, servers, four, six);
        CheckWhoMayAsk(section, listen, clients);
        if (lifetime < TimeSpan.FromSeconds(1)) Report(section.Values["lifetime"].Value!.Span, ConfigDiagnostic.WrongValue, "`lifetime` is at least \"1 s\"", "");
        else if (ttl > lifetime) Report(section.Values[section.Values.ContainsKey("ttl") ? "ttl" : "lifetime"].Value!.Span, ConfigDiagnostic.Contradiction, "`ttl` is longer than `lifetime`: programs would keep an address that stands for another service by then", "Set `ttl` to at most `lifetime`.");
        uint mark = (uint)Integer(section, "mark", new DnsConfig().Mark, 1, LastNumber);
        if (tun is not null && mark == tun.Mark) Report(section.Values.TryGetValue("mark", out KeyValueSyntax? item) ? item.Value!.Span : span, ConfigDiagnostic.Contradiction, $"the mark {mark} is that of [tun], whose packets pass by the tunnel", "Choose another `mark` in [dns].");
        string? packets = PacketInterface(section, tun);
        return new DnsConfig
        {
            Service = defaults with
            {
                Forward = forward,
                Servers = servers,
                Map = new AddressMapOptions { IPv4 = four, IPv6 = six, Packets = packets is not null, Lifetime = lifetime < TimeSpan.FromSeconds(1) ? TimeSpan.FromSeconds(1) : lifetime },
                Zones = new OnionZoneOptions { AddressTtl = ttl },
                Host = new DnsHostOptions { Listen = listen, Clients = clients },
            },
            Mapped = Truth(section, "mapped", true),
            Packets = packets,
            Mark = mark,
        };
    }

    private string? PacketInterface(ConfigSection section, TunConfig? tun)
    {
        if (!section.Values.TryGetValue("packets", out KeyValueSyntax? item)) return null;
        string name = InterfaceName(section, "packets", "");
        SourceSpan at = item.Value!.Span;
        if (name.Length == 0) return null;
        if (!Truth(section, "mapped", true)) Report(at, ConfigDiagnostic.Contradiction, "`packets` is the interface for packets to mapped addresses, and `mapped` is false", "Leave `packets` out, or write mapped = true.");
        else if (name == tun?.Name) Report(at, ConfigDiagnostic.Contradiction, $"{name} is the interface of [tun]", "Choose another name.");
        return name;
    }

    private void CheckForwarding(ConfigSection section, DnsForward forward, IReadOnlyList<IPEndPoint> listen, IReadOnlyList<IPEndPoint> servers, IPNetwork? four, IPNetwork? six)
    {
        if (!section.Values.TryGetValue("servers", out KeyValueSyntax? item)) return;
        SourceSpan at = item.Value!.Span;
        if (forward == DnsForward.None) Report(at, ConfigDiagnostic.Contradiction, "`servers` are named, and with forward = \"none\" nobody asks them", "Leave `servers` out, or write forward = \"exit\".");
        else if (item.Value is ArraySyntax { Items.ChildrenCount: 0 }) Report(at, ConfigDiagnostic.Contradiction, "names of the outside are to be forwarded, and `servers` is empty", "Name a resolver such as \"9.9.9.9:53\", or write forward = \"none\".");
        foreach (IPEndPoint server in servers)
        {
            if (server.Port == 0 || IPAddress.Any.Equals(server.Address) || IPAddress.IPv6Any.Equals(server.Address)) Report(at, ConfigDiagnostic.WrongValue, $"{server} is no resolver's address", "Write its own address and port, usually 53.");
            else if ((four is { } f && f.Contains(server.Address)) || (six is { } s && s.Contains(server.Address))) Report(at, ConfigDiagnostic.Contradiction, $"the resolver {server} is in the range of mapped addresses", "Mapped addresses are this machine's own invention: name another resolver, or other `ranges`.");
            else if (forward == DnsForward.Upstream && listen.Contains(server)) Report(at, ConfigDiagnostic.Contradiction, $"the resolver {server} is this one: it would ask itself", "Name another one.");
        }
    }

    // An open resolver is a weapon, and names that others ask come out of this client's paths.
    private void CheckWhoMayAsk(ConfigSection section, IReadOnlyList<IPEndPoint> listen, IReadOnlyList<IPNetwork> clients)
    {
        if (listen.FirstOrDefault(l => !IPAddress.IsLoopback(l.Address)) is { } open && !section.Values.ContainsKey("clients"))
        {
            Report(section.Values["listen"].Value!.Span, ConfigDiagnostic.Contradiction, $"`listen` has {open}, beyond this machine, but no `clients` are named", "Listen on 127.0.0.1 or [::1], or name who may ask: clients = [\"127.0.0.0/8\", \"192.168.7.0/24\"].");
        }

        if (!section.Values.TryGetValue("clients", out KeyValueSyntax? item)) return;
        if (clients.Count > MostClients) Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"`clients` has at most {MostClients} entries", "Name larger networks.");
        else if (clients.Any(c => c.PrefixLength == 0)) Report(item.Value!.Span, ConfigDiagnostic.Contradiction, "a /0 in `clients` is everybody", "Name the networks that may ask.");
        else if (clients.Count == 0 && item.Value is ArraySyntax { Items.ChildrenCount: 0 }) Report(item.Value.Span, ConfigDiagnostic.WrongValue, "`clients` is empty: nobody could ask", "Leave it out: then this machine may.");
    }

    private IReadOnlyList<IPEndPoint> EndPoints(ConfigSection section, string key, IReadOnlyList<IPEndPoint> otherwise, int most)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item)) return otherwise;
        var found = new List<IPEndPoint>();
        foreach ((string text, SourceSpan span) in Strings(item, key))
        {
            if (!TryEndPoint(text, out IPEndPoint? endPoint)) Report(span, ConfigDiagnostic.WrongValue, $"expected an address and port such as \"127.0.0.1:53\" or \"[::1]:53\", found \"{Shorten(text)}\"", "Names are not possible here; an IPv6 address stands in brackets.");
            else if (found.Contains(endPoint!)) Report(span, ConfigDiagnostic.WrongValue, $"{endPoint} is named twice", "");
            else if (found.Count == most) Report(span, ConfigDiagnostic.WrongValue, $"`{key}` has at most {most} entries", "");
            else found.Add(endPoint!);
        }

        if (key == "listen" && item.Value is ArraySyntax { Items.ChildrenCount: 0 }) Report(item.Value.Span, ConfigDiagnostic.WrongValue, "`listen` is empty: nobody could ask", "Leave the section [dns] out to have no resolver.");
        return found;
    }

    private (IPNetwork? Four, IPNetwork? Six) Ranges(ConfigSection section, TunConfig? tun)
    {
        var defaults = new AddressMapOptions();
        IPNetwork? four = defaults.IPv4, six = defaults.IPv6;
        SourceSpan? where = section.Span;
        if (section.Values.TryGetValue("ranges", out KeyValueSyntax? item))
        {
            (four, six) = (null, null);
            where = item.Value!.Span;
            int before = _diagnostics.Count;
            foreach ((string text, SourceSpan span) in Strings(item, "ranges"))
            {
                if (!TryNetwork(text, "10.99.0.0/16", span, out IPNetwork network)) continue;
                bool isFour = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
                (int least, int most) = isFour ? (8, 29) : (8, 64);
                if (network.PrefixLength < least || network.PrefixLength > most) Report(span, ConfigDiagnostic.WrongValue, $"the range {network} is none from /{least} to /{most}", "");
                else if (!AddressMapOptions.Private.Any(p => p.BaseAddress.AddressFamily == network.BaseAddress.AddressFamily && p.PrefixLength <= network.PrefixLength && p.Contains(network.BaseAddress))) Report(span, ConfigDiagnostic.WrongValue, $"{network} is no private range: its addresses are somebody's", $"Take one inside {string.Join(", ", AddressMapOptions.Private)}.");
                else if ((isFour ? four : six) is not null) Report(span, ConfigDiagnostic.WrongValue, "`ranges` has one network of each family; this is a second one", "");
                else if (isFour) four = network;
                else six = network;
            }

            if (four is null && six is null && _diagnostics.Count == before) Report(item.Value!.Span, ConfigDiagnostic.WrongValue, "`ranges` is empty", "Write ranges = [\"10.99.0.0/16\", \"fd6f:7865:6e00:3::/64\"]; one of the two may be left out.");
            if (four is null && six is null) four = defaults.IPv4;
        }

        foreach (Oxen.Router.Tun.InterfaceAddress own in tun?.Addresses ?? [])
        {
            if ((four is { } f && f.Contains(own.Address)) || (six is { } s && s.Contains(own.Address))) Report(where!.Value, ConfigDiagnostic.Contradiction, $"the tunnel's address {own.Address} is in the range of mapped addresses", "Choose other `ranges` in [dns], or other `addresses` in [tun].");
        }

        return (four, six);
    }
}
