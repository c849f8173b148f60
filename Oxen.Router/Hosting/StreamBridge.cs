using System.Buffers;
using System.IO.Pipelines;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Quic;

namespace Oxen.Router.Hosting;

// One QUIC stream as an IDuplexPipe. QUIC lives on the session thread, the application on the thread pool; the two pipes
// between them carry bytes and back-pressure:
//
//   application -> Transport.Output -> [pipe] -> session thread: QuicConnection.Write   (stops at flow control, goes on at StreamWritable)
//   application <- Transport.Input  <- [pipe] <- session thread: QuicConnection.Read    (stops at the pipe's threshold, goes on when it was read)
//
// Everything with `now` runs on the session thread. Nothing is allocated per chunk: the awaiters' callbacks are made once.

/// <summary>A stream inside a path, as the proxy doors and the exit see it.</summary>
internal sealed class StreamBridge : OnionStream, IDuplexPipe
{
    private static readonly PipeOptions Options = new(
        readerScheduler: PipeScheduler.ThreadPool,
        writerScheduler: PipeScheduler.Inline,
        pauseWriterThreshold: 512 * 1024,
        resumeWriterThreshold: 256 * 1024,
        minimumSegmentSize: 16 * 1024,
        useSynchronizationContext: false);

    private readonly SessionLoop _loop;
    private readonly QuicConnection _connection;
    private readonly Pipe _incoming = new(Options);
    private readonly Pipe _outgoing = new(Options);
    private readonly Work _onFlushed;
    private readonly Work _onOutgoing;
    private readonly Work _onAbort;
    private System.Runtime.CompilerServices.ValueTaskAwaiter<FlushResult> _flush;
    private System.Runtime.CompilerServices.ValueTaskAwaiter<ReadResult> _read;
    private bool _flushing;    // the incoming pipe is full: no reading from QUIC until it was read
    private bool _reading;     // a ReadAsync of the outgoing pipe is under way
    private bool _blocked;     // QUIC takes nothing more until StreamWritable
    private bool _incomingDone;
    private bool _outgoingDone;
    private bool _removed;
    private Exception? _abortReason;
    private int _aborted;

    public StreamBridge(SessionLoop loop, QuicConnection connection, long stream)
    {
        _loop = loop;
        _connection = connection;
        Stream = stream;
        _onFlushed = new Work(this, static (b, now) => b.Flushed(now));
        _onOutgoing = new Work(this, static (b, now) => b.PumpOutgoing(now));
        _onAbort = new Work(this, static (b, now) => b.AbortNow(now));
    }

    public long Stream { get; }

    public override IDuplexPipe Transport => this;

    PipeReader IDuplexPipe.Input => _incoming.Reader;

    PipeWriter IDuplexPipe.Output => _outgoing.Writer;

    /// <summary>Session thread: begins to carry bytes.</summary>
    public void Start(Instant now)
    {
        PumpOutgoing(now);
        PumpIncoming(now);
    }

    // ---- session thread ----

    public void OnReadable(Instant now) => PumpIncoming(now);

    public void OnWritable(Instant now)
    {
        _blocked = false;
        PumpOutgoing(now);
    }

    /// <summary>The peer abandoned its half.</summary>
    public void OnReset(ulong code, Instant now) => EndIncoming(new IOException($"the far side reset the stream (code {code})"));

    /// <summary>The peer wants no more from us.</summary>
    public void OnStopped(ulong code, Instant now)
    {
        _connection.Reset(Stream, code);
        EndOutgoing(new IOException($"the far side takes no more (code {code})"));
    }

    /// <summary>The connection under the stream is gone.</summary>
    public void OnLost(string reason, Instant now)
    {
        EndIncoming(new IOException(reason));
        EndOutgoing(new IOException(reason));
    }

    // ---- any thread ----

    public override void Abort(Exception? reason = null)
    {
        if (Interlocked.Exchange(ref _aborted, 1) != 0) return;
        _abortReason = reason;
        _loop.Post(_onAbort);
    }

    public override ValueTask DisposeAsync()
    {
        // A stream whose two halves have ended well is finished already; what is left of any other is abandoned.
        _incoming.Reader.Complete();
        _outgoing.Writer.Complete();
        return ValueTask.CompletedTask;
    }

    // ---- inside ----

