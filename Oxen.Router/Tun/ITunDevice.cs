using Oxen.Router.Core.Packets;

namespace Oxen.Router.Tun;

/// <summary>
/// One queue of a network interface whose packets pass through this process. One thread reads and writes it: the driver of the
/// shard that it belongs to. A device of several queues is several of these with one name.
/// </summary>
internal interface ITunDevice : IDisposable
{
    string Name { get; }

    /// <summary>Longest packet that is not to be cut, the IP header included.</summary>
    int Mtu { get; }

    /// <summary>What poll(2) waits for; -1 if there is nothing to wait for (a device in memory, which has <see cref="OnReadable"/>).</summary>
    int PollHandle { get; }

    /// <summary>Called by a device without <see cref="PollHandle"/> when there is something to read; wakes the driver.</summary>
    Action? OnReadable { get; set; }

    /// <summary>Waits until there is something to read, or so long. For a reader that is no driver.</summary>
    void Wait(int milliseconds);

    /// <summary>Takes what the system has sent through the interface, without waiting: as far as the batch has room. Returns how many.</summary>
    /// <exception cref="IOException">The interface is gone.</exception>
    int Read(TunReadBatch into);

    /// <summary>Hands packets to the system, in order; what it would not take is counted in `drops` and forgotten. Returns how many it took.</summary>
    int Write(TunWriteBatch packets, DropCounters drops);
}
