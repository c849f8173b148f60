namespace Oxen.Router.Core.Quic.Recovery;

internal enum SentState : byte
{
    /// <summary>Never sent, acknowledged, lost or discarded.</summary>
    None = 0,
    Outstanding,

    /// <summary>A number that was left out on purpose: an ACK of it is a lie. RFC 9000 section 21.4.</summary>
    Skipped,
}

internal struct SentPacket
{
    public Instant Sent;
    public int Frames;         // first record in SentFrames, -1: none
    public ushort Bytes;
    public SentState State;
    public bool AckEliciting;
    public bool InFlight;
    public bool WindowLimited; // the congestion window was in use when it left
}

/// <summary>What was sent and not yet settled, of one packet-number space: a ring of records indexed by packet number.</summary>
internal sealed class SentPackets
{
    private SentPacket[] _ring = new SentPacket[64];

    /// <summary>The lowest number that may still be outstanding.</summary>
    public long Base { get; private set; }

    /// <summary>One beyond the highest number used.</summary>
    public long Next { get; private set; }

    public ref SentPacket this[long number] => ref _ring[number & (_ring.Length - 1)];

    public bool Holds(long number) => number >= Base && number < Next;

    public ref SentPacket Append()
    {
        if (Next - Base == _ring.Length) Grow();
        ref SentPacket packet = ref _ring[Next & (_ring.Length - 1)];
        Next++;
        packet = default;
        packet.Frames = -1;
        return ref packet;
    }

    /// <summary>Moves <see cref="Base"/> over settled records. Skipped ones stay until a later one is settled over them.</summary>
    public void Trim()
    {
        while (Base < Next && this[Base].State != SentState.Outstanding) Base++;
    }

    public void Clear() => Base = Next;

    private void Grow()
    {
        var larger = new SentPacket[_ring.Length * 2];
        for (long n = Base; n < Next; n++) larger[n & (larger.Length - 1)] = this[n];
        _ring = larger;
    }
}

internal enum SentFrameKind : byte
{
    Ack,
    Crypto,
    Stream,
    StreamFin,
    ResetStream,
    StopSending,
    MaxData,
    MaxStreamData,
    MaxStreamsBidi,
    MaxStreamsUni,
    NewConnectionId,
    RetireConnectionId,
    HandshakeDone,
    DataBlocked,
    StreamDataBlocked,
}

/// <summary>One frame of a sent packet, as much of it as is needed to settle or repeat it.</summary>
internal struct SentFrame
{
    public SentFrameKind Kind;
    public int Next;
    public int Length;
    public long Id;       // stream id or sequence number
    public long Offset;   // or the limit that was announced, or the largest packet number that an ACK named
}

/// <summary>Frame records in one array with a free list: no allocation once it has grown to the flight's size.</summary>
internal sealed class SentFrames
{
    private SentFrame[] _slots = new SentFrame[64];
    private int _free = -1;
    private int _used;

    public ref SentFrame this[int index] => ref _slots[index];

    /// <summary>Puts a record in front of the list that begins at <paramref name="head"/> and returns the new head.</summary>
    public int Push(int head, SentFrameKind kind, long id, long offset, int length)
    {
        int at = _free;
        if (at >= 0) _free = _slots[at].Next;
        else
        {
            if (_used == _slots.Length) Array.Resize(ref _slots, _slots.Length * 2);
            at = _used++;
        }

        _slots[at] = new SentFrame { Kind = kind, Next = head, Id = id, Offset = offset, Length = length };
        return at;
    }

    /// <summary>Frees one record and returns the next of its list.</summary>
    public int Free(int at)
    {
        int next = _slots[at].Next;
        _slots[at].Next = _free;
        _free = at;
        return next;
    }
}
