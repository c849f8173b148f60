namespace Oxen.Router.Handlers;

/// <summary>What a plug-in at the end of a path answered.</summary>
/// <param name="code">How the request ended.</param>
/// <param name="body">The answer; empty unless the code is <see cref="ResponseCode.Ok"/>.</param>
public sealed class PathResponse(ResponseCode code, ReadOnlyMemory<byte> body)
{
    /// <summary>How the request ended.</summary>
    public ResponseCode Code { get; } = code;

    /// <summary>The answer; empty unless the code is <see cref="ResponseCode.Ok"/>.</summary>
    public ReadOnlyMemory<byte> Body { get; } = body;
}

/// <summary>
/// Asks plug-ins at the ends of onion paths: whoever answers does not learn who asks (docs/protocol/requests.md). Any thread may ask.
/// </summary>
public interface IPathRequests
{
    /// <summary>Sends one request and waits for its answer.</summary>
    /// <param name="path">Which path, from 0 on. Different numbers never share a path; they may end at different relays.</param>
    /// <param name="method">1 to 64 of `a-z 0-9 _ . -`.</param>
    /// <param name="body">The request's bytes.</param>
    /// <param name="mostBytes">An answer that is longer is refused before it is read.</param>
    /// <param name="cancel">Ends the waiting.</param>
    /// <exception cref="IOException">There is no path, it broke, or what came is no answer; the message says so in words.</exception>
    Task<PathResponse> AskAsync(int path, string method, ReadOnlyMemory<byte> body, int mostBytes, CancellationToken cancel);
}
