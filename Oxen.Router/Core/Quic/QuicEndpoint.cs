using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Protection;
using Oxen.Router.Core.Quic.Streams;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic;

/// <summary>
/// All connections over one way of sending datagrams: a socket, or an onion path. Finds the connection of a datagram,
/// admits or refuses new ones, keeps the timers, and gives out datagrams and events. One thread; never throws for what a
/// peer sends.
/// <code>
///   HandleDatagram -> TryTakeEvent, TryAccept (application reads and writes) -> TryTransmit until false -> wait for NextDeadline
/// </code>
/// </summary>
internal sealed partial class QuicEndpoint : IDisposable
{
    private readonly QuicEndpointOptions _options;
    private readonly IEntropy _entropy;
    private readonly byte[] _resetKey = new byte[32];
    private readonly Dictionary<ulong, QuicConnection> _byId = [];
    private readonly Dictionary<(ConnectionId Id, UdpAddress From), QuicConnection> _byFirstId = [];
    private readonly Dictionary<ulong, QuicConnection> _byResetToken = [];
    private readonly Dictionary<ulong, QuicConnection> _connections = [];
    private readonly DeadlineHeap _deadlines = new();
    private readonly Queue<QuicConnection> _ready = new();
    private readonly Queue<QuicConnection> _accepted = new();
    private readonly Queue<PendingEvent> _events = new();
    private readonly PrefixLimiter _prefixes;
    private readonly PrefixLimiter _provenPrefixes;
    private readonly Dictionary<UdpAddress, int> _perAddress = [];
    private ulong _nextId;

    // Initials that were junk, at most so many a second before everybody is asked for a proof of his address.
    private const double ForgedPerSecond = 64, ForgedBurst = 64;
    private double _forged;
    private Instant _forgedAt;

    private readonly record struct PendingEvent(QuicConnection Connection, QuicStream? Stream, QuicEvent Happened);

