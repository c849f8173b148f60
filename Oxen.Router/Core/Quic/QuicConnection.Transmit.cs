using Oxen.Router.Core.Quic.Frames;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Protection;
using Oxen.Router.Core.Quic.Recovery;
using Oxen.Router.Core.Quic.Streams;

namespace Oxen.Router.Core.Quic;

// Datagrams out. A datagram is laid out in the clear first, one packet a space that has something to say, then padded if it
// must be, then sealed packet by packet: so padding always lands inside a packet and the lengths are known.
internal sealed partial class QuicConnection
{
    private const int LengthBytes = 2;
    private const int SmallestPacketRoom = 64;      // less is not worth another packet in the datagram
    private const int SkipEvery = 1024;             // on average one number in so many is left out

    private struct Draft
    {
        public int Level;
        public int Start;
        public int NumberOffset;
        public int NumberLength;
        public int PayloadEnd;
        public long Number;
        public int Frames;
        public bool AckEliciting;
        public bool HasAck;
        public bool Pads;          // RFC 9000 section 14.1 and 8.2.2: the datagram becomes 1200 bytes
    }

    private readonly Draft[] _drafts = new Draft[3];
    private long _nextSkip = 100;

    /// <summary>Bytes that may still go to an address that has not proved itself.</summary>
    private long AmplificationBudget => _addressValidated ? long.MaxValue : _options.AmplificationFactor * _bytesReceived - _bytesSent;

    internal int MaxDatagramBytes => _maxDatagram;

    /// <summary>Fills <paramref name="buffer"/> with datagrams of one size (the last may be shorter) and returns the bytes; 0: nothing to send now.</summary>
    internal int Transmit(Span<byte> buffer, out int segmentBytes, Instant now)
    {
        segmentBytes = 0;
        int total = 0;
        _pacedUntil = Instant.Never;
        while (true)
        {
            int limit = segmentBytes == 0 ? _maxDatagram : segmentBytes;
            if (buffer.Length - total < limit) break;
            int n = BuildDatagram(buffer.Slice(total, limit), now);
            if (n == 0) break;
            total += n;
            _bytesSent += n;
            _counters.DatagramsSent++;
            if (segmentBytes == 0)
            {
                segmentBytes = n;
                if (n < limit) break;
            }
            else if (n < segmentBytes) break;
        }

        _counters.BytesSent += total;
        UpdateDeadline(now);
        return total;
    }

    private int BuildDatagram(Span<byte> to, Instant now)
    {
        if (_phase is Phase.Draining or Phase.Gone) return 0;
        long budget = AmplificationBudget;
        if (budget < to.Length)
        {
            if (budget < MinInitialDatagram) return 0;
            to = to[..(int)budget];
        }

        if (_phase == Phase.Closing) return _closeDue ? BuildClose(to, now) : 0;

        bool window = _congestion.InFlight + to.Length <= _congestion.Window;
        bool mayData = window;
        if (window && _options.Pacing && _complete)
        {
            _pacer.Fill(_congestion.Window, _rtt.Smoothed, now);
            if (_pacer.Tokens < to.Length) mayData = false;
        }

        int at = 0, drafts = 0;
        for (int level = 0; level < 3; level++)
        {
            PacketSpace space = _spaces[level];
            if (!space.CanSend || (level == PacketSpace.Application && !_complete)) continue;

            // Handshake bytes that were lost go whatever the window says: it may be full of 1-RTT packets that the peer cannot
            // read, and for which no probe timer runs, until it has exactly these bytes.
            bool sendData = mayData || space.ProbesDue > 0 || (level != PacketSpace.Application && space.CryptoOut.HasLost);
            bool ack = space.AckNow || now >= space.AckDeadline;
            bool data = sendData && (space.ProbesDue > 0 || space.PingDue || space.HasCrypto || (level == PacketSpace.Application && HasApplicationFrames(now)));
            if (!ack && !data) continue;
            if (at > 0 && to.Length - at < SmallestPacketRoom + HeaderBytes(level)) break;
            int end = DraftPacket(space, to, at, data, now, ref _drafts[drafts]);
            if (end == at) continue;
            at = end;
            drafts++;
        }

        if (drafts == 0)
        {
            if (window && !mayData && WantsToSendData(now)) _pacedUntil = Instant.Later(_pacer.NextRelease(_congestion.Window, _rtt.Smoothed), new Instant(now.Nanoseconds + 1));
            return 0;
        }

        // Padding goes into the last packet.
        ref Draft last = ref _drafts[drafts - 1];
        bool pads = false;
        for (int i = 0; i < drafts; i++) pads |= _drafts[i].Pads;
        if (pads && at < MinInitialDatagram)
        {
            int more = Math.Min(MinInitialDatagram, to.Length) - at;
            to.Slice(last.PayloadEnd, more).Clear();
            last.PayloadEnd += more;
            at += more;
        }

        bool limited = !window || _congestion.InFlight + 2L * _maxDatagram > _congestion.Window || HasMoreData();
        for (int i = 0; i < drafts; i++) Seal(to, _drafts[i], limited, pads && i == drafts - 1, now);
        return at;
    }

