using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Hosting;

/// <summary>A shard as its driver calls it; after each turn it wakes the loops that have something to take.</summary>
internal readonly struct ShardHost(ShardCore core, Action wakeControl, Action wakeSessions) : IShardCore
{
    public Instant NextDeadline => core.NextDeadline;

    public TransmitBatch Transmits => core.Transmits;

    public bool HasPendingWork => core.HasPendingWork;

    public DropCounters Drops => core.Drops;

    public void HandleCommands(Instant now) => core.HandleCommands(now);

    public void HandleDatagrams(ReceiveBatch batch, Instant now) => core.HandleDatagrams(batch, now);

    public void HandleOriginations(Instant now) => core.HandleOriginations(now);

    public void HandleTimeout(Instant now) => core.HandleTimeout(now);

    public void TransmitsSent()
    {
        core.TransmitsSent();
        if (!core.Deliveries.IsEmpty || (core.Tunnel?.TakeStirred() ?? false)) wakeSessions();
        if (!core.Control.IsEmpty || !core.Events.IsEmpty) wakeControl();
    }
}
