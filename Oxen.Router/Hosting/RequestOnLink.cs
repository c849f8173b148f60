using System.Buffers;
using System.IO.Pipelines;
using Oxen.Router.Handlers;

namespace Oxen.Router.Hosting;

/// <summary>A plug-in request that came whole, on a link: served by the same handler as one on a stream, over a pair of pipes.</summary>
internal sealed class RequestOnLink : IDuplexPipe
{
    private readonly Pipe _request = new();
    private readonly Pipe _response = new(new PipeOptions(pauseWriterThreshold: 0));

    PipeReader IDuplexPipe.Input => _request.Reader;

    PipeWriter IDuplexPipe.Output => _response.Writer;

    /// <returns>The framed response (docs/protocol/requests.md); empty when the request was malformed beyond an answer.</returns>
    public static async Task<byte[]> ServeAsync(RequestStreamHandler handler, byte[] message, CancellationToken cancel)
    {
        var pipes = new RequestOnLink();
        pipes._request.Writer.Write(message);
        await pipes._request.Writer.CompleteAsync().ConfigureAwait(false);
        await handler.RunAsync(pipes, RequestOrigin.Link, cancel).ConfigureAwait(false);
        try
        {
            ReadResult read = await pipes._response.Reader.ReadAtLeastAsync(int.MaxValue, cancel).ConfigureAwait(false);
            byte[] response = read.Buffer.ToArray();
            await pipes._response.Reader.CompleteAsync().ConfigureAwait(false);
            return response;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            return [];
        }
    }
}
