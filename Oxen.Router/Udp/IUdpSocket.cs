using Oxen.Router.Core;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Udp;

/// <summary>A UDP socket that works in batches. Real ones are in this folder; tests have one in memory.</summary>
internal interface IUdpSocket : IDisposable
{
    UdpAddress LocalAddress { get; }

    /// <summary>Takes what has arrived into `batch`, without waiting; returns the number of receives.</summary>
    int Receive(ReceiveBatch batch);

    /// <summary>
    /// Waits until something has arrived, <see cref="Wake"/> was called or the time is over. At most `timeout`;
    /// <see cref="Timeout.InfiniteTimeSpan"/> waits for ever.
    /// </summary>
    void Wait(TimeSpan timeout);

    /// <summary>Ends a <see cref="Wait"/> of another thread, now or the next one. Any thread may call it.</summary>
    void Wake();

    /// <summary>Sends in order; what the kernel would not take is counted in `drops` and forgotten. Returns how many were taken.</summary>
    int Send(TransmitBatch batch, DropCounters drops);
}