    public QuicEndpoint(QuicEndpointOptions options, IEntropy entropy)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(entropy);
        if (options.Transport.MaxDatagramBytes is < 1200 or > 65000) throw new ArgumentException("a QUIC datagram may have 1200 bytes at least", nameof(options));
        _options = options;
        _entropy = entropy;
        entropy.FillSecret(_resetKey);
        Retry = new RetryProtection(entropy);
        _prefixes = new PrefixLimiter(options.HandshakesPerPrefix, options.HandshakeBurstPerPrefix, entropy);
        _provenPrefixes = new PrefixLimiter(options.HandshakesPerPrefix, options.HandshakeBurstPerPrefix, entropy);
    }

    public QuicCounters Counters { get; } = new();

    /// <summary>All that are not gone yet, closing ones included.</summary>
    public IReadOnlyCollection<QuicConnection> Connections => _connections.Values;

    public int ConnectionCount => _connections.Count;

    /// <summary>Incoming handshakes that are not complete.</summary>
    public int HalfOpen { get; private set; }

    /// <summary>When <see cref="HandleTimeout"/> wants to be called.</summary>
    public Instant NextDeadline => _deadlines.First;

    internal RetryProtection Retry { get; }

    /// <summary>Starts a handshake; Connected or Closed will tell how it went.</summary>
    public QuicConnection Connect(in UdpAddress to, TlsClientOptions tls, QuicTransportOptions? transport, Instant now)
    {
        QuicTransportOptions options = transport ?? _options.Transport;
        if (options.MaxDatagramBytes is < 1200 or > 65000) throw new ArgumentException("a QUIC datagram may have 1200 bytes at least", nameof(transport));
        QuicConnection connection = QuicConnection.Client(this, ++_nextId, to, tls, options, _entropy, now);
        _connections.Add(connection.Id, connection);
        Touch(connection);
        return connection;
    }

    /// <summary>The next incoming connection whose handshake is complete.</summary>
    public bool TryAccept(out QuicConnection connection)
    {
        while (_accepted.TryDequeue(out connection!))
        {
            if (!connection.IsClosed) return true;
        }

        return false;
    }

    /// <summary>The next thing that happened. A stream stands in the queue once, whatever happens to it meanwhile.</summary>
    public bool TryTakeEvent(out QuicEvent happened)
    {
        while (_events.TryPeek(out PendingEvent pending))
        {
            if (pending.Stream is not { } stream)
            {
                _events.Dequeue();
                happened = pending.Happened;
                return true;
            }

            bool any = pending.Connection.TryTakeEvent(stream, out happened);
            if (stream.Events == StreamEvents.None || !any)
            {
                _events.Dequeue();
                stream.InEventQueue = false;
            }

            if (any) return true;
        }

        happened = default;
        return false;
    }

    public void HandleTimeout(Instant now)
    {
        Now = now;
        Relieve(now);
        while (_deadlines.First <= now)
        {
            QuicConnection connection = _deadlines.FirstConnection;
            connection.HandleTimeout(now);
            if (connection.IsGone(now))
            {
                Forget(connection);
                continue;
            }

            // What is due now is a datagram: TryTransmit's business.
            if (connection.Deadline <= now)
            {
                _deadlines.Remove(connection);
                MakeReady(connection);
            }
            else _deadlines.Update(connection);
        }
    }

    /// <summary>
    /// Fills <paramref name="buffer"/> with datagrams of one connection, all <paramref name="segmentBytes"/> long, the last
    /// may be shorter. False: nothing to send now. The buffer takes at least one full datagram.
    /// </summary>
    public bool TryTransmit(Span<byte> buffer, out int bytes, out int segmentBytes, out UdpAddress to, Instant now)
    {
        Now = now;
        if (TryTakeStateless(buffer, out bytes, out to))
        {
            segmentBytes = bytes;
            Counters.DatagramsSent++;
            Counters.BytesSent += bytes;
            return true;
        }

        while (_ready.TryPeek(out QuicConnection? connection))
        {
            if (buffer.Length < connection.MaxDatagramBytes) throw new ArgumentException("the buffer does not take a datagram", nameof(buffer));
            bytes = connection.Transmit(buffer, out segmentBytes, now);
            if (bytes > 0)
            {
                // Others get their turn after each run.
                if (_ready.Count > 1)
                {
                    _ready.Dequeue();
                    _ready.Enqueue(connection);
                }

                to = connection.RemoteAddress;
                return true;
            }

            _ready.Dequeue();
            connection.InReadyQueue = false;
            if (connection.IsGone(now)) Forget(connection);
            else _deadlines.Update(connection);
        }

        bytes = segmentBytes = 0;
        to = default;
        return false;
    }

    public void Dispose()
    {
        foreach (QuicConnection connection in _connections.Values) connection.Dispose();
        _connections.Clear();
        _byId.Clear();
        _ready.Clear();
        Retry.Dispose();
        CryptographicOperations.ZeroMemory(_resetKey);
    }

    internal void Touch(QuicConnection connection)
    {
        MakeReady(connection);
        if (_connections.ContainsKey(connection.Id)) _deadlines.Update(connection);
    }

    internal void Raise(in QuicEvent happened) => _events.Enqueue(new PendingEvent(happened.Connection, null, happened));

    internal void Raise(QuicConnection connection, QuicStream stream) => _events.Enqueue(new PendingEvent(connection, stream, default));

    internal void OnEstablished(QuicConnection connection)
    {
        if (!connection.IsServer)
        {
            Raise(new QuicEvent(connection, QuicEventKind.Connected, 0, 0));
            return;
        }

        HalfOpen--;
        Counters.ConnectionsAccepted++;
        _accepted.Enqueue(connection);
    }

    internal void OnConfirmed(QuicConnection connection) => ForgetFirstId(connection);

    internal void OnClosed(QuicConnection connection, ulong error)
    {
        if (connection.IsServer && !connection.WasEstablished)
        {
            HalfOpen--;
            return;   // nobody has heard of it
        }

        Raise(new QuicEvent(connection, QuicEventKind.Closed, 0, error));
    }

    internal ConnectionId NewLocalId(QuicConnection connection)
    {
        Span<byte> bytes = stackalloc byte[PacketHeader.LocalIdBytes];
        while (true)
        {
            _entropy.FillPublic(bytes);
            var id = new ConnectionId(bytes);
            if (_byId.TryAdd(id.Head, connection)) return id;
        }
    }

    internal void ForgetLocalId(ConnectionId id) => _byId.Remove(id.Head);

    internal byte[] ResetTokenFor(ConnectionId id)
    {
        byte[] token = new byte[16];
        WriteResetToken(id, token);
        return token;
    }

    /// <summary>HMAC of the id under the endpoint's key: nothing to remember. RFC 9000 section 10.3.2.</summary>
    internal void WriteResetToken(ConnectionId id, Span<byte> token16)
    {
        Span<byte> bytes = stackalloc byte[ConnectionId.MaxBytes], mac = stackalloc byte[32];
        int length = id.Write(bytes);
        HMACSHA256.HashData(_resetKey, bytes[..length], mac);
        mac[..16].CopyTo(token16);
    }

    internal void RegisterReset(QuicConnection connection, UInt128 token) => _byResetToken[ResetName(token)] = connection;

    internal void ForgetReset(QuicConnection connection, UInt128 token)
    {
        if (_byResetToken.TryGetValue(ResetName(token), out QuicConnection? holder) && holder == connection) _byResetToken.Remove(ResetName(token));
    }

    /// <summary>Whether an unreadable datagram ends in the reset token of <paramref name="connection"/>. RFC 9000 section 10.3.1.</summary>
    internal bool IsResetOf(QuicConnection connection, ReadOnlySpan<byte> datagram) =>
        datagram.Length >= 21 && (datagram[0] & 0xC0) == 0x40 && connection.HoldsResetToken(BinaryPrimitives.ReadUInt128BigEndian(datagram[^16..]));

    /// <summary>Tokens are looked up by a keyed hash, so the time it takes says nothing about them.</summary>
    private ulong ResetName(UInt128 token)
    {
        Span<byte> bytes = stackalloc byte[16], mac = stackalloc byte[32];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, token);
        HMACSHA256.HashData(_resetKey, bytes, mac);
        return BinaryPrimitives.ReadUInt64BigEndian(mac);
    }

    private void MakeReady(QuicConnection connection)
    {
        if (connection.InReadyQueue) return;
        connection.InReadyQueue = true;
        _ready.Enqueue(connection);
    }

    private void ForgetFirstId(QuicConnection connection)
    {
        if (connection.IsServer) _byFirstId.Remove((connection.FirstId, connection.RemoteAddress));
    }

    private void Forget(QuicConnection connection)
    {
        if (!_connections.Remove(connection.Id)) return;
        _deadlines.Remove(connection);
        ForgetFirstId(connection);
        if (connection.IsServer && _perAddress.TryGetValue(connection.RemoteAddress, out int more))
        {
            if (more > 1) _perAddress[connection.RemoteAddress] = more - 1;
            else _perAddress.Remove(connection.RemoteAddress);
        }

        connection.Dispose();
    }
}
