using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Recovery;
using Oxen.Router.Core.Quic.Streams;

namespace Oxen.Router.Core.Quic;

internal sealed partial class QuicConnection
{
    private const int PacketThreshold = 3;            // kPacketThreshold, RFC 9002 section 6.1.1
    private const int PersistentCongestionThreshold = 3;
    private const int MaxProbeShift = 10;

    private int _probeCount;
    private long _skipped = -1;                       // the last number left out on purpose
    private Instant _firstRttSample = Instant.Never;

    /// <summary>ACK frame: largest, delay, count, first range, (gap, length)*, with ECN three counts. RFC 9000 section 19.3.</summary>
    private ulong OnAck(PacketSpace space, bool ecn, ref ReadOnlySpan<byte> payload, Instant now)
    {
        if (!Varint.TryRead(ref payload, out ulong largest) || !Varint.TryRead(ref payload, out ulong delay)
            || !Varint.TryRead(ref payload, out ulong ranges) || !Varint.TryRead(ref payload, out ulong first)) return QuicError.FrameEncoding;
        if (first > largest) return QuicError.FrameEncoding;

        // An ACK of what was never sent. RFC 9000 section 13.1
        if ((long)largest >= space.Sent.Next) return QuicError.ProtocolViolation;

        bool newlyElicits = false;
        bool any = false;
        Instant largestSent = Instant.Never;
        if (space.Sent.Holds((long)largest) && space.Sent[(long)largest].State == SentState.Outstanding) largestSent = space.Sent[(long)largest].Sent;

        long high = (long)largest, low = (long)(largest - first);
        for (ulong i = 0; ; i++)
        {
            if (space.Index == PacketSpace.Application && _skipped >= low && _skipped <= high) return QuicError.ProtocolViolation;
            any |= AckRange(space, low, high, ref newlyElicits, now);
            if (i == ranges) break;
            if (!Varint.TryRead(ref payload, out ulong gap) || !Varint.TryRead(ref payload, out ulong length)) return QuicError.FrameEncoding;

            // Both are below 2^62, so nothing wraps.
            high = low - (long)gap - 2;
            low = high - (long)length;
            if (low < 0) return QuicError.FrameEncoding;
        }

        if (ecn && !(Varint.TryRead(ref payload, out _) && Varint.TryRead(ref payload, out _) && Varint.TryRead(ref payload, out _))) return QuicError.FrameEncoding;
        if (!any) return QuicError.NoError;

        space.LargestAcked = Math.Max(space.LargestAcked, (long)largest);
        if (space.Index == PacketSpace.Application && space.LargestAcked >= _phaseFirstSent) _phaseAcked = true;
        if (!largestSent.IsNever && newlyElicits)
        {
            long ackDelay = 0;
            if (space.Index == PacketSpace.Application && _peer is not null)
            {
                long most = (long)_peer.MaxAckDelayMs * 1_000_000;
                ackDelay = delay > 1UL << 40 ? most : (long)(delay << _peer.AckDelayExponent) * 1000;
                if (_confirmed) ackDelay = Math.Min(ackDelay, most);
                if (ackDelay < 0) ackDelay = most;
            }

            if (!_rtt.HasSample) _firstRttSample = now;
            _rtt.Update(now.Nanoseconds - largestSent.Nanoseconds, ackDelay);
        }

        space.Sent.Trim();
        DetectLoss(space, now);

        // A client keeps its backoff until it knows that the server has validated it. RFC 9002 section 6.2.1
        if (IsServer || PeerValidatedUs) _probeCount = 0;
        return QuicError.NoError;
    }

    private bool PeerValidatedUs => IsServer || _confirmed || _spaces[PacketSpace.Handshake].LargestAcked >= 0;

    private bool AckRange(PacketSpace space, long low, long high, ref bool newlyElicits, Instant now)
    {
        SentPackets sent = space.Sent;
        low = Math.Max(low, sent.Base);
        bool any = false;
        for (long number = Math.Min(high, sent.Next - 1); number >= low; number--)
        {
            ref SentPacket packet = ref sent[number];
            if (packet.State != SentState.Outstanding) continue;
            any = true;
            newlyElicits |= packet.AckEliciting;
            packet.State = SentState.None;
            if (packet.AckEliciting) space.ElicitingInFlight--;
            if (packet.InFlight) _congestion.OnAcked(packet.Bytes, packet.Sent, packet.WindowLimited, _rtt.Smoothed, now);
            for (int at = packet.Frames; at >= 0; at = _frames.Free(at)) OnFrameAcked(space, _frames[at]);
        }

        return any;
    }

