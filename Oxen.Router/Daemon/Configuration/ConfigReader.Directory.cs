using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

// [directory], and the rules of [client] about which relays its paths take.
internal sealed partial class ConfigReader
{
    private DirectoryConfig Directory(ConfigSection section, LedgerConfig? ledger)
    {
        (NodesFrom from, Uri? server) = Nodes(section, ledger);
        int sources = (int)Integer(section, "sources", 5, 1, 8);
        int agree = (int)Integer(section, "agree", (sources / 2) + 1, 1, 8);
        if (section.Values.TryGetValue("agree", out KeyValueSyntax? item) && item.Value is IntegerValueSyntax && (agree > sources || 2 * agree <= sources))
        {
            Report(item.Value.Span, ConfigDiagnostic.Contradiction, $"`agree` = {agree} of {sources} `sources`: fewer than half could then say who is a relay, or nobody ever", $"Set it from {(sources / 2) + 1} to {sources}.");
        }

        return new DirectoryConfig
        {
            Gossip = Truth(section, "gossip", true),
            StateDirectory = Path(section, "state", required: false) is { Length: > 0 } state ? state : Beside(System.IO.Path.GetFullPath(_file), "state"),
            Sources = sources,
            Agree = agree,
            NetworksFile = Path(section, "networks", required: false),
            Nodes = from,
            NodesServer = server,
        };
    }

    private ClientRules Rules(ConfigSection client, ConfigSection directory)
    {
        var routers = new List<RouterId>();
        var networks = new List<IpPrefix>();
        foreach ((string text, SourceSpan span) in Entries(client, "exclude"))
        {
            if (RouterId.TryParse(text, out RouterId id)) routers.Add(id);
            else if (IpPrefix.TryParse(text, out IpPrefix network)) networks.Add(network);
            else Report(span, ConfigDiagnostic.WrongValue, $"expected a router id (64 hexadecimal digits) or a network such as \"192.0.2.0/24\", found \"{Shorten(text)}\"", "Bits of a network behind its length must be zero.");
        }

        var countries = new List<string>();
        foreach ((string text, SourceSpan span) in Entries(client, "exclude_countries"))
        {
            if (NetworkTable.IsCountry(text)) countries.Add(text);
            else Report(span, ConfigDiagnostic.WrongValue, $"expected a country of two lower-case letters such as \"de\", found \"{Shorten(text)}\"", "ISO 3166 has them.");
        }

        if (countries.Count > 0 && !directory.Values.ContainsKey("networks"))
        {
            Report(client.Values["exclude_countries"].Value!.Span, ConfigDiagnostic.Contradiction, "which country a relay is in is not known without a table of networks", "Set `networks` in [directory].");
        }

        var regions = new List<string>();
        foreach ((string text, SourceSpan span) in Entries(client, "regions"))
        {
            if (text.Length is > 0 and <= RouterContact.MaxRegionBytes && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')) regions.Add(text);
            else Report(span, ConfigDiagnostic.WrongValue, $"expected a region of 1 to {RouterContact.MaxRegionBytes} of a-z, 0-9, -, found \"{Shorten(text)}\"", "`oxen contacts show` tells the regions of a list.");
        }

        return new ClientRules(routers, networks, countries, regions, OneOf(client, "latency", "any", ["any", "low"]) == "low");
    }

    private IEnumerable<(string Text, SourceSpan Span)> Entries(ConfigSection section, string key) =>
        section.Values.TryGetValue(key, out KeyValueSyntax? item) ? Strings(item, key) : [];
}
