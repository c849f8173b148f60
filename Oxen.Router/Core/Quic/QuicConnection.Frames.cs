using Oxen.Router.Core.Quic.Frames;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Streams;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic;

internal sealed partial class QuicConnection
{
    /// <summary>PATH_CHALLENGEs that wait for their answer.</summary>
    private const int MaxPathResponses = 8;

    private readonly ulong[] _pathResponses = new ulong[MaxPathResponses];
    private int _pathResponseCount;

    /// <summary>Runs all frames of a packet. False: the connection failed or closed on the way.</summary>
    private bool HandleFrames(PacketSpace space, ReadOnlySpan<byte> payload, ReadOnlySpan<byte> destination, ref bool eliciting, Instant now)
    {
        // RFC 9000 section 12.4: a packet without frames is a violation.
        if (payload.IsEmpty) return Fail(QuicError.ProtocolViolation, 0, now);
        while (!payload.IsEmpty)
        {
            if (payload[0] == FrameType.Padding)
            {
                int padding = payload.IndexOfAnyExcept((byte)0);
                if (padding < 0) break;
                payload = payload[padding..];
            }

            ReadOnlySpan<byte> start = payload;
            if (!Varint.TryRead(ref payload, out ulong type)) return Fail(QuicError.FrameEncoding, 0, now);

            // The type must stand in its shortest form. RFC 9000 section 12.4
            if (start.Length - payload.Length != Varint.Length(type)) return Fail(QuicError.ProtocolViolation, type, now);
            if (type > FrameType.HandshakeDone) return Fail(QuicError.FrameEncoding, type, now);
            if (space.Index != PacketSpace.Application && !FrameType.AllowedInHandshake(type)) return Fail(QuicError.ProtocolViolation, type, now);
            eliciting |= FrameType.IsAckEliciting(type);

            ulong error = HandleFrame(space, type, ref payload, destination, now);
            if (error != QuicError.NoError)
            {
                if (_phase == Phase.Open) Fail(error, type, now);
                return false;
            }

            if (_phase != Phase.Open) return false;
        }

        return true;
    }

    /// <returns>0, or the error to close with.</returns>
    private ulong HandleFrame(PacketSpace space, ulong type, ref ReadOnlySpan<byte> payload, ReadOnlySpan<byte> destination, Instant now)
    {
        if (type is >= FrameType.Stream and <= FrameType.StreamLast) return OnStream((int)type, ref payload);
        switch (type)
        {
            case FrameType.Padding:
            case FrameType.Ping:
                return QuicError.NoError;
            case FrameType.Ack:
            case FrameType.AckEcn:
                return OnAck(space, type == FrameType.AckEcn, ref payload, now);
            case FrameType.Crypto:
                return OnCrypto(space, ref payload, now);
            case FrameType.ResetStream:
                return OnResetStream(ref payload);
            case FrameType.StopSending:
                return OnStopSending(ref payload);
            case FrameType.NewToken:
                return OnNewToken(ref payload);
            case FrameType.MaxData:
                if (!Varint.TryRead(ref payload, out ulong maxData)) return QuicError.FrameEncoding;
                OnMaxData((long)maxData);
                return QuicError.NoError;
            case FrameType.MaxStreamData:
                return OnMaxStreamData(ref payload);
            case FrameType.MaxStreamsBidi:
            case FrameType.MaxStreamsUni:
                return OnMaxStreams(type == FrameType.MaxStreamsBidi, ref payload);
            case FrameType.DataBlocked:
                return Varint.TryRead(ref payload, out _) ? QuicError.NoError : QuicError.FrameEncoding;
            case FrameType.StreamDataBlocked:
                return OnStreamDataBlocked(ref payload);
            case FrameType.StreamsBlockedBidi:
            case FrameType.StreamsBlockedUni:
                return Varint.TryRead(ref payload, out ulong blocked) && blocked <= 1UL << 60 ? QuicError.NoError : QuicError.FrameEncoding;
            case FrameType.NewConnectionId:
                return OnNewConnectionId(ref payload);
            case FrameType.RetireConnectionId:
                return OnRetireConnectionId(ref payload, destination);
            case FrameType.PathChallenge:
                if (payload.Length < 8) return QuicError.FrameEncoding;

                // A full queue loses the newest: the peer repeats what it needs (CVE-2023-49295 is what happens without a cap).
                if (_pathResponseCount < MaxPathResponses) _pathResponses[_pathResponseCount++] = BitConverter.ToUInt64(payload);
                payload = payload[8..];
                return QuicError.NoError;
            case FrameType.PathResponse:
                // We never challenge, so no answer can match. RFC 9000 section 19.18 lets us refuse it.
                return payload.Length < 8 ? QuicError.FrameEncoding : QuicError.ProtocolViolation;
            case FrameType.ConnectionClose:
            case FrameType.ConnectionCloseApplication:
                return OnConnectionClose(type == FrameType.ConnectionCloseApplication, ref payload, now);
            case FrameType.HandshakeDone:
                if (IsServer) return QuicError.ProtocolViolation;
                ConfirmHandshake(now);
                return QuicError.NoError;
            default:
                return QuicError.FrameEncoding;
        }
    }

    private ulong OnCrypto(PacketSpace space, ref ReadOnlySpan<byte> payload, Instant now)
    {
        if (!Varint.TryRead(ref payload, out ulong offset) || !Varint.TryRead(ref payload, out ulong length) || length > (ulong)payload.Length) return QuicError.FrameEncoding;
        if (offset + length > Varint.Max) return QuicError.FrameEncoding;
        ReadOnlySpan<byte> data = payload[..(int)length];
        payload = payload[(int)length..];
        ReceiveBuffer crypto = space.CryptoIn;
        if ((long)(offset + length) - crypto.Consumed > PacketSpace.MaxCryptoBytes) return QuicError.CryptoBufferExceeded;
        if (!crypto.Insert((long)offset, data, maxGaps: 256)) return QuicError.CryptoBufferExceeded;
        while (crypto.Readable > 0)
        {
            ReadOnlySpan<byte> next = crypto.Peek();
            byte alert = _tls.HandleCrypto((EncryptionLevel)space.Index, next);
            crypto.Advance(next.Length);
            if (alert != 0)
            {
                PumpTls(now);
                return QuicError.CryptoBase + alert;
            }
        }

        return PumpTls(now);
    }

    private ulong OnNewToken(ref ReadOnlySpan<byte> payload)
    {
        if (IsServer) return QuicError.ProtocolViolation;
        if (!Varint.TryRead(ref payload, out ulong length) || length == 0 || length > (ulong)payload.Length) return QuicError.FrameEncoding;
        payload = payload[(int)length..];   // tokens for later connections are not kept: they would link them
        return QuicError.NoError;
    }

    private ulong OnConnectionClose(bool application, ref ReadOnlySpan<byte> payload, Instant now)
    {
        if (!Varint.TryRead(ref payload, out ulong code)) return QuicError.FrameEncoding;
        if (!application && !Varint.TryRead(ref payload, out _)) return QuicError.FrameEncoding;
        if (!Varint.TryRead(ref payload, out ulong length) || length > (ulong)payload.Length) return QuicError.FrameEncoding;
        payload = payload[(int)length..];
        EndSilently(application ? QuicCloseReason.Peer : QuicCloseReason.PeerError, code, now);
        return QuicError.NoError;
    }
}
