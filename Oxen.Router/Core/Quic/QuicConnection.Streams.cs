using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Recovery;
using Oxen.Router.Core.Quic.Streams;

namespace Oxen.Router.Core.Quic;

// Streams: what the application calls, what the peer's frames do, when a stream is over. RFC 9000 sections 2 to 4.
internal sealed partial class QuicConnection
{
    /// <summary>Room that a stream has even when others fill the connection's send buffer: no stream can starve another.</summary>
    private const int SmallestSendRoom = 16 * 1024;

    private readonly Dictionary<long, QuicStream> _streams = [];
    private readonly Queue<QuicStream> _sendQueue = new();
    private readonly Queue<QuicStream> _controlQueue = new();
    private readonly Queue<QuicStream> _waitingWriters = new();

    // By StreamKind: bidirectional, unidirectional.
    private readonly long[] _opened = new long[2];            // streams that we opened
    private readonly long[] _streamLimit = new long[2];       // that the peer allows us
    private readonly bool[] _openerWaits = new bool[2];
    private readonly long[] _peerOpened = new long[2];
    private readonly long[] _peerClosed = new long[2];
    private readonly long[] _peerStreamLimit = new long[2];   // that we announced
    private readonly bool[] _maxStreamsDue = new bool[2];

    // Flow control of the connection
    private long _sendLimit, _dataSent, _blockedAt = -1;
    private long _receiveLimit, _dataReceived, _dataConsumed;
    private bool _maxDataDue;
    private long _buffered;                                   // bytes in all send buffers

    private static int StreamKind(bool bidirectional) => bidirectional ? 0 : 1;

    private bool IsOurs(long id) => (id & 1) == (IsServer ? 1 : 0);

    /// <summary>Opens a stream. False: the peer allows no more at the moment, StreamsAvailable will say when; or the connection is not established.</summary>
    public bool TryOpenStream(bool bidirectional, out long streamId)
    {
        streamId = -1;
        if (!IsEstablished) return false;
        int kind = StreamKind(bidirectional);
        if (_opened[kind] >= _streamLimit[kind])
        {
            _openerWaits[kind] = true;
            return false;
        }

        streamId = (_opened[kind]++ << 2) | (bidirectional ? 0L : 2L) | (IsServer ? 1L : 0L);
        AddStream(streamId);
        return true;
    }

    /// <summary>Takes bytes to send and returns how many: bounded by the stream's credit and the send buffer. Fewer than given: StreamWritable will come.</summary>
    public int Write(long streamId, ReadOnlySpan<byte> data)
    {
        if (!IsEstablished || data.IsEmpty || !_streams.TryGetValue(streamId, out QuicStream? stream)) return 0;
        if (!stream.Sends || stream.FinWritten) throw new ArgumentException("this stream does not send (any more)", nameof(streamId));
        if (stream.Reset != ResetState.None) return 0;
        int n = (int)Math.Min(data.Length, WriteRoom(stream));
        if (n < data.Length) WaitToWrite(stream);
        if (n <= 0) return 0;
        stream.Out.Write(data[..n]);
        _buffered += n;
        Keep(n);
        QueueSend(stream);
        Touched();
        return n;
    }

    /// <summary>Ends the sending half after what was written.</summary>
    public void Finish(long streamId)
    {
        if (!_streams.TryGetValue(streamId, out QuicStream? stream) || !stream.Sends || stream.FinWritten || stream.Reset != ResetState.None) return;
        stream.FinWritten = true;
        QueueSend(stream);
        Touched();
    }

