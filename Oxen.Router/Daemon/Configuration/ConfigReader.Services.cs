using System.Globalization;
using System.Net;
using System.Text;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Native.Sodium;
using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

// [[service]], and the keys by which a client is let in.
internal sealed partial class ConfigReader
{
    private const int MaxServices = 16;
    private const int MaxClients = 256;
    private const int MaxTextBytes = 255;

    private readonly List<ConfigSection> _services = [];

    /// <summary>A section of its own for each [[service]]; null when there are too many.</summary>
    private ConfigSection? AddService(TableSyntaxBase table)
    {
        if (_services.Count == MaxServices)
        {
            Report(table.Name!.Span, ConfigDiagnostic.WrongValue, $"more than {MaxServices} services", "A second process can host more.");
            return null;
        }

        var section = new ConfigSection("service", ConfigSchema.Tables["service"]);
        _services.Add(section);
        return section;
    }

    private List<ServiceConfig> Services(RouterRoles roles, ClientConfig client)
    {
        var services = new List<ServiceConfig>();
        foreach (ConfigSection section in _services)
        {
            if (!roles.HasFlag(RouterRoles.Client) && roles != RouterRoles.None) Report(section.Span!.Value, ConfigDiagnostic.Contradiction, "a hidden service is reached over a client's paths, and `roles` does not have \"client\"", "Add \"client\" to `roles`; `socks` and `http` in [client] may be \"off\".");
            if (client.PacketSize != Core.Onion.SizeClass.Full) Report(section.Span!.Value, ConfigDiagnostic.Contradiction, "a hidden service needs packets of the full size, and `packet_size` is \"reduced\"", "Set packet_size = \"full\" in [client].");
            string name = ServiceName(section);
            bool isExit = Truth(section, "exit", false);
            ServiceTunnelConfig? tunnel = ServiceTunnel(section, services);
            if (name.Length > 0 && services.Exists(s => s.Name == name)) Report(section.Values["name"].Value!.Span, ConfigDiagnostic.WrongValue, $"two services are named \"{name}\"", "");
            services.Add(new ServiceConfig
            {
                Name = name,
                KeyFile = Path(section, "key", required: true),
                Ports = Ports(section, isExit || tunnel is not null),
                IsExit = isExit,
                Tunnel = tunnel,
                Texts = Texts(section),
                Records = Records(section),
                Clients = Clients(section),
                Instance = (int)Integer(section, "instance", 0, 0, Introset.MaxInstances - 1),
                Introductions = (int)Integer(section, "introductions", 3, 1, IntrosetContent.MaxIntroductions),
                Sessions = (int)Integer(section, "sessions", 128, 1, 2048),
                Streams = (int)Integer(section, "streams", 1024, 1, 8192),
            });
        }

        return services;
    }

    private ServiceTunnelConfig? ServiceTunnel(ConfigSection section, List<ServiceConfig> others)
    {
        (IPNetwork four, IPNetwork? six) = Pool(section, ServiceTunnelConfig.DefaultPool4, ServiceTunnelConfig.DefaultPool6);
        if (!section.Values.TryGetValue("tun", out KeyValueSyntax? item))
        {
            if (section.Values.TryGetValue("pool", out KeyValueSyntax? pool)) Report(pool.Value!.Span, ConfigDiagnostic.Contradiction, "`pool` has the addresses of `tun`, which is not there", "Write tun = \"oxens0\", or leave `pool` out.");
            return null;
        }

        string name = InterfaceName(section, "tun", "");
        foreach (ServiceTunnelConfig other in others.Select(o => o.Tunnel).OfType<ServiceTunnelConfig>())
        {
            if (other.Name == name) Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"two services have the interface {name}", "Give each its own name and `pool`.");
            else if (Overlap(other.Pool4, four) || (other.Pool6 is { } a && six is { } b && Overlap(a, b))) Report(item.Value!.Span, ConfigDiagnostic.Contradiction, $"the interfaces {other.Name} and {name} have addresses of one network", "Write another `pool`.");
        }

