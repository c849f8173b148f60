using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Router.Core.Sessions;

internal enum ClientGroupState : byte
{
    /// <summary>No path is ready.</summary>
    Waiting,

    /// <summary>OPEN was sent.</summary>
    Opening,

    /// <summary>The session stands, the QUIC handshake inside is under way.</summary>
    Connecting,

    /// <summary>Streams may be opened.</summary>
    Ready,
}

/// <summary>One path of a group, seen from the session thread.</summary>
internal sealed class ClientPathState
{
    public required PathRef Path { get; init; }

    public required byte[] SessionSecret { get; init; }

    public required byte[] Transcript { get; init; }

    public required RouterId[] Hops { get; init; }

    public required Instant Expires { get; init; }

    public required SizeClass Class { get; init; }

    public required PathHealth Health { get; init; }

    public required PathMeter Meter { get; init; }

    /// <summary>Not 0 once ATTACH was sent; the sequence it was sent with.</summary>
    public ulong AttachSequence { get; set; }

    public bool Attached { get; set; }

    public Instant AttachRetry { get; set; } = Instant.Never;

    /// <summary>Packets of the session thread's own making.</summary>
    public long PacketsUp { get; set; }

    public long PacketsDown { get; set; }

    /// <summary>What the shards saw of IP packets; the path's row had another path before.</summary>
    public PathTraffic Tunnelled { get; set; }

    public PathTraffic TunnelledBefore { get; set; }

    public long AllPacketsUp => PacketsUp + Tunnelled.Up - TunnelledBefore.Up;

    public long AllPacketsDown => PacketsDown + Tunnelled.Down - TunnelledBefore.Down;

    public long BytesDown { get; set; }
}

/// <summary>
/// Streams that may share paths and an exit: one isolation group of the proxy's users. It has its own paths, its own exit
/// session and its own QUIC connection, so that an exit cannot join two groups.
/// </summary>
internal sealed class ClientGroup(int number)
{
    public int Number { get; } = number;

    public ClientGroupState State { get; set; }

    public List<ClientPathState> Paths { get; } = [];

    /// <summary>Where upstream packets go, and where the exit was told to send.</summary>
    public ClientPathState? Active { get; set; }

    public RouterId Exit { get; set; }

    /// <summary>Counts sessions of this group, so that packets of an older one are not taken for the newer one's.</summary>
    public ushort SessionCount { get; set; }

    public byte[] ClientRandom { get; set; } = [];

    public byte[] SessionId { get; set; } = [];

    public byte[] SessionKey { get; set; } = [];

    /// <summary>The path that OPEN went over: OPENED must come back on it.</summary>
    public ClientPathState? OpeningPath { get; set; }

    public ulong Sequence { get; set; }

    /// <summary>The ACTIVATE that waits for its answer, and when to repeat it.</summary>
    public ulong ActivateSequence { get; set; }

    public bool ActivateAnswered { get; set; } = true;

    public Instant Retry { get; set; } = Instant.Never;

    public Instant OpenedAt { get; set; }

    /// <summary>Hop of the last path that fell silent: -1 unknown. And when an exit was last found silent behind hops that answered.</summary>
    public int LastSuspect { get; set; } = -1;

    public Instant ExitSilentAt { get; set; } = new(long.MinValue / 2);

    /// <summary>When to give the session up because no path is left.</summary>
    public Instant GiveUp { get; set; } = Instant.Never;

    public QuicConnection? Quic { get; set; }

    /// <summary>Its session is for traffic to the outside, not for the terminal's own services: it asks to be admitted.</summary>
    public bool WantsExit { get; set; }

    public bool Admitted { get; set; }

    /// <summary>The QUIC handshake is done.</summary>
    public bool Connected { get; set; }

    /// <summary>When to ask for admission again.</summary>
    public Instant UseRetry { get; set; } = Instant.Never;

    /// <summary>The tunnel's group: its session asks for inner addresses.</summary>
    public bool WantsTunnel { get; set; }

    /// <summary>What the exit leased; null before it has.</summary>
    public InnerAddresses? Leased { get; set; }

    /// <summary>When to ask for the lease again.</summary>
    public Instant LeaseRetry { get; set; } = Instant.Never;

    /// <summary>How often traffic moved to another path.</summary>
    public int Switches { get; set; }

    public UdpAddress Address => UdpAddress.FromVirtual((ulong)Number, SessionCount);
}
