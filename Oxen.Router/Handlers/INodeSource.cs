using System.Collections.Frozen;

namespace Oxen.Router.Handlers;

/// <summary>One service node of the registry.</summary>
/// <param name="routerId">Its Ed25519 public key, 32 bytes.</param>
/// <param name="operatorName">Whoever answers for it; empty: not known.</param>
/// <param name="swarmId">Whose messages it keeps.</param>
/// <param name="active">False while it is decommissioned.</param>
public sealed class ServiceNode(ReadOnlyMemory<byte> routerId, string operatorName, ulong swarmId, bool active)
{
    /// <summary>Its Ed25519 public key, 32 bytes.</summary>
    public ReadOnlyMemory<byte> RouterId { get; } = routerId;

    /// <summary>Whoever answers for it: a path has at most one relay of one operator. Empty: not known.</summary>
    public string Operator { get; } = operatorName;

    /// <summary>Whose messages it keeps; <see cref="ulong.MaxValue"/>: it belongs to no swarm.</summary>
    public ulong SwarmId { get; } = swarmId;

    /// <summary>False while it is decommissioned: it is known, but no relay now.</summary>
    public bool Active { get; } = active;

    /// <summary>Since which height of the ledger it has been in its swarm without a break; 0: not known.</summary>
    public ulong SwarmSince { get; init; }
}

/// <summary>The nodes of one moment; never changes.</summary>
public sealed class NodeRegistry
{
    private readonly FrozenDictionary<UInt128, ServiceNode[]> _byHead;

    /// <summary>Makes a registry; of two nodes with one id the later one counts.</summary>
    /// <exception cref="ArgumentException">A router id does not have 32 bytes.</exception>
    public NodeRegistry(IEnumerable<ServiceNode> nodes, ulong height = 0)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        var last = new Dictionary<(UInt128 Head, UInt128 Tail), ServiceNode>();
        foreach (ServiceNode node in nodes)
        {
            if (node.RouterId.Length != 32) throw new ArgumentException("a router id has 32 bytes", nameof(nodes));
            last[Split(node.RouterId.Span)] = node;
        }

        Nodes = [.. last.Values];
        Height = height;
        _byHead = last.GroupBy(n => n.Key.Head).ToFrozenDictionary(g => g.Key, g => g.Select(n => n.Value).ToArray());
    }

    /// <summary>Nobody.</summary>
    public static NodeRegistry Empty { get; } = new([]);

    /// <summary>Block height of the ledger that this was read at; 0 for a static list.</summary>
    public ulong Height { get; }

    /// <summary>
    /// Which of a row of lists this is, where nodes do not tell since when they are in their swarms: another number for another list.
    /// 0: the registry has no such lists.
    /// </summary>
    public ulong Generation { get; init; }

    /// <summary>All of them, in the order in which they were given.</summary>
    public IReadOnlyList<ServiceNode> Nodes { get; }

    /// <summary>The node of this id, or null.</summary>
    public ServiceNode? Find(ReadOnlySpan<byte> routerId)
    {
        if (routerId.Length != 32 || !_byHead.TryGetValue(Split(routerId).Head, out ServiceNode[]? nodes)) return null;
        foreach (ServiceNode node in nodes) if (routerId.SequenceEqual(node.RouterId.Span)) return node;
        return null;
    }

    private static (UInt128 Head, UInt128 Tail) Split(ReadOnlySpan<byte> id) =>
        (System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(id), System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(id[16..]));
}

/// <summary>Says who may be a relay and which swarm a node belongs to: a static list, or the ledger's registry. Any thread may ask.</summary>
public interface INodeSource
{
    /// <summary>The latest registry. Cheap: may be read for every message.</summary>
    NodeRegistry Current { get; }

    /// <summary>Raised after <see cref="Current"/> was replaced, on a thread of the source's; handlers return at once.</summary>
    event Action? Changed;
}
