using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Relay;

/// <summary>
/// What other threads ask of a shard (<see cref="ShardCore.Post"/>); done between batches, in order. Secrets in a command
/// are the shard's from then on: it wipes the arrays when it has taken them.
/// </summary>
internal abstract record ShardCommand;

// ---- links ----

/// <summary>
/// This shard takes sealed datagrams under `Index` (drawn by <see cref="ReceiverIndexAllocator"/>) from one shard of the
/// peer. A link may have several receivers at a time: old and new ones overlap when keys are replaced.
/// </summary>
/// <param name="Link">A number of the control thread's choice, never used for another link of this process.</param>
/// <param name="Secret">32 bytes from <see cref="LinkKeys.ReceiverSecret"/>.</param>
internal sealed record AddLinkReceiver(uint Index, int Link, byte SenderShard, UdpAddress Peer, LinkSuite Suite, byte[] Secret) : ShardCommand;

/// <summary>Ends one receiver index: 3 PTO + 5 s after its successor's keys were taken up.</summary>
internal sealed record RemoveLinkReceiver(uint Index) : ShardCommand;

/// <summary>
/// This shard sends to one shard of the peer under the index that the peer gave for the pair. Again for the same pair: the
/// new key and index take the place of the old, and paths that leave by this link go on.
/// </summary>
/// <param name="Secret">32 bytes from <see cref="LinkKeys.ReceiverSecret"/> of the peer's index.</param>
internal sealed record AddLinkSender(int Link, byte ReceiverShard, uint PeerIndex, UdpAddress Peer, LinkSuite Suite, byte[] Secret) : ShardCommand;

/// <summary>QUIC has validated the peer's new address: all receivers and senders of the link move to it.</summary>
internal sealed record MoveLink(int Link, UdpAddress Peer) : ShardCommand;

/// <summary>Ends a link: its receivers and senders. Its paths are for the control thread to remove.</summary>
internal sealed record RemoveLink(int Link) : ShardCommand;

// ---- paths ----

/// <summary>Where packets of one direction leave: a link, the peer's shard that holds the handle, and the peer's handle.</summary>
internal readonly record struct PathEgress(int Link, byte ReceiverShard, PathHandle Handle)
{
    public static readonly PathEgress None = new(-1, 0, PathHandle.None);

    /// <summary>The usual way to make one: the handle says which of the peer's shards it belongs to.</summary>
    public static PathEgress To(int link, PathHandle handle, int peerShardCount) => new(link, (byte)handle.ShardOf(peerShardCount), handle);
}

/// <summary>Where packets of one direction come in: our handle, and the link that alone may use it.</summary>
internal readonly record struct PathIngress(int Link, PathHandle Handle)
{
    /// <summary>This direction belongs to another shard.</summary>
    public static readonly PathIngress None = new(-1, PathHandle.None);
}

/// <summary>Keys of one hop of a path, from its build.</summary>
/// <param name="ChainUpstream">32 bytes: chain[StartEpoch] towards the terminal.</param>
/// <param name="ChainDownstream">32 bytes: chain[StartEpoch] towards the client.</param>
internal sealed record HopChains(byte[] ChainUpstream, byte[] ChainDownstream, uint StartEpoch);

/// <summary>
/// A path passes through. `Up` takes packets from the client's side and leaves by `Onward`; `Down` takes packets from the
/// terminal's side and leaves by `Back`. When the two directions belong to different shards, each shard gets the command
/// with the other's ingress <see cref="PathIngress.None"/>; `Back` is given always (answers leave by it).
/// </summary>
internal sealed record AddTransitPath(PathNumber Path, SizeClass Class, PathIngress Up, PathEgress Onward, PathIngress Down, PathEgress Back, HopChains Keys, Instant Expires) : ShardCommand;

/// <summary>A path ends here: packets that reach us are delivered; what the session originates leaves by `Back`.</summary>
internal sealed record AddTerminalPath(PathNumber Path, SizeClass Class, PathIngress Up, PathEgress Back, HopChains Keys, Instant Expires) : ShardCommand;

/// <summary>A path begins here. `First` leads to hop 0; `Down` is our handle that hop 0 sends to.</summary>
/// <param name="Hops">Keys of all hops, hop 0 first; the last one is the terminal. 1 to 8.</param>
internal sealed record AddClientPath(PathNumber Path, SizeClass Class, PathEgress First, PathIngress Down, HopChains[] Hops, Instant Expires) : ShardCommand;

/// <summary>Packets of command Joined cross between two paths that end on this shard, without a look at anything in them, as long as both are there.</summary>
internal sealed record JoinPaths(PathNumber One, PathNumber Other) : ShardCommand;

/// <summary>Ends a path and wipes its keys.</summary>
internal sealed record RemovePath(PathNumber Path) : ShardCommand;

/// <summary>Ends a path when everything that was written for it before has left; <see cref="ShardEventKind.PathRetired"/> tells when, always.</summary>
internal sealed record RetirePath(PathNumber Path) : ShardCommand;

/// <summary>Caps each direction of a path; 0 means none.</summary>
internal sealed record SetRateCap(PathNumber Path, int PacketsPerSecond) : ShardCommand;
