using System.Diagnostics;
using System.Threading.Channels;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Peers;

// All that goes to one peer. Messages wait in a bounded queue; what waits leaves as one request, up to a limit. A message to an
// idle peer leaves at once. While a request is under way the next one gathers for a few milliseconds, or until the answer is here:
// under load many messages share a request, a turn of both nodes' threads and the peer's commit, and nobody waits for long.
//
// A peer that did not answer is "silent": messages to it fail at once, so that nobody waits for the dead, until the regular
// comparison (SwarmSync) reaches it again.

/// <summary>Batches messages to one peer. Any thread.</summary>
internal sealed class PeerLink : IAsyncDisposable
{
    private const int MaxWaiting = 8192;
    private const int MaxBatch = 256;
    private const long MaxBatchBytes = 4_000_000;
    private const int MaxUnderWay = 16;

    private readonly Channel<Item> _queue = Channel.CreateBounded<Item>(new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });
    private readonly CancellationTokenSource _end = new();
    private readonly IPeerTransport _transport;
    private readonly TimeSpan _answerLimit;
    private readonly TimeSpan _gather;
    private readonly SemaphoreSlim _room = new(MaxUnderWay), _answered = new(0);
    private readonly Task _pump;
    private int _underWay;
    private volatile bool _silent;
    private volatile SwarmMember _peer;

    /// <param name="peer">To whom.</param>
    /// <param name="transport">How.</param>
    /// <param name="answerLimit">How long the peer may take before it counts as silent.</param>
    /// <param name="gather">How long a request waits for company while another is under way.</param>
    public PeerLink(SwarmMember peer, IPeerTransport transport, TimeSpan answerLimit, TimeSpan gather)
    {
        _gather = gather;
        _answerLimit = answerLimit;
        _peer = peer;
        _transport = transport;
        _pump = Task.Run(PumpAsync);
    }

    private sealed record Item(object Message, long Bytes, Action<object?> Answer);

    /// <summary>The peer; its address may change.</summary>
    public SwarmMember Peer
    {
        get => _peer;
        set => _peer = value;
    }

    /// <summary>It did not answer the last time.</summary>
    public bool IsSilent => _silent;

    /// <summary>The peer's answer to one message; null if there is none. Fails at once for a silent peer.</summary>
    public Task<object?> SendAsync(object message, long bytes)
    {
        var source = new TaskCompletionSource<object?>(TaskCreationOptions.RunContinuationsAsynchronously);
        Send(message, bytes, reply => source.TrySetResult(reply));
        return source.Task;
    }

    /// <summary>The same for whoever takes the answer where it is read, between those of others: it must be short, and not throw.</summary>
    public void Send(object message, long bytes, Action<object?> answer)
    {
        if (_silent || !_queue.Writer.TryWrite(new Item(message, bytes, answer))) answer(null);
    }

    /// <summary>Sends one message by itself, to a silent peer too; whether it answers decides how it counts from now on.</summary>
    public async Task<object?> ProbeAsync(WireMap message, TimeSpan limit)
    {
        byte[]? reply = await _transport.CallAsync(_peer, BtEncoding.Write(new List<object> { message }), limit, _end.Token).ConfigureAwait(false);
        object? answer = reply is not null && BtEncoding.TryRead(reply, out object? value) && value is List<object> { Count: 1 } list ? list[0] : null;
        _silent = answer is null;
        return answer;
    }

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _end.CancelAsync().ConfigureAwait(false);
        await _pump.ConfigureAwait(false);
        for (int i = 0; i < MaxUnderWay; i++) await _room.WaitAsync().ConfigureAwait(false);
        while (_queue.Reader.TryRead(out Item? item)) item.Answer(null);
        _room.Dispose();
        _answered.Dispose();
        _end.Dispose();
    }

    private async Task PumpAsync()
    {
        try
        {
            long sent = 0;
            while (await _queue.Reader.WaitToReadAsync(_end.Token).ConfigureAwait(false))
            {
                await GatherAsync(sent).ConfigureAwait(false);
                await _room.WaitAsync(_end.Token).ConfigureAwait(false);
                var batch = new List<Item>();
                long bytes = 0;
                while (batch.Count < MaxBatch && bytes < MaxBatchBytes && _queue.Reader.TryRead(out Item? item))
                {
                    batch.Add(item);
                    bytes += item.Bytes;
                }

                sent = Stopwatch.GetTimestamp();
                Interlocked.Increment(ref _underWay);
                _ = SendBatchAsync(batch);
            }
        }
        catch (OperationCanceledException)
        {
            // the node stops
        }
    }

    private async Task GatherAsync(long sent)
    {
        while (_answered.Wait(0))
        {
            // an answer that nobody waited for
        }

        TimeSpan left = _gather - Stopwatch.GetElapsedTime(sent);
        if (left > TimeSpan.Zero && Volatile.Read(ref _underWay) > 0) await _answered.WaitAsync(left, _end.Token).ConfigureAwait(false);
    }

    private async Task SendBatchAsync(List<Item> batch)
    {
        List<object>? answers = null;
        try
        {
            if (!_silent)
            {
                byte[] request = BtEncoding.Write(batch.Select(i => i.Message).ToList());
                byte[]? reply = await _transport.CallAsync(_peer, request, _answerLimit, _end.Token).ConfigureAwait(false);
                if (reply is not null && BtEncoding.TryRead(reply, out object? value) && value is List<object> list && list.Count == batch.Count) answers = list;
            }
        }
        catch (OperationCanceledException)
        {
            // the node stops
        }
        finally
        {
            if (answers is null) _silent = true;
            for (int i = 0; i < batch.Count; i++) batch[i].Answer(answers?[i]);
            if (Interlocked.Decrement(ref _underWay) == 0) _answered.Release();
            _room.Release();
        }
    }
}
