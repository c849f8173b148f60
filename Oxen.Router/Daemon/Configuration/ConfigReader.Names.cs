using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

// [names] and [ledger], and who [directory] has the relays from.
internal sealed partial class ConfigReader
{
    private NamesConfig Names(ConfigSection section, LedgerConfig? ledger, RouterRoles roles)
    {
        NamesFrom source = OneOf(section, "source", "off", ["off", "ledger", "path", "rpc", "oxend"]) switch
        {
            "ledger" => NamesFrom.Ledger, "path" => NamesFrom.Path, "rpc" => NamesFrom.Rpc, "oxend" => NamesFrom.Oxend, _ => NamesFrom.Off,
        };
        string genesis = Path(section, "genesis", required: false) is { Length: > 0 } given ? given : ledger?.GenesisFile ?? "";
        var names = new NamesConfig { Source = source, Servers = Servers(section), GenesisFile = genesis, MaxAge = Time(section, "max_age", TimeSpan.FromMinutes(30)) };
        string? wrong = source switch
        {
            NamesFrom.Ledger when ledger is null => "names are to come out of this process's ledger, and it has none: set `genesis` in [ledger]",
            NamesFrom.Path when !roles.HasFlag(RouterRoles.Client) => "names are to be looked up through a path, and only a client builds paths",
            NamesFrom.Path or NamesFrom.Rpc when genesis.Length == 0 => "proofs are checked from the network's beginning: set `genesis`",
            NamesFrom.Rpc or NamesFrom.Oxend when names.Servers.Count == 0 => "nobody is named who could be asked: set `servers`",
            _ => null,
        };
        if (wrong is not null && section.Values.TryGetValue("source", out KeyValueSyntax? item)) Report(item.Value!.Span, ConfigDiagnostic.Contradiction, wrong, "`oxen.example.toml` explains the sources.");
        return names;
    }

    private LedgerConfig? Ledger(ConfigSection section)
    {
        if (section.Span is null) return null;
        string genesis = Path(section, "genesis", required: true);
        Uri? follow = section.Values.TryGetValue("follow", out KeyValueSyntax? item) ? Url(item, "follow") : null;
        TimeSpan interval = Time(section, "interval", TimeSpan.Zero);
        if (follow is not null && section.Values.TryGetValue("interval", out KeyValueSyntax? pace)) Report(pace.Value!.Span, ConfigDiagnostic.Contradiction, "a ledger that follows another makes no blocks, and `interval` is their pace", "Leave one of them out.");
        string beside = System.IO.Path.GetFullPath(_file);
        return new LedgerConfig
        {
            GenesisFile = genesis,
            Store = Store(section),
            SnapshotFile = section.Values.TryGetValue("snapshot", out KeyValueSyntax? file) && file.Value is StringValueSyntax { Value: "off" } ? null : Path(section, "snapshot", required: false) is { Length: > 0 } snapshot ? snapshot : Beside(beside, "ledger.snapshot"),
            SubnameDirectory = Path(section, "subnames", required: false) is { Length: > 0 } subnames ? subnames : Beside(beside, "ledger.subnames"),
            Follow = follow,
            JournalFile = Beside(beside, "ledger.signed"),
            Listen = EndPoint(section, "listen", null, mayBeOff: true),
            Interval = interval,
            SignFiles = [.. Files(section, "sign")],
        };
    }

    private (NodesFrom From, Uri? Server) Nodes(ConfigSection directory, LedgerConfig? ledger)
    {
        const string Form = "\"list\", \"ledger\", or the address of a ledger such as \"http://127.0.0.1:22023/\"";
        if (!directory.Values.TryGetValue("nodes", out KeyValueSyntax? item) || !TryString(item, "nodes", Form, out string text) || text == "list") return (NodesFrom.List, null);
        if (!Truth(directory, "gossip", true)) Report(item.Value!.Span, ConfigDiagnostic.Contradiction, "with `gossip` off, the contact list is all there is", "Leave `nodes` out, or `gossip` on.");
        if (text != "ledger") return (NodesFrom.Server, Url(item, "nodes"));
        if (ledger is null) Report(item.Value!.Span, ConfigDiagnostic.Contradiction, "the relays are to come out of this process's ledger, and it has none", "Set `genesis` in [ledger].");
        return (NodesFrom.Ledger, null);
    }

    private string Store(ConfigSection section)
    {
        const string Form = "\"sqlite:FILE\", \"etcd:URL\" or \"postgresql:CONNECTION\"";
        if (!section.Values.TryGetValue("store", out KeyValueSyntax? item)) return "sqlite:" + Beside(System.IO.Path.GetFullPath(_file), "ledger.db");
        if (!TryString(item, "store", Form, out string text)) return "";
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string kind = colon < 0 ? "" : text[..colon];
        if (kind == "sqlite" && colon + 1 < text.Length) return "sqlite:" + System.IO.Path.GetFullPath(text[(colon + 1)..], System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(_file)) ?? "/");
        if (kind is "etcd" or "postgresql" && colon + 1 < text.Length) return text;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"expected {Form}, found \"{Shorten(text)}\"", "");
        return "";
    }

    private List<Uri> Servers(ConfigSection section)
    {
        var servers = new List<Uri>();
        foreach ((string text, SourceSpan span) in Entries(section, "servers"))
        {
            if (IsUrl(text, out Uri? server)) servers.Add(server!);
            else Report(span, ConfigDiagnostic.WrongValue, $"expected an address such as \"http://127.0.0.1:22023/\", found \"{Shorten(text)}\"", "");
        }

        return servers;
    }

    private IEnumerable<string> Files(ConfigSection section, string key)
    {
        foreach ((string text, SourceSpan span) in Entries(section, key))
        {
            if (text.Length > 0 && !text.Contains('\0', StringComparison.Ordinal)) yield return System.IO.Path.GetFullPath(text, System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(_file)) ?? "/");
            else Report(span, ConfigDiagnostic.WrongValue, $"an entry of `{key}` names no file", "");
        }
    }

    private Uri? Url(KeyValueSyntax item, string key)
    {
        const string Form = "an address such as \"http://127.0.0.1:22023/\"";
        if (!TryString(item, key, Form, out string text)) return null;
        if (IsUrl(text, out Uri? url)) return url;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"expected {Form}, found \"{Shorten(text)}\"", "");
        return null;
    }

    internal static bool IsUrl(string text, out Uri? url) => Uri.TryCreate(text.EndsWith('/') ? text : text + "/", UriKind.Absolute, out url) && url.Scheme is "http" or "https";
}
