using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Core.Tunnel;

/// <summary>What the session thread tells the shards of the tunnel, and what it hears of the traffic that passes it by.</summary>
internal interface ITunnelControl
{
    void ToAll(ShardCommand command);

    void ToShard(int shard, ShardCommand command);

    /// <summary>What passed on a path.</summary>
    PathTraffic TrafficOf(PathRef path);
}

/// <summary>The shards of this process.</summary>
/// <param name="wake">Wakes a shard's driver.</param>
internal sealed class TunnelControl(ShardCore[] shards, Action<int> wake) : ITunnelControl
{
    public void ToAll(ShardCommand command)
    {
        for (int shard = 0; shard < shards.Length; shard++) ToShard(shard, command);
    }

    public void ToShard(int shard, ShardCommand command)
    {
        shards[shard].Post(command);
        wake(shard);
    }

    public PathTraffic TrafficOf(PathRef path) => shards[path.Shard].Activity?.Of(path.Number) ?? PathTraffic.None;
}
