using System.Text;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Protection;
using Oxen.Router.Core.Quic.Recovery;
using Oxen.Router.Core.Quic.Streams;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic;

// One QUIC v1 connection (RFC 9000, 9001, 9002), a state machine without I/O. The endpoint gives it datagrams and times,
// and asks it for datagrams. The parts, in the order in which a packet meets them:
//   QuicConnection.Receive.cs    datagram -> packets -> keys -> frames
//   QuicConnection.Frames.cs     one method a frame
//   QuicConnection.Handshake.cs  TLS, transport parameters, key installation, key update, Retry
//   QuicConnection.Streams.cs    the streams' API and rules
//   QuicConnection.Ids.cs        connection ids, both directions
//   QuicConnection.Recovery.cs   ACKs, loss, probe timeouts
//   QuicConnection.Transmit.cs   frames -> packets -> datagrams
//   QuicConnection.Timers.cs     deadlines
//   QuicConnection.Close.cs      closing, draining, gone
internal sealed partial class QuicConnection
{
    private readonly QuicEndpoint _endpoint;
    private readonly QuicTransportOptions _options;
    private readonly IEntropy _entropy;
    private readonly QuicCounters _counters;
    private readonly PacketSpace[] _spaces = [new(PacketSpace.Initial), new(PacketSpace.Handshake), new(PacketSpace.Application)];
    private readonly SentFrames _frames = new();
    private readonly CongestionControl _congestion;
    private readonly Instant _created;
    private RttEstimator _rtt;
    private Pacer _pacer;
    private UdpAddress _remote;
    private int _maxDatagram;

    // Figures
    private long _bytesSent, _bytesReceived, _packetsSent, _packetsReceived, _packetsLost;
    private int _keyUpdates;

    // Anti-amplification: UDP payload bytes, padding and all. RFC 9000 section 8.1
    private bool _addressValidated;

    private QuicConnection(QuicEndpoint endpoint, ulong id, bool isServer, in UdpAddress remote, QuicTransportOptions options, IEntropy entropy, Instant now)
    {
        _endpoint = endpoint;
        _options = options;
        _entropy = entropy;
        _counters = endpoint.Counters;
        Id = id;
        IsServer = isServer;
        _remote = remote;
        _created = now;
        _maxDatagram = options.MaxDatagramBytes;
        _congestion = new CongestionControl(options.Congestion, _maxDatagram, options.InitialWindowPackets, options.MaxCongestionWindow);
        _rtt = new RttEstimator(options.InitialRtt);
        _pacer = new Pacer(_maxDatagram, options.PacingBurst);
        _idleFrom = now;
        _addressValidated = !isServer;
        _receiveLimit = options.InitialMaxData;
        _peerStreamLimit[StreamKind(true)] = options.MaxBidiStreams;
        _peerStreamLimit[StreamKind(false)] = options.MaxUniStreams;
    }

    /// <summary>The owner's.</summary>
    public object? Tag { get; set; }

    /// <summary>A number unique within the endpoint.</summary>
    public ulong Id { get; }

    public UdpAddress RemoteAddress => _remote;

    public bool IsServer { get; }

    /// <summary>The handshake is complete, the peer authenticated, and the connection not yet over.</summary>
    public bool IsEstablished => _complete && _phase == Phase.Open;

    public bool IsClosed => _phase != Phase.Open;

    /// <summary>The peer's Ed25519 key, 32 bytes; empty when it showed none (or not yet).</summary>
    public ReadOnlySpan<byte> PeerPublicKey => _tls.PeerPublicKey;

    public byte[] Alpn => _tls.Alpn ?? [];

    public QuicStats Stats => new()
    {
        SmoothedRtt = new TimeSpan(_rtt.Smoothed / 100),
        MinRtt = new TimeSpan(_rtt.Min / 100),
        LatestRtt = new TimeSpan(_rtt.Latest / 100),
        CongestionWindow = _congestion.Window,
        BytesInFlight = _congestion.InFlight,
        BytesSent = _bytesSent,
        BytesReceived = _bytesReceived,
        PacketsSent = _packetsSent,
        PacketsReceived = _packetsReceived,
        PacketsLost = _packetsLost,
        KeyUpdates = _keyUpdates,
        CloseReason = _closeReason,
        CloseError = _closeError,
    };

    /// <summary>Whether the peer has confirmed the handshake (a server's own completion is its confirmation).</summary>
    internal bool IsConfirmed => _confirmed;

    internal int HeapIndex { get; set; } = -1;

    internal bool InReadyQueue { get; set; }

    internal bool WasEstablished => _complete;

    /// <summary>The id that this connection's first Initial was sent to, a server's name for it until the handshake is confirmed.</summary>
    internal ConnectionId FirstId { get; private set; }

    /// <summary>TLS exporter, the same bytes on both sides. RFC 8446 section 7.5. Not before the handshake is complete.</summary>
    public void Export(ReadOnlySpan<byte> label, ReadOnlySpan<byte> context, Span<byte> output)
    {
        if (!_complete) throw new InvalidOperationException("the handshake is not complete");
        _tls.Export(label, context, output);
    }

    /// <summary>Ends the connection with an application error code; the reason (at most 200 bytes of it) is for the peer's log.</summary>
    public void Close(ulong applicationCode, ReadOnlySpan<byte> reason, Instant now)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(applicationCode, Varint.Max);
        if (_phase != Phase.Open) return;
        BeginClose(QuicCloseReason.Local, applicationCode, application: true, 0, reason, now);
        Touched();
    }

    public void Close(ulong applicationCode, string reason, Instant now) => Close(applicationCode, Encoding.UTF8.GetBytes(reason), now);

    /// <summary>Ends the connection without a word: there is no way to the peer any more. What waited to be sent is dropped.</summary>
    public void Abandon(Instant now)
    {
        _closeDue = false;
        EndSilently(QuicCloseReason.Local, 0, now);
    }

    /// <summary>Sends a PING: the peer answers it, which keeps both idle timers and any NAT awake.</summary>
    public void Ping(Instant now)
    {
        if (_phase != Phase.Open || !_complete) return;
        _spaces[PacketSpace.Application].PingDue = true;
        UpdateDeadline(now);
        Touched();
    }

    /// <summary>
    /// The datagrams travel another way from now on, under the same addresses (a carrier path was replaced): RTT and
    /// congestion window start over, and what was in flight is sent again at once. The connection lives on.
    /// </summary>
    public void OnPathChanged(TimeSpan initialRtt, Instant now)
    {
        if (_phase != Phase.Open) return;
        _rtt = new RttEstimator(initialRtt);
        _pacer = new Pacer(_maxDatagram, _options.PacingBurst);
        _probeCount = 0;
        foreach (PacketSpace space in _spaces) WriteOffFlight(space);
        _congestion.Reset();
        if (_complete) _spaces[PacketSpace.Application].PingDue = true;
        UpdateDeadline(now);
        Touched();
    }

    /// <summary>Replaces the 1-RTT keys (RFC 9001 section 6). False: not allowed yet, the last update is not confirmed.</summary>
    public bool UpdateKeys(Instant now)
    {
        if (!MayUpdateKeys()) return false;
        RollKeys(now);
        _spaces[PacketSpace.Application].PingDue = true;
        Touched();
        return true;
    }

    private void Touched() => _endpoint.Touch(this);

    private enum Phase : byte
    {
        Open,

        /// <summary>We said CONNECTION_CLOSE and repeat it to whoever still sends.</summary>
        Closing,

        /// <summary>The peer said it: silence until it is surely gone.</summary>
        Draining,
        Gone,
    }
}
