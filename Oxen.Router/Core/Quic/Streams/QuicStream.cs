namespace Oxen.Router.Core.Quic.Streams;

internal enum ResetState : byte
{
    None,
    Due,
    Sent,
    Acked,
}

/// <summary>What is to be told of a stream, lowest bit first: a reset before anything readable, so that an abandoned stream never looks like one that ended.</summary>
[Flags]
internal enum StreamEvents : byte
{
    None = 0,
    Opened = 1,
    Reset = 2,
    Stopped = 4,
    Readable = 8,
    Writable = 16,
}

/// <summary>Both halves of a stream. The rules are the connection's; here is only what it remembers. RFC 9000 section 3.</summary>
internal sealed class QuicStream(long id, bool sends, bool receives)
{
    public readonly long Id = id;
    public readonly bool Sends = sends;
    public readonly bool Receives = receives;
    public readonly SendBuffer Out = new();
    public readonly ReceiveBuffer In = new();

    // Sending half
    public long SendLimit;              // MAX_STREAM_DATA of the peer
    public long BlockedAt = -1;         // limit that STREAM_DATA_BLOCKED was sent for
    public bool FinWritten;
    public bool FinSent;
    public bool FinLost;
    public bool FinAcked;
    public ResetState Reset;
    public ulong ResetCode;
    public long ResetSize;              // final size that RESET_STREAM names
    public bool WriterWaits;

    // Receiving half
    public long Window;
    public long ReceiveLimit;           // announced
    public long FinalSize = -1;
    public bool FinRead;                // the application knows that it is over
    public bool PeerReset;
    public ulong PeerResetCode;
    public ResetState Stop;             // STOP_SENDING of ours
    public ulong StopCode;
    public ulong PeerStopCode;
    public bool LimitDue;               // MAX_STREAM_DATA to be sent
    public long Accounted;              // bytes counted against the connection's window

    // Queues of the connection
    public bool InSendQueue;
    public bool InControlQueue;
    public bool InEventQueue;
    public StreamEvents Events;
    public bool Gone;

    public bool IsBidirectional => (Id & 2) == 0;

    public bool HasData => Reset == ResetState.None && (Out.HasLost || Out.HasUnsent || (FinWritten && !FinSent) || FinLost);

    public bool SendDone => !Sends || Reset == ResetState.Acked || (FinAcked && Out.Acked == Out.Written);

    public bool ReceiveDone => !Receives || FinRead;

    public bool HasControl => Reset == ResetState.Due || Stop == ResetState.Due || LimitDue;
}
