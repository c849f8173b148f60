namespace Oxen.Router.Handlers;

/// <summary>A plug-in: names its requests once, at start-up, and answers them from then on.</summary>
public interface IRouterPlugin
{
    /// <summary>Short name for configuration, metrics and logs, such as `ping`.</summary>
    string Name { get; }

    /// <summary>Called once before traffic. The map is frozen when every plug-in has been asked.</summary>
    void Map(IRequestMap requests, IRouterServices services);
}

/// <summary>Where plug-ins put their handlers.</summary>
public interface IRequestMap
{
    /// <summary>Adds a handler. A method name is 1 to 64 of `a-z 0-9 _ . -` and belongs to one plug-in.</summary>
    IRequestMap Add(string method, RequestHandler handler);
}

/// <summary>
/// Answers one request. The context is dead once the returned task is done: copy what is needed longer.
/// An exception becomes <see cref="ResponseCode.InternalError"/>; the requester learns no more than that.
/// </summary>
public delegate ValueTask<ResponseCode> RequestHandler(RequestContext request);

/// <summary>What the router offers to plug-ins.</summary>
public interface IRouterServices
{
    /// <summary>The only clock a plug-in should read.</summary>
    TimeProvider Time { get; }

    /// <summary>Fills with random bytes fit for secrets.</summary>
    void FillRandom(Span<byte> destination);
}
