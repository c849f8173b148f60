using Oxen.Router.Dns;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>`[dns]`: the resolver of a client. That the section is there turns it on.</summary>
internal sealed record DnsConfig
{
    public DnsServiceOptions Service { get; init; } = new();
}
