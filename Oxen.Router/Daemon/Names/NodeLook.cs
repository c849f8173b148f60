using System.Collections.Concurrent;
using Oxen.Ons.Ledger;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Daemon.Names;

/// <summary>What a committee member sees of a service node: whether its router answers on a link, and what our storage node's last test of its storage said. Any thread.</summary>
/// <param name="router">Whether a router answers at an address; the unspecified address: at that of its contact.</param>
internal sealed class NodeLook(Func<RouterId, UdpAddress, CancellationToken, Task<bool>> router)
{
    private readonly ConcurrentDictionary<Bytes32, bool> _storage = new();

    /// <summary>Our storage node has tested another one.</summary>
    public void NoteStorage(ReadOnlyMemory<byte> node, bool reached) => _storage[new Bytes32(node.Span)] = reached;

    // Whether its router answers on a link, at the address of its contact, or, when it was put out, of its last proof; then whether
    // its storage answered our storage node's last test. One reason at a time: who has no storage to test with must see the same.
    public async Task<NodeReasons> TestAsync(NodeEntry node, CancellationToken cancel)
    {
        UdpAddress address = default;
        if (node.Facts is { PublicIp: not 0, QuorumPort: not 0 } facts)
        {
            byte[] ip = new byte[4];
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(ip, facts.PublicIp);
            address = UdpAddress.FromBytes(ip, facts.QuorumPort);
        }

        if (!await router(new RouterId(node.Id.ToArray()), address, cancel).ConfigureAwait(false)) return NodeReasons.LokinetUnreachable;
        return _storage.TryGetValue(node.Id, out bool reached) && !reached ? NodeReasons.StorageUnreachable : NodeReasons.None;
    }
}