    // RFC 9002 section 6.1 and appendix A.10
    private void DetectLoss(PacketSpace space, Instant now)
    {
        space.LossTime = Instant.Never;
        if (space.LargestAcked < 0) return;
        SentPackets sent = space.Sent;
        long lossDelay = _rtt.LossDelay;
        var lostBefore = new Instant(now.Nanoseconds - lossDelay);
        Instant newest = new(long.MinValue);
        Instant runStart = Instant.Never, runEnd = Instant.Never, longestStart = Instant.Never, longestEnd = Instant.Never;
        bool any = false;
        for (long number = sent.Base; number < sent.Next && number <= space.LargestAcked; number++)
        {
            ref SentPacket packet = ref sent[number];
            if (packet.State != SentState.Outstanding)
            {
                if (packet.Bytes != 0) runStart = Instant.Never;
                continue;
            }

            if (packet.Sent > lostBefore && space.LargestAcked < number + PacketThreshold)
            {
                space.LossTime = Instant.Earlier(space.LossTime, new Instant(packet.Sent.Nanoseconds + lossDelay));
                runStart = Instant.Never;
                continue;
            }

            any = true;
            packet.State = SentState.None;
            _packetsLost++;
            if (packet.AckEliciting)
            {
                space.ElicitingInFlight--;

                // Packets lost in one run, with none acknowledged between them, tell of persistent congestion.
                if (packet.Sent > _firstRttSample)
                {
                    if (runStart.IsNever) runStart = packet.Sent;
                    runEnd = packet.Sent;
                    if (longestStart.IsNever || runEnd - runStart > longestEnd - longestStart)
                    {
                        longestStart = runStart;
                        longestEnd = runEnd;
                    }
                }
            }

            if (packet.InFlight)
            {
                _congestion.OnLost(packet.Bytes);
                newest = Instant.Later(newest, packet.Sent);
            }

            for (int at = packet.Frames; at >= 0; at = _frames.Free(at)) OnFrameLost(space, _frames[at]);
        }

        if (!any) return;
        sent.Trim();
        _congestion.OnCongestion(newest, now);
        long period = (_rtt.Smoothed + Math.Max(4 * _rtt.Variation, RttEstimator.Granularity) + PeerAckDelay) * PersistentCongestionThreshold;
        if (!longestStart.IsNever && longestEnd.Nanoseconds - longestStart.Nanoseconds > period) _congestion.OnPersistentCongestion();
    }

    /// <summary>Nothing of the space is in flight any more; what it carried is to be sent again.</summary>
    private void WriteOffFlight(PacketSpace space)
    {
        SentPackets sent = space.Sent;
        for (long number = sent.Base; number < sent.Next; number++)
        {
            ref SentPacket packet = ref sent[number];
            if (packet.State != SentState.Outstanding) continue;
            packet.State = SentState.None;
            if (packet.InFlight) _congestion.OnDiscarded(packet.Bytes);
            for (int at = packet.Frames; at >= 0; at = _frames.Free(at)) OnFrameLost(space, _frames[at]);
        }

        sent.Clear();
        space.ElicitingInFlight = 0;
        space.LossTime = Instant.Never;
    }

    private long PeerAckDelay => _peer is null ? 25_000_000 : (long)_peer.MaxAckDelayMs * 1_000_000;

    private long ProbeTimeout(int level) => _rtt.ProbeTimeout(level == PacketSpace.Application ? PeerAckDelay : 0);

    private long Backoff(int level)
    {
        long once = ProbeTimeout(level);
        return Math.Min(once << Math.Min(_probeCount, MaxProbeShift), Math.Max(once, _options.MaxProbeInterval.Ticks * 100));
    }

    // RFC 9002 appendix A.8
    private Instant RecoveryDeadline()
    {
        Instant loss = Instant.Never;
        foreach (PacketSpace space in _spaces) loss = Instant.Earlier(loss, space.LossTime);
        if (!loss.IsNever) return loss;

        // A server that may not send does not probe. RFC 9002 section 6.2.2.1
        if (IsServer && !_addressValidated && AmplificationBudget < MinInitialDatagram) return Instant.Never;
        return ProbeDeadline(out _);
    }