    private int HeaderBytes(int level) => level == PacketSpace.Application
        ? 1 + _remoteIds[0].Id.Length
        : 1 + 4 + 1 + _remoteIds[0].Id.Length + 1 + PacketHeader.LocalIdBytes + LengthBytes + (level == PacketSpace.Initial ? Varint.Length((ulong)_retryToken.Length) + _retryToken.Length : 0);

    /// <summary>Writes header and frames in the clear at <paramref name="start"/>; returns where the packet with its tag will end, or start when there was nothing to say.</summary>
    private int DraftPacket(PacketSpace space, Span<byte> datagram, int start, bool data, Instant now, ref Draft draft)
    {
        draft = new Draft { Level = space.Index, Start = start, Frames = -1, Number = space.Sent.Next };
        draft.NumberLength = PacketNumber.EncodedLength(draft.Number, space.LargestAcked);
        int at = start + WriteHeader(space, datagram[start..], draft.NumberLength);
        draft.NumberOffset = at - draft.NumberLength;
        int payload = at;
        WriteFrames(space, datagram[..^PacketKeys.TagBytes], ref at, data, ref draft, now);
        if (at == payload) return start;

        // The sample for header protection lies 4 bytes behind the number's begin. RFC 9001 section 5.4.2
        while (at - draft.NumberOffset < 4) datagram[at++] = FrameType.Padding;
        draft.PayloadEnd = at;
        draft.Pads |= space.Index == PacketSpace.Initial && (!IsServer || draft.AckEliciting);
        return at + PacketKeys.TagBytes;
    }

    private int WriteHeader(PacketSpace space, Span<byte> to, int numberLength)
    {
        int at;
        if (space.Index == PacketSpace.Application)
        {
            to[0] = (byte)(0x40 | (WritePhaseBit ? 0x04 : 0) | (numberLength - 1));
            at = 1 + _remoteIds[0].Id.Write(to[1..]);
        }
        else
        {
            to[0] = (byte)(0xC0 | ((space.Index == PacketSpace.Initial ? (int)PacketKind.Initial : (int)PacketKind.Handshake) << 4) | (numberLength - 1));
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(to[1..], PacketHeader.Version1);
            at = 5;
            to[at++] = (byte)_remoteIds[0].Id.Length;
            at += _remoteIds[0].Id.Write(to[at..]);
            to[at++] = PacketHeader.LocalIdBytes;
            at += _localIds[0].Id.Write(to[at..]);
            if (space.Index == PacketSpace.Initial)
            {
                at += Varint.Write(to[at..], (ulong)_retryToken.Length);
                _retryToken.CopyTo(to[at..]);
                at += _retryToken.Length;
            }

            at += LengthBytes;   // filled in when the packet is sealed
        }

        PacketNumber.Write(to[at..], space.Sent.Next, numberLength);
        return at + numberLength;
    }

