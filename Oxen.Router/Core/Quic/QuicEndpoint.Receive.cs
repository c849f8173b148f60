using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic;

internal sealed partial class QuicEndpoint
{
    private const int MinInitialDatagram = 1200;
    private const int MinFirstIdBytes = 8;      // RFC 9000 section 7.2

    /// <summary>Takes one datagram; opens it in place.</summary>
    public void HandleDatagram(Span<byte> datagram, in UdpAddress from, Instant now)
    {
        Now = now;
        Relieve(now);
        Counters.DatagramsReceived++;
        Counters.BytesReceived += datagram.Length;
        if (!PacketHeader.TryRead(datagram, out PacketHeader header))
        {
            Counters.DroppedMalformed++;
            return;
        }

        QuicConnection? connection = null;
        if (header.Destination.Length == PacketHeader.LocalIdBytes) _byId.TryGetValue(new ConnectionId(header.Destination).Head, out connection);
        if (connection is null && header.Destination.Length is >= MinFirstIdBytes and <= ConnectionId.MaxBytes)
            _byFirstId.TryGetValue((new ConnectionId(header.Destination), from), out connection);

        if (connection is null)
        {
            HandleUnknown(datagram, header, from, now);
            return;
        }

        // No migration: another address is somebody else's until a later version validates paths.
        if (connection.RemoteAddress != from)
        {
            Counters.DroppedOtherAddress++;
            return;
        }

        connection.HandleDatagram(datagram, now);
    }

    private void HandleUnknown(Span<byte> datagram, in PacketHeader header, in UdpAddress from, Instant now)
    {
        switch (header.Kind)
        {
            case PacketKind.OneRtt:
                if (TryReset(datagram, from, now)) return;
                Counters.DroppedUnknownConnection++;
                SendReset(datagram, from, now);
                return;
            case PacketKind.UnknownVersion when _options.Server is not null && datagram.Length >= MinInitialDatagram:
                SendVersionNegotiation(header, from);
                return;
            case PacketKind.Initial when _options.Server is not null:
                Admit(datagram, header, from, now);
                return;
            default:
                if (_options.Server is null) Counters.DroppedNotServing++;
                else Counters.DroppedUnknownConnection++;
                return;
        }
    }

    /// <summary>A stateless reset bears a random connection id: only its last 16 bytes tell whose it is.</summary>
    private bool TryReset(Span<byte> datagram, in UdpAddress from, Instant now)
    {
        if (datagram.Length < 21 || _byResetToken.Count == 0) return false;
        UInt128 token = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(datagram[^16..]);
        if (!_byResetToken.TryGetValue(ResetName(token), out QuicConnection? connection) || connection.RemoteAddress != from || !IsResetOf(connection, datagram)) return false;
        connection.HandleDatagram(datagram, now);
        return true;
    }

    // The cheapest checks first; state is made last.
    private void Admit(Span<byte> datagram, in PacketHeader header, in UdpAddress from, Instant now)
    {
        if (datagram.Length < MinInitialDatagram || header.Destination.Length < MinFirstIdBytes)
        {
            Counters.DroppedShortInitial++;
            return;
        }

        var destination = new ConnectionId(header.Destination);
        ConnectionId original = destination;
        bool validated = false;
        if (!header.Token.IsEmpty && Retry.TryReadToken(header.Token, from, _options.RetryTokenLife, now, out ConnectionId fromToken))
        {
            original = fromToken;
            validated = true;
        }
        else if (!header.Token.IsEmpty) Counters.DroppedBadToken++;

        // A source address that nobody has proved may be a victim's: what comes under it must not use up the share of who lives
        // there. So the share is asked twice, and who has spent the first one without a proof is asked for the proof.
        bool retry = !validated && (_options.Retry == QuicRetryPolicy.Always || (_options.Retry == QuicRetryPolicy.UnderLoad && (HalfOpen >= _options.RetryAboveHalfOpen || IsForged(now))));
        if (!retry && !(validated ? _provenPrefixes : _prefixes).TryTake(from, now))
        {
            retry = !validated && _options.Retry == QuicRetryPolicy.UnderLoad;
            if (!retry)
            {
                Counters.DroppedByPrefixLimit++;
                return;
            }
        }

        if (retry)
        {
            // A token of ours that is no good (late, forged, another address) is no reason for a second Retry: the client
            // would refuse it. It may be one from NEW_TOKEN of somebody else's, though, so unknown ones get a Retry too.
            SendRetry(header, from, now);
            return;
        }

        if (_connections.Count >= _options.MaxConnections || HalfOpen >= _options.MaxHalfOpen || IsFull(from))
        {
            Counters.DroppedByConnectionLimit++;
            Counters.ConnectionsRefused++;
            return;
        }

        QuicConnection connection = QuicConnection.Server(this, ++_nextId, from, _options.Server!, _options.Transport, original, destination, validated, _entropy, now);
        _connections.Add(connection.Id, connection);
        _byFirstId.Add((destination, from), connection);
        if (_options.MaxConnectionsPerAddress > 0) _perAddress[from] = _perAddress.GetValueOrDefault(from) + 1;
        HalfOpen++;
        if (!connection.HandleDatagram(datagram, now))
        {
            // Not one authentic packet: as if it had never been, but for the keys that were made to see that.
            if (!connection.WasEstablished) HalfOpen--;
            Forget(connection);
            if (!validated) _forged++;
        }
    }

    // Junk under addresses of others never becomes a handshake, and each costs the keys of one: above a few a second, who comes
    // proves his address first, which costs a hundredth.
    private bool IsForged(Instant now)
    {
        if (_forged > 0) _forged = Math.Max(0, _forged - (now - _forgedAt).TotalSeconds * ForgedPerSecond);
        _forgedAt = now;
        return _forged >= ForgedBurst;
    }

    private bool IsFull(in UdpAddress from) => _options.MaxConnectionsPerAddress > 0 && _perAddress.GetValueOrDefault(from) >= _options.MaxConnectionsPerAddress;
}
