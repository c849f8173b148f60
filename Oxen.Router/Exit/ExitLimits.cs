namespace Oxen.Router.Exit;

/// <summary>What one exit grants. Constants of ours, not of the protocol, except where docs/protocol/proxy.md names them.</summary>
internal sealed record ExitLimits
{
    public int StreamsPerSession { get; init; } = 512;

    public int StreamsInAll { get; init; } = 16384;

    public TimeSpan HeaderTime { get; init; } = TimeSpan.FromSeconds(10);

    public TimeSpan ResolveTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>For all addresses of a name together.</summary>
    public TimeSpan ConnectTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Head start of one address over the next (RFC 8305 section 5).</summary>
    public TimeSpan ConnectStagger { get; init; } = TimeSpan.FromMilliseconds(250);

    public int AddressesPerName { get; init; } = 8;

    public int AssociationsPerSession { get; init; } = 64;

    public int AssociationsInAll { get; init; } = 4096;

    public TimeSpan AssociationIdle { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Addresses an association remembers as contacted; the oldest is forgotten first.</summary>
    public int ContactsPerAssociation { get; init; } = 256;

    /// <summary>Datagrams that wait for one name's resolution.</summary>
    public int WaitingPerName { get; init; } = 8;

    public int NamesCached { get; init; } = 4096;

    public TimeSpan NameLifetime { get; init; } = TimeSpan.FromSeconds(60);
}