        return new ServiceTunnelConfig(name, four, six);
    }

    private static bool Overlap(IPNetwork a, IPNetwork b) => a.Contains(b.BaseAddress) || b.Contains(a.BaseAddress);

    private string ServiceName(ConfigSection section)
    {
        const string Form = "1 to 32 letters, digits, -, _ or .";
        if (!section.Values.TryGetValue("name", out KeyValueSyntax? item))
        {
            MissingKey(section, "name", "name = \"web\"");
            return "";
        }

        if (!TryString(item, "name", Form, out string text)) return "";
        if (text.Length is > 0 and <= 32 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')) return text;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"`name` expects {Form}, found \"{Shorten(text)}\"", "");
        return "";
    }

    private List<PortMapping> Ports(ConfigSection section, bool mayBeNone)
    {
        var ports = new List<PortMapping>();
        if (!section.Values.TryGetValue("ports", out KeyValueSyntax? item))
        {
            if (!mayBeNone) MissingKey(section, "ports", "ports = [\"80 -> 127.0.0.1:8080\"]");
            return ports;
        }

        int before = _diagnostics.Count;
        foreach ((string text, SourceSpan span) in Strings(item, "ports"))
        {
            if (!PortMapping.TryParse(text, out PortMapping? mapping)) Report(span, ConfigDiagnostic.WrongValue, $"expected a port and what stands behind it, {PortMapping.Form}, found \"{Shorten(text)}\"", "Names are not possible here; UDP goes to an address, and an IPv6 one stands in brackets.");
            else if (ports.Exists(p => p.Port == mapping!.Port)) Report(span, ConfigDiagnostic.WrongValue, $"port {mapping!.Port.Port} is named twice", "");
            else if (ports.Count == IntrosetContent.MaxPorts) Report(span, ConfigDiagnostic.WrongValue, $"a service has at most {IntrosetContent.MaxPorts} ports", "A second service can have more.");
            else ports.Add(mapping!);
        }

        if (ports.Count == 0 && !mayBeNone && _diagnostics.Count == before) Report(item.Value!.Span, ConfigDiagnostic.WrongValue, "`ports` is empty: nobody could reach anything", "Write ports = [\"80 -> 127.0.0.1:8080\"].");
        return ports;
    }

    private List<string> Texts(ConfigSection section)
    {
        var texts = new List<string>();
        foreach ((string text, SourceSpan span) in Entries(section, "texts"))
        {
            if (Encoding.UTF8.GetByteCount(text) is 0 or > MaxTextBytes) Report(span, ConfigDiagnostic.WrongValue, $"a text has 1 to {MaxTextBytes} bytes", "");
            else if (texts.Count == IntrosetContent.MaxTexts) Report(span, ConfigDiagnostic.WrongValue, $"a service has at most {IntrosetContent.MaxTexts} texts", "");
            else texts.Add(text);
        }

        return texts;
    }

    private List<ServiceRecord> Records(ConfigSection section)
    {
        var records = new List<ServiceRecord>();
        foreach ((string text, SourceSpan span) in Entries(section, "srv"))
        {
            if (TryRecord(text, out ServiceRecord? record) && records.Count < IntrosetContent.MaxServiceRecords) records.Add(record!);
            else if (record is not null) Report(span, ConfigDiagnostic.WrongValue, $"a service has at most {IntrosetContent.MaxServiceRecords} SRV records", "");
            else Report(span, ConfigDiagnostic.WrongValue, $"expected `name priority weight port`, such as \"_xmpp-client._tcp 0 10 5222\", found \"{Shorten(text)}\"", "A target in .loki may follow; without one the service itself is meant.");
        }

        return records;
    }

    private static bool TryRecord(string text, out ServiceRecord? record)
    {
        record = null;
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length is not (4 or 5)) return false;
        Span<ushort> numbers = stackalloc ushort[3];
        for (int i = 0; i < 3; i++) if (!ushort.TryParse(parts[1 + i], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[i])) return false;
        string target = parts.Length == 5 ? parts[4] : "";
        if (parts[0].Length > 63 || target.Length > 255 || !IsLabel(parts[0]) || !IsLabel(target) || (target.Length > 0 && !target.EndsWith(ServiceAddress.Ending, StringComparison.Ordinal))) return false;
        record = new ServiceRecord(parts[0], numbers[0], numbers[1], numbers[2], target);
        return true;

        static bool IsLabel(string label) => label.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_' or '.');
    }

    private List<byte[]> Clients(ConfigSection section)
    {
        var clients = new List<byte[]>();
        foreach ((string text, SourceSpan span) in Entries(section, "clients"))
        {
            byte[] key = new byte[X25519.PublicKeyBytes];
            if (text.Length != 2 * key.Length || Convert.FromHexString(text, key, out _, out _) != System.Buffers.OperationStatus.Done) Report(span, ConfigDiagnostic.WrongValue, $"expected a client's key of {2 * key.Length} hexadecimal digits, found {text.Length} characters", "`oxen keygen --role client` prints it.");
            else if (clients.Count == MaxClients) Report(span, ConfigDiagnostic.WrongValue, $"a service lets in at most {MaxClients} clients by their keys", "");
            else clients.Add(key);
        }

        // An empty list would let everybody in, which is the opposite of what it looks like.
        if (clients.Count == 0 && section.Values.TryGetValue("clients", out KeyValueSyntax? item) && item.Value is ArraySyntax { Items.ChildrenCount: 0 }) Report(item.Value.Span, ConfigDiagnostic.WrongValue, "`clients` is empty: nobody could come, or everybody?", "Name the clients' keys, or leave `clients` out to let everybody in who knows the address.");
        return clients;
    }

    private Dictionary<ServiceAddress, string> ServiceKeys(ConfigSection section)
    {
        var keys = new Dictionary<ServiceAddress, string>();
        foreach ((string text, SourceSpan span) in Entries(section, "service_keys"))
        {
            int colon = text.IndexOf(':', StringComparison.Ordinal);
            string file = colon < 0 ? "" : text[(colon + 1)..].Trim();
            if (colon < 0 || file.Length == 0 || !ServiceAddress.TryParse(text.AsSpan(0, colon).Trim(), out ServiceAddress address)) Report(span, ConfigDiagnostic.WrongValue, $"expected a service's address and the file of this client's key, such as \"ADDRESS.loki: client.key\", found \"{Shorten(text)}\"", $"An address has {ServiceAddress.TextLength} digits before .loki.");
            else if (!keys.TryAdd(address, Full(file))) Report(span, ConfigDiagnostic.WrongValue, "this service is named twice", "");
        }

        return keys;
    }
}