    private void Seal(Span<byte> datagram, in Draft draft, bool windowLimited, bool padded, Instant now)
    {
        PacketSpace space = _spaces[draft.Level];
        int headerLength = draft.NumberOffset - draft.Start + draft.NumberLength;
        Span<byte> packet = datagram[draft.Start..(draft.PayloadEnd + PacketKeys.TagBytes)];
        int numberAt = draft.NumberOffset - draft.Start;
        if (draft.Level != PacketSpace.Application) Varint.WriteTwo(packet[(numberAt - LengthBytes)..], packet.Length - numberAt);
        space.WriteKeys!.Seal(packet, headerLength, draft.Number);
        Span<byte> mask = stackalloc byte[5];
        space.WriteHeader!.Mask(packet.Slice(numberAt + 4, 16), mask);
        packet[0] ^= (byte)(mask[0] & (draft.Level == PacketSpace.Application ? 0x1F : 0x0F));
        for (int i = 0; i < draft.NumberLength; i++) packet[numberAt + i] ^= mask[1 + i];

        // Padding makes a packet count in flight. RFC 9002 section 2
        bool inFlight = draft.AckEliciting || padded;
        ref SentPacket sent = ref space.Sent.Append();
        sent.Sent = now;
        sent.Frames = draft.Frames;
        sent.Bytes = (ushort)packet.Length;
        sent.State = SentState.Outstanding;
        sent.AckEliciting = draft.AckEliciting;
        sent.InFlight = inFlight;
        sent.WindowLimited = windowLimited;
        _packetsSent++;
        if (inFlight)
        {
            _congestion.OnSent(packet.Length);
            _pacer.OnSent(packet.Length);
        }

        if (draft.HasAck) space.OnAckSent();
        if (draft.AckEliciting)
        {
            space.ElicitingInFlight++;
            space.LastElicitingSent = now;
            _lastElicitingSent = now;
            space.PingDue = false;
            if (space.ProbesDue > 0) space.ProbesDue--;
            if (!_elicitingSinceReceive)
            {
                _elicitingSinceReceive = true;
                _idleFrom = now;   // RFC 9000 section 10.1
            }
        }

        if (draft.Level == PacketSpace.Application) AfterApplicationPacket(space, now);
        else if (draft.Level == PacketSpace.Handshake && !IsServer) DiscardSpace(PacketSpace.Initial);   // RFC 9001 section 4.9.1
    }

    private void AfterApplicationPacket(PacketSpace space, Instant now)
    {
        // An ACK of a number that was never used shows a peer that acknowledges what it has not seen. RFC 9000 section 21.4
        if (space.Sent.Next >= _nextSkip && _confirmed)
        {
            _skipped = space.Sent.Next;
            space.Sent.Append();
            Span<byte> random = stackalloc byte[2];
            _entropy.FillPublic(random);
            _nextSkip = space.Sent.Next + SkipEvery / 2 + (BitConverter.ToUInt16(random) % SkipEvery);
        }

        long sealedPackets = space.Sent.Next - _phaseFirstSent;
        long most = _options.KeyUpdatePackets > 0 ? _options.KeyUpdatePackets : space.WriteKeys!.ConfidentialityLimit / 2;
        if (sealedPackets < most) return;
        if (MayUpdateKeys()) RollKeys(now);
        else if (sealedPackets >= space.WriteKeys!.ConfidentialityLimit) Fail(QuicError.AeadLimitReached, 0, now);
    }

    private bool HasMoreData() => _sendQueue.Count > 0;

    private bool WantsToSendData(Instant now)
    {
        foreach (PacketSpace space in _spaces)
        {
            if (space.CanSend && (space.PingDue || space.HasCrypto)) return true;
        }

        return _complete && HasApplicationFrames(now);
    }

    private bool HasApplicationFrames(Instant now) =>
        _handshakeDoneDue || _pathResponseCount > 0 || _localIdsDue || _retireDue.Count > 0 || _maxDataDue
        || _maxStreamsDue[0] || _maxStreamsDue[1] || _controlQueue.Count > 0 || HasSendableStream();