    private void PumpIncoming(Instant now)
    {
        if (_flushing || _incomingDone) return;
        while (true)
        {
            Span<byte> room = _incoming.Writer.GetSpan(4096);
            int read = _connection.Read(Stream, room, out bool finished);
            if (read > 0) _incoming.Writer.Advance(read);
            if (read > 0 && !finished && read == room.Length) continue;
#pragma warning disable CA2012 // its result is taken once: here when it is complete, else by the awaiter's callback
            ValueTask<FlushResult> flush = _incoming.Writer.FlushAsync();
#pragma warning restore CA2012
            if (finished)
            {
                if (flush.IsCompleted) _ = flush.Result;
                EndIncoming(null);
                return;
            }

            if (flush.IsCompletedSuccessfully)
            {
                if (flush.Result.IsCompleted)
                {
                    // The application reads no more.
                    _connection.StopSending(Stream, 0);
                    EndIncoming(null);
                }

                return;
            }

            _flushing = true;
            _flush = flush.GetAwaiter();
            _flush.UnsafeOnCompleted(_onFlushed.Post);
            return;
        }
    }

    private void Flushed(Instant now)
    {
        _flushing = false;
        if (_incomingDone) return;
        FlushResult result = _flush.GetResult();
        if (result.IsCompleted)
        {
            _connection.StopSending(Stream, 0);
            EndIncoming(null);
            return;
        }

        PumpIncoming(now);
    }

    private void PumpOutgoing(Instant now)
    {
        ReadResult result;
        if (_reading)
        {
            if (!_read.IsCompleted) return;
            _reading = false;
            if (_outgoingDone) return;
            try
            {
                result = _read.GetResult();
            }
            catch (Exception e)
            {
                FailOutgoing(e);
                return;
            }
        }
        else
        {
            if (_outgoingDone || !TryRead(out result)) return;
        }

        while (true)
        {
            ReadOnlySequence<byte> buffer = result.Buffer;
            long written = 0;
            foreach (ReadOnlyMemory<byte> part in buffer)
            {
                int taken = _connection.Write(Stream, part.Span);
                written += taken;
                if (taken < part.Length)
                {
                    _blocked = true;
                    break;
                }
            }

            SequencePosition consumed = buffer.GetPosition(written);
            bool all = written == buffer.Length;
            _outgoing.Reader.AdvanceTo(consumed, all ? buffer.End : consumed);
            if (all && result.IsCompleted)
            {
                _connection.Finish(Stream);
                EndOutgoing(null);
                return;
            }

            if (_blocked || !TryRead(out result)) return;
        }
    }

    private bool TryRead(out ReadResult result)
    {
        result = default;
        if (_blocked) return false;
        try
        {
#pragma warning disable CA2012 // its result is taken once: here when it is complete, else by the awaiter's callback
            ValueTask<ReadResult> read = _outgoing.Reader.ReadAsync();
#pragma warning restore CA2012
            if (read.IsCompletedSuccessfully)
            {
                result = read.Result;
                return true;
            }

            _reading = true;
            _read = read.GetAwaiter();
            _read.UnsafeOnCompleted(_onOutgoing.Post);
            return false;
        }
        catch (Exception e)
        {
            FailOutgoing(e);
            return false;
        }
    }

    /// <summary>The application completed its writer with an error: an abrupt end, not a finished stream.</summary>
    private void FailOutgoing(Exception e)
    {
        _connection.Reset(Stream, 1);
        EndOutgoing(e);
    }

    private void AbortNow(Instant now)
    {
        Exception reason = _abortReason ?? new IOException("the stream was aborted");
        if (!_outgoingDone) _connection.Reset(Stream, 1);
        if (!_incomingDone) _connection.StopSending(Stream, 1);
        EndIncoming(reason);
        EndOutgoing(reason);
    }

    private void EndIncoming(Exception? error)
    {
        if (_incomingDone) return;
        _incomingDone = true;
        _incoming.Writer.Complete(error);
        RemoveIfDone();
    }

    private void EndOutgoing(Exception? error)
    {
        if (_outgoingDone) return;
        _outgoingDone = true;
        if (_reading)
        {
            // The pipe allows Complete only when no read is under way: end that read first, its callback finds us done.
            _outgoing.Reader.CancelPendingRead();
        }

        _outgoing.Reader.Complete(error);
        RemoveIfDone();
    }

    private void RemoveIfDone()
    {
        if (!_incomingDone || !_outgoingDone || _removed) return;
        _removed = true;
        _loop.Forget(this, _connection);
    }

    /// <summary>A callback on the session thread, made once and posted as often as needed.</summary>
    private sealed class Work : ILoopWork
    {
        private readonly StreamBridge _bridge;
        private readonly Action<StreamBridge, Instant> _run;

        public Work(StreamBridge bridge, Action<StreamBridge, Instant> run)
        {
            _bridge = bridge;
            _run = run;
            Post = () => _bridge._loop.Post(this);
        }

        public Action Post { get; }

        public void Run(Instant now) => _run(_bridge, now);
    }
}
