using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Router.Core.Sessions;

/// <summary>A path that ends at this router.</summary>
internal sealed class TerminalPath
{
    public required PathRef Path { get; init; }

    public required byte[] SessionSecret { get; init; }

    public required byte[] Transcript { get; init; }

    public required SizeClass Class { get; init; }

    public ExitSession? Session { get; set; }

    /// <summary>What was answered to OPEN on this path, to be repeated if the client did not hear it.</summary>
    public byte[] OpenedRandom { get; set; } = [];

    public byte[] OpenedAnswer { get; set; } = [];
}

/// <summary>
/// A client's session at the terminal: it outlives the paths that carry it, and owns the QUIC connection, the sockets and
/// (with the tunnel) the inner addresses. Nothing in it says who the client is.
/// </summary>
internal sealed class ExitSession
{
    /// <summary>Number inside this process; the QUIC engine's virtual address.</summary>
    public required long Number { get; init; }

    public required UInt128 Id { get; init; }

    public required byte[] Key { get; init; }

    public required Instant Ends { get; init; }

    public List<TerminalPath> Paths { get; } = [];

    /// <summary>Where downstream packets go.</summary>
    public TerminalPath? Active { get; set; }

    /// <summary>Highest sequence of ATTACH or ACTIVATE that was accepted.</summary>
    public ulong Sequence { get; set; }

    public ulong ActivateSequence { get; set; }

    /// <summary>When to end it because no path carries it.</summary>
    public Instant GiveUp { get; set; } = Instant.Never;

    public QuicConnection? Connection { get; set; }

    /// <summary>It may pass traffic to the outside.</summary>
    public bool Admitted { get; set; }

    /// <summary>The number of the token that it was admitted with; -1: none was needed.</summary>
    public int Token { get; set; } = -1;

    /// <summary>Number of the lease, the tunnel's peer; -1 without one.</summary>
    public int Lease { get; set; } = -1;

    public InnerAddresses Leased { get; set; }

    public UdpAddress Address => UdpAddress.FromVirtual((ulong)Number, 0);
}
