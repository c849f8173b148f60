using System.Buffers;
using System.Security.Cryptography;
using Oxen.Router.Core.Quic.Frames;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Protection;

namespace Oxen.Router.Core.Quic;

internal sealed partial class QuicConnection
{
    /// <summary>Packets kept because their keys are not there yet.</summary>
    private const int MaxUndecryptable = 10;
    private const int MinInitialDatagram = 1200;

    private readonly List<(byte[] Bytes, int Length, int DatagramLength)> _undecryptable = [];
    private long _forgeries;
    private bool _anyProcessed;

    /// <summary>Takes one datagram from the connection's peer; opens it in place.</summary>
    /// <returns>Whether any packet in it was authentic.</returns>
    internal bool HandleDatagram(Span<byte> datagram, Instant now)
    {
        _bytesReceived += datagram.Length;
        if (_phase == Phase.Closing) OnPacketWhileClosing();
        if (_phase != Phase.Open) return false;

        Span<byte> rest = datagram;
        Span<byte> firstId = stackalloc byte[ConnectionId.MaxBytes];
        int firstLength = -1;
        bool authentic = false;
        while (!rest.IsEmpty && _phase == Phase.Open)
        {
            if (!PacketHeader.TryRead(rest, out PacketHeader header))
            {
                _counters.DroppedMalformed++;
                break;
            }

            Span<byte> packet = rest[..header.PacketLength];
            rest = rest[header.PacketLength..];
            if (firstLength < 0)
            {
                firstLength = Math.Min(header.Destination.Length, ConnectionId.MaxBytes);
                header.Destination[..firstLength].CopyTo(firstId);
            }
            else if (!header.Destination.SequenceEqual(firstId[..firstLength]))
            {
                // RFC 9000 section 12.2: packets for another connection are not ours to read.
                _counters.DroppedMalformed++;
                continue;
            }

            authentic |= HandlePacket(packet, header, datagram.Length, mayKeep: true, now);
        }

        if (!authentic && _phase == Phase.Open && _endpoint.IsResetOf(this, datagram)) OnStatelessReset(now);
        FinishReceive(now);
        return authentic;
    }

    private void FinishReceive(Instant now)
    {
        if (_phase == Phase.Open) ReplayUndecryptable(now);
        UpdateDeadline(now);
        Touched();
    }

    private bool HandlePacket(Span<byte> packet, in PacketHeader header, int datagramLength, bool mayKeep, Instant now)
    {
        int level;
        switch (header.Kind)
        {
            case PacketKind.Initial:
                // RFC 9000 section 14.1
                if (IsServer && datagramLength < MinInitialDatagram)
                {
                    _counters.DroppedShortInitial++;
                    return false;
                }

                level = PacketSpace.Initial;
                break;
            case PacketKind.Handshake:
                level = PacketSpace.Handshake;
                break;
            case PacketKind.OneRtt:
                level = PacketSpace.Application;
                break;
            case PacketKind.Retry:
                return HandleRetry(packet, header, now);
            case PacketKind.VersionNegotiation:
                HandleVersionNegotiation(packet, header, now);
                return false;
            default:
                _counters.DroppedNoKeys++;   // 0-RTT is never offered
                return false;
        }

        PacketSpace space = _spaces[level];
        if (space.ReadKeys is null)
        {
            if (!space.Discarded && mayKeep && _undecryptable.Count < MaxUndecryptable) Keep(packet, datagramLength);
            else _counters.DroppedNoKeys++;
            return false;
        }

        // Once a server's id is known it does not change. RFC 9000 section 7.2
        if (header.Kind != PacketKind.OneRtt && _remoteIdKnown && !_remoteIds[0].Id.Matches(header.Source))
        {
            _counters.DroppedUndecryptable++;
            return false;
        }

        if (packet.Length < header.NumberOffset + 4 + PacketKeys.TagBytes)
        {
            _counters.DroppedMalformed++;
            return false;
        }

        if (!Open(space, packet, header.NumberOffset, out long number, out int headerLength, now))
        {
            _counters.DroppedUndecryptable++;
            if (++_forgeries >= space.ReadKeys.IntegrityLimit) Fail(QuicError.AeadLimitReached, 0, now);
            return false;
        }

        byte reserved = level == PacketSpace.Application ? (byte)0x18 : (byte)0x0C;
        if ((packet[0] & reserved) != 0)
        {
            Fail(QuicError.ProtocolViolation, 0, now);
            return true;
        }

        if (space.IsDuplicate(number))
        {
            _counters.DroppedDuplicate++;
            return true;
        }

        if (!_remoteIdKnown) LearnRemoteId(new ConnectionId(header.Source));
        _anyProcessed = true;
        _packetsReceived++;
        if (IsServer && level == PacketSpace.Handshake)
        {
            _addressValidated = true;
            DiscardSpace(PacketSpace.Initial);   // RFC 9001 section 4.9.1
        }

        _idleFrom = now;
        _elicitingSinceReceive = false;
        bool eliciting = false;
        ReadOnlySpan<byte> destination = header.Destination;
        if (!HandleFrames(space, packet[headerLength..^PacketKeys.TagBytes], destination, ref eliciting, now)) return true;
        if (_phase == Phase.Open && !space.Discarded) space.OnReceived(number, eliciting, _options.AckEvery, _options.AckDelay, now);
        return true;
    }

