using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Quic;

namespace Oxen.Router.Hosting;

// One QUIC stream as an IDuplexPipe. QUIC lives on the session thread, the application on the thread pool; the two pipes
// between them carry bytes and back-pressure:
//
//   application -> Transport.Output -> [pipe] -> session thread: QuicConnection.Write   (stops at flow control, goes on at StreamWritable)
//   application <- Transport.Input  <- [pipe] <- session thread: QuicConnection.Read    (stops at the pipe's threshold, goes on when it was read)
//
// Everything with `now` runs on the session thread. Nothing is allocated per chunk: the awaiters' callbacks are made once.

/// <summary>What a bridge needs of the thread that it lives on.</summary>
internal interface IStreamBridgeHost
{
    /// <summary>Runs the work on the session thread. Any thread.</summary>
    void Post(ILoopWork work);

    /// <summary>Both halves of the bridge are over.</summary>
    void Forget(StreamBridge bridge, QuicConnection connection);
}

/// <summary>A stream inside a path, as the proxy doors and the exit see it.</summary>
internal sealed class StreamBridge : OnionStream, IDuplexPipe
{
    // The application's continuations go to the thread pool, never inline: its code must not run on the session thread.
    // Ours only post to the loop, which is cheap enough for whichever thread they happen on.
    // What a stalled stream keeps shrinks with the number of streams: a stranger who opens them all and reads none does not
    // get all of an exit's memory.
    private static readonly int[] PipeSizes = [512 * 1024, 64 * 1024, 16 * 1024];
    private static readonly PipeOptions[] Incoming = [.. PipeSizes.Select(bytes => Options(reader: PipeScheduler.ThreadPool, writer: PipeScheduler.Inline, bytes))];
    private static readonly PipeOptions[] Outgoing = [.. PipeSizes.Select(bytes => Options(reader: PipeScheduler.Inline, writer: PipeScheduler.ThreadPool, bytes))];

    private readonly IStreamBridgeHost _host;
    private readonly QuicConnection _connection;
    private readonly Pipe _incoming;
    private readonly Pipe _outgoing;
    private readonly Work _onFlushed;
    private readonly Work _onOutgoing;
    private readonly Work _onAbort;
    private readonly Work _onDispose;
    private System.Runtime.CompilerServices.ValueTaskAwaiter<FlushResult> _flush;
    private System.Runtime.CompilerServices.ValueTaskAwaiter<ReadResult> _read;
    private bool _flushing;    // the incoming pipe is full: no reading from QUIC until it was read
    private bool _reading;     // a ReadAsync of the outgoing pipe is under way
    private bool _blocked;     // QUIC takes nothing more until StreamWritable
    private bool _incomingDone;
    private bool _outgoingDone;
    private bool _removed;
    private Exception? _abortReason;
    private CancellationTokenSource? _ended; // made for whoever asks
    private int _aborted, _disposed;

    /// <param name="others">Streams that the same thread carries already.</param>
    public StreamBridge(IStreamBridgeHost host, QuicConnection connection, long stream, int others = 0)
    {
        int size = SizeAmong(others);
        _incoming = new Pipe(Incoming[size]);
        _outgoing = new Pipe(Outgoing[size]);
        _host = host;
        _connection = connection;
        Stream = stream;
        _onFlushed = new Work(this, static (b, now) => b.Flushed(now));
        _onOutgoing = new Work(this, static (b, now) => b.PumpOutgoing(now));
        _onAbort = new Work(this, static (b, _) => b.AbortNow());
        _onDispose = new Work(this, static (b, _) => b.DisposeNow());
    }

    public long Stream { get; }

    /// <summary>Whose stream it is. Session thread.</summary>
    public QuicConnection Connection => _connection;

    public override IDuplexPipe Transport => this;

    public override bool IsOfService => _connection.Tag is HiddenClient;

    public override CancellationToken InputEnded
    {
        get
        {
            var made = new CancellationTokenSource();
            CancellationTokenSource ended = Interlocked.CompareExchange(ref _ended, made, null) ?? made;
            if (Volatile.Read(ref _incomingDone)) ended.Cancel();
            return ended.Token;
        }
    }

    PipeReader IDuplexPipe.Input => _incoming.Reader;

    PipeWriter IDuplexPipe.Output => _outgoing.Writer;

    /// <summary>Session thread: begins to carry bytes outwards. What comes in is told by <see cref="OnReadable"/>.</summary>
    public void Start(Instant now) => PumpOutgoing(now);

    // ---- session thread ----

    /// <summary>What happened to the stream.</summary>
    public void Handle(in QuicEvent happened, Instant now)
    {
        switch (happened.Kind)
        {
            case QuicEventKind.StreamReadable:
                OnReadable(now);
                break;
            case QuicEventKind.StreamWritable:
                OnWritable(now);
                break;
            case QuicEventKind.StreamReset:
                OnReset(happened.ErrorCode, now);
                break;
            case QuicEventKind.StreamStopped:
                OnStopped(happened.ErrorCode, now);
                break;
        }
    }

    public void OnReadable(Instant now) => PumpIncoming(now);

    public void OnWritable(Instant now)
    {
        _blocked = false;
        PumpOutgoing(now);
    }

    /// <summary>The peer abandoned its half.</summary>
    public void OnReset(ulong code, Instant now) => EndIncoming(new ConnectionResetException($"the far side reset the stream (code {code})"));

