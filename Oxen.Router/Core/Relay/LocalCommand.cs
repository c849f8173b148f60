namespace Oxen.Router.Core.Relay;

/// <summary>
/// Commands between a shard and the session thread of one process, in a tag of <see cref="ShardCore.Deliveries"/>. They stand where
/// the wire knows no command, so that nobody outside can say them.
/// </summary>
internal static class LocalCommand
{
    /// <summary>Tunnel packets passed on this path since the last time: Length 1, content 1 (sent), 2 (received) or 3 (both). Not more often than every 25 ms and path.</summary>
    public const byte TunnelActivity = 0x0E;

    /// <summary>
    /// The content is records for a path of another shard (Subject: the peer): the TUN queue that brought them is not the path's. The
    /// session thread puts them into that shard's Originations. A detour for the few packets before the kernel follows the flow.
    /// </summary>
    public const byte TunnelDetour = 0x0F;
}
