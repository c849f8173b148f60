using Oxen.Router.Client;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Wire;
using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

// Exits: whom an exit serves and where it goes, and which of them a client uses for what.
internal sealed partial class ConfigReader
{
    private const int MaxExitEntries = 32;
    private const int MaxExitsOfOne = 16;

    private ConfigSection AddTable(string name)
    {
        var section = new ConfigSection(name, ConfigSchema.Tables[name]);
        if (!_arrays.TryGetValue(name, out List<ConfigSection>? all)) _arrays.Add(name, all = []);
        all.Add(section);
        return section;
    }

    private List<ExitMapEntry> ExitMap()
    {
        var map = new List<ExitMapEntry>();
        foreach (ConfigSection entry in _arrays.GetValueOrDefault("client.exits") ?? [])
        {
            if (map.Count == MaxExitEntries)
            {
                Report(entry.Span!.Value, ConfigDiagnostic.WrongValue, $"more than {MaxExitEntries} of [[client.exits]]", "Put ranges that take the same exits into one.");
                break;
            }

            if (!entry.Values.ContainsKey("exits")) MissingKey(entry, "exits", "exits = [\"64 hexadecimal digits\"]");
            var exits = new List<RouterId>();
            var services = new List<string>();
            foreach ((string text, SourceSpan span) in Entries(entry, "exits"))
            {
                string name = text.ToLowerInvariant();
                if (IsServiceName(name))
                {
                    if (services.Contains(name)) Report(span, ConfigDiagnostic.WrongValue, "this exit is named twice", "");
                    else services.Add(name);
                    if (exits.Count > 0) Report(span, ConfigDiagnostic.Contradiction, "an entry names routers or hidden services, not both", "Write two entries.");
                    continue;
                }

                if (services.Count > 0) Report(span, ConfigDiagnostic.Contradiction, "an entry names routers or hidden services, not both", "Write two entries.");
                if (!RouterId.TryParse(text, out RouterId id)) Report(span, ConfigDiagnostic.WrongValue, $"expected an exit's router id (64 hexadecimal digits) or a hidden service's name in .loki, found \"{Shorten(text)}\"", "`oxen contacts show` tells the exits of a list.");
                else if (exits.Contains(id)) Report(span, ConfigDiagnostic.WrongValue, "this exit is named twice", "");
                else exits.Add(id);
            }

            if (exits.Count + services.Count > MaxExitsOfOne) Report(entry.Values["exits"].Value!.Span, ConfigDiagnostic.WrongValue, $"`exits` has more than {MaxExitsOfOne} entries", "");
            if (services.Count > 0 && entry.Values.TryGetValue("token", out KeyValueSyntax? token)) Report(token.Span, ConfigDiagnostic.Contradiction, "hidden services ask for no tokens: they let clients in by their keys", "Name the service and the client's key in `service_keys` of [client].");
            map.Add(new ExitMapEntry(Ranges(entry), exits, services, Token(entry)));
        }

        if (_sections["client"].Values.TryGetValue("exit", out KeyValueSyntax? one) && map.Exists(e => e.Ranges.Count == 0 && e.Services.Count > 0)) Report(one.Span, ConfigDiagnostic.Contradiction, "`exit` names a router, and an entry of [[client.exits]] without ranges names hidden services for the same traffic", "Leave one of them out.");
        if (map.Exists(e => e.Ranges.Count == 0 && e.Services.Count > 0) && map.Exists(e => e.Ranges.Count == 0 && e.Exits.Count > 0)) Report(_arrays["client.exits"][0].Span!.Value, ConfigDiagnostic.Contradiction, "entries of [[client.exits]] without ranges name routers and hidden services for the same traffic", "Leave one kind out, or give one of them ranges.");

        return map;
    }

    // The address, or a short name that is looked up when it is needed.
    private static bool IsServiceName(string text) =>
        text.Length <= ProxyDestination.MaxNameBytes && ServiceNames.ZoneOf(text) == NameZone.Service && text.Length > ServiceAddress.Ending.Length
        && ProxyDestination.TryFromHost(text, 0, out ProxyDestination name) && name.IsName
        && (text.Split('.')[^2] is var label && (label.Length != ServiceAddress.TextLength || ServiceAddress.TryParse(label, out _)));

    private List<IpPrefix> Ranges(ConfigSection section)
    {
        var ranges = new List<IpPrefix>();
        foreach ((string text, SourceSpan span) in Entries(section, "ranges"))
        {
            if (!IpPrefix.TryParse(text, out IpPrefix range)) Report(span, ConfigDiagnostic.WrongValue, $"expected a network such as \"10.1.0.0/16\", found \"{Shorten(text)}\"", "Bits of a network behind its length must be zero.");
            else if (ranges.Contains(range)) Report(span, ConfigDiagnostic.WrongValue, "this network is named twice", "");
            else ranges.Add(range);
        }

        return ranges;
    }

    private List<IpPrefix> ExitRanges(ConfigSection exit)
    {
        List<IpPrefix> ranges = Ranges(exit);
        if (ranges.Count > RouterContact.MaxRanges) Report(exit.Values["ranges"].Value!.Span, ConfigDiagnostic.WrongValue, $"a contact has room for {RouterContact.MaxRanges} ranges", "Name larger networks; `rules` decide about the rest.");
        return ranges;
    }

    // The text is a secret, and is not repeated.
    private byte[] Token(ConfigSection entry)
    {
        const string Form = "a token as its exit's operator gave it: \"oxt-\" and 64 hexadecimal digits";
        if (!entry.Values.TryGetValue("token", out KeyValueSyntax? item)) return [];
        if (item.Value is StringValueSyntax text && ExitTokenText.TrySecret(text.Value ?? "", out byte[] token)) return token;
        Report(item.Value!.Span, ConfigDiagnostic.WrongValue, $"expected {Form}", "Ask the exit's operator for it.");
        return [];
    }

    private List<ExitToken> ExitTokenLines(ConfigSection exit)
    {
        var tokens = new List<ExitToken>();
        foreach ((string text, SourceSpan span) in Entries(exit, "tokens"))
        {
            if (!ExitTokenText.TryLine(text, out ExitToken? token)) Report(span, ConfigDiagnostic.WrongValue, $"expected {ExitTokenText.LineForm}", text.StartsWith("oxt-", StringComparison.Ordinal) ? "This is a token itself, which only its holder should have: here goes the line with its hash." : "");
            else if (tokens.Exists(t => t.Hash.Span.SequenceEqual(token!.Hash.Span))) Report(span, ConfigDiagnostic.WrongValue, "this token is named twice", "");
            else tokens.Add(token!);
        }

        return tokens;
    }
}
