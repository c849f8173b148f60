using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Protection;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic;

internal sealed partial class QuicConnection
{
    private TlsSession _tls = null!;
    private TransportParameters? _peer;      // null until its parameters are read
    private ConnectionId _originalDestination;
    private ConnectionId? _retrySource;
    private byte[] _retryToken = [];
    private bool _complete;
    private bool _confirmed;
    private bool _handshakeDoneDue;

    // Key phases of 1-RTT. RFC 9001 section 6
    private PacketKeys? _previousRead;
    private PacketKeys? _nextRead;
    private PacketKeys? _pendingRead;         // a server's, until the handshake is complete
    private bool _phaseBit;
    private long _phaseFirstReceived = long.MaxValue;    // lowest number opened with the current read keys
    private long _phaseFirstSent;                        // first number sealed with the current write keys
    private bool _phaseAcked;
    private Instant _previousUntil = Instant.Never;

    internal static QuicConnection Client(QuicEndpoint endpoint, ulong id, in UdpAddress to, TlsClientOptions tls, QuicTransportOptions options, IEntropy entropy, Instant now)
    {
        var connection = new QuicConnection(endpoint, id, isServer: false, to, options, entropy, now);
        Span<byte> destination = stackalloc byte[8];
        entropy.FillPublic(destination);
        connection._originalDestination = new ConnectionId(destination);
        connection._remoteIds[0] = new RemoteId { Id = connection._originalDestination, Used = true };
        connection.IssueFirstId();
        connection.InstallInitialKeys(destination);
        connection._tls = TlsSession.Client(tls, connection.OurParameters(null).Encode(), entropy);
        connection._tls.Start();
        connection.PumpTls(now);
        connection.UpdateDeadline(now);
        return connection;
    }

    /// <param name="originalDestination">The id that the client's first Initial was sent to; after a Retry it comes out of the token.</param>
    /// <param name="destination">The id that the Initial at hand was sent to: its keys.</param>
    internal static QuicConnection Server(
        QuicEndpoint endpoint, ulong id, in UdpAddress from, TlsServerOptions tls, QuicTransportOptions options,
        ConnectionId originalDestination, ConnectionId destination, bool validated, IEntropy entropy, Instant now)
    {
        var connection = new QuicConnection(endpoint, id, isServer: true, from, options, entropy, now) { _addressValidated = validated };
        connection._originalDestination = originalDestination;
        connection.FirstId = destination;
        if (validated) connection._retrySource = destination;
        connection.IssueFirstId();
        connection.InstallInitialKeys(destination.ToArray());
        connection._tls = TlsSession.Server(tls, connection.OurParameters(endpoint.ResetTokenFor(connection._localIds[0].Id)).Encode(), entropy);
        return connection;
    }

    private TransportParameters OurParameters(byte[]? resetToken) => new()
    {
        OriginalDestination = IsServer ? _originalDestination : null,
        RetrySource = IsServer ? _retrySource : null,
        StatelessResetToken = resetToken,
        InitialSource = _localIds[0].Id,
        MaxIdleTimeoutMs = (ulong)_options.IdleTimeout.TotalMilliseconds,
        MaxUdpPayload = (ulong)Math.Max(1200, _options.MaxReceiveBytes),
        MaxData = (ulong)_options.InitialMaxData,
        MaxStreamDataBidiLocal = (ulong)_options.InitialMaxStreamData,
        MaxStreamDataBidiRemote = (ulong)_options.InitialMaxStreamData,
        MaxStreamDataUni = (ulong)_options.InitialMaxStreamData,
        MaxStreamsBidi = (ulong)_options.MaxBidiStreams,
        MaxStreamsUni = (ulong)_options.MaxUniStreams,
        MaxAckDelayMs = (ulong)_options.AckDelay.TotalMilliseconds,
        DisableActiveMigration = _options.DisableMigration,
        ActiveConnectionIdLimit = (ulong)_options.ActiveConnectionIdLimit,
    };

    private void InstallInitialKeys(ReadOnlySpan<byte> destination)
    {
        Span<byte> client = stackalloc byte[32], server = stackalloc byte[32];
        InitialSecrets.Derive(destination, client, server);
        PacketSpace space = _spaces[PacketSpace.Initial];
        space.DropKeys();
        Install(space, InitialSecrets.Suite, IsServer ? client : server, IsServer ? server : client);
    }

