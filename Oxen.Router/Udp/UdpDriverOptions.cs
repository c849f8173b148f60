using Oxen.Router.Core;

namespace Oxen.Router.Udp;

internal sealed record UdpDriverOptions
{
    public string Name { get; init; } = "oxen-shard";

    /// <summary>The CPU that the thread stays on, or null.</summary>
    public int? Cpu { get; init; }

    /// <summary>
    /// Nice value of the thread; 0 leaves it. A shard that waits for a CPU is a round trip that waits for everybody behind it, and a
    /// wait beyond TCP's timer is a stall (bench/README.md#stalls). Without the right to it, nothing changes.
    /// </summary>
    public int Nice { get; init; }

    /// <summary>Never sleeps: one core's worth of power for some microseconds. Off unless an operator asks for it.</summary>
    public bool BusyPoll { get; init; }

    /// <summary>The first pause after a fault; doubled up to <see cref="MaxBackOff"/>, forgotten after <see cref="Forgiven"/> without one.</summary>
    public TimeSpan BackOff { get; init; } = TimeSpan.FromMilliseconds(1);

    public TimeSpan MaxBackOff { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan Forgiven { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Makes the socket anew after it was lost. Null: the driver ends (sockets of one group are remade together, by the host).</summary>
    public Func<IUdpSocket>? ReopenSocket { get; init; }

    /// <summary>Hears what went wrong, on the driver's thread. Must not throw.</summary>
    public Action<UdpDriverEvent>? OnEvent { get; init; }
}

internal enum UdpDriverEventKind
{
    /// <summary>A turn threw; its packets are lost, the loop goes on after a pause.</summary>
    TurnFailed,

    /// <summary>The socket was lost.</summary>
    SocketLost,

    /// <summary>A new socket was opened.</summary>
    SocketReopened,

    /// <summary>The TUN device is gone; the loop goes on without it.</summary>
    TunLost,

    /// <summary>The loop has ended and will not come back.</summary>
    Stopped,
}

internal readonly record struct UdpDriverEvent(UdpDriverEventKind Kind, string Driver, Exception? Exception);
