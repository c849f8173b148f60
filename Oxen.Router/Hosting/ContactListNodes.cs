using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Handlers;

namespace Oxen.Router.Hosting;

// The storage nodes of a network without a ledger: who on the contact list keeps messages, and in which swarm. Everybody with
// the same list comes to the same swarms:
//
//   place of a node    the first 8 bytes of the SHA-256 of its id, big-endian
//   swarms             k = one for each five nodes, at least one; ids i * floor(2^64 / k)
//   members            the nodes in the order of their places, cut into k runs of equal length (the first ones longer by one)
//
// One node more moves at most one node at each cut, as long as k stays; docs/decisions/0040-static-swarms.md.

/// <summary>A registry read from the signed contact list.</summary>
internal sealed class ContactListNodes : INodeSource
{
    /// <summary>Members of a swarm; any two of five may be away.</summary>
    public const int SwarmSize = 5;

    private volatile NodeRegistry _current = NodeRegistry.Empty;

    /// <param name="contacts">Of the list.</param>
    /// <param name="generation">Which list it is; 0: there is but one.</param>
    public ContactListNodes(IEnumerable<RouterContact> contacts, ulong generation = 0) => _current = Assign(contacts, generation);

    public event Action? Changed;

    public NodeRegistry Current => _current;

    /// <summary>Another list.</summary>
    public void Set(IEnumerable<RouterContact> contacts, ulong generation = 0)
    {
        _current = Assign(contacts, generation);
        Changed?.Invoke();
    }

    public static NodeRegistry Assign(IEnumerable<RouterContact> contacts, ulong generation = 0)
    {
        RouterContact[] nodes = [.. contacts.Where(c => c.IsStorage).DistinctBy(c => c.Id).OrderBy(c => Place(c.Id)).ThenBy(c => c.Id.ToString(), StringComparer.Ordinal)];
        int swarms = Math.Max(1, nodes.Length / SwarmSize);
        ulong step = swarms == 1 ? 0 : (ulong)((UInt128.One << 64) / (UInt128)swarms);
        int each = nodes.Length / swarms, longer = nodes.Length % swarms;
        return new NodeRegistry(nodes.Select((n, i) =>
        {
            int swarm = i < longer * (each + 1) ? i / (each + 1) : longer + ((i - (longer * (each + 1))) / each);
            return new ServiceNode(n.Id.ToArray(), n.Operator, (ulong)swarm * step, active: true);
        })) { Generation = generation };
    }

    private static ulong Place(RouterId id) => BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(id.ToArray()));
}
