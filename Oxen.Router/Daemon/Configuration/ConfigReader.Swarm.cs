using System.Net;
using Oxen.Router.Core.Directory;
using Tomlyn.Syntax;

namespace Oxen.Router.Daemon.Configuration;

// [swarm]: that the section is there turns storage on.
internal sealed partial class ConfigReader
{
    private const long MinFileBytes = 1 << 20, MaxFileServerBytes = 1L << 30;

    private SwarmConfig? Swarm(ConfigSection section, RouterRoles roles, IPEndPoint listen, IPEndPoint reached)
    {
        if (section.Span is not { } span) return null;
        if (!roles.HasFlag(RouterRoles.Relay) && roles != RouterRoles.None) Report(span, ConfigDiagnostic.Contradiction, "[swarm] is a relay's, and `roles` does not have \"relay\"", "Add \"relay\" to `roles`. To store and fetch messages, a client needs no section: `oxen swarm --help`.");
        IPEndPoint door = EndPoint(section, "listen", listen)!;
        if (door.Port != reached.Port) Report(section.Values.TryGetValue("listen", out KeyValueSyntax? item) ? item.Value!.Span : span, ConfigDiagnostic.Contradiction, $"others look for the HTTPS door at the port number of the router's address, {reached.Port}, and it would listen on {door.Port}", $"Listen on port {reached.Port} (TCP and UDP do not disturb each other), or forward that port.");
        if (door.Port == ushort.MaxValue) Report(span, ConfigDiagnostic.Contradiction, $"the QUIC door is one port above the HTTPS door's, and there is none above {door.Port}", "Choose another port for the router.");
        bool files = Truth(section, "files", false);
        long size = Size(section, "size", 10L << 30, 16L << 20, 4L << 40);
        long each = Size(section, "account_size", 0, 1L << 20, 4L << 40);
        if (each > size) Report(section.Values["account_size"].Value!.Span, ConfigDiagnostic.Contradiction, "`account_size` is more than `size`", "One account may have a part of the whole.");
        return new SwarmConfig
        {
            Data = Path(section, "data", required: false) is { Length: > 0 } data ? data : Beside(System.IO.Path.GetFullPath(_file), "swarm"),
            Listen = door,
            Seed = Truth(section, "seed", false),
            Rate = (int)Integer(section, "rate", 300, 1, 1_000_000),
            Bytes = size,
            AccountBytes = each,
            Proxy = Truth(section, "proxy", true),
            ProxyHosts = [.. Entries(section, "proxy_hosts").Select(e => e.Text)],
            Origins = Origins(section),
            Files = files,
            FileBytes = Size(section, "file_size", 10_000_000, MinFileBytes, MaxFileServerBytes),
            ProFileBytes = Size(section, "pro_file_size", 100_000_000, MinFileBytes, MaxFileServerBytes),
            ProKey = Id(section, "pro_key", required: false) is { } key ? key.ToArray() : default(ReadOnlyMemory<byte>),
            ProRevocations = ProRevocations(section),
        };
    }

    private string? ProRevocations(ConfigSection section)
    {
        if (Path(section, "pro_revocations", required: false) is not { Length: > 0 } file) return null;
        if (!section.Values.ContainsKey("pro_key")) Report(section.Values["pro_revocations"].Value!.Span, ConfigDiagnostic.Contradiction, "`pro_revocations` without `pro_key`: no proof counts", "Add the backend's key as `pro_key`.");
        return file;
    }

    private List<string> Origins(ConfigSection section)
    {
        var origins = new List<string>();
        foreach ((string text, SourceSpan span) in Entries(section, "origins"))
        {
            if (text == "*" || (Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https" && text == uri.GetLeftPart(UriPartial.Authority))) origins.Add(text);
            else Report(span, ConfigDiagnostic.WrongValue, $"expected an origin such as \"https://example.org\", found \"{Shorten(text)}\"", "An origin is scheme, host and perhaps port, without a slash at its end; \"*\" is every one.");
        }

        return origins;
    }
}
