namespace Oxen.Router.Core.Quic;

internal enum QuicEventKind : byte
{
    /// <summary>The handshake is complete (a client's connection; a server's comes by TryAccept).</summary>
    Connected,

    /// <summary>The peer opened a stream.</summary>
    StreamOpened,
    StreamReadable,

    /// <summary>A <see cref="QuicConnection.Write"/> that was cut short may go on.</summary>
    StreamWritable,

    /// <summary>The peer abandoned its half; the code is in the event.</summary>
    StreamReset,

    /// <summary>The peer asks this side to stop sending; the code is in the event.</summary>
    StreamStopped,

    /// <summary>The peer allows more streams; a TryOpenStream that was refused may go on. StreamId is 1 for bidirectional, 0 for unidirectional.</summary>
    StreamsAvailable,

    /// <summary>The connection is over; <see cref="QuicStats"/> says why.</summary>
    Closed,
}

internal readonly record struct QuicEvent(QuicConnection Connection, QuicEventKind Kind, long StreamId, ulong ErrorCode);
