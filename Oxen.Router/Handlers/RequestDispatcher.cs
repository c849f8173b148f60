using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using Microsoft.Extensions.ObjectPool;

namespace Oxen.Router.Handlers;

/// <summary>How large a request and its answer may be and how long a handler may take.</summary>
internal sealed record RequestLimits
{
    public int MaxRequestBytes { get; init; } = 1024 * 1024;

    public int MaxResponseBytes { get; init; } = 1024 * 1024;

    public TimeSpan HandlerTime { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>From the stream's first byte to the end of the request.</summary>
    public TimeSpan ReceiveTime { get; init; } = TimeSpan.FromSeconds(20);
}

/// <summary>
/// Finds the handler of a request and keeps its troubles contained: unknown methods, exceptions, too much output and too
/// much time all become a <see cref="ResponseCode"/>. The map is built once and frozen before traffic.
/// </summary>
internal sealed class RequestDispatcher
{
    private readonly FrozenDictionary<string, Entry> _entries;
    private readonly FrozenDictionary<string, Entry>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly ObjectPool<RequestContext> _contexts = new DefaultObjectPool<RequestContext>(new ContextPolicy(), 256);
    private readonly TimeProvider _time;
    private readonly Action<string, Exception>? _failed;

    private RequestDispatcher(Dictionary<string, Entry> entries, RequestLimits limits, IRouterServices services, Action<string, Exception>? failed)
    {
        _entries = entries.ToFrozenDictionary(StringComparer.Ordinal);
        _lookup = _entries.GetAlternateLookup<ReadOnlySpan<char>>();
        _time = services.Time;
        _failed = failed;
        Limits = limits;
    }

    private sealed record Entry(string Method, string Plugin, RequestHandler Handler);

    public RequestLimits Limits { get; }

    public IEnumerable<string> Methods => _entries.Keys;

    /// <param name="failed">Told the method and the exception when a handler throws; for the log.</param>
    /// <exception cref="InvalidOperationException">Two plug-ins map the same method, or a name is not allowed.</exception>
    public static RequestDispatcher Create(IEnumerable<IRouterPlugin> plugins, IRouterServices services, RequestLimits? limits = null, Action<string, Exception>? failed = null)
    {
        ArgumentNullException.ThrowIfNull(plugins);
        ArgumentNullException.ThrowIfNull(services);
        var entries = new Dictionary<string, Entry>(StringComparer.Ordinal);
        foreach (IRouterPlugin plugin in plugins)
        {
            var map = new Map(plugin.Name, entries);
            plugin.Map(map, services);
            map.Frozen = true;
        }

        return new RequestDispatcher(entries, limits ?? new RequestLimits(), services, failed);
    }

    /// <summary>Answers one request. `use` sees the answer before its memory goes back to the pool.</summary>
    public async ValueTask<TResult> DispatchAsync<TState, TResult>(
        ReadOnlyMemory<byte> method, ReadOnlySequence<byte> body, RequestOrigin origin, TState state, Func<ResponseCode, ReadOnlyMemory<byte>, TState, ValueTask<TResult>> use, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(use);
        if (Find(method.Span) is not { } entry) return await use(ResponseCode.UnknownMethod, default, state).ConfigureAwait(false);
        if (body.Length > Limits.MaxRequestBytes) return await use(ResponseCode.TooLarge, default, state).ConfigureAwait(false);

        RequestContext context = _contexts.Get();
        using var deadline = new CancellationTokenSource(Limits.HandlerTime, _time);
        using var aborted = CancellationTokenSource.CreateLinkedTokenSource(cancel, deadline.Token);
        context.Begin(entry.Method, body, origin, Limits.MaxResponseBytes, aborted.Token);
        bool over = true;
        ResponseCode code;
        try
        {
            ValueTask<ResponseCode> work = entry.Handler(context);
            if (work.IsCompleted)
            {
                code = await work.ConfigureAwait(false);
            }
            else
            {
                Task<ResponseCode> task = work.AsTask();
                over = false;
                code = await task.WaitAsync(aborted.Token).ConfigureAwait(false);
                over = true;
            }

            if (!Enum.IsDefined(code)) code = ResponseCode.InternalError;
        }
        catch (ResponseTooLargeException)
        {
            over = true;
            code = ResponseCode.TooLarge;
        }
        catch (OperationCanceledException) when (aborted.IsCancellationRequested)
        {
            code = ResponseCode.TimedOut;
        }
        catch (Exception e)
        {
            over = true;
            _failed?.Invoke(entry.Method, e);
            code = ResponseCode.InternalError;
        }

        context.End();
        try
        {
            return await use(code, code == ResponseCode.TimedOut && !over ? default : context.ResponseBytes.Written, state).ConfigureAwait(false);
        }
        finally
        {
            // A handler that still runs keeps its context for itself: it is never pooled again.
            if (over) _contexts.Return(context);
        }
    }

    private Entry? Find(ReadOnlySpan<byte> method)
    {
        if (!RequestFraming.IsMethod(method)) return null;
        Span<char> name = stackalloc char[RequestFraming.MaxMethodBytes];
        int length = Encoding.ASCII.GetChars(method, name);
        return _lookup.TryGetValue(name[..length], out Entry? entry) ? entry : null;
    }

    private sealed class Map(string plugin, Dictionary<string, Entry> entries) : IRequestMap
    {
        public bool Frozen { get; set; }

        public IRequestMap Add(string method, RequestHandler handler)
        {
            ArgumentNullException.ThrowIfNull(method);
            ArgumentNullException.ThrowIfNull(handler);
            if (Frozen) throw new InvalidOperationException($"plug-in {plugin} adds {method} after start: map requests in Map only");
            if (!RequestFraming.IsMethod(Encoding.UTF8.GetBytes(method))) throw new ArgumentException($"plug-in {plugin}: a method is 1 to 64 of a-z 0-9 _ . -", nameof(method));
            if (entries.TryGetValue(method, out Entry? other)) throw new InvalidOperationException($"plug-ins {other.Plugin} and {plugin} both map {method}");
            entries.Add(method, new Entry(method, plugin, handler));
            return this;
        }
    }

    private sealed class ContextPolicy : PooledObjectPolicy<RequestContext>
    {
        public override RequestContext Create() => new();

        public override bool Return(RequestContext obj)
        {
            obj.ResponseBytes.Reset();
            return true;
        }
    }
}
