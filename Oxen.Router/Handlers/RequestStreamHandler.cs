using System.Buffers;
using System.IO.Pipelines;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Handlers;

/// <summary>
/// Serves one request on one stream: reads the head, judges the lengths, collects the body, dispatches, writes the
/// response, ends the stream. Memory grows with the bytes that really came, never with a length that was only announced.
/// </summary>
internal sealed class RequestStreamHandler(RequestDispatcher dispatcher, TimeProvider time)
{
    /// <param name="stream">From the request's first byte on: the stream kind byte, where there is one, has been taken.</param>
    public async Task RunAsync(IDuplexPipe stream, RequestOrigin origin, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(stream);
        byte[] body = [];
        Exception? failure = null;
        try
        {
            byte[] method = new byte[RequestFraming.MaxMethodBytes];
            int methodBytes, bodyBytes;
            using (var limit = new CancellationTokenSource(dispatcher.Limits.ReceiveTime, time))
            using (var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token))
            {
                (ResponseCode refusal, methodBytes, bodyBytes) = await ReadHeadAsync(stream.Input, method, linked.Token).ConfigureAwait(false);
                if (refusal != ResponseCode.Ok)
                {
                    await WriteAsync(stream.Output, refusal, default, cancel).ConfigureAwait(false);
                    return;
                }

                body = await ReadBodyAsync(stream.Input, bodyBytes, linked.Token).ConfigureAwait(false);
            }

            await dispatcher.DispatchAsync(
                method.AsMemory(0, methodBytes), new ReadOnlySequence<byte>(body, 0, bodyBytes), origin, (stream.Output, cancel),
                static async (code, answer, to) =>
                {
                    await WriteAsync(to.Output, code, answer, to.cancel).ConfigureAwait(false);
                    return true;
                },
                cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            failure = e; // the requester went away or was too slow: reset, nobody is left to be told
        }
        finally
        {
            await stream.Output.CompleteAsync(failure).ConfigureAwait(false);
            await stream.Input.CompleteAsync(failure).ConfigureAwait(false);
        }
    }

    private async ValueTask<(ResponseCode Refusal, int MethodBytes, int BodyBytes)> ReadHeadAsync(PipeReader input, byte[] method, CancellationToken cancel)
    {
        while (true)
        {
            ReadResult read = await input.ReadAsync(cancel).ConfigureAwait(false);
            WireResult result = RequestFraming.ReadRequestHead(read.Buffer, method, out int methodBytes, out uint bodyBytes, out int consumed);
            if (result == WireResult.Complete)
            {
                input.AdvanceTo(read.Buffer.GetPosition(consumed));
                return bodyBytes > (uint)dispatcher.Limits.MaxRequestBytes ? (ResponseCode.TooLarge, 0, 0) : (ResponseCode.Ok, methodBytes, (int)bodyBytes);
            }

            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (result == WireResult.Malformed || read.IsCompleted) return (ResponseCode.BadRequest, 0, 0);
            if (read.IsCanceled) throw new OperationCanceledException();
        }
    }

    private static async ValueTask<byte[]> ReadBodyAsync(PipeReader input, int length, CancellationToken cancel)
    {
        byte[] body = new byte[Math.Min(length, 4096)];
        int have = 0;
        while (have < length)
        {
            ReadResult read = await input.ReadAsync(cancel).ConfigureAwait(false);
            int take = (int)Math.Min(read.Buffer.Length, length - have);
            if (have + take > body.Length) Array.Resize(ref body, Math.Min(length, Math.Max(have + take, body.Length * 2)));
            read.Buffer.Slice(0, take).CopyTo(body.AsSpan(have));
            have += take;
            input.AdvanceTo(read.Buffer.GetPosition(take));
            if (have < length && (read.IsCompleted || read.IsCanceled)) throw new EndOfStreamException("the request ended before its body did");
        }

        return body;
    }

    private static async ValueTask WriteAsync(PipeWriter output, ResponseCode code, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        RequestFraming.WriteResponseHead(code, body.Length, output.GetSpan(RequestFraming.ResponseHeadBytes));
        output.Advance(RequestFraming.ResponseHeadBytes);
        for (int at = 0; ;)
        {
            int n = Math.Min(16 * 1024, body.Length - at);
            output.Write(body.Span.Slice(at, n));
            FlushResult flushed = await output.FlushAsync(cancel).ConfigureAwait(false);
            at += n;
            if (at == body.Length || flushed.IsCompleted) return;
        }
    }
}
