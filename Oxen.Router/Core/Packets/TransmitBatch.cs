using Oxen.Router.Native;

namespace Oxen.Router.Core.Packets;

/// <summary>One datagram to send: bytes of the slab, and where to.</summary>
internal struct Transmit
{
    /// <summary>Where it begins, in the slab.</summary>
    public int Offset;

    public int Length;

    /// <summary>Row of <see cref="TransmitBatch.Routes"/>.</summary>
    public int Route;
}

/// <summary>
/// Datagrams to send, in order. Whoever fills it puts equal routes and equal lengths side by side: the socket turns
/// each such run into sends of at most <see cref="MaxSegments"/> segments (UDP_SEGMENT), and neighbours in memory into one piece.
/// The bytes stay in the slab until <see cref="Clear"/>.
/// </summary>
internal sealed class TransmitBatch(PinnedBlock slab, int capacity)
{
    /// <summary>The kernel cuts a send into at most 64 segments.</summary>
    public const int MaxSegments = 64;

    /// <summary>Payload of one GSO send over IPv6: with UDP, IP and Ethernet headers it must stay below 65 536, else the kernel splits in software.</summary>
    public const int MaxSendBytes = 65473;

    public readonly Transmit[] Items = new Transmit[capacity];

    /// <summary>Addresses by route number. Grown by whoever owns the links, between batches.</summary>
    public UdpAddress[] Routes { get; set; } = new UdpAddress[16];

    public PinnedBlock Slab { get; } = slab;

    public int Capacity => Items.Length;

    public int Count { get; private set; }

    public bool TryAdd(int offset, int length, int route)
    {
        int count = Count;
        if ((uint)count >= (uint)Items.Length) return false;
        Items[count] = new Transmit { Offset = offset, Length = length, Route = route };
        Count = count + 1;
        return true;
    }

    public void Clear() => Count = 0;

    /// <summary>How many datagrams of this length one GSO send may carry.</summary>
    public static int SegmentsPerSend(int length) => Math.Clamp(MaxSendBytes / Math.Max(length, 1), 1, MaxSegments);
}
