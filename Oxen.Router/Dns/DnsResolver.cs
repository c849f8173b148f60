using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace Oxen.Router.Dns;

internal enum DnsTransport : byte
{
    Udp,
    Tcp,
}

/// <summary>
/// The resolver without its sockets: bytes of a question in, bytes of the answer out. In this order: the door, what is refused
/// for everybody, our own zones, names that are never forwarded, the cache, the upstream.
/// </summary>
internal sealed class DnsResolver
{
    private static readonly DnsReply NotConfigured = DnsReply.Failure(DnsNumbers.Refused, ExtendedError.Prohibited, "this resolver answers .loki and .snode only");
    private static readonly DnsReply NoRecursion = DnsReply.Failure(DnsNumbers.Refused, ExtendedError.Prohibited, "names of others are answered only with recursion desired");
    private static readonly DnsReply WrongClass = DnsReply.Failure(DnsNumbers.Refused, ExtendedError.NotSupported, "only the class IN is served");
    private static readonly DnsReply WrongType = DnsReply.Failure(DnsNumbers.Refused, ExtendedError.NotSupported, "zones are not transferred");

    private readonly OnionZones _zones;
    private readonly IDnsUpstream? _upstream;
    private readonly DnsOptions _options;
    private readonly AnswerCache _cache;
    private readonly TimeProvider _time;
    private readonly DnsCounters _counters;
    private readonly ConcurrentDictionary<CacheKey, Task<UpstreamResult>> _asking = new();
    private readonly ConcurrentDictionary<CacheKey, (UpstreamResult Result, long Since)> _failed = new();
    private int _forwarding;

    /// <param name="upstream">null: names of the outside are refused.</param>
    public DnsResolver(OnionZones zones, IDnsUpstream? upstream, DnsOptions options, TimeProvider time, DnsCounters counters)
    {
        ArgumentNullException.ThrowIfNull(zones);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        ArgumentNullException.ThrowIfNull(counters);
        _zones = zones;
        _upstream = upstream;
        _options = options;
        _time = time;
        _counters = counters;
        _cache = new AnswerCache(options.CacheEntries, options.CacheBytes, time);
    }

    public DnsCounters Counters => _counters;

    public AnswerCache Cache => _cache;

