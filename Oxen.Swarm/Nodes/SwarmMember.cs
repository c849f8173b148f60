using System.Net;

namespace Oxen.Swarm.Nodes;

/// <summary>One storage node as the registry and its contact tell it.</summary>
/// <param name="Ed25519">Its id, 32 bytes.</param>
/// <param name="SwarmId">Whose messages it keeps; <see cref="SwarmRing.Unassigned"/> for none.</param>
/// <param name="Address">Where it is reached; null if that is not known.</param>
/// <param name="HttpsPort">TCP port of the HTTPS door; 0 if it has none.</param>
/// <param name="QuicPort">Port of the OMQ (TCP) and QUIC (UDP) doors; 0 if it has none.</param>
public sealed record SwarmMember(ReadOnlyMemory<byte> Ed25519, ulong SwarmId, IPAddress? Address, int HttpsPort, int QuicPort)
{
    /// <summary>Version of its storage, for `active_nodes_bin`.</summary>
    public Version Version { get; init; } = new(2, 12, 0);

    /// <summary>False while it is decommissioned: it relays onion requests but keeps no messages.</summary>
    public bool Active { get; init; } = true;

    internal bool Is(ReadOnlySpan<byte> id) => Ed25519.Span.SequenceEqual(id);

    internal string Hex => Convert.ToHexStringLower(Ed25519.Span);
}

/// <summary>The nodes of one moment, and the ledger's height then.</summary>
/// <param name="Members">All nodes, whatever their swarm.</param>
/// <param name="Height">Block height; 0 for a static list.</param>
public sealed record SwarmRoster(IReadOnlyList<SwarmMember> Members, ulong Height);

/// <summary>Tells who the storage nodes are and where. Any thread may ask.</summary>
public interface ISwarmDirectory
{
    /// <summary>The latest list; cheap.</summary>
    SwarmRoster Current { get; }

    /// <summary>Raised after <see cref="Current"/> was replaced; handlers return at once.</summary>
    event Action? Changed;
}