    /// <summary>The peer wants no more from us (QUIC has reset our half already). Code 0: it has heard enough, nothing is wrong.</summary>
    public void OnStopped(ulong code, Instant now) => EndOutgoing(code == 0 ? null : new IOException($"the far side takes no more (code {code})"));

    /// <summary>The connection under the stream is gone.</summary>
    public void OnLost(string reason, Instant now)
    {
        EndIncoming(new ConnectionResetException(reason));
        EndOutgoing(new ConnectionResetException(reason));
    }

    // ---- any thread ----

    public override void Abort(Exception? reason = null)
    {
        if (Interlocked.Exchange(ref _aborted, 1) != 0) return;
        _abortReason = reason;
        _host.Post(_onAbort);
    }

    public override ValueTask DisposeAsync()
    {
        // What was written still goes out, with its end behind it; what would still come is refused.
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return ValueTask.CompletedTask;
        _outgoing.Writer.Complete(Volatile.Read(ref _aborted) != 0 ? new IOException("the stream was aborted") : null);
        _incoming.Reader.Complete();
        _host.Post(_onDispose);
        return ValueTask.CompletedTask;
    }

    // ---- inside ----

    private void PumpIncoming(Instant now)
    {
        if (_flushing || _incomingDone) return;
        bool finished;
        int read;
        do
        {
            Span<byte> room = _incoming.Writer.GetSpan(4096);
            read = _connection.Read(Stream, room, out finished);
            if (read > 0) _incoming.Writer.Advance(read);
            else break;
        }
        while (!finished);

        if (finished && !_connection.IsEstablished)
        {
            // Not the stream's end, but the connection's: its event is on the way.
            EndIncoming(new ConnectionResetException("the connection through the path ended"));
            return;
        }

        if (finished)
        {
            EndIncoming(null);
            return;
        }

        try
        {
#pragma warning disable CA2012 // its result is taken once: here when it is complete, else by the awaiter's callback
            ValueTask<FlushResult> flush = _incoming.Writer.FlushAsync();
#pragma warning restore CA2012
            if (!flush.IsCompleted)
            {
                _flushing = true;
                _flush = flush.GetAwaiter();
                _flush.UnsafeOnCompleted(_onFlushed.Post);
            }
            else if (flush.Result.IsCompleted)
            {
                RefuseIncoming(0);
            }
        }
        catch (Exception)
        {
            RefuseIncoming(1);
        }
    }

    private void Flushed(Instant now)
    {
        if (!_flushing) return;
        _flushing = false;
        if (_incomingDone) return;
        try
        {
            if (_flush.GetResult().IsCompleted)
            {
                RefuseIncoming(0);
                return;
            }
        }
        catch (Exception)
        {
            RefuseIncoming(1);
            return;
        }

        PumpIncoming(now);
    }

    /// <summary>The application reads no more: well (code 0), or because something broke (it completed its reader with an exception).</summary>
    private void RefuseIncoming(ulong code)
    {
        _connection.StopSending(Stream, code);
        EndIncoming(null);
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

    private void DisposeNow()
    {
        if (!_incomingDone) RefuseIncoming(0);
        if (_outgoingDone || !_blocked) return;

        // A writer that ended with an exception is seen by reading, which a blocked stream does not do.
        try
        {
            if (_outgoing.Reader.TryRead(out ReadResult result)) _outgoing.Reader.AdvanceTo(result.Buffer.Start);
        }
        catch (Exception e)
        {
            FailOutgoing(e);
        }
    }

    private void AbortNow()
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
        Interlocked.MemoryBarrier(); // whoever asks from now on sees that it is done
        if (_ended is { } ended) _ = ended.CancelAsync();
        RemoveIfDone();
    }

    private void EndOutgoing(Exception? error)
    {
        if (_outgoingDone) return;
        _outgoingDone = true;
        if (_reading)
        {
            // Ends the read that is under way; its callback finds us done.
            _outgoing.Reader.CancelPendingRead();
        }

        _outgoing.Reader.Complete(error);
        RemoveIfDone();
    }

    private void RemoveIfDone()
    {
        if (!_incomingDone || !_outgoingDone || _removed) return;
        _removed = true;
        _host.Forget(this, _connection);
    }

    /// <summary>Bytes that each of a stream's two pipes may hold when so many others are open.</summary>
    internal static int PipeBytes(int others) => PipeSizes[SizeAmong(others)];

    private static int SizeAmong(int others) => others < 256 ? 0 : others < 2048 ? 1 : 2;

    private static PipeOptions Options(PipeScheduler reader, PipeScheduler writer, int bytes) => new(
        readerScheduler: reader,
        writerScheduler: writer,
        pauseWriterThreshold: bytes,
        resumeWriterThreshold: bytes / 2,
        minimumSegmentSize: Math.Min(16 * 1024, bytes / 4),
        useSynchronizationContext: false);

    /// <summary>A callback on the session thread, made once and posted as often as needed.</summary>
    private sealed class Work : ILoopWork
    {
        private readonly StreamBridge _bridge;
        private readonly Action<StreamBridge, Instant> _run;

        public Work(StreamBridge bridge, Action<StreamBridge, Instant> run)
        {
            _bridge = bridge;
            _run = run;
            Post = () => _bridge._host.Post(this);
        }

        public Action Post { get; }

        public void Run(Instant now) => _run(_bridge, now);
    }
}
