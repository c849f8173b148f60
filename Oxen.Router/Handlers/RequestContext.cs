using System.Buffers;

namespace Oxen.Router.Handlers;

/// <summary>
/// One request while its handler runs. Contexts are pooled: after the handler's task is done every member throws, and
/// the memory behind <see cref="Body"/> and <see cref="Response"/> serves another request.
/// </summary>
public sealed class RequestContext
{
    private readonly ResponseBuffer _response = new();
    private ReadOnlySequence<byte> _body;
    private CancellationToken _aborted;
    private RequestOrigin _origin;
    private string? _method;

    internal RequestContext()
    {
    }

    /// <summary>The method as it was mapped.</summary>
    public string Method => _method ?? throw Dead();

    /// <summary>The request's bytes, a loan until the handler is done.</summary>
    public ReadOnlySequence<byte> Body => _method is null ? throw Dead() : _body;

    /// <summary>Takes the answer's bytes. Writing past the limit ends the request with <see cref="ResponseCode.TooLarge"/>.</summary>
    public IBufferWriter<byte> Response => _method is null ? throw Dead() : _response;

    /// <summary>The requester is gone, time is up or the router stops.</summary>
    public CancellationToken Aborted => _method is null ? throw Dead() : _aborted;

    /// <summary>Link or path.</summary>
    public RequestOrigin Origin => _method is null ? throw Dead() : _origin;

    internal ResponseBuffer ResponseBytes => _response;

    internal void Begin(string method, in ReadOnlySequence<byte> body, RequestOrigin origin, int responseLimit, CancellationToken aborted)
    {
        _method = method;
        _body = body;
        _origin = origin;
        _aborted = aborted;
        _response.Begin(responseLimit);
    }

    /// <summary>From here on the handler can read nothing; the response stays readable for the dispatcher.</summary>
    internal void End()
    {
        _method = null;
        _body = default;
        _aborted = default;
        _response.End();
    }

    private static InvalidOperationException Dead() => new("this request is over: a RequestContext must not be used after its handler returned");
}
