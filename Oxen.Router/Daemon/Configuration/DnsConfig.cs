using Oxen.Router.Dns;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>`[dns]`: the resolver of a client. That the section is there turns it on.</summary>
internal sealed record DnsConfig
{
    public DnsServiceOptions Service { get; init; } = new();

    /// <summary>Connections to mapped addresses are taken (routes, rules of nft). False: what becomes of them is the user's.</summary>
    public bool Mapped { get; init; } = true;

    /// <summary>Name of the interface for IP packets to services that take them; null: there is none.</summary>
    public string? Packets { get; init; }

    /// <summary>Mark of packets to mapped addresses that the door takes.</summary>
    public uint Mark { get; init; } = 18501;
}
