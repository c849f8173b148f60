using System.Net;

namespace Oxen.Router.Dns;

/// <summary>
/// DNS over streams (RFC 7766): one to each server, opened when a question comes and used again until it is idle. The first
/// server that answers is kept to; when it fails, the next has its turn.
/// </summary>
internal sealed class StreamUpstream : IDnsUpstream, IAsyncDisposable
{
    private readonly IReadOnlyList<IPEndPoint> _servers;
    private readonly IDnsDialer _dialer;
    private readonly UpstreamOptions _options;
    private readonly AddressMap _map;
    private readonly TimeProvider _time;
    private readonly DnsCounters _counters;
    private readonly Lock _lock = new();
    private readonly Task<DnsPipeline>?[] _streams;
    private readonly CancellationTokenSource _stop = new();
    private int _preferred;

    public StreamUpstream(IReadOnlyList<IPEndPoint> servers, IDnsDialer dialer, UpstreamOptions options, AddressMap map, TimeProvider time, DnsCounters counters)
    {
        ArgumentNullException.ThrowIfNull(servers);
        if (servers.Count == 0) throw new ArgumentException("at least one resolver is needed", nameof(servers));
        _servers = servers;
        _dialer = dialer;
        _options = options;
        _map = map;
        _time = time;
        _counters = counters;
        _streams = new Task<DnsPipeline>?[servers.Count];
    }

    public async ValueTask<UpstreamResult> AskAsync(DnsQuery query, CancellationToken cancel)
    {
        UpstreamResult last = UpstreamResult.Failed(DnsCount.UpstreamFailed, "the resolver did not answer");
        int first = Volatile.Read(ref _preferred);
        for (int i = 0; i < _servers.Count; i++)
        {
            int server = (first + i) % _servers.Count;
            last = await AskServerAsync(server, query, cancel).ConfigureAwait(false);
            if (last.IsAnswer || last.Failure is DnsCount.RebindBlocked or DnsCount.Busy)
            {
                Volatile.Write(ref _preferred, server);
                return last;
            }
        }

        return last;
    }

    /// <summary>Asks one server: for an answer that was cut off on its way by UDP.</summary>
    public async ValueTask<UpstreamResult> AskServerAsync(int server, DnsQuery query, CancellationToken cancel)
    {
        // A stream that was there before may have ended just now, at the far side, without our knowing: then once more on a new one.
        for (int attempt = 0; ; attempt++)
        {
            bool old;
            DnsPipeline pipeline;
            try
            {
                (Task<DnsPipeline> opening, old) = Stream(server);
                pipeline = await opening.WaitAsync(cancel).ConfigureAwait(false);
            }
            catch (IOException e)
            {
                return UpstreamResult.Failed(DnsCount.UpstreamFailed, e.Message);
            }

            using var limit = new CancellationTokenSource(_options.StreamTime, _time);
            using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
            UpstreamResult? result;
            try
            {
                result = await pipeline.AskAsync(query, linked.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                return UpstreamResult.Failed(DnsCount.UpstreamFailed, "the resolver did not answer in time");
            }

            if (result is { } done && (done.IsAnswer || pipeline.Ended is null || !old || attempt > 0)) return done;
            if (result is null && pipeline.Ended is null) return UpstreamResult.Failed(DnsCount.Busy, "too many questions wait for the resolver");
            if (result is null && attempt > 0) return UpstreamResult.Failed(DnsCount.UpstreamFailed, pipeline.Ended!);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        Task<DnsPipeline>?[] streams;
        lock (_lock) streams = [.. _streams];
        foreach (Task<DnsPipeline>? stream in streams)
        {
            if (stream is null) continue;
            await ((Task)stream).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stream.IsCompletedSuccessfully) await (await stream.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
        }

        _stop.Dispose();
    }

    private (Task<DnsPipeline> Opening, bool Old) Stream(int server)
    {
        lock (_lock)
        {
            if (_streams[server] is { } stream && (!stream.IsCompleted || (stream.IsCompletedSuccessfully && stream.Result.Ended is null))) return (stream, stream.IsCompleted);
            Task<DnsPipeline> opening = OpenAsync(_servers[server]);
            _streams[server] = opening;
            return (opening, false);
        }
    }

    private async Task<DnsPipeline> OpenAsync(IPEndPoint server)
    {
        await Task.Yield();
        try
        {
            DnsStream stream = await _dialer.ConnectAsync(server, _stop.Token).ConfigureAwait(false);
            return new DnsPipeline(stream, _options, _map, _time, _counters);
        }
        catch (OperationCanceledException e)
        {
            throw new IOException("the resolver is being stopped", e);
        }
    }
}