    /// <summary>Abandons the sending half.</summary>
    public void Reset(long streamId, ulong code)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(code, Varint.Max);
        if (!_streams.TryGetValue(streamId, out QuicStream? stream) || !stream.Sends || stream.Reset != ResetState.None || stream.SendDone) return;
        ResetSending(stream, code);
        Touched();
    }

    /// <summary>Tells the peer that nobody will read what it sends.</summary>
    public void StopSending(long streamId, ulong code)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(code, Varint.Max);
        if (!_streams.TryGetValue(streamId, out QuicStream? stream) || !stream.Receives || stream.Stop != ResetState.None || stream.FinRead) return;
        stream.Stop = ResetState.Due;
        stream.StopCode = code;
        Discard(stream);
        if (stream.FinalSize >= 0 && stream.In.Contiguous >= stream.FinalSize)
        {
            stream.Stop = ResetState.Sent;
            stream.FinRead = true;
            CloseIfDone(stream);
        }
        else QueueControl(stream);
        Touched();
    }

    /// <summary>Copies what came, in order. <paramref name="finished"/>: nothing comes after it (end, reset, or no such stream).</summary>
    public int Read(long streamId, Span<byte> into, out bool finished)
    {
        if (!_streams.TryGetValue(streamId, out QuicStream? stream) || !stream.Receives)
        {
            finished = true;
            return 0;
        }

        int n = stream.Stop != ResetState.None || stream.PeerReset ? 0 : stream.In.Read(into);
        finished = OnConsumed(stream, n);
        return n;
    }

    /// <summary>The bytes that stand ready in one piece; read without a copy, then <see cref="Advance"/>.</summary>
    public ReadOnlySpan<byte> Peek(long streamId) =>
        _streams.TryGetValue(streamId, out QuicStream? stream) && stream.Receives && stream.Stop == ResetState.None && !stream.PeerReset ? stream.In.Peek() : default;

    /// <summary>Takes bytes that <see cref="Peek"/> showed. Returns whether the stream is finished.</summary>
    public bool Advance(long streamId, int bytes)
    {
        if (!_streams.TryGetValue(streamId, out QuicStream? stream)) return true;
        if (bytes < 0 || bytes > stream.In.Readable) throw new ArgumentOutOfRangeException(nameof(bytes));
        stream.In.Advance(bytes);
        return OnConsumed(stream, bytes);
    }

    /// <summary>Bytes that <see cref="Write"/> would take now.</summary>
    public int Writable(long streamId) => IsEstablished && _streams.TryGetValue(streamId, out QuicStream? stream) && stream.Sends && !stream.FinWritten && stream.Reset == ResetState.None
        ? (int)Math.Min(int.MaxValue, WriteRoom(stream)) : 0;

    internal int StreamCount => _streams.Count;

    private long WriteRoom(QuicStream stream)
    {
        long room = Math.Max(Math.Min(_options.SendBufferBytes, _endpoint.Share) - _buffered, SmallestSendRoom - stream.Out.Buffered);
        return Math.Max(0, Math.Min(room, stream.SendLimit - stream.Out.Written));
    }

    private void WaitToWrite(QuicStream stream)
    {
        if (stream.WriterWaits) return;
        stream.WriterWaits = true;
        _waitingWriters.Enqueue(stream);
        if (stream.Out.Written >= stream.SendLimit) QueueSend(stream);   // so that STREAM_DATA_BLOCKED goes out
    }

    /// <summary>Buffers were freed or credit came: tells those who wait and have room worth a wake-up.</summary>
    private void WakeWriters()
    {
        for (int i = _waitingWriters.Count; i > 0; i--)
        {
            QuicStream stream = _waitingWriters.Dequeue();
            if (stream.Gone || !stream.WriterWaits) continue;
            long room = WriteRoom(stream);
            long worth = Math.Min(SmallestSendRoom / 2, Math.Max(1, stream.SendLimit - stream.Out.Written));
            if (room >= worth && room > 0)
            {
                stream.WriterWaits = false;
                Raise(stream, StreamEvents.Writable);
            }
            else _waitingWriters.Enqueue(stream);
        }
    }

    private QuicStream AddStream(long id)
    {
        bool ours = IsOurs(id), bidirectional = (id & 2) == 0;
        var stream = new QuicStream(id, sends: bidirectional || ours, receives: bidirectional || !ours)
        {
            Window = _options.InitialMaxStreamData,
            ReceiveLimit = _options.InitialMaxStreamData,
            SendLimit = (long)(!bidirectional ? _peer!.MaxStreamDataUni : ours ? _peer!.MaxStreamDataBidiRemote : _peer!.MaxStreamDataBidiLocal),
        };
        _streams.Add(id, stream);
        return stream;
    }

    /// <summary>The stream of a peer's frame. Null with error 0: it is over, the frame means nothing any more.</summary>
    private ulong Find(long id, bool frameForSender, out QuicStream? stream)
    {
        if (_streams.TryGetValue(id, out stream))
        {
            return (frameForSender ? stream.Sends : stream.Receives) ? QuicError.NoError : QuicError.StreamState;
        }

        bool ours = IsOurs(id), bidirectional = (id & 2) == 0;
        int kind = StreamKind(bidirectional);
        if (!bidirectional && ours != frameForSender) return QuicError.StreamState;
        long index = id >> 2;
        if (ours) return index < _opened[kind] ? QuicError.NoError : QuicError.StreamState;
        if (index < _peerOpened[kind]) return QuicError.NoError;
        if (index >= _peerStreamLimit[kind]) return QuicError.StreamLimit;

        // A stream opens all lower ones of its kind. RFC 9000 section 3.2
        while (_peerOpened[kind] <= index)
        {
            stream = AddStream((_peerOpened[kind]++ << 2) | (id & 3));
            Raise(stream, StreamEvents.Opened);
        }

        return QuicError.NoError;
    }

    private ulong OnStream(int type, ref ReadOnlySpan<byte> payload)
    {
        if (!Varint.TryRead(ref payload, out ulong id)) return QuicError.FrameEncoding;
        ulong offset = 0, length;
        if ((type & 4) != 0 && !Varint.TryRead(ref payload, out offset)) return QuicError.FrameEncoding;
        if ((type & 2) == 0) length = (ulong)payload.Length;
        else if (!Varint.TryRead(ref payload, out length) || length > (ulong)payload.Length) return QuicError.FrameEncoding;
        if (offset + length > Varint.Max) return QuicError.FrameEncoding;
        ReadOnlySpan<byte> data = payload[..(int)length];
        payload = payload[(int)length..];

        ulong error = Find((long)id, frameForSender: false, out QuicStream? stream);
        if (error != QuicError.NoError || stream is null) return error;
        bool fin = (type & 1) != 0;
        long end = (long)(offset + length);
        error = CheckSize(stream, end, fin);
        if (error != QuicError.NoError) return error;

        long before = stream.In.Contiguous;
        if (stream.PeerReset || stream.FinRead) return QuicError.NoError;
        int maxGaps = (int)Math.Max(1024, stream.Window / 1024);
        if (!stream.In.Insert((long)offset, data, maxGaps)) return QuicError.InternalError;
        bool finished = stream.FinalSize >= 0 && stream.In.Contiguous == stream.FinalSize;
        if (stream.Stop != ResetState.None)
        {
            Discard(stream);
            if (finished)
            {
                stream.FinRead = true;
                CloseIfDone(stream);
            }
        }
        else if (stream.In.Contiguous > before || (finished && fin)) Raise(stream, StreamEvents.Readable);
        return QuicError.NoError;
    }

    /// <summary>Final-size rules (RFC 9000 section 4.5) and flow control (4.1); accounts for new bytes.</summary>
    private ulong CheckSize(QuicStream stream, long end, bool final)
    {
        if (stream.FinalSize >= 0 && (end > stream.FinalSize || (final && end != stream.FinalSize))) return QuicError.FinalSize;
        if (final && end < stream.In.Highest) return QuicError.FinalSize;
        if (end > stream.ReceiveLimit) return QuicError.FlowControl;
        long fresh = end - Math.Max(stream.In.Highest, stream.Accounted);
        if (fresh > 0)
        {
            if (_dataReceived + fresh > _receiveLimit) return QuicError.FlowControl;
            _dataReceived += fresh;
            Keep(fresh);
            stream.Accounted = end;
        }

        if (final && stream.FinalSize < 0) stream.FinalSize = end;
        return QuicError.NoError;
    }

    private ulong OnResetStream(ref ReadOnlySpan<byte> payload)
    {
        if (!Varint.TryRead(ref payload, out ulong id) || !Varint.TryRead(ref payload, out ulong code) || !Varint.TryRead(ref payload, out ulong size)) return QuicError.FrameEncoding;
        ulong error = Find((long)id, frameForSender: false, out QuicStream? stream);
        if (error != QuicError.NoError || stream is null) return error;

        // Its end was known and all was received ("Data Recvd"): the reset comes too late to matter. RFC 9000 section 3.2
        bool late = stream.FinalSize >= 0 && (stream.FinRead || stream.In.Contiguous == stream.FinalSize);
        error = CheckSize(stream, (long)size, final: true);
        if (error != QuicError.NoError || stream.PeerReset || late) return error;
        stream.PeerReset = true;
        stream.PeerResetCode = code;

        // Nobody will read the rest: its credit goes back.
        ReturnCredit(stream.FinalSize - stream.In.Consumed);
        stream.In.Release();
        stream.FinRead = true;
        Raise(stream, StreamEvents.Reset);
        CloseIfDone(stream);
        return QuicError.NoError;
    }

    private ulong OnStopSending(ref ReadOnlySpan<byte> payload)
    {
        if (!Varint.TryRead(ref payload, out ulong id) || !Varint.TryRead(ref payload, out ulong code)) return QuicError.FrameEncoding;
        ulong error = Find((long)id, frameForSender: true, out QuicStream? stream);
        if (error != QuicError.NoError || stream is null || stream.Reset != ResetState.None || stream.SendDone) return error;
        stream.PeerStopCode = code;
        ResetSending(stream, code);   // RFC 9000 section 3.5: the answer is a RESET_STREAM with the same code
        Raise(stream, StreamEvents.Stopped);
        return QuicError.NoError;
    }

    private void OnMaxData(long limit)
    {
        if (limit <= _sendLimit) return;
        _sendLimit = limit;
    }

    private ulong OnMaxStreamData(ref ReadOnlySpan<byte> payload)
    {
        if (!Varint.TryRead(ref payload, out ulong id) || !Varint.TryRead(ref payload, out ulong limit)) return QuicError.FrameEncoding;
        ulong error = Find((long)id, frameForSender: true, out QuicStream? stream);
        if (error != QuicError.NoError || stream is null || (long)limit <= stream.SendLimit) return error;
        stream.SendLimit = (long)limit;
        if (stream.HasData) QueueSend(stream);
        if (stream.WriterWaits) WakeWriters();
        return QuicError.NoError;
    }

    private ulong OnMaxStreams(bool bidirectional, ref ReadOnlySpan<byte> payload)
    {
        if (!Varint.TryRead(ref payload, out ulong limit) || limit > 1UL << 60) return QuicError.FrameEncoding;
        int kind = StreamKind(bidirectional);
        if ((long)limit <= _streamLimit[kind]) return QuicError.NoError;
        _streamLimit[kind] = (long)limit;
        if (_openerWaits[kind])
        {
            _openerWaits[kind] = false;
            _endpoint.Raise(new QuicEvent(this, QuicEventKind.StreamsAvailable, bidirectional ? 1 : 0, 0));
        }

        return QuicError.NoError;
    }

    private ulong OnStreamDataBlocked(ref ReadOnlySpan<byte> payload)
    {
        if (!Varint.TryRead(ref payload, out ulong id) || !Varint.TryRead(ref payload, out _)) return QuicError.FrameEncoding;
        return Find((long)id, frameForSender: false, out _);
    }

    private void ResetSending(QuicStream stream, ulong code)
    {
        stream.Reset = ResetState.Due;
        stream.ResetCode = code;
        stream.ResetSize = stream.Out.Sent;
        stream.WriterWaits = false;
        _buffered -= stream.Out.Buffered;
        Let(stream.Out.Buffered);
        stream.Out.Release();
        QueueControl(stream);
        WakeWriters();
    }

    /// <summary>Throws away what is readable and gives its credit back (after STOP_SENDING).</summary>
    private void Discard(QuicStream stream)
    {
        long n = stream.In.Readable;
        stream.In.Advance((int)n);
        if (n > 0) OnConsumedBytes(stream, n);
    }

    private bool OnConsumed(QuicStream stream, int n)
    {
        if (n > 0) OnConsumedBytes(stream, n);
        if (stream.FinalSize >= 0 && !stream.FinRead && stream.In.Consumed == stream.FinalSize)
        {
            stream.FinRead = true;
            stream.In.Release();
            CloseIfDone(stream);
        }

        return stream.FinRead || stream.Stop != ResetState.None;
    }

    private void OnConsumedBytes(QuicStream stream, long n)
    {
        ReturnCredit(n);
        if (stream.FinalSize >= 0 || stream.LimitDue) return;

        // A new limit is worth a frame once half the window is used.
        if (stream.In.Consumed + stream.Window - stream.ReceiveLimit < stream.Window / 2) return;
        stream.LimitDue = true;
        QueueControl(stream);
        Touched();
    }

    private void ReturnCredit(long n)
    {
        _dataConsumed += n;
        Let(n);
        if (_dataConsumed + _options.InitialMaxData - _receiveLimit < _options.InitialMaxData / 2) return;
        _maxDataDue = true;
        Touched();
    }

    private void QueueSend(QuicStream stream)
    {
        if (stream.InSendQueue || stream.Gone) return;
        stream.InSendQueue = true;
        _sendQueue.Enqueue(stream);
    }

    private void QueueControl(QuicStream stream)
    {
        if (stream.InControlQueue || stream.Gone) return;
        stream.InControlQueue = true;
        _controlQueue.Enqueue(stream);
    }

    private void OnStreamAcked(in SentFrame frame)
    {
        if (!_streams.TryGetValue(frame.Id, out QuicStream? stream)) return;
        if (stream.Reset == ResetState.None)
        {
            long freed = stream.Out.OnAcked(frame.Offset, frame.Length);
            if (freed > 0)
            {
                _buffered -= freed;
                Let(freed);
                if (_waitingWriters.Count > 0) WakeWriters();
            }

            if (frame.Kind == SentFrameKind.StreamFin)
            {
                stream.FinAcked = true;
                stream.FinLost = false;
            }
        }

        if (stream.FinAcked) CloseIfDone(stream);
    }

    private void OnStreamFrameLost(in SentFrame frame)
    {
        if (!_streams.TryGetValue(frame.Id, out QuicStream? stream)) return;
        switch (frame.Kind)
        {
            case SentFrameKind.Stream:
            case SentFrameKind.StreamFin:
                if (stream.Reset != ResetState.None) return;
                stream.Out.OnLost(frame.Offset, frame.Length);
                if (frame.Kind == SentFrameKind.StreamFin && !stream.FinAcked) stream.FinLost = true;
                if (stream.HasData) QueueSend(stream);
                break;
            case SentFrameKind.ResetStream:
                if (stream.Reset != ResetState.Sent) return;
                stream.Reset = ResetState.Due;
                QueueControl(stream);
                break;
            case SentFrameKind.StopSending:
                if (stream.Stop != ResetState.Sent || stream.FinRead) return;
                stream.Stop = ResetState.Due;
                QueueControl(stream);
                break;
            case SentFrameKind.MaxStreamData:
                if (stream.FinalSize >= 0) return;
                stream.LimitDue = true;
                QueueControl(stream);
                break;
            case SentFrameKind.StreamDataBlocked:
                stream.BlockedAt = -1;
                break;
        }
    }

    private void Raise(QuicStream stream, StreamEvents what)
    {
        stream.Events |= what;
        if (stream.InEventQueue) return;
        stream.InEventQueue = true;
        _endpoint.Raise(this, stream);
    }

    /// <summary>The next event of a stream that stands in the endpoint's queue, or false when it has none left.</summary>
    internal bool TryTakeEvent(QuicStream stream, out QuicEvent happened)
    {
        StreamEvents what = stream.Events & (StreamEvents)(-(int)stream.Events);
        stream.Events &= ~what;
        (QuicEventKind kind, ulong code) = what switch
        {
            StreamEvents.Opened => (QuicEventKind.StreamOpened, 0UL),
            StreamEvents.Readable => (QuicEventKind.StreamReadable, 0UL),
            StreamEvents.Writable => (QuicEventKind.StreamWritable, 0UL),
            StreamEvents.Reset => (QuicEventKind.StreamReset, stream.PeerResetCode),
            _ => (QuicEventKind.StreamStopped, stream.PeerStopCode),
        };
        happened = new QuicEvent(this, kind, stream.Id, code);
        return what != StreamEvents.None && _phase == Phase.Open;
    }

    private void CloseIfDone(QuicStream stream)
    {
        if (stream.Gone || !stream.SendDone || !stream.ReceiveDone) return;
        stream.Gone = true;
        _buffered -= stream.Out.Buffered;
        Let(stream.Out.Buffered);
        stream.Out.Release();
        stream.In.Release();
        _streams.Remove(stream.Id);
        if (IsOurs(stream.Id)) return;

        // The peer may open another in its place; a new limit is worth a frame once half of them are used up.
        int kind = StreamKind(stream.IsBidirectional);
        _peerClosed[kind]++;
        int most = stream.IsBidirectional ? _options.MaxBidiStreams : _options.MaxUniStreams;
        if (_peerClosed[kind] + most - _peerStreamLimit[kind] < Math.Max(1, most / 2)) return;
        _maxStreamsDue[kind] = true;
        Touched();
    }

    private void ReleaseStreams()
    {
        foreach (QuicStream stream in _streams.Values)
        {
            stream.Gone = true;
            stream.Out.Release();
            stream.In.Release();
        }

        _streams.Clear();
        _sendQueue.Clear();
        _controlQueue.Clear();
        _waitingWriters.Clear();
        _buffered = 0;
        Let(Kept);
    }
}
