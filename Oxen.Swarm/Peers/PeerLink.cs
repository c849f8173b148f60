using System.Threading.Channels;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Peers;

// All that goes to one peer. Messages wait in a bounded queue; a few pumps take what waits, up to a limit, and send it as one
// request. Alone a message leaves at once; under load hundreds share a request, its encryption and the peer's commit.
//
// A peer that did not answer is "silent": messages to it fail at once, so that nobody waits for the dead, until the regular
// comparison (SwarmSync) reaches it again.

/// <summary>Batches messages to one peer. Any thread.</summary>
internal sealed class PeerLink : IAsyncDisposable
{
    private const int MaxWaiting = 8192;
    private const int MaxBatch = 256;
    private const long MaxBatchBytes = 4_000_000;
    private const int Pumps = 3;

    private readonly Channel<Item> _queue = Channel.CreateBounded<Item>(new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.Wait });
    private readonly CancellationTokenSource _end = new();
    private readonly IPeerTransport _transport;
    private readonly TimeSpan _answerLimit;
    private readonly Task[] _pumps;
    private volatile bool _silent;
    private volatile SwarmMember _peer;

    /// <param name="peer">To whom.</param>
    /// <param name="transport">How.</param>
    /// <param name="answerLimit">How long the peer may take before it counts as silent.</param>
    public PeerLink(SwarmMember peer, IPeerTransport transport, TimeSpan answerLimit)
    {
        _answerLimit = answerLimit;
        _peer = peer;
        _transport = transport;
        _pumps = [.. Enumerable.Range(0, Pumps).Select(_ => Task.Run(PumpAsync))];
    }

    private sealed record Item(object Message, long Bytes, TaskCompletionSource<object?> Answer);

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
        if (_silent) return Task.FromResult<object?>(null);
        var item = new Item(message, bytes, new TaskCompletionSource<object?>(TaskCreationOptions.RunContinuationsAsynchronously));
        if (!_queue.Writer.TryWrite(item)) item.Answer.TrySetResult(null);
        return item.Answer.Task;
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
        await Task.WhenAll(_pumps).ConfigureAwait(false);
        while (_queue.Reader.TryRead(out Item? item)) item.Answer.TrySetResult(null);
        _end.Dispose();
    }

    private async Task PumpAsync()
    {
        var batch = new List<Item>();
        try
        {
            while (await _queue.Reader.WaitToReadAsync(_end.Token).ConfigureAwait(false))
            {
                batch.Clear();
                long bytes = 0;
                while (batch.Count < MaxBatch && bytes < MaxBatchBytes && _queue.Reader.TryRead(out Item? item))
                {
                    batch.Add(item);
                    bytes += item.Bytes;
                }

                if (batch.Count > 0) await SendBatchAsync(batch).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            foreach (Item item in batch) item.Answer.TrySetResult(null); // the node stops
        }
    }

    private async Task SendBatchAsync(List<Item> batch)
    {
        byte[]? reply = null;
        if (!_silent)
        {
            byte[] request = BtEncoding.Write(batch.Select(i => i.Message).ToList());
            reply = await _transport.CallAsync(_peer, request, _answerLimit, _end.Token).ConfigureAwait(false);
        }

        List<object>? answers = reply is not null && BtEncoding.TryRead(reply, out object? value) && value is List<object> list && list.Count == batch.Count ? list : null;
        if (answers is null) _silent = true;
        for (int i = 0; i < batch.Count; i++) batch[i].Answer.TrySetResult(answers?[i]);
    }
}