    private bool HasSendableStream()
    {
        while (_sendQueue.TryPeek(out QuicStream? stream))
        {
            if (!stream.Gone && (stream.HasData || stream.WriterWaits) && stream.Reset == ResetState.None) break;
            _sendQueue.Dequeue();
            stream.InSendQueue = false;
        }

        if (_sendQueue.Count == 0) return false;
        if (_dataSent < _sendLimit || _blockedAt != _sendLimit) return true;

        // The connection's credit is used up: only what was lost, or an end, may go.
        foreach (QuicStream stream in _sendQueue)
        {
            if (!stream.Gone && (stream.Out.HasLost || stream.FinLost || (stream.FinWritten && !stream.FinSent && !stream.Out.HasUnsent))) return true;
        }

        return false;
    }

    private void WriteFrames(PacketSpace space, Span<byte> to, ref int at, bool data, ref Draft draft, Instant now)
    {
        if (!space.Received.IsEmpty && (space.UnackedEliciting > 0 || space.AckNow)) WriteAck(space, to, ref at, ref draft, now);
        if (!data) return;
        if (space.Index == PacketSpace.Application) WriteControlFrames(to, ref at, ref draft);
        WriteCrypto(space, to, ref at, ref draft);
        if (space.Index == PacketSpace.Application) WriteStreams(to, ref at, ref draft);
        if ((space.PingDue || space.ProbesDue > 0) && !draft.AckEliciting && at < to.Length)
        {
            to[at++] = FrameType.Ping;
            draft.AckEliciting = true;
        }
    }

    // RFC 9000 section 19.3
    private void WriteAck(PacketSpace space, Span<byte> to, ref int at, ref Draft draft, Instant now)
    {
        const int Most = 1 + 8 + 8 + 2 + 8;
        if (to.Length - at < Most) return;
        RangeSet received = space.Received;
        (long start, long end) = received.Last;
        long delay = space.Index == PacketSpace.Application ? Math.Max(0, now.Nanoseconds - space.LargestReceivedAt.Nanoseconds) / 1000 >> 3 : 0;
        int begin = at;
        to[at++] = FrameType.Ack;
        at += Varint.Write(to[at..], (ulong)(end - 1));
        at += Varint.Write(to[at..], (ulong)delay);
        int countAt = at;
        at++;   // at most 63 further ranges: one byte
        at += Varint.Write(to[at..], (ulong)(end - 1 - start));
        int ranges = 0;
        for (int i = received.Count - 2; i >= 0 && ranges < PacketSpace.MaxAckRanges - 1 && to.Length - at >= 16; i--)
        {
            (long s, long e) = received[i];
            at += Varint.Write(to[at..], (ulong)(start - e - 1));
            at += Varint.Write(to[at..], (ulong)(e - 1 - s));
            start = s;
            ranges++;
        }

        to[countAt] = (byte)ranges;
        draft.Frames = _frames.Push(draft.Frames, SentFrameKind.Ack, 0, end - 1, at - begin);
        draft.HasAck = true;
    }

    private void WriteCrypto(PacketSpace space, Span<byte> to, ref int at, ref Draft draft)
    {
        const int Overhead = 1 + 8 + LengthBytes;
        while (space.HasCrypto && to.Length - at > Overhead + 8)
        {
            int n = space.CryptoOut.Next(long.MaxValue, to.Length - at - Overhead, out long offset);
            if (n == 0) return;
            to[at++] = FrameType.Crypto;
            at += Varint.Write(to[at..], (ulong)offset);
            Varint.WriteTwo(to[at..], n);
            at += LengthBytes;
            space.CryptoOut.Take(offset, to.Slice(at, n));
            at += n;
            draft.Frames = _frames.Push(draft.Frames, SentFrameKind.Crypto, 0, offset, n);
            draft.AckEliciting = true;
        }
    }

