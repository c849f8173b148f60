using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Router.Native;

namespace Oxen.Ladder;

/// <summary>
/// The lowest rung: every datagram goes on to one address, untouched. `merge` lets the socket put equal datagrams of several
/// receives into one send, as a relay does; without it one receive is one send, as in the C forwarder.
/// </summary>
internal sealed class ForwardingCore(PinnedBlock slab, UdpAddress target, bool merge) : IShardCore
{
    public Instant NextDeadline => Instant.Never;

    public TransmitBatch Transmits { get; } = new(slab, 16 * 128) { Routes = [target, target] };

    public bool HasPendingWork => false;

    public DropCounters Drops { get; } = new();

    public void HandleCommands(Instant now)
    {
    }

    public void HandleDatagrams(ReceiveBatch batch, Instant now)
    {
        foreach (ref readonly Received r in batch.Items.AsSpan(0, batch.Count))
        {
            int route = merge ? 0 : Transmits.Count == 0 ? 0 : 1 - Transmits.Items[Transmits.Count - 1].Route;
            for (int at = 0; at < r.Length; at += r.SegmentBytes)
            {
                if (!Transmits.TryAdd(r.Offset + at, Math.Min(r.SegmentBytes, r.Length - at), route)) Drops.Count(DropReason.SendQueueFull);
            }
        }
    }

    public void HandleOriginations(Instant now)
    {
    }

    public void HandleTimeout(Instant now)
    {
    }

    public void TransmitsSent() => Transmits.Clear();
}
