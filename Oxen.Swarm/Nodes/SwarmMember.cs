using System.Net;

namespace Oxen.Swarm.Nodes;

/// <summary>One storage node as the registry and its contact tell it.</summary>
/// <param name="ed25519">Its id, 32 bytes.</param>
/// <param name="swarmId">Whose messages it keeps; <see cref="SwarmRing.Unassigned"/> for none.</param>
/// <param name="address">Where it is reached; null if that is not known.</param>
/// <param name="httpsPort">TCP port of the HTTPS door; 0 if it has none.</param>
/// <param name="quicPort">Port of the OMQ (TCP) and QUIC (UDP) doors; 0 if it has none.</param>
public sealed class SwarmMember(ReadOnlyMemory<byte> ed25519, ulong swarmId, IPAddress? address, int httpsPort, int quicPort)
{
    /// <summary>Its id: its Ed25519 public key, 32 bytes.</summary>
    public ReadOnlyMemory<byte> Ed25519 { get; } = ed25519;

    /// <summary>Whose messages it keeps; <see cref="SwarmRing.Unassigned"/> for none.</summary>
    public ulong SwarmId { get; } = swarmId;

    /// <summary>Where it is reached; null if that is not known.</summary>
    public IPAddress? Address { get; } = address;

    /// <summary>TCP port of the HTTPS door; 0 if it has none.</summary>
    public int HttpsPort { get; } = httpsPort;

    /// <summary>Port of the OMQ (TCP) and QUIC (UDP) doors; 0 if it has none.</summary>
    public int QuicPort { get; } = quicPort;

    /// <summary>Version of its storage, for `active_nodes_bin`.</summary>
    public Version Version { get; init; } = new(2, 12, 0);

    /// <summary>False while it is decommissioned: it relays onion requests but keeps no messages.</summary>
    public bool Active { get; init; } = true;

    /// <summary>Since which height it has been in its swarm without a break; 0: not known.</summary>
    public ulong SwarmSince { get; init; }

    internal string Hex { get; } = Convert.ToHexStringLower(ed25519.Span);
}

/// <summary>The nodes of one moment, and the ledger's height then.</summary>
/// <param name="members">All nodes, whatever their swarm.</param>
/// <param name="height">Block height; 0 for a static list.</param>
public sealed class SwarmRoster(IReadOnlyList<SwarmMember> members, ulong height)
{
    /// <summary>All nodes, whatever their swarm.</summary>
    public IReadOnlyList<SwarmMember> Members { get; } = members;

    /// <summary>Block height; 0 for a static list.</summary>
    public ulong Height { get; } = height;

    /// <summary>Which of a row of lists this is; 0: members tell since when they are in their swarms, or there is but one list.</summary>
    public ulong Generation { get; init; }
}

/// <summary>Tells who the storage nodes are and where. Any thread may ask.</summary>
public interface ISwarmDirectory
{
    /// <summary>The latest list; cheap.</summary>
    SwarmRoster Current { get; }

    /// <summary>Raised after <see cref="Current"/> was replaced; handlers return at once.</summary>
    event Action? Changed;
}
