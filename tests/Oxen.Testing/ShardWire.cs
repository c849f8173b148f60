using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;

namespace Oxen.Testing;

/// <summary>Carries what one core sends into another's receive slots, as GSO and GRO would, without allocating.</summary>
internal static class ShardWire
{
    /// <summary>Moves the transmits that go to `toAddress`; returns how many. The receiver's batch is filled from its start.</summary>
    public static int Carry(ShardCore from, UdpAddress fromAddress, ShardCore to, UdpAddress toAddress, int segments = 45)
    {
        ReceiveBatch batch = to.Receives;
        batch.Count = 0;
        batch.KernelDrops = 0;
        int moved = 0;
        for (int i = 0; i < from.Transmits.Count; i++)
        {
            Transmit t = from.Transmits.Items[i];
            if (from.Transmits.Routes[t.Route] != toAddress) continue;
            int last = batch.Count - 1;
            if (last < 0 || batch.Items[last].SegmentBytes != t.Length || batch.Items[last].Length >= segments * t.Length)
            {
                if (batch.Count == batch.Slots) break;
                last = batch.Count++;
                batch.Items[last] = new Received { Offset = batch.Offset + last * ReceiveBatch.SlotBytes, SegmentBytes = t.Length, From = fromAddress };
            }

            ref Received received = ref batch.Items[last];
            from.Slab.Slice(t.Offset, t.Length).CopyTo(to.Slab.Slice(received.Offset + received.Length, t.Length));
            received.Length += t.Length;
            moved++;
        }

        return moved;
    }
}
