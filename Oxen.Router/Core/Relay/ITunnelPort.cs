using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Relay;

/// <summary>
/// What a shard's driver needs of its tunnel. In a turn: the driver fills <see cref="TunReads"/> if <see cref="WantsTunReads"/>, calls
/// <see cref="HandleTunnel"/> after the datagrams, sends, writes <see cref="TunWrites"/> to the device, and calls
/// <see cref="IShardCore.TransmitsSent"/>.
/// </summary>
internal interface ITunnelPort
{
    /// <summary>Empty, and what is read could leave. Else the device is not read, nor waited for.</summary>
    bool WantsTunReads { get; }

    TunReadBatch TunReads { get; }

    /// <summary>For the system; valid until <see cref="IShardCore.TransmitsSent"/>.</summary>
    TunWriteBatch TunWrites { get; }

    /// <summary>Cuts and wraps what was read, as far as this turn has room; hands over what the datagrams brought.</summary>
    void HandleTunnel(Instant now);

    /// <summary>Something was read that this turn had no room for, and the next turn can go on with it: the driver does not sleep. False while it waits for anything but room.</summary>
    bool HasTunnelWork { get; }
}
