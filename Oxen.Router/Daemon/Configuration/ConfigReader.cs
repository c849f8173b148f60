using System.Globalization;
using System.Net;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Exit;
using Oxen.Router.Hosting.Files;
using Tomlyn.Parsing;
using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>
/// Reads one TOML file into a <see cref="RouterConfig"/>. Everything that is wrong is reported at once, each with file,
/// line, column, what was expected, what was found and the remedy. Unknown keys are errors: a misspelt key that is
/// silently ignored would be a setting that silently does not hold.
/// </summary>
internal sealed partial class ConfigReader
{
    public const int MaxFileBytes = 256 * 1024;
    private const int MaxNesting = 32;
    private const int MaxDiagnostics = 100;
    private const int MaxSocketPathBytes = 107; // unix(7)

    private readonly string _file;
    private readonly List<ConfigDiagnostic> _diagnostics = [];
    private readonly Dictionary<string, ConfigSection> _sections;
    private readonly Dictionary<string, List<ConfigSection>> _arrays = new(StringComparer.Ordinal);

    private ConfigReader(string file)
    {
        _file = file;
        _sections = ConfigSchema.Sections.ToDictionary(s => s.Key, s => new ConfigSection(s.Key, s.Value), StringComparer.Ordinal);
    }

    /// <summary>Null if there is any diagnostic.</summary>
    public static RouterConfig? ReadFile(string path, out IReadOnlyList<ConfigDiagnostic> diagnostics)
    {
        string text;
        try
        {
            var info = new FileInfo(path);
            if (info.Exists && info.Length > MaxFileBytes) throw new IOException($"larger than {MaxFileBytes / 1024} KiB");
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            diagnostics = [new ConfigDiagnostic(path, 1, 1, ConfigDiagnostic.Unreadable, $"cannot be read: {e.Message}", "Check the path and its permissions; `oxen.example.toml` is a file to begin with.")];
            return null;
        }

        return Read(text, path, out diagnostics);
    }

    /// <param name="file">For messages, and the directory that relative paths start from.</param>
    public static RouterConfig? Read(string text, string file, out IReadOnlyList<ConfigDiagnostic> diagnostics)
    {
        var reader = new ConfigReader(file);
        RouterConfig? config = reader.Parse(text) ? reader.Build() : null;
        diagnostics = [.. reader._diagnostics.OrderBy(d => d.Line).ThenBy(d => d.Column).Take(MaxDiagnostics)];
        return diagnostics.Count == 0 ? config : null;
    }

    private bool Parse(string text)
    {
        if (NestsTooDeep(text, out int line))
        {
            _diagnostics.Add(new ConfigDiagnostic(_file, line, 1, ConfigDiagnostic.Syntax, $"brackets are nested deeper than {MaxNesting}", "No setting needs more than one list."));
            return false;
        }

        DocumentSyntax document;
        try
        {
            document = SyntaxParser.Parse(text, _file, true);
        }
        catch (Exception e) when (e is Tomlyn.TomlException or ArgumentException or FormatException or OverflowException or InvalidOperationException or IndexOutOfRangeException)
        {
            _diagnostics.Add(new ConfigDiagnostic(_file, 1, 1, ConfigDiagnostic.Syntax, $"this is no TOML: {e.Message}", "https://toml.io describes the form."));
            return false;
        }

        foreach (DiagnosticMessage message in document.Diagnostics)
        {
            Report(message.Span, ConfigDiagnostic.Syntax, message.Message.TrimEnd('.'), "This is about the form of the file: https://toml.io describes it.");
        }

        if (document.HasErrors) return false;
        foreach (KeyValueSyntax item in document.KeyValues)
        {
            string key = Text(item.Key);
            string? home = ConfigSchema.Sections.FirstOrDefault(s => s.Value.Contains(key)).Key;
            Report(item.Key!.Span, ConfigDiagnostic.UnknownKey, $"`{key}` stands outside of any section", home is null ? "Settings stand below a section such as [router]." : $"It belongs below [{home}].");
        }

        foreach (TableSyntaxBase table in document.Tables) ReadTable(table);
        return true;
    }