    private static void Install(PacketSpace space, TlsCipherSuite suite, ReadOnlySpan<byte> read, ReadOnlySpan<byte> write)
    {
        if (!read.IsEmpty)
        {
            space.ReadKeys = new PacketKeys(suite, read);
            space.ReadHeader = PacketKeys.DeriveHeaderKey(suite, read);
        }

        if (!write.IsEmpty)
        {
            space.WriteKeys = new PacketKeys(suite, write);
            space.WriteHeader = PacketKeys.DeriveHeaderKey(suite, write);
        }
    }

    /// <summary>Takes from TLS what it has: keys, bytes to send, the peer's parameters, completion.</summary>
    private ulong PumpTls(Instant now)
    {
        while (_tls.TryTakeSecrets(out TlsSecrets? secrets))
        {
            using (secrets) TakeSecrets(secrets);
        }

        while (_tls.TryTakeOutput(out EncryptionLevel level, out byte[] bytes))
        {
            PacketSpace space = _spaces[(int)level];
            if (!space.Discarded) space.CryptoOut.Write(bytes);
        }

        if (_peer is null && _tls.HasPeerTransportParameters)
        {
            ulong error = TakePeerParameters(TransportParameters.TryDecode(_tls.PeerTransportParameters, fromServer: !IsServer));
            if (error != QuicError.NoError) return error;
        }

        if (_complete || !_tls.IsHandshakeComplete) return QuicError.NoError;
        if (_peer is null) return QuicError.CryptoBase + 109;   // missing_extension, RFC 9001 section 8.2
        Complete(now);
        return QuicError.NoError;
    }

    private void TakeSecrets(TlsSecrets secrets)
    {
        PacketSpace space = _spaces[(int)secrets.Level];
        ReadOnlySpan<byte> read = IsServer ? secrets.ClientSecret : secrets.ServerSecret;
        ReadOnlySpan<byte> write = IsServer ? secrets.ServerSecret : secrets.ClientSecret;
        Install(space, secrets.Suite, read, write);
        if (secrets.Level != EncryptionLevel.Application) return;
        _nextRead = space.ReadKeys!.Next();
        if (!IsServer) return;

        // A server reads no 1-RTT packet before the client's Finished. RFC 9001 section 5.7
        _pendingRead = space.ReadKeys;
        space.ReadKeys = null;
    }

    private ulong TakePeerParameters(TransportParameters? peer)
    {
        if (peer is null) return QuicError.TransportParameter;

        // RFC 9000 section 7.3: the ids are authenticated, or an attacker could have chosen them.
        if (peer.InitialSource != _remoteIds[0].Id) return QuicError.TransportParameter;
        if (!IsServer && (peer.OriginalDestination != _originalDestination || peer.RetrySource != _retrySource)) return QuicError.TransportParameter;
        _peer = peer;
        _maxDatagram = (int)Math.Min((ulong)_options.MaxDatagramBytes, peer.MaxUdpPayload);
        _sendLimit = (long)peer.MaxData;
        _streamLimit[StreamKind(true)] = (long)peer.MaxStreamsBidi;
        _streamLimit[StreamKind(false)] = (long)peer.MaxStreamsUni;
        if (peer.StatelessResetToken is { } token) SetFirstResetToken(token);
        return QuicError.NoError;
    }

    private void Complete(Instant now)
    {
        _complete = true;
        PacketSpace application = _spaces[PacketSpace.Application];
        if (_pendingRead is not null)
        {
            application.ReadKeys = _pendingRead;
            _pendingRead = null;
        }

        IssueSpareIds();
        _endpoint.OnEstablished(this);
        if (!IsServer) return;
        _handshakeDoneDue = true;
        ConfirmHandshake(now);
    }

    // RFC 9001 sections 4.1.2 and 4.9.2
    private void ConfirmHandshake(Instant now)
    {
        if (_confirmed) return;
        _confirmed = true;
        DiscardSpace(PacketSpace.Initial);
        DiscardSpace(PacketSpace.Handshake);
        _endpoint.OnConfirmed(this);
        UpdateDeadline(now);
    }