    private void WriteControlFrames(Span<byte> to, ref int at, ref Draft draft)
    {
        const int Largest = 1 + 8 + 8 + 8;
        if (_handshakeDoneDue && at < to.Length)
        {
            to[at++] = FrameType.HandshakeDone;
            _handshakeDoneDue = false;
            Note(ref draft, SentFrameKind.HandshakeDone, 0, 0);
        }

        while (_pathResponseCount > 0 && to.Length - at >= 9)
        {
            to[at++] = FrameType.PathResponse;
            BitConverter.TryWriteBytes(to[at..], _pathResponses[--_pathResponseCount]);
            at += 8;
            draft.AckEliciting = true;
            draft.Pads = true;   // RFC 9000 section 8.2.2
        }

        while (_retireDue.Count > 0 && to.Length - at >= 9)
        {
            long sequence = _retireDue[^1];
            _retireDue.RemoveAt(_retireDue.Count - 1);
            _retiresInFlight++;
            to[at++] = FrameType.RetireConnectionId;
            at += Varint.Write(to[at..], (ulong)sequence);
            Note(ref draft, SentFrameKind.RetireConnectionId, sequence, 0);
        }

        if (_localIdsDue) WriteNewIds(to, ref at, ref draft);

        if (_maxDataDue && to.Length - at >= Largest)
        {
            _maxDataDue = false;
            _receiveLimit = Math.Max(_receiveLimit, _dataConsumed + _options.InitialMaxData);
            to[at++] = FrameType.MaxData;
            at += Varint.Write(to[at..], (ulong)_receiveLimit);
            Note(ref draft, SentFrameKind.MaxData, 0, _receiveLimit);
        }

        for (int kind = 0; kind < 2; kind++)
        {
            if (!_maxStreamsDue[kind] || to.Length - at < Largest) continue;
            _maxStreamsDue[kind] = false;
            _peerStreamLimit[kind] = Math.Max(_peerStreamLimit[kind], _peerClosed[kind] + (kind == 0 ? _options.MaxBidiStreams : _options.MaxUniStreams));
            to[at++] = kind == 0 ? FrameType.MaxStreamsBidi : FrameType.MaxStreamsUni;
            at += Varint.Write(to[at..], (ulong)_peerStreamLimit[kind]);
            Note(ref draft, kind == 0 ? SentFrameKind.MaxStreamsBidi : SentFrameKind.MaxStreamsUni, 0, _peerStreamLimit[kind]);
        }

        while (_controlQueue.TryPeek(out QuicStream? stream))
        {
            if (to.Length - at < 3 * Largest) return;
            _controlQueue.Dequeue();
            stream.InControlQueue = false;
            if (!stream.Gone) WriteStreamControl(stream, to, ref at, ref draft);
        }
    }

    private void WriteNewIds(Span<byte> to, ref int at, ref Draft draft)
    {
        _localIdsDue = false;
        foreach (ref LocalId slot in _localIds.AsSpan())
        {
            if (!slot.Used || !slot.Due) continue;
            if (to.Length - at < 1 + 8 + 1 + 1 + PacketHeader.LocalIdBytes + 16)
            {
                _localIdsDue = true;
                return;
            }

            slot.Due = false;
            to[at++] = FrameType.NewConnectionId;
            at += Varint.Write(to[at..], (ulong)slot.Sequence);
            to[at++] = 0;
            to[at++] = PacketHeader.LocalIdBytes;
            at += slot.Id.Write(to[at..]);
            _endpoint.WriteResetToken(slot.Id, to.Slice(at, 16));
            at += 16;
            Note(ref draft, SentFrameKind.NewConnectionId, slot.Sequence, 0);
        }
    }