    private void ReadTable(TableSyntaxBase table)
    {
        string name = Text(table.Name);
        ConfigSection? section = null;
        if (ConfigSchema.Tables.ContainsKey(name))
        {
            if (table is not TableArraySyntax) Report(table.Name!.Span, ConfigDiagnostic.Syntax, $"[{name}] may stand here more than once, and is written in double brackets", $"Write [[{name}]].");
            else section = name == "service" ? AddService(table) : AddTable(name);
            if (section is null) return;
        }
        else if (!_sections.TryGetValue(name, out section) || table is TableArraySyntax)
        {
            Report(table.Name!.Span, ConfigDiagnostic.UnknownSection, $"unknown section [{name}]", Suggest(name, [.. ConfigSchema.Sections.Keys, .. ConfigSchema.Tables.Keys], "[", "]"));
            return;
        }

        section.Span = table.Name!.Span;
        foreach (KeyValueSyntax item in table.Items)
        {
            string key = Text(item.Key);
            if (section.Keys.Contains(key)) section.Values[key] = item;
            else Report(item.Key!.Span, ConfigDiagnostic.UnknownKey, $"unknown key `{key}` in [{name}]", Suggest(key, section.Keys, "`", "`"));
        }
    }

    private RouterConfig? Build()
    {
        ConfigSection router = _sections["router"], relay = _sections["relay"], client = _sections["client"], exit = _sections["exit"], log = _sections["log"], tun = _sections["tun"], directory = _sections["directory"], dns = _sections["dns"];
        RouterRoles roles = Roles(router);
        bool relays = roles != RouterRoles.Client;
        string identity = Path(router, "identity", required: relays);
        string contacts = Path(router, "contacts", required: true);
        RouterId contactsKey = Id(router, "contacts_key", required: true) ?? default;
        IPEndPoint listen = EndPoint(router, "listen", new IPEndPoint(IPAddress.Any, 1090))!;
        IPEndPoint? shown = EndPoint(router, "address", null);
        if (shown is not null && (shown.Port == 0 || IPAddress.Any.Equals(shown.Address) || IPAddress.IPv6Any.Equals(shown.Address)))
        {
            Report(router.Values["address"].Value!.Span, ConfigDiagnostic.WrongValue, $"`address` is what others reach this router by, found {shown}", "Write its own address and port.");
        }

        List<ExitMapEntry> exits = ExitMap();
        TunConfig? tunnel = Tun(tun, roles, exits);
        IPEndPoint reached = shown ?? listen;
        if (roles.HasFlag(RouterRoles.Relay) && shown is null && (reached.Port == 0 || IPAddress.Any.Equals(reached.Address) || IPAddress.IPv6Any.Equals(reached.Address)))
        {
            Report(router.Values["roles"].Value!.Span, ConfigDiagnostic.Contradiction, $"others must know where to reach a relay, and `listen` is {listen}", "Set `address` to its own address and port, or `listen` on that.");
        }

        if (roles.HasFlag(RouterRoles.Exit) && !roles.HasFlag(RouterRoles.Relay))
        {
            Report(router.Values["roles"].Value!.Span, ConfigDiagnostic.Contradiction, "an exit is a relay's last hop: the role `exit` needs the role `relay`", "Write roles = [\"relay\", \"exit\"].");
        }

        LedgerConfig? ledger = Ledger(_sections["ledger"]);
        var config = new RouterConfig
        {
            Roles = roles,
            Listen = listen,
            PublicAddress = shown,
            IdentityFile = identity,
            OnionKeyFile = Path(router, "onion_key", required: false) is { Length: > 0 } onion ? onion : Beside(identity, Keys.OnionKeyFile.Name),
            Network = Network(router),
            ContactsFile = contacts,
            ContactsKey = contactsKey,
            Shards = (int)Integer(router, "shards", 0, 0, 16),
            Nice = (int)Integer(router, "nice", -10, -20, 19),
            StatusSocket = StatusSocket(router),
            Relay = new RelayConfig
            {
                Operator = Label(relay, "operator", RouterContact.MaxOperatorBytes, "-._"),
                Region = Label(relay, "region", RouterContact.MaxRegionBytes, "-"),
                ReplayFilterBytes = Size(relay, "replay_filter", 128L << 20, 1L << 20, 4L << 30),
            },
            Client = new ClientConfig
            {
                Socks = EndPoint(client, "socks", new IPEndPoint(IPAddress.Loopback, 1080), mayBeOff: true),
                Http = EndPoint(client, "http", new IPEndPoint(IPAddress.Loopback, 8118), mayBeOff: true),
                Hops = (int)Integer(client, "hops", 4, 2, 8),
                Exit = Id(client, "exit", required: false),
                Spares = (int)Integer(client, "spares", 1, 0, 4),
                PacketSize = OneOf(client, "packet_size", "full", ["full", "reduced"]) == "full" ? SizeClass.Full : SizeClass.Reduced,
                Users = Users(client),
                Guards = (int)Integer(client, "guards", 2, 1, 4),
                Rules = Rules(client, directory),
                ServiceKeys = ServiceKeys(client),
                ExitMap = exits,
            },
            Exit = new ExitConfig
            {
                Rules = Rules(exit, "rules", ExitPolicy.DefaultRules),
                Except = Rules(exit, "except", []),
                Ranges = ExitRanges(exit),
                Tokens = ExitTokenLines(exit),
                ConnectTime = Time(exit, "connect_time", TimeSpan.FromSeconds(10)),
                UdpIdle = Time(exit, "udp_idle", TimeSpan.FromSeconds(120)),
                Tunnel = ExitTunnel(exit, roles),
            },
            Tun = tunnel,
            Dns = Dns(dns, roles, tunnel),
            Directory = Directory(directory, ledger),
            Names = Names(_sections["names"], ledger, roles),
            Ledger = ledger,
            Swarm = Swarm(_sections["swarm"], roles, listen, reached),
            Log = new LogConfig
            {
                Level = OneOf(log, "level", "information", ["trace", "debug", "information", "warning", "error"]),
                Format = OneOf(log, "format", "plain", ["plain", "json"]),
            },
        };
        CheckOpenDoor(config, client);
        return config with { Services = Services(roles, config.Client) };
    }

