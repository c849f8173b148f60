using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>Which keys exist. What each means stands in oxen.example.toml; a test holds the two together.</summary>
internal static class ConfigSchema
{
    public static readonly IReadOnlyDictionary<string, IReadOnlyList<string>> Sections = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal)
    {
        ["router"] = ["roles", "listen", "address", "identity", "onion_key", "network", "contacts", "contacts_key", "shards", "nice", "status"],
        ["relay"] = ["operator", "region", "replay_filter"],
        ["client"] = ["socks", "http", "hops", "exit", "spares", "packet_size", "users", "guards", "exclude", "exclude_countries", "regions", "latency", "service_keys"],
        ["directory"] = ["gossip", "state", "sources", "agree", "networks", "nodes"],
        ["names"] = ["source", "servers", "genesis", "max_age"],
        ["ledger"] = ["genesis", "store", "snapshot", "subnames", "follow", "listen", "interval", "sign"],
        ["exit"] = ["rules", "except", "ranges", "tokens", "connect_time", "udp_idle", "tunnel", "tun", "pool", "connections", "nat"],
        ["tun"] = ["name", "addresses", "ranges", "routes", "queue", "table", "mark", "priority", "kill_switch", "kill_switch_lan"],
        ["dns"] = ["listen", "forward", "servers", "clients", "ranges", "lifetime", "ttl", "mapped", "packets", "mark"],
        ["swarm"] = ["data", "listen", "seed", "rate", "size", "account_size", "proxy", "proxy_hosts", "origins", "files", "file_size", "pro_file_size", "pro_key", "pro_revocations"],
        ["log"] = ["level", "format"],
    };

    /// <summary>Sections that may stand in a file more than once, in double brackets.</summary>
    public static readonly IReadOnlyDictionary<string, IReadOnlyList<string>> Tables = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal)
    {
        ["service"] = ["name", "key", "ports", "exit", "tun", "pool", "texts", "srv", "clients", "instance", "introductions", "sessions", "streams"],
        ["client.exits"] = ["ranges", "exits", "token"],
    };
}

/// <summary>One section as it was found in the file.</summary>
internal sealed class ConfigSection(string name, IReadOnlyList<string> keys)
{
    public string Name { get; } = name;

    public IReadOnlyList<string> Keys { get; } = keys;

    public Dictionary<string, KeyValueSyntax> Values { get; } = new(StringComparer.Ordinal);

    /// <summary>Null: the file does not have it.</summary>
    public SourceSpan? Span { get; set; }
}
