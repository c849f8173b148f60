using System.Buffers;
using Oxen.Router.Core.Hidden;

namespace Oxen.Router.Handlers;

/// <summary>
/// Keeps introsets for services and gives them to clients (docs/protocol/hidden-service.md#requests). Only at the end of a path: a link
/// would show who asks.
/// </summary>
internal sealed class IntrosetPlugin(IntrosetStoreOptions? options = null) : IRouterPlugin
{
    private readonly Lock _gate = new(); // requests come on any thread; the store is quick
    private readonly IntrosetStore _store = new(options ?? new IntrosetStoreOptions());

    public string Name => "introset";

    /// <summary>Introsets that are kept.</summary>
    public int Count
    {
        get
        {
            lock (_gate) return _store.Count;
        }
    }

    public void Map(IRequestMap requests, IRouterServices services)
    {
        ArgumentNullException.ThrowIfNull(requests);
        ArgumentNullException.ThrowIfNull(services);
        TimeProvider time = services.Time;
        requests.Add(IntrosetRequests.Put, request => ValueTask.FromResult(Put(request, time))).Add(IntrosetRequests.Get, request => ValueTask.FromResult(Get(request, time)));
    }

    private ResponseCode Put(RequestContext request, TimeProvider time)
    {
        if (request.Origin != RequestOrigin.Path) return ResponseCode.Denied;
        if (request.Body.Length > Introset.LargestBytes) return ResponseCode.TooLarge;
        IntrosetPut became;
        lock (_gate) became = _store.Put(request.Body.ToArray(), time.GetUtcNow().ToUnixTimeSeconds());
        request.Response.Write([(byte)became]);
        return ResponseCode.Ok;
    }

    private ResponseCode Get(RequestContext request, TimeProvider time)
    {
        if (request.Origin != RequestOrigin.Path) return ResponseCode.Denied;
        if (request.Body.Length != IntrosetRequests.GetBytes) return ResponseCode.BadRequest;
        byte[] answer;
        lock (_gate) answer = IntrosetRequests.Answer(_store, request.Body.ToArray(), time.GetUtcNow().ToUnixTimeSeconds());
        request.Response.Write(answer);
        return ResponseCode.Ok;
    }
}