    // A proxy that the whole network can use is a mistake until its owner says otherwise by naming users.
    private void CheckOpenDoor(RouterConfig config, ConfigSection client)
    {
        foreach ((string key, IPEndPoint? door) in new[] { ("socks", config.Client.Socks), ("http", config.Client.Http) })
        {
            if (door is null || IPAddress.IsLoopback(door.Address) || config.Client.Users.Count > 0 || !client.Values.TryGetValue(key, out KeyValueSyntax? item)) continue;
            Report(item.Value!.Span, ConfigDiagnostic.Contradiction, $"`{key}` listens beyond this machine, but no `users` are set", "Listen on 127.0.0.1 or [::1], or set users = [\"name:password\"].");
        }
    }

    private RouterRoles Roles(ConfigSection section)
    {
        var roles = RouterRoles.None;
        if (!section.Values.TryGetValue("roles", out KeyValueSyntax? item))
        {
            MissingKey(section, "roles", "roles = [\"client\"] or [\"relay\"] or [\"relay\", \"exit\"]");
            return roles;
        }

        foreach ((string text, SourceSpan span) in Strings(item, "roles"))
        {
            RouterRoles role = text switch { "relay" => RouterRoles.Relay, "exit" => RouterRoles.Exit, "client" => RouterRoles.Client, _ => RouterRoles.None };
            if (role == RouterRoles.None) Report(span, ConfigDiagnostic.WrongValue, $"expected \"relay\", \"exit\" or \"client\", found \"{Shorten(text)}\"", Suggest(text, ["relay", "exit", "client"], "\"", "\""));
            roles |= role;
        }

        if (roles == RouterRoles.None && _diagnostics.Count == 0) Report(item.Value!.Span, ConfigDiagnostic.WrongValue, "`roles` is empty", "Name at least one of \"relay\", \"exit\", \"client\".");
        return roles;
    }