    private void WriteStreamControl(QuicStream stream, Span<byte> to, ref int at, ref Draft draft)
    {
        if (stream.Reset == ResetState.Due)
        {
            stream.Reset = ResetState.Sent;
            to[at++] = FrameType.ResetStream;
            at += Varint.Write(to[at..], (ulong)stream.Id);
            at += Varint.Write(to[at..], stream.ResetCode);
            at += Varint.Write(to[at..], (ulong)stream.ResetSize);
            Note(ref draft, SentFrameKind.ResetStream, stream.Id, 0);
        }

        if (stream.Stop == ResetState.Due)
        {
            stream.Stop = ResetState.Sent;
            to[at++] = FrameType.StopSending;
            at += Varint.Write(to[at..], (ulong)stream.Id);
            at += Varint.Write(to[at..], stream.StopCode);
            Note(ref draft, SentFrameKind.StopSending, stream.Id, 0);
        }

        if (stream.LimitDue)
        {
            stream.LimitDue = false;
            if (stream.FinalSize >= 0) return;
            stream.ReceiveLimit = Math.Max(stream.ReceiveLimit, stream.In.Consumed + stream.Window);
            to[at++] = FrameType.MaxStreamData;
            at += Varint.Write(to[at..], (ulong)stream.Id);
            at += Varint.Write(to[at..], (ulong)stream.ReceiveLimit);
            Note(ref draft, SentFrameKind.MaxStreamData, stream.Id, stream.ReceiveLimit);
        }
    }

    private void WriteStreams(Span<byte> to, ref int at, ref Draft draft)
    {
        const int Overhead = 1 + 8 + 8 + LengthBytes;
        for (int turns = _sendQueue.Count; turns > 0 && to.Length - at > Overhead; turns--)
        {
            QuicStream stream = _sendQueue.Dequeue();
            stream.InSendQueue = false;
            if (stream.Gone || stream.Reset != ResetState.None) continue;
            WriteStream(stream, to, ref at, ref draft);

            // Whoever has more to send stands in line again; whoever waits for credit is called by MAX_(STREAM_)DATA.
            bool ends = stream.FinLost || (stream.FinWritten && !stream.FinSent && !stream.Out.HasUnsent);
            if (stream.Out.HasLost || ends || (stream.Out.HasUnsent && stream.Out.Sent < stream.SendLimit)) QueueSend(stream);
        }
    }

    private void WriteStream(QuicStream stream, Span<byte> to, ref int at, ref Draft draft)
    {
        const int MostOverhead = 1 + 8 + 8 + LengthBytes;
        while (to.Length - at > MostOverhead)
        {
            long credit = Math.Min(stream.SendLimit, stream.Out.Sent + (_sendLimit - _dataSent));
            int overhead = 1 + Varint.Length((ulong)stream.Id) + Varint.Length((ulong)stream.Out.Written) + LengthBytes;
            int n = stream.Out.Next(credit, to.Length - at - overhead, out long offset);
            bool fin = stream.FinWritten && offset + n == stream.Out.Written && (!stream.FinSent || stream.FinLost);
            if (n == 0 && !fin)
            {
                WriteBlocked(stream, to, ref at, ref draft);
                return;
            }

            to[at++] = (byte)(FrameType.Stream | 4 | 2 | (fin ? 1 : 0));
            at += Varint.Write(to[at..], (ulong)stream.Id);
            at += Varint.Write(to[at..], (ulong)offset);
            Varint.WriteTwo(to[at..], n);
            at += LengthBytes;
            _dataSent += Math.Max(0, offset + n - stream.Out.Sent);
            stream.Out.Take(offset, to.Slice(at, n));
            at += n;
            if (fin)
            {
                stream.FinSent = true;
                stream.FinLost = false;
            }

            draft.Frames = _frames.Push(draft.Frames, fin ? SentFrameKind.StreamFin : SentFrameKind.Stream, stream.Id, offset, n);
            draft.AckEliciting = true;
            if (fin) return;
        }
    }

    // RFC 9000 section 4.1: once for each limit that stopped us.
    private void WriteBlocked(QuicStream stream, Span<byte> to, ref int at, ref Draft draft)
    {
        bool wants = stream.Out.HasUnsent || stream.WriterWaits;
        if (!wants || to.Length - at < 17) return;
        if (stream.Out.Sent >= stream.SendLimit && stream.BlockedAt != stream.SendLimit)
        {
            stream.BlockedAt = stream.SendLimit;
            to[at++] = FrameType.StreamDataBlocked;
            at += Varint.Write(to[at..], (ulong)stream.Id);
            at += Varint.Write(to[at..], (ulong)stream.SendLimit);
            Note(ref draft, SentFrameKind.StreamDataBlocked, stream.Id, stream.SendLimit);
        }
        else if (_dataSent >= _sendLimit && _blockedAt != _sendLimit)
        {
            _blockedAt = _sendLimit;
            to[at++] = FrameType.DataBlocked;
            at += Varint.Write(to[at..], (ulong)_sendLimit);
            Note(ref draft, SentFrameKind.DataBlocked, 0, _sendLimit);
        }
    }