    private Instant ProbeDeadline(out int level)
    {
        level = PacketSpace.Initial;
        bool anyInFlight = false;
        foreach (PacketSpace space in _spaces) anyInFlight |= space.ElicitingInFlight > 0;
        if (!anyInFlight)
        {
            // The client keeps probing until the server has validated it: the way out of the amplification deadlock.
            if (PeerValidatedUs || _complete && _confirmed) return Instant.Never;
            level = _spaces[PacketSpace.Handshake].CanSend ? PacketSpace.Handshake : PacketSpace.Initial;
            Instant from = Instant.Later(Instant.Later(_spaces[PacketSpace.Initial].LastElicitingSent, _spaces[PacketSpace.Handshake].LastElicitingSent), _idleFrom);
            return new Instant(from.Nanoseconds + Backoff(level));
        }

        Instant earliest = Instant.Never;
        foreach (PacketSpace space in _spaces)
        {
            if (space.ElicitingInFlight == 0) continue;
            if (space.Index == PacketSpace.Application && !_confirmed) break;   // RFC 9002 section 6.2.1
            var due = new Instant(space.LastElicitingSent.Nanoseconds + Backoff(space.Index));
            if (due >= earliest) continue;
            earliest = due;
            level = space.Index;
        }

        if (earliest.IsNever && !PeerValidatedUs)
        {
            level = _spaces[PacketSpace.Handshake].CanSend ? PacketSpace.Handshake : PacketSpace.Initial;
            return new Instant(_spaces[level].LastElicitingSent.Nanoseconds + Backoff(level));
        }

        return earliest;
    }

    private void HandleRecoveryTimeout(Instant now)
    {
        bool lost = false;
        foreach (PacketSpace space in _spaces)
        {
            if (space.LossTime > now) continue;
            DetectLoss(space, now);
            lost = true;
        }

        if (lost) return;
        if (IsServer && !_addressValidated && AmplificationBudget < MinInitialDatagram) return;
        if (ProbeDeadline(out int level) > now) return;
        _probeCount++;
        PacketSpace probed = _spaces[level];
        if (!probed.CanSend) return;
        probed.ProbesDue = 2;
        RepeatOldest(probed);

        // Initial and Handshake probes ride in one datagram. RFC 9002 section 6.2.4
        if (level == PacketSpace.Initial && _spaces[PacketSpace.Handshake].CanSend && _spaces[PacketSpace.Handshake].ElicitingInFlight > 0)
        {
            _spaces[PacketSpace.Handshake].ProbesDue = 1;
            RepeatOldest(_spaces[PacketSpace.Handshake]);
        }
    }

    /// <summary>What the two oldest packets in flight carried is sent once more; they stay in flight.</summary>
    private void RepeatOldest(PacketSpace space)
    {
        int left = 2;
        SentPackets sent = space.Sent;
        for (long number = sent.Base; number < sent.Next && left > 0; number++)
        {
            ref SentPacket packet = ref sent[number];
            if (packet.State != SentState.Outstanding || !packet.AckEliciting) continue;
            left--;
            for (int at = packet.Frames; at >= 0; at = _frames[at].Next)
            {
                if (_frames[at].Kind is not (SentFrameKind.RetireConnectionId or SentFrameKind.Ack)) OnFrameLost(space, _frames[at]);
            }
        }
    }

    private void OnFrameAcked(PacketSpace space, in SentFrame frame)
    {
        switch (frame.Kind)
        {
            case SentFrameKind.Ack:
                space.OnAckAcked(frame.Offset);
                break;
            case SentFrameKind.Crypto:
                space.CryptoOut.OnAcked(frame.Offset, frame.Length);
                break;
            case SentFrameKind.Stream:
            case SentFrameKind.StreamFin:
                OnStreamAcked(frame);
                break;
            case SentFrameKind.ResetStream:
                if (_streams.TryGetValue(frame.Id, out QuicStream? reset))
                {
                    reset.Reset = ResetState.Acked;
                    CloseIfDone(reset);
                }

                break;
            case SentFrameKind.RetireConnectionId:
                _retiresInFlight--;
                break;
        }
    }

    private void OnFrameLost(PacketSpace space, in SentFrame frame)
    {
        switch (frame.Kind)
        {
            case SentFrameKind.Ack:
                break;
            case SentFrameKind.Crypto:
                if (!space.Discarded) space.CryptoOut.OnLost(frame.Offset, frame.Length);
                break;
            case SentFrameKind.MaxData:
                _maxDataDue = true;
                break;
            case SentFrameKind.MaxStreamsBidi:
                _maxStreamsDue[StreamKind(true)] = true;
                break;
            case SentFrameKind.MaxStreamsUni:
                _maxStreamsDue[StreamKind(false)] = true;
                break;
            case SentFrameKind.NewConnectionId:
                OnNewIdLost(frame.Id);
                break;
            case SentFrameKind.RetireConnectionId:
                _retiresInFlight--;
                _retireDue.Add(frame.Id);
                break;
            case SentFrameKind.HandshakeDone:
                _handshakeDoneDue = true;
                break;
            case SentFrameKind.DataBlocked:
                _blockedAt = -1;
                break;
            default:
                OnStreamFrameLost(frame);
                break;
        }
    }
}
