using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Relay;

/// <summary>
/// What the shard's driver needs of a shard's core. One turn of the driver's loop calls, in this order:
/// <see cref="HandleCommands"/>, <see cref="HandleDatagrams"/> (if something came), <see cref="HandleOriginations"/>,
/// <see cref="HandleTimeout"/> (if due), then sends <see cref="Transmits"/> and calls <see cref="TransmitsSent"/>.
/// All on the shard's thread; `now` is one reading of the clock for the whole turn.
/// </summary>
internal interface IShardCore
{
    /// <summary>Drains the queue of commands from other threads.</summary>
    void HandleCommands(Instant now);

    /// <summary>Works on the received bytes in place. The batch's slots stay untouched until <see cref="TransmitsSent"/>.</summary>
    void HandleDatagrams(ReceiveBatch batch, Instant now);

    /// <summary>Drains the ring of packets to originate, as far as <see cref="Transmits"/> has room.</summary>
    void HandleOriginations(Instant now);

    void HandleTimeout(Instant now);

    /// <summary>When <see cref="HandleTimeout"/> wants to be called; <see cref="Instant.Never"/> if not at all.</summary>
    Instant NextDeadline { get; }

    /// <summary>What the turn has produced, in the core's slab.</summary>
    TransmitBatch Transmits { get; }

    /// <summary>The bytes of <see cref="Transmits"/> are no longer needed: rings release, the batch clears.</summary>
    void TransmitsSent();

    /// <summary>Commands or originations are waiting: the driver must not sleep. Read by the shard's thread.</summary>
    bool HasPendingWork { get; }

    DropCounters Drops { get; }
}