    private void Note(ref Draft draft, SentFrameKind kind, long id, long offset)
    {
        draft.Frames = _frames.Push(draft.Frames, kind, id, offset, 0);
        draft.AckEliciting = true;
    }

    /// <summary>CONNECTION_CLOSE in every space that the peer may be able to read. RFC 9000 sections 10.2.3 and 19.19.</summary>
    private int BuildClose(Span<byte> to, Instant now)
    {
        _closeDue = false;
        int at = 0, drafts = 0;
        for (int level = 0; level < 3; level++)
        {
            PacketSpace space = _spaces[level];
            if (!space.CanSend || (level == PacketSpace.Application && !_complete)) continue;
            if (to.Length - at < HeaderBytes(level) + 4 + 32 + PacketKeys.TagBytes) break;
            ref Draft draft = ref _drafts[drafts];
            draft = new Draft { Level = level, Start = at, Frames = -1, Number = space.Sent.Next };
            draft.NumberLength = PacketNumber.EncodedLength(draft.Number, space.LargestAcked);
            at += WriteHeader(space, to[at..], draft.NumberLength);
            draft.NumberOffset = at - draft.NumberLength;

            // An application's code is not shown before the peer is known: APPLICATION_ERROR stands for it.
            bool application = _closeByApplication && level == PacketSpace.Application;
            to[at++] = application ? FrameType.ConnectionCloseApplication : FrameType.ConnectionClose;
            at += Varint.Write(to[at..], _closeByApplication && !application ? QuicError.Application : _closeError);
            if (!application) at += Varint.Write(to[at..], _closeFrameType);
            int text = _closeByApplication && !application ? 0 : Math.Min(_closeText.Length, Math.Max(0, to.Length - at - LengthBytes - PacketKeys.TagBytes));
            Varint.WriteTwo(to[at..], text);
            at += LengthBytes;
            _closeText.AsSpan(0, text).CopyTo(to[at..]);
            at += text;
            while (at - draft.NumberOffset < 4) to[at++] = FrameType.Padding;
            draft.PayloadEnd = at;
            draft.Pads = level == PacketSpace.Initial && !IsServer;
            at += PacketKeys.TagBytes;
            drafts++;
        }

        if (drafts == 0) return 0;
        ref Draft last = ref _drafts[drafts - 1];
        if (_drafts[0].Pads && at < MinInitialDatagram)
        {
            int more = Math.Min(MinInitialDatagram, to.Length) - at;
            to.Slice(last.PayloadEnd, more).Clear();
            last.PayloadEnd += more;
            at += more;
        }

        for (int i = 0; i < drafts; i++) SealClose(to, _drafts[i]);
        return at;
    }

    private void SealClose(Span<byte> datagram, in Draft draft)
    {
        PacketSpace space = _spaces[draft.Level];
        Span<byte> packet = datagram[draft.Start..(draft.PayloadEnd + PacketKeys.TagBytes)];
        int numberAt = draft.NumberOffset - draft.Start;
        if (draft.Level != PacketSpace.Application) Varint.WriteTwo(packet[(numberAt - LengthBytes)..], packet.Length - numberAt);
        space.WriteKeys!.Seal(packet, numberAt + draft.NumberLength, draft.Number);
        space.Sent.Append();
        Span<byte> mask = stackalloc byte[5];
        space.WriteHeader!.Mask(packet.Slice(numberAt + 4, 16), mask);
        packet[0] ^= (byte)(mask[0] & (draft.Level == PacketSpace.Application ? 0x1F : 0x0F));
        for (int i = 0; i < draft.NumberLength; i++) packet[numberAt + i] ^= mask[1 + i];
        _packetsSent++;
    }
}
