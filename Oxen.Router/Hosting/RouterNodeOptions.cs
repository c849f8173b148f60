using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;
using Oxen.Router.Tun;
using Oxen.Router.Udp;

namespace Oxen.Router.Hosting;

/// <summary>How one router of this process is made: a relay (perhaps an exit), or a client. Never both at once: a relay's lasting key must not build a person's paths.</summary>
internal sealed class RouterNodeOptions
{
    /// <summary>For thread names and the operator's screen.</summary>
    public required string Name { get; init; }

    public required UdpAddress Listen { get; init; }

    /// <summary>A relay's; null makes a client.</summary>
    public RouterIdentity? Identity { get; init; }

    public OnionKeyRing? OnionKeys { get; init; }

    /// <summary>A client's; null for a relay.</summary>
    public ClientPathOptions? Client { get; init; }

    /// <summary>Of the network, 32 bytes: which hidden services are kept where depends on it.</summary>
    public ReadOnlyMemory<byte> NetworkId { get; init; } = new byte[32];

    /// <summary>A client's: X25519 secrets by which services know it that let authorised clients in alone.</summary>
    public IReadOnlyDictionary<ServiceAddress, byte[]> ServiceKeys { get; init; } = new Dictionary<ServiceAddress, byte[]>();

    /// <summary>A client's: doors will ask for paths, so some are made ready at the start.</summary>
    public bool Proxied { get; init; } = true;

    /// <summary>How the router follows the network; null: what it is started with stays as it is.</summary>
    public DirectoryOptions? Directory { get; init; }

    /// <summary>Says who may be a relay, in place of the roster of <see cref="Directory"/>; null: nobody but that.</summary>
    public INodeSource? Nodes { get; init; }

    /// <summary>Null: a relay that passes nothing to the outside.</summary>
    public ExitPolicy? ExitPolicy { get; init; }

    /// <summary>An exit's: who may use it; empty: everybody.</summary>
    public IReadOnlyList<ExitToken> ExitTokens { get; init; } = [];

    /// <summary>A client's: which exits it uses for what.</summary>
    public ExitMap Exits { get; init; } = ExitMap.None;

    /// <summary>A client's: the tokens that it shows to exits.</summary>
    public IReadOnlyDictionary<RouterId, ReadOnlyMemory<byte>> Tokens { get; init; } = new Dictionary<RouterId, ReadOnlyMemory<byte>>();

    public IExitResolver? ExitResolver { get; init; }

    public ExitLimits ExitLimits { get; init; } = new();

    public IReadOnlyList<IRouterPlugin> Plugins { get; init; } = [];

    public int Shards { get; init; } = 1;

    /// <summary>Nice value of the shards' threads; 0 leaves it.</summary>
    public int Nice { get; init; }

    /// <summary>The tunnel that this router is an end of; null: none.</summary>
    public RouterTunnel? Tunnel { get; init; }

    public ShardOptions Shard { get; init; } = new();

    public LinkOptions Links { get; init; } = new();

    public BuildBudgetOptions Budget { get; init; } = new();

    public BuildPolicy Builds { get; init; } = BuildPolicy.Default;

    public UdpSocketOptions Socket { get; init; } = new();

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Called once for each thread of the router: a source of random bytes serves one thread.</summary>
    public Func<IEntropy> Entropy { get; init; } = static () => new SystemEntropy();

    /// <summary>Hears what an operator should know. Any thread.</summary>
    public Action<RouterNotice>? OnNotice { get; init; }
}

/// <summary>A router's end of a tunnel.</summary>
/// <param name="Queues">One for each shard; they stay their owner's.</param>
/// <param name="Options">Client's or exit's end, addresses, limits.</param>
internal sealed record RouterTunnel(IReadOnlyList<ITunDevice> Queues, TunnelOptions Options);

internal enum RouterNoticeKind
{
    LinkUp,
    LinkDown,
    PathReady,
    PathLost,
    PathSwitched,
    SessionReady,
    SessionLost,

    /// <summary>An exit has leased inner addresses: IP packets pass.</summary>
    TunnelReady,

    /// <summary>Somebody took the tunnel's interface away.</summary>
    TunnelLost,
    ClockCorrected,
    ClockOff,

    /// <summary>A relay's own clock, by the word of most relays that it met.</summary>
    OwnClockOff,
    WrongPeerKey,
    Fault,
}

/// <summary>Something an operator may want to know. It never says who talks to whom.</summary>
internal sealed record RouterNotice(RouterNoticeKind Kind, string Router, string Text, TimeSpan Time = default, Exception? Exception = null);
