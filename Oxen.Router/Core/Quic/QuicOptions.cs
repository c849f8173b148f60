using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic;

/// <summary>When a server asks a client to prove its address before it keeps state for it. RFC 9000 section 8.1.2.</summary>
internal enum QuicRetryPolicy : byte
{
    Never,

    /// <summary>Once more than <see cref="QuicEndpointOptions.RetryAboveHalfOpen"/> handshakes are unfinished.</summary>
    UnderLoad,
    Always,
}

internal enum QuicCongestion : byte
{
    NewReno,
    Cubic,
}

/// <summary>What one connection may do. Immutable once given to an endpoint.</summary>
internal sealed class QuicTransportOptions
{
    /// <summary>Largest datagram sent: 1252 fits every IPv4 and IPv6 network path (1280 - 28 bytes); an onion path carries exactly 1356.</summary>
    public int MaxDatagramBytes { get; init; } = 1252;

    /// <summary>Largest datagram that the peer may send, announced as max_udp_payload_size.</summary>
    public int MaxReceiveBytes { get; init; } = 1500;

    /// <summary>Flow-control window of the connection, all streams together.</summary>
    public long InitialMaxData { get; init; } = 4 << 20;

    /// <summary>Flow-control window of a stream.</summary>
    public long InitialMaxStreamData { get; init; } = 1 << 20;
    public int MaxBidiStreams { get; init; } = 100;
    public int MaxUniStreams { get; init; } = 16;

    /// <summary>Unacknowledged and unsent bytes kept for all streams of a connection.</summary>
    public int SendBufferBytes { get; init; } = 1 << 20;

    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A PING is sent after this much silence; null: none.</summary>
    public TimeSpan? KeepAlive { get; init; }

    /// <summary>Ends a handshake that does not get anywhere.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>RTT before the first sample. RFC 9002 section 6.2.2.</summary>
    public TimeSpan InitialRtt { get; init; } = TimeSpan.FromMilliseconds(333);

    /// <summary>
    /// Probes of the recovery are no further apart than this, however many were lost (RFC 9002 section 6.2.1 doubles without an end). For
    /// carriers that tell by themselves when the way is dead.
    /// </summary>
    public TimeSpan MaxProbeInterval { get; init; } = TimeSpan.FromHours(1);

    /// <summary>The longest that this side holds an ACK back.</summary>
    public TimeSpan AckDelay { get; init; } = TimeSpan.FromMilliseconds(25);

    /// <summary>Ack-eliciting 1-RTT packets after which an ACK is due at once. RFC 9000 section 13.2.2 recommends 2.</summary>
    public int AckEvery { get; init; } = 2;

    /// <summary>Bytes that a server may send for one received, before the client's address is validated: 3 in RFC 9000, 1 between routers.</summary>
    public int AmplificationFactor { get; init; } = 3;

    public QuicCongestion Congestion { get; init; } = QuicCongestion.NewReno;
    public int InitialWindowPackets { get; init; } = 10;
    public long MaxCongestionWindow { get; init; } = 16 << 20;

    /// <summary>Datagrams sent in one burst, so that GSO batches form.</summary>
    public int PacingBurst { get; init; } = 16;

    public bool Pacing { get; init; } = true;

    /// <summary>Announced as disable_active_migration; packets of an established connection from another address are counted and ignored either way.</summary>
    public bool DisableMigration { get; init; } = true;

    /// <summary>Connection ids that the peer may give us at a time.</summary>
    public int ActiveConnectionIdLimit { get; init; } = 4;

    /// <summary>Packets after which a 1-RTT key is replaced; 0: by the AEAD's limit alone. RFC 9001 section 6.6.</summary>
    public long KeyUpdatePackets { get; init; }
}

/// <summary>What an endpoint (one socket or one path) may do.</summary>
internal sealed class QuicEndpointOptions
{
    public QuicTransportOptions Transport { get; init; } = new();

    /// <summary>How servers are authenticated; null: this endpoint only connects.</summary>
    public TlsServerOptions? Server { get; init; }

    public int MaxConnections { get; init; } = 4096;

    /// <summary>Incoming connections, unfinished ones too, of one address; 0: no limit. For carriers whose addresses are sessions.</summary>
    public int MaxConnectionsPerAddress { get; init; }

    /// <summary>Incoming handshakes that may be unfinished at a time.</summary>
    public int MaxHalfOpen { get; init; } = 256;
    public QuicRetryPolicy Retry { get; init; } = QuicRetryPolicy.UnderLoad;
    public int RetryAboveHalfOpen { get; init; } = 32;
    public TimeSpan RetryTokenLife { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Incoming handshakes a second from one /24 or /56, after a burst, and as many again with a proven address; 0: no limit.</summary>
    public int HandshakesPerPrefix { get; init; } = 20;
    public int HandshakeBurstPerPrefix { get; init; } = 60;

    /// <summary>Bytes that all connections together keep for their peers: to send and not acknowledged, received and not read. 0: no limit.</summary>
    public long MaxKeptBytes { get; init; }

    /// <summary>Stateless resets sent a second.</summary>
    public int StatelessResetsPerSecond { get; init; } = 50;
}
