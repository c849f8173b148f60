using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Gossip;

/// <summary>What a relay says of itself in its contact.</summary>
internal sealed record OwnRouter
{
    public required RouterCapabilities Capabilities { get; init; }

    public required UdpAddress[] Addresses { get; init; }

    public string Region { get; init; } = "";

    public string Operator { get; init; } = "";

    /// <summary>An exit's: where it goes; empty: wherever its policy lets it.</summary>
    public IReadOnlyList<IpPrefix> Ranges { get; init; } = [];

    /// <summary>Writes a new onion key's seed down before it is used; false: it could not, the old key stays for now. The callee wipes the bytes.</summary>
    public required Func<byte[], bool> StoreOnionKey { get; init; }
}

/// <summary>Numbers of gossip between relays. All are ours to choose; docs/decisions/0030-gossip.md says how they were.</summary>
internal sealed record GossipOptions
{
    /// <summary>Relays that we compare with and tell news to; drawn from the registry, one replaced an <see cref="PeerTime"/>.</summary>
    public int Peers { get; init; } = 6;

    /// <summary>Of these, so many hear each piece of news.</summary>
    public int Fanout { get; init; } = 4;

    /// <summary>News waits so long for more news.</summary>
    public TimeSpan NewsDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Only contacts published so recently are news; older ones spread by comparing.</summary>
    public TimeSpan NewsAge { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>News of one router is told at most once in this time, however often it publishes.</summary>
    public TimeSpan NewsGap { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Time between two comparisons with a random peer, plus up to half of it at random.</summary>
    public TimeSpan CompareEvery { get; init; } = TimeSpan.FromMinutes(4);

    /// <summary>The same while comparisons still bring something, and after a failed one.</summary>
    public TimeSpan CompareSoon { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan PeerTime { get; init; } = TimeSpan.FromHours(1);
}

/// <summary>How a client learns of the network.</summary>
internal sealed record FetchOptions
{
    /// <summary>Relays that are asked.</summary>
    public int Sources { get; init; } = 5;

    /// <summary>So many of them must agree on who is a relay. In a network of fewer relays than <see cref="Sources"/>: more than half of them.</summary>
    public int Agree { get; init; } = 3;

    /// <summary>Time between two rounds, plus up to half of it at random.</summary>
    public TimeSpan Every { get; init; } = TimeSpan.FromHours(1);

    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromSeconds(2);

    public TimeSpan LastRetry { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// An onion key lives two days. A contact that is older and claims to be valid all the same (of a list) may name one that is
    /// gone: until the first round it finds its router, but builds no path.
    /// </summary>
    public TimeSpan FreshFor { get; init; } = TimeSpan.FromHours(48);
}

/// <summary>What the directory of one router begins with.</summary>
internal sealed record DirectoryOptions
{
    public required RelayRoster Roster { get; init; }

    /// <summary>
    /// Until then (unix seconds) the roster stands by itself: the list's expiry, or for ever where a ledger says who is a relay.
    /// Afterwards a client asks relays, and believes those that agree.
    /// </summary>
    public long RosterUntilUnixSeconds { get; init; } = long.MaxValue;

    /// <summary>Contacts of a list or a cache, signatures checked by who read them, their time over or not.</summary>
    public IReadOnlyList<RouterContact> Contacts { get; init; } = [];

    /// <summary>A relay's; null for a client.</summary>
    public OwnRouter? Own { get; init; }

    public GossipOptions Gossip { get; init; } = new();

    public FetchOptions Fetch { get; init; } = new();
}