    private string Path(ConfigSection section, string key, bool required)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item))
        {
            if (required) MissingKey(section, key, $"{key} = \"FILE\"");
            return "";
        }

        if (!TryString(item, key, "a file's path in quotes", out string text)) return "";
        if (text.Length == 0 || text.Contains('\0', StringComparison.Ordinal))
        {
            Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"`{key}` names no file", "");
            return "";
        }

        return Full(text);
    }

    /// <summary>A path of the file, made absolute.</summary>
    private string Full(string path) => System.IO.Path.GetFullPath(path, System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(_file)) ?? "/");

    private RouterId? Id(ConfigSection section, string key, bool required)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item))
        {
            if (required) MissingKey(section, key, $"{key} = \"64 hexadecimal digits\"");
            return null;
        }

        const string Form = "64 hexadecimal digits in quotes";
        if (!TryString(item, key, Form, out string text)) return null;
        if (RouterId.TryParse(text, out RouterId id)) return id;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"expected {Form}, found {text.Length} characters", "`oxen keygen` prints a router's id; whoever signs the contact list tells its key.");
        return null;
    }

    private IPEndPoint? EndPoint(ConfigSection section, string key, IPEndPoint? otherwise, bool mayBeOff = false)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item)) return otherwise;
        string form = "an address and port such as \"127.0.0.1:1080\" or \"[::1]:1080\"" + (mayBeOff ? ", or \"off\"" : "");
        if (!TryString(item, key, form, out string text)) return otherwise;
        if (mayBeOff && text == "off") return null;
        if (TryEndPoint(text, out IPEndPoint? endPoint)) return endPoint;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"expected {form}, found \"{Shorten(text)}\"", "Names are not possible here; an IPv6 address stands in brackets.");
        return otherwise;
    }

    /// <summary>`1.2.3.4:80` or `[::1]:80`; the port is not optional. Shared with the command line.</summary>
    internal static bool TryEndPoint(string text, out IPEndPoint? endPoint)
    {
        endPoint = null;
        int colon = text.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)) return false;
        string host = text[..colon];
        if (!Core.Wire.ProxyDestination.TryFromHost(host, port, out Core.Wire.ProxyDestination destination) || destination.IsName || (host[0] != '[' && host.Contains(':', StringComparison.Ordinal))) return false;
        endPoint = destination.Address.ToIPEndPoint();
        return true;
    }

    private long Integer(ConfigSection section, string key, long otherwise, long least, long most)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item)) return otherwise;
        if (item.Value is IntegerValueSyntax value && value.Value >= least && value.Value <= most) return value.Value;
        Report(item.Value!.Span, item.Value is IntegerValueSyntax ? ConfigDiagnostic.WrongValue : ConfigDiagnostic.WrongType, $"`{key}` expects a number from {least} to {most}, found {Found(item.Value)}", "");
        return otherwise;
    }

    // The contact format's labels (docs/protocol/directory.md#contact).
    private string Label(ConfigSection section, string key, int most, string marks)
    {
        string form = $"up to {most} of a-z, 0-9{string.Concat(marks.Select(m => $", {m}"))}";
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item) || !TryString(item, key, form, out string text)) return "";
        if (text.Length <= most && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || marks.Contains(c, StringComparison.Ordinal))) return text;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"`{key}` expects {form}, found \"{Shorten(text)}\"", "");
        return "";
    }

    private string Network(ConfigSection section)
    {
        const string Form = "a network's name of 1 to 32 visible ASCII characters";
        if (!section.Values.TryGetValue("network", out KeyValueSyntax? item) || !TryString(item, "network", Form, out string text)) return "oxen";
        if (ContactWords.TryNetworkId(text, out _)) return text;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"`network` expects {Form}, found \"{Shorten(text)}\"", "Whoever signs the contact list tells the name.");
        return "oxen";
    }

    private string? StatusSocket(ConfigSection section)
    {
        if (section.Values.TryGetValue("status", out KeyValueSyntax? item) && item.Value is StringValueSyntax { Value: "off" }) return null;
        string path = Path(section, "status", required: false) is { Length: > 0 } given ? given : Beside(System.IO.Path.GetFullPath(_file), "oxen.sock");
        if (System.Text.Encoding.UTF8.GetByteCount(path) <= MaxSocketPathBytes) return path;
        Report(item?.Value?.Span ?? section.Span ?? new SourceSpan(_file, default, default), ConfigDiagnostic.WrongValue, $"the path of the status socket is longer than {MaxSocketPathBytes} bytes: {Shorten(path)}", "Set `status` to a shorter path, or \"off\".");
        return null;
    }

    private static string Beside(string path, string name) => path.Length == 0 ? "" : System.IO.Path.Combine(System.IO.Path.GetDirectoryName(path) ?? "/", name);

    private long Size(ConfigSection section, string key, long otherwise, long least, long most)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item) || !TryString(item, key, Units.SizeForm, out string text)) return otherwise;
        if (Units.TrySize(text, out long size) && size >= least && size <= most) return size;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"expected {Units.SizeForm} from {least >> 20} MiB to {most >> 20} MiB, found \"{Shorten(text)}\"", "");
        return otherwise;
    }

    private TimeSpan Time(ConfigSection section, string key, TimeSpan otherwise)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item) || !TryString(item, key, Units.TimeForm, out string text)) return otherwise;
        if (Units.TryTime(text, out TimeSpan time) && time > TimeSpan.Zero && time <= TimeSpan.FromHours(1)) return time;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"expected {Units.TimeForm} up to 1 h, found \"{Shorten(text)}\"", "");
        return otherwise;
    }

    private string OneOf(ConfigSection section, string key, string otherwise, string[] allowed)
    {
        string form = string.Join(", ", allowed.Select(a => $"\"{a}\""));
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item) || !TryString(item, key, "one of " + form, out string text)) return otherwise;
        if (allowed.Contains(text)) return text;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"expected one of {form}, found \"{Shorten(text)}\"", Suggest(text, allowed, "\"", "\""));
        return otherwise;
    }

    private Dictionary<string, string> Users(ConfigSection section)
    {
        var users = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!section.Values.TryGetValue("users", out KeyValueSyntax? item)) return users;
        foreach ((string text, SourceSpan span) in Strings(item, "users"))
        {
            int colon = text.IndexOf(':', StringComparison.Ordinal);
            // RFC 1929: 255 bytes each. The found text is a secret and is not repeated.
            if (colon <= 0 || colon > 255 || text.Length - colon - 1 is 0 or > 255) Report(span, ConfigDiagnostic.WrongValue, "expected \"name:password\", each 1 to 255 characters", "The first colon ends the name.");
            else if (!users.TryAdd(text[..colon], text[(colon + 1)..])) Report(span, ConfigDiagnostic.WrongValue, "this user is named twice", "");
        }

        return users;
    }

    private List<ExitRule> Rules(ConfigSection section, string key, IReadOnlyList<string> otherwise)
    {
        if (!section.Values.TryGetValue(key, out KeyValueSyntax? item)) return [.. otherwise.Select(ExitRule.Parse)];
        var rules = new List<ExitRule>();
        foreach ((string text, SourceSpan span) in Strings(item, key))
        {
            if (ExitRule.TryParse(text, out ExitRule? rule, out RuleError error)) rules.Add(rule!);
            else _diagnostics.Add(At(span, error.Position + 1, ConfigDiagnostic.WrongValue, $"in the rule \"{Shorten(text)}\": {error.Message}", "A rule looks like `allow *:80,443 tcp` or `deny 10.0.0.0/8:*`."));
        }

        return rules;
    }

    private IEnumerable<(string Text, SourceSpan Span)> Strings(KeyValueSyntax item, string key)
    {
        if (item.Value is not ArraySyntax array)
        {
            Report(item.Value!.Span, ConfigDiagnostic.WrongType, $"`{key}` expects a list such as [\"…\", \"…\"], found {Found(item.Value)}", "Put it in square brackets.");
            yield break;
        }

        foreach (ArrayItemSyntax element in array.Items)
        {
            if (element.Value is StringValueSyntax text) yield return (text.Value ?? "", text.Span);
            else Report(element.Value!.Span, ConfigDiagnostic.WrongType, $"the list of `{key}` holds text in quotes, found {Found(element.Value)}", "Put it in quotes.");
        }
    }

    private bool TryString(KeyValueSyntax item, string key, string form, out string text)
    {
        text = (item.Value as StringValueSyntax)?.Value ?? "";
        if (item.Value is StringValueSyntax) return true;
        Report(item.Value!.Span, ConfigDiagnostic.WrongType, $"`{key}` expects {form}, found {Found(item.Value)}", "Put it in quotes.");
        return false;
    }

    private void MissingKey(ConfigSection section, string key, string example)
    {
        SourceSpan span = section.Span ?? new SourceSpan(_file, default, default);
        Report(span, ConfigDiagnostic.Missing, section.Span is null ? $"the section [{section.Name}] with `{key}` is missing" : $"`{key}` is missing in [{section.Name}]", $"Add {example}.");
    }

    private void Report(SourceSpan span, string code, string message, string remedy) => _diagnostics.Add(At(span, 0, code, message, remedy));

    private ConfigDiagnostic At(SourceSpan span, int offset, string code, string message, string remedy) =>
        new(_file, span.Start.Line + 1, span.Start.Column + 1 + offset, code, message, remedy);

    private static string Suggest(string given, IEnumerable<string> known, string open, string close)
    {
        string[] all = [.. known];
        return Nearest.Find(given, all) is { } near ? $"Did you mean {open}{near}{close}?" : $"Known are {string.Join(", ", all.Select(k => open + k + close))}.";
    }

    private static string Text(KeySyntax? key) => key is null ? "" : string.Concat(key.ToString().Where(c => !char.IsWhiteSpace(c))).Trim('"', '\'');

    private static string Found(ValueSyntax? value) => value switch
    {
        StringValueSyntax text => $"the text \"{Shorten(text.Value ?? "")}\"",
        IntegerValueSyntax number => $"the number {number.Value}",
        FloatValueSyntax number => $"the number {number.Value.ToString(CultureInfo.InvariantCulture)}",
        BooleanValueSyntax truth => truth.Value ? "true" : "false",
        ArraySyntax => "a list",
        InlineTableSyntax => "a table",
        null => "nothing",
        _ => "something else",
    };

    private static string Shorten(string text) => text.Length <= 60 ? text : text[..57] + "…";

    // The parser goes down one call for each bracket: no file may make it go far.
    private static bool NestsTooDeep(string text, out int line)
    {
        int depth = 0;
        line = 1;
        foreach (char c in text)
        {
            if (c == '\n') line++;
            if (c is '[' or '{' && ++depth > MaxNesting) return true;
            if (c is ']' or '}' && depth > 0) depth--;
        }

        return false;
    }
}