    private void DiscardSpace(int level)
    {
        PacketSpace space = _spaces[level];
        if (space.Discarded) return;
        WriteOffFlight(space);
        space.Discarded = true;
        space.DropKeys();
        space.CryptoOut.Release();
        space.CryptoIn.Release();
        space.AckNow = space.PingDue = false;
        space.AckDeadline = space.LossTime = Instant.Never;
        space.ProbesDue = 0;
        _probeCount = 0;
    }

    // RFC 9000 section 17.2.5.2: one Retry at most, and none after a packet of the server was processed.
    private bool HandleRetry(ReadOnlySpan<byte> packet, in PacketHeader header, Instant now)
    {
        if (IsServer || _retrySource is not null || _anyProcessed || header.Token.IsEmpty || !_localIds[0].Id.Matches(header.Destination)
            || header.Source.SequenceEqual(_originalDestination.ToArray()) || !_endpoint.Retry.TagMatches(_originalDestination, packet))
        {
            _counters.DroppedMalformed++;
            return false;
        }

        var source = new ConnectionId(header.Source);
        _retrySource = source;
        _retryToken = header.Token.ToArray();
        _remoteIds[0].Id = source;
        InstallInitialKeys(header.Source);
        PacketSpace space = _spaces[PacketSpace.Initial];
        WriteOffFlight(space);
        _probeCount = 0;
        _idleFrom = now;
        return true;
    }

    private bool OpenShort(PacketSpace space, Span<byte> packet, int headerLength, long number, Instant now)
    {
        bool bit = (packet[0] & 0x04) != 0;
        if (bit == _phaseBit)
        {
            if (!space.ReadKeys!.Open(packet, headerLength, number)) return false;
            if (number < _phaseFirstReceived) _phaseFirstReceived = number;
            return true;
        }

        // A late packet of the phase before, or the first of the next one. RFC 9001 section 6.5
        if (number < _phaseFirstReceived && _previousRead is not null) return _previousRead.Open(packet, headerLength, number);
        if (number < _phaseFirstReceived && _keyUpdates > 0) return false;
        if (_nextRead is null || !_nextRead.Open(packet, headerLength, number)) return false;

        // The peer updates before it has our ACK of a packet in this phase: KEY_UPDATE_ERROR is ours to say, but an
        // authenticated packet in the next phase also settles which keys it has, so it is taken as its update.
        if (_updatingKeys)
        {
            // Our own update, answered.
            AdvanceRead(now);
            _updatingKeys = false;
        }
        else
        {
            AdvanceRead(now);
            AdvanceWrite();
        }

        _phaseBit = bit;
        _phaseFirstReceived = number;
        return true;
    }

    // Between our update and the peer's answer the write keys are one phase ahead of the read keys.
    private bool _updatingKeys;

    private bool WritePhaseBit => _phaseBit ^ _updatingKeys;

    private bool MayUpdateKeys() => _phase == Phase.Open && _confirmed && !_updatingKeys && (_keyUpdates == 0 || _phaseAcked) && _spaces[PacketSpace.Application].LargestAcked >= _phaseFirstSent && _previousRead is null;

    private void RollKeys(Instant now)
    {
        AdvanceWrite();
        _updatingKeys = true;
    }

    private void AdvanceWrite()
    {
        PacketSpace space = _spaces[PacketSpace.Application];
        PacketKeys next = space.WriteKeys!.Next();
        space.WriteKeys.Dispose();
        space.WriteKeys = next;
        _phaseFirstSent = space.Sent.Next;
        _phaseAcked = false;
        _keyUpdates++;
    }

    private void AdvanceRead(Instant now)
    {
        PacketSpace space = _spaces[PacketSpace.Application];
        _previousRead?.Dispose();
        _previousRead = space.ReadKeys;
        _previousUntil = now + new TimeSpan(3 * ProbeTimeout(PacketSpace.Application) / 100);   // RFC 9001 section 6.5
        space.ReadKeys = _nextRead;
        _nextRead = space.ReadKeys!.Next();
    }

    private void DropPreviousKeys()
    {
        _previousRead?.Dispose();
        _previousRead = null;
        _previousUntil = Instant.Never;
    }
}
