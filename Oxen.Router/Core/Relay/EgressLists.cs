using System.Runtime.CompilerServices;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Relay;

/// <summary>
/// Sorts the packets of a turn by where they leave, stable and in one pass: a list for each (sender, class), in the order
/// in which the first packet of each came. So runs of equal route and length are adjacent for the socket, and packets
/// of one path keep their order.
/// </summary>
internal sealed class EgressLists
{
    private readonly int[] _first;
    private readonly int[] _last;
    private readonly int[] _touched;
    private int _touchedCount;

    public EgressLists(int senders)
    {
        _first = new int[senders * 2];
        _last = new int[senders * 2];
        _touched = new int[senders * 2];
        Array.Fill(_first, -1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(Packet[] packets, int at)
    {
        ref Packet packet = ref packets[at];
        packet.Next = -1;
        int list = packet.Ingress * 2 + (int)packet.Class;
        if (_first[list] < 0)
        {
            _first[list] = at;
            _touched[_touchedCount++] = list;
        }
        else
        {
            packets[_last[list]].Next = at;
        }

        _last[list] = at;
    }

    /// <summary>Puts all lists into the batch, one after another, and empties them.</summary>
    public void MoveTo(TransmitBatch transmits, Packet[] packets, DropCounters drops)
    {
        for (int i = 0; i < _touchedCount; i++)
        {
            int list = _touched[i];
            for (int at = _first[list]; at >= 0; at = packets[at].Next)
            {
                ref Packet packet = ref packets[at];
                if (!transmits.TryAdd(packet.Offset, packet.Length, packet.Ingress)) drops.Count(DropReason.SendQueueFull);
            }

            _first[list] = -1;
        }

        _touchedCount = 0;
    }
}
