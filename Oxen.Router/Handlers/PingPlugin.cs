using System.Buffers;
using System.Buffers.Binary;

namespace Oxen.Router.Handlers;

/// <summary>
/// Answers `ping` with the server's time and the request's own bytes: unix time in nanoseconds 8 (big-endian) | body.
/// A small handler that is really of use: it measures the way to a plug-in and back, and shows a clock that is off.
/// </summary>
internal sealed class PingPlugin : IRouterPlugin
{
    public const int MaxBodyBytes = 1024;

    /// <summary>Of the answer to an empty body.</summary>
    public const int AnswerBytes = 8;

    public string Name => "ping";

    public void Map(IRequestMap requests, IRouterServices services)
    {
        ArgumentNullException.ThrowIfNull(requests);
        ArgumentNullException.ThrowIfNull(services);
        TimeProvider time = services.Time;
        requests.Add("ping", request => ValueTask.FromResult(Answer(request, time)));
    }

    private static ResponseCode Answer(RequestContext request, TimeProvider time)
    {
        if (request.Body.Length > MaxBodyBytes) return ResponseCode.TooLarge;
        long nanoseconds = (time.GetUtcNow().UtcTicks - DateTime.UnixEpoch.Ticks) * 100;
        BinaryPrimitives.WriteInt64BigEndian(request.Response.GetSpan(8), nanoseconds);
        request.Response.Advance(8);
        foreach (ReadOnlyMemory<byte> part in request.Body) request.Response.Write(part.Span);
        return ResponseCode.Ok;
    }
}
