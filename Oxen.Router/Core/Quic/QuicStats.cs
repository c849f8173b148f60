namespace Oxen.Router.Core.Quic;

/// <summary>A connection's figures at one moment.</summary>
internal readonly record struct QuicStats
{
    public TimeSpan SmoothedRtt { get; init; }

    public TimeSpan MinRtt { get; init; }

    public TimeSpan LatestRtt { get; init; }

    public long CongestionWindow { get; init; }

    public long BytesInFlight { get; init; }

    public long BytesSent { get; init; }

    public long BytesReceived { get; init; }

    public long PacketsSent { get; init; }

    public long PacketsReceived { get; init; }

    public long PacketsLost { get; init; }

    public int KeyUpdates { get; init; }

    public QuicCloseReason CloseReason { get; init; }

    /// <summary>The error code that ended the connection, the application's or the transport's (see <see cref="CloseReason"/>).</summary>
    public ulong CloseError { get; init; }
}

/// <summary>What an endpoint saw and refused. Written by its thread alone, read by anyone.</summary>
internal sealed class QuicCounters
{
    public long DatagramsReceived;
    public long BytesReceived;
    public long DatagramsSent;
    public long BytesSent;
    public long ConnectionsAccepted;
    public long ConnectionsRefused;

    /// <summary>Connections that kept too much for too long while memory was short.</summary>
    public long ClosedStalled;

    public long DroppedMalformed;
    public long DroppedUnknownConnection;
    public long DroppedOtherAddress;
    public long DroppedUndecryptable;
    public long DroppedDuplicate;
    public long DroppedNoKeys;
    public long DroppedShortInitial;
    public long DroppedByPrefixLimit;
    public long DroppedByConnectionLimit;
    public long DroppedBadToken;
    public long DroppedNotServing;
    public long DroppedOutbox;

    public long RetriesSent;
    public long VersionNegotiationsSent;
    public long StatelessResetsSent;
    public long StatelessResetsReceived;
}
