using System.Buffers.Binary;
using System.Net;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Core.Tunnel;

// The session thread decides who may use the tunnel and by which path; the shards move the packets. A *peer* is, at an exit,
// one exit session with its leased addresses (its number is the lease's), at a client the exit session of the tunnel.

/// <summary>One IPv4 and one IPv6 address, as numbers (the first byte on the wire is the most significant one).</summary>
internal readonly record struct InnerAddresses(uint IPv4, UInt128 IPv6)
{
    /// <summary>0 where there is none.</summary>
    public static InnerAddresses From(IPAddress? four, IPAddress? six) => new(
        four is null ? 0 : BinaryPrimitives.ReadUInt32BigEndian(four.GetAddressBytes()),
        six is null ? 0 : BinaryPrimitives.ReadUInt128BigEndian(six.GetAddressBytes()));
}

/// <summary>To every shard: the peer exists. `Leased` is what the exit leased to it, and the only source (client: after translation) that passes.</summary>
internal sealed record OpenTunnelPeer(int Peer, InnerAddresses Leased) : ShardCommand;

/// <summary>To the path's own shard: IP packets that come out of this path are the peer's; -1: nobody's. Ends with the path.</summary>
internal sealed record BindTunnelPath(int Peer, PathNumber Path) : ShardCommand;

/// <summary>To every shard: IP packets for the peer leave by this path from now on; null: by none, until the next command.</summary>
internal sealed record RouteTunnelPeer(int Peer, PathRef? Path, SizeClass Class = SizeClass.Full) : ShardCommand;

/// <summary>To every shard: the peer is no more; its packets are dropped.</summary>
internal sealed record CloseTunnelPeer(int Peer) : ShardCommand;