    /// <summary>Removes header protection and opens the payload, with the keys of the right phase.</summary>
    private bool Open(PacketSpace space, Span<byte> packet, int numberOffset, out long number, out int headerLength, Instant now)
    {
        Span<byte> mask = stackalloc byte[5];
        space.ReadHeader!.Mask(packet.Slice(numberOffset + 4, 16), mask);
        bool isShort = (packet[0] & 0x80) == 0;
        packet[0] ^= (byte)(mask[0] & (isShort ? 0x1F : 0x0F));
        int length = (packet[0] & 3) + 1;
        for (int i = 0; i < length; i++) packet[numberOffset + i] ^= mask[1 + i];
        headerLength = numberOffset + length;
        number = PacketNumber.Decode(space.LargestReceived, PacketNumber.ReadTruncated(packet[numberOffset..], length), length);
        if (number < 0) return false;
        return isShort
            ? OpenShort(space, packet, headerLength, number, now)
            : space.ReadKeys!.Open(packet, headerLength, number);
    }

    private void Keep(ReadOnlySpan<byte> packet, int datagramLength)
    {
        byte[] copy = ArrayPool<byte>.Shared.Rent(packet.Length);
        packet.CopyTo(copy);
        _undecryptable.Add((copy, packet.Length, datagramLength));
    }

    /// <summary>New keys may open what came too early.</summary>
    private void ReplayUndecryptable(Instant now)
    {
        for (int i = 0; i < _undecryptable.Count && _phase == Phase.Open;)
        {
            (byte[] bytes, int length, int datagramLength) = _undecryptable[i];
            bool readable = PacketHeader.TryRead(bytes.AsSpan(0, length), out PacketHeader header);
            PacketSpace space = _spaces[header.Kind == PacketKind.Handshake ? PacketSpace.Handshake : header.Kind == PacketKind.Initial ? PacketSpace.Initial : PacketSpace.Application];
            if (readable && space.ReadKeys is null && !space.Discarded)
            {
                i++;
                continue;
            }

            _undecryptable.RemoveAt(i);
            if (readable) HandlePacket(bytes.AsSpan(0, length), header, datagramLength, mayKeep: false, now);
            ArrayPool<byte>.Shared.Return(bytes);
            i = 0;
        }
    }

    private void ForgetUndecryptable()
    {
        foreach ((byte[] bytes, _, _) in _undecryptable) ArrayPool<byte>.Shared.Return(bytes);
        _undecryptable.Clear();
    }

    // RFC 9000 section 6.2: a client that speaks v1 alone gives up, unless the list names v1 or anything else was processed.
    private void HandleVersionNegotiation(ReadOnlySpan<byte> packet, in PacketHeader header, Instant now)
    {
        if (IsServer || _anyProcessed || _retrySource is not null) return;
        if (!_localIds[0].Id.Matches(header.Destination) || !_originalDestination.Matches(header.Source)) return;
        ReadOnlySpan<byte> list = packet[header.NumberOffset..];
        if (list.Length < 4 || list.Length % 4 != 0) return;
        for (; !list.IsEmpty; list = list[4..])
        {
            if (list[0] == 0 && list[1] == 0 && list[2] == 0 && list[3] == 1) return;
        }

        EndSilently(QuicCloseReason.VersionNegotiation, 0, now);
    }

    private void OnStatelessReset(Instant now)
    {
        _counters.StatelessResetsReceived++;
        EndSilently(QuicCloseReason.StatelessReset, 0, now);
    }

    private static bool TokensEqual(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b) => CryptographicOperations.FixedTimeEquals(a, b);
}
