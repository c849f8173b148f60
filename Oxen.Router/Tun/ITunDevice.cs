using Oxen.Router.Core.Packets;

namespace Oxen.Router.Tun;

/// <summary>A network interface whose packets pass through this process. IP packets in batches, in and out.</summary>
internal interface ITunDevice : IDisposable
{
    string Name { get; }

    int Mtu { get; }

    /// <summary>Takes the packets that the system sends through the interface, without waiting; returns how many receives.</summary>
    int ReadBatch(ReceiveBatch into);

    /// <summary>Hands packets to the system, in order; returns how many it took. Routes mean nothing here.</summary>
    int WriteBatch(TransmitBatch packets);
}
