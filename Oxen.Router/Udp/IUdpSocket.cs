using Oxen.Router.Core;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Udp;

/// <summary>Sends batches from one address. One thread at a time; a thread of its own takes a sender of its own.</summary>
internal interface IUdpSender : IDisposable
{
    /// <summary>Sends in order; what the kernel would not take is counted in `drops` and forgotten. Returns how many were taken.</summary>
    int Send(TransmitBatch batch, DropCounters drops);
}

/// <summary>
/// A UDP socket that works in batches. Real ones are in this folder; tests have one in memory. Receiving, waiting and
/// sending belong to one thread; <see cref="Wake"/> and <see cref="OpenSender"/> to any.
/// </summary>
internal interface IUdpSocket : IUdpSender
{
    UdpAddress LocalAddress { get; }

    /// <summary>Takes what has arrived into `batch`, without waiting; returns the number of receives.</summary>
    int Receive(ReceiveBatch batch);

    /// <summary>
    /// Waits until something has arrived, <see cref="Wake"/> was called or the time is over. At most `timeout`;
    /// <see cref="Timeout.InfiniteTimeSpan"/> waits for ever. May return early for no reason.
    /// </summary>
    void Wait(TimeSpan timeout);

    /// <summary>Another file whose readability ends a <see cref="Wait"/>; -1: none. Set by the thread that waits.</summary>
    void AlsoWaitFor(int pollHandle);

    /// <summary>Ends a <see cref="Wait"/> of another thread, now or the next one. Any thread may call it.</summary>
    void Wake();

    /// <summary>
    /// A second way to send from this address, for another thread (the control plane sends its QUIC datagrams from shard 0's
    /// address). Closed before the socket.
    /// </summary>
    IUdpSender OpenSender();
}