    /// <summary>The answer to a message; null: nothing is to be sent. Bytes of strangers never throw here.</summary>
    public async ValueTask<byte[]?> AnswerAsync(ArraySegment<byte> message, DnsTransport transport, CancellationToken cancel)
    {
        DnsVerdict verdict = DnsDoor.Read(message, out DnsQuery? query);
        switch (verdict)
        {
            case DnsVerdict.Drop:
                _counters.Add(DnsCount.NotAQuery);
                return null;
            case DnsVerdict.FormErr:
                _counters.Add(DnsCount.Malformed);
                return DnsComposer.WriteHeaderOnly(message, DnsNumbers.FormErr, _upstream is not null);
            case DnsVerdict.NotImp:
                _counters.Add(DnsCount.UnknownOperation);
                return DnsComposer.WriteHeaderOnly(message, DnsNumbers.NotImp, _upstream is not null);
            case DnsVerdict.BadVersion:
                _counters.Add(DnsCount.UnknownEdnsVersion);
                return Write(query!, new DnsReply(DnsNumbers.BadVersion), transport);
        }

        _counters.Add(DnsCount.Queries);
        try
        {
            if (TryAnswerAtOnce(query!, out DnsReply? reply)) return Write(query!, reply, transport);
            if (_zones.Holds(query!.Name))
            {
                _counters.Add(DnsCount.AnsweredLocally);
                return Write(query, await _zones.AnswerAsync(query, cancel).ConfigureAwait(false), transport);
            }

            if (SpecialNames.TryAnswer(query) is { } special)
            {
                _counters.Add(DnsCount.KeptLocal);
                return Write(query, special, transport);
            }

            return await AnswerOutsideAsync(query, transport, cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return null; // we are being stopped
        }
        catch (Exception)
        {
            // A source of names, a library, or we: the client hears that it did not work, and the listener lives on.
            _counters.Add(DnsCount.InternalError);
            return Write(query!, DnsReply.Failure(DnsNumbers.ServFail, ExtendedError.Other, "the resolver itself failed"), transport);
        }
    }

    // What is the same for every name.
    private bool TryAnswerAtOnce(DnsQuery query, [NotNullWhen(true)] out DnsReply? reply)
    {
        reply = null;
        if (query.Class != DnsNumbers.ClassIn)
        {
            _counters.Add(DnsCount.RefusedClass);
            reply = WrongClass;
        }
        else if (query.Type is DnsNumbers.Axfr or DnsNumbers.Ixfr or DnsNumbers.MailA or DnsNumbers.MailB or DnsNumbers.Opt)
        {
            _counters.Add(DnsCount.RefusedType);
            reply = WrongType;
        }
        else if (query.Type == DnsNumbers.Any)
        {
            // RFC 8482 section 4.2: one small record that says why, never everything.
            _counters.Add(DnsCount.RefusedType);
            reply = new DnsReply(DnsNumbers.NoError) { Answers = [new ARSoft.Tools.Net.Dns.HInfoRecord(DnsComposer.ToLibrary(query.Name), 3600, "RFC8482", "")] };
        }

        return reply is not null;
    }

    private async ValueTask<byte[]?> AnswerOutsideAsync(DnsQuery query, DnsTransport transport, CancellationToken cancel)
    {
        if (_upstream is null)
        {
            _counters.Add(DnsCount.RefusedNotConfigured);
            return Write(query, NotConfigured, transport);
        }

        if (!query.RecursionDesired)
        {
            _counters.Add(DnsCount.RefusedNoRecursion);
            return Write(query, NoRecursion, transport);
        }

        CacheKey key = CacheKey.Of(query);
        if (_cache.TryGet(key, out ForwardedAnswer? known, out uint age))
        {
            _counters.Add(DnsCount.AnsweredFromCache);
            return Write(query, known, age, transport);
        }

        UpstreamResult result;
        if (_failed.TryGetValue(key, out (UpstreamResult Result, long Since) failed) && _time.GetElapsedTime(failed.Since) < _options.FailureTime)
        {
            _counters.Add(DnsCount.AnsweredFromCache);
            result = failed.Result;
        }
        else
        {
            result = await AskOnceAsync(key, query).WaitAsync(cancel).ConfigureAwait(false);
        }

        if (result.IsAnswer) return Write(query, result.Answer, 0, transport);
        return Write(query, DnsReply.Failure(DnsNumbers.ServFail, result.Failure == DnsCount.RebindBlocked ? ExtendedError.Blocked : ExtendedError.NetworkError, result.Reason), transport);
    }

    // One question at a time for one key: whoever else asks waits with it. More of them at once would only help who guesses ids.
    private Task<UpstreamResult> AskOnceAsync(CacheKey key, DnsQuery query)
    {
        if (_asking.TryGetValue(key, out Task<UpstreamResult>? running))
        {
            _counters.Add(DnsCount.Joined);
            return running;
        }

        if (Interlocked.Increment(ref _forwarding) > _options.MaxForwarding)
        {
            Interlocked.Decrement(ref _forwarding);
            _counters.Add(DnsCount.Busy);
            return Task.FromResult(UpstreamResult.Failed(DnsCount.Busy, "too many questions are being forwarded"));
        }

        var mine = new TaskCompletionSource<UpstreamResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        running = _asking.GetOrAdd(key, mine.Task);
        if (running == mine.Task)
        {
            _counters.Add(DnsCount.Forwarded);
            _ = AskAsync(key, query, mine);
        }
        else
        {
            Interlocked.Decrement(ref _forwarding);
            _counters.Add(DnsCount.Joined);
        }

        return running;
    }

    private async Task AskAsync(CacheKey key, DnsQuery query, TaskCompletionSource<UpstreamResult> done)
    {
        UpstreamResult result;
        try
        {
            using var limit = new CancellationTokenSource(_options.ForwardTime, _time);
            result = await _upstream!.AskAsync(query, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            result = UpstreamResult.Failed(DnsCount.UpstreamFailed, "the resolver did not answer in time");
        }
        catch (Exception)
        {
            result = UpstreamResult.Failed(DnsCount.InternalError, "the resolver itself failed");
        }

        if (result.IsAnswer) _cache.Add(key, result.Answer);
        else Remember(key, result);
        _asking.TryRemove(key, out _);
        Interlocked.Decrement(ref _forwarding);
        done.SetResult(result);
    }

    private void Remember(CacheKey key, UpstreamResult result)
    {
        _counters.Add(result.Failure);
        if (result.Failure == DnsCount.Busy) return;
        if (_failed.Count >= _options.MaxForwarding)
        {
            foreach ((CacheKey old, (UpstreamResult _, long since)) in _failed)
            {
                if (_time.GetElapsedTime(since) >= _options.FailureTime) _failed.TryRemove(old, out _);
            }

            if (_failed.Count >= _options.MaxForwarding) return;
        }

        _failed[key] = (result, _time.GetTimestamp());
    }

    private byte[] Write(DnsQuery query, DnsReply reply, DnsTransport transport)
    {
        byte[] bytes = DnsComposer.Write(query, reply, _upstream is not null, _options.UdpBytes, Limit(query, transport), out bool truncated);
        if (truncated) _counters.Add(DnsCount.Truncated);
        return bytes;
    }

    private byte[] Write(DnsQuery query, ForwardedAnswer answer, uint age, DnsTransport transport)
    {
        byte[] bytes = answer.Write(query, age, _options.UdpBytes, Limit(query, transport), out bool truncated);
        if (truncated) _counters.Add(DnsCount.Truncated);
        return bytes;
    }

    private int Limit(DnsQuery query, DnsTransport transport) => transport == DnsTransport.Tcp ? ushort.MaxValue : Math.Min(query.UdpBytes, (int)_options.UdpBytes);
}
