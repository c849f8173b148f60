using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Security.Cryptography;

namespace Oxen.Router.Dns;

/// <summary>
/// One stream to a resolver with many questions on it at a time (RFC 7766 section 6.2.1). Answers come in any order and find
/// their question by its id, which is random and used once at a time. It ends with its stream, after a silence, or when the
/// far side says what no resolver says; then every open question fails.
/// </summary>
internal sealed class DnsPipeline : IAsyncDisposable
{
    // A resolver that keeps answering what was not asked is no resolver.
    private const int MaxStrangeAnswers = 16;

    private readonly DnsStream _stream;
    private readonly UpstreamOptions _options;
    private readonly AddressMap _map;
    private readonly DnsCounters _counters;
    private readonly Lock _lock = new();
    private readonly Dictionary<ushort, Waiting> _waiting = [];
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly ITimer _idle;
    private readonly Task _reading;
    private string? _ended;
    private long _heard; // messages that came

    private sealed record Waiting(DnsQuery Query, TaskCompletionSource<UpstreamResult> Answer);

    public DnsPipeline(DnsStream stream, UpstreamOptions options, AddressMap map, TimeProvider time, DnsCounters counters)
    {
        _stream = stream;
        _options = options;
        _map = map;
        _counters = counters;
        _idle = time.CreateTimer(_ => EndIfIdle(), null, options.StreamIdle, Timeout.InfiniteTimeSpan);
        _reading = ReadAsync();
    }

    /// <summary>Why it takes no more questions; null while it does.</summary>
    public string? Ended => Volatile.Read(ref _ended);

    /// <summary>The question's answer; null: it was not even sent, because the stream is over or full.</summary>
    public async ValueTask<UpstreamResult?> AskAsync(DnsQuery query, CancellationToken cancel)
    {
        var waiting = new Waiting(query, new TaskCompletionSource<UpstreamResult>(TaskCreationOptions.RunContinuationsAsynchronously));
        ushort id;
        long heard = Volatile.Read(ref _heard);
        lock (_lock)
        {
            if (_ended is not null || _waiting.Count >= _options.StreamInFlight) return null;
            do id = (ushort)RandomNumberGenerator.GetInt32(0x10000);
            while (!_waiting.TryAdd(id, waiting));
        }

        try
        {
            // A write that was begun is finished: half a message would shift all that follow.
            await WriteAsync(DnsComposer.WriteQuestion(query, id, _options.UdpBytes)).WaitAsync(cancel).ConfigureAwait(false);
            return await waiting.Answer.Task.WaitAsync(cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Not a word since the question went out: the stream may be dead, and the next question shall not wait for it.
            if (Volatile.Read(ref _heard) == heard) End("the resolver fell silent");
            throw;
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            End("the stream to the resolver broke");
            return await waiting.Answer.Task.ConfigureAwait(false);
        }
        finally
        {
            lock (_lock)
            {
                _waiting.Remove(id);
                if (_waiting.Count == 0 && _ended is null) _idle.Change(_options.StreamIdle, Timeout.InfiniteTimeSpan);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        End("the resolver is being stopped");
        await _reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task WriteAsync(byte[] question)
    {
        await _writing.WaitAsync().ConfigureAwait(false);
        try
        {
            // Length and message in one write (RFC 7766 section 8).
            PipeWriter output = _stream.Transport.Output;
            Span<byte> room = output.GetSpan(2 + question.Length);
            BinaryPrimitives.WriteUInt16BigEndian(room, (ushort)question.Length);
            question.CopyTo(room[2..]);
            output.Advance(2 + question.Length);
            await output.FlushAsync().ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    private void EndIfIdle()
    {
        lock (_lock)
        {
            if (_waiting.Count > 0) return;
        }

        End("idle");
    }

    private void End(string why)
    {
        Waiting[] open;
        lock (_lock)
        {
            if (_ended is not null) return;
            _ended = why;
            open = [.. _waiting.Values];
        }

        _idle.Dispose();
        _stream.Abort();
        foreach (Waiting waiting in open) waiting.Answer.TrySetResult(UpstreamResult.Failed(DnsCount.UpstreamFailed, why));
    }

    private async Task ReadAsync()
    {
        string why = "the resolver closed the stream";
        int strange = 0;
        PipeReader input = _stream.Transport.Input;
        try
        {
            await Task.Yield();
            while (strange < MaxStrangeAnswers)
            {
                ReadResult read = await input.ReadAsync().ConfigureAwait(false);
                ReadOnlySequence<byte> buffer = read.Buffer;
                while (strange < MaxStrangeAnswers && TryCut(ref buffer, out byte[] message))
                {
                    Interlocked.Increment(ref _heard);
                    if (!TryDeliver(message)) strange++;
                }

                input.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted || read.IsCanceled) break;
            }

            if (strange >= MaxStrangeAnswers) why = "the resolver answered what it was not asked";
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or ObjectDisposedException or OperationCanceledException)
        {
            why = "the stream to the resolver broke";
        }
        finally
        {
            End(why);
            await _stream.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static bool TryCut(ref ReadOnlySequence<byte> buffer, out byte[] message)
    {
        message = [];
        Span<byte> prefix = stackalloc byte[2];
        if (buffer.Length < 2) return false;
        buffer.Slice(0, 2).CopyTo(prefix);
        int length = BinaryPrimitives.ReadUInt16BigEndian(prefix);
        if (buffer.Length < 2 + length) return false;
        message = buffer.Slice(2, length).ToArray();
        buffer = buffer.Slice(2 + length);
        return true;
    }

    private bool TryDeliver(byte[] message)
    {
        Waiting? waiting = null;
        ushort id = 0;
        if (message.Length >= DnsNumbers.HeaderBytes)
        {
            id = BinaryPrimitives.ReadUInt16BigEndian(message);
            lock (_lock) _waiting.TryGetValue(id, out waiting);
        }

        if (waiting is null)
        {
            _counters.Add(DnsCount.UpstreamMismatch);
            return false;
        }

        if (ForwardedAnswer.TryTake(message, waiting.Query, id, _options.Ttl, _map, out ForwardedAnswer? answer, out DnsCount failure))
        {
            waiting.Answer.TrySetResult(UpstreamResult.Of(answer));
            return true;
        }

        // Nobody can slip a message into a stream: a wrong answer is the resolver's own, and waiting longer brings no better one.
        waiting.Answer.TrySetResult(UpstreamResult.Failed(failure, failure == DnsCount.RebindBlocked
            ? "the answer has an address that stands for a hidden service"
            : "the resolver's answer does not fit the question"));
        return failure == DnsCount.RebindBlocked;
    }
}
