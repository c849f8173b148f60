using System.Buffers;
using System.IO.Pipelines;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Handlers;

/// <summary>The requester's side of one stream: writes a request, reads its response.</summary>
internal static class RequestExchange
{
    private const int WriteBytes = 16 * 1024;

    /// <param name="maxResponseBytes">A longer answer is not read.</param>
    /// <exception cref="IOException">The stream ended before the response did, or the response is malformed or too long.</exception>
    public static async Task<(ResponseCode Code, byte[] Body)> RunAsync(IDuplexPipe stream, string method, ReadOnlyMemory<byte> body, int maxResponseBytes, CancellationToken cancel)
    {
        Memory<byte> head = stream.Output.GetMemory(1 + RequestFraming.MaxRequestHeadBytes);
        head.Span[0] = (byte)StreamKind.Request;
        int length = RequestFraming.WriteRequestHead(System.Text.Encoding.ASCII.GetBytes(method), body.Length, head.Span[1..]);
        stream.Output.Advance(1 + length);
        for (int at = 0; at < body.Length || at == 0; at += WriteBytes)
        {
            stream.Output.Write(body.Span.Slice(at, Math.Min(WriteBytes, body.Length - at)));
            FlushResult flushed = await stream.Output.FlushAsync(cancel).ConfigureAwait(false);
            if (flushed.IsCompleted || body.Length == 0) break;
        }

        await stream.Output.CompleteAsync().ConfigureAwait(false);
        while (true)
        {
            ReadResult read = await stream.Input.ReadAsync(cancel).ConfigureAwait(false);
            (WireResult result, ResponseCode code, byte[]? answer) = Read(read.Buffer, maxResponseBytes);
            stream.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (result == WireResult.Complete) return (code, answer!);
            if (result == WireResult.Malformed) throw new IOException("the response is malformed or too long");
            if (read.IsCompleted || read.IsCanceled) throw new EndOfStreamException("the stream ended before the response did");
        }
    }

    private static (WireResult Result, ResponseCode Code, byte[]? Body) Read(in ReadOnlySequence<byte> source, int maxBytes)
    {
        Span<byte> head = stackalloc byte[RequestFraming.ResponseHeadBytes];
        int n = (int)Math.Min(source.Length, head.Length);
        source.Slice(0, n).CopyTo(head);
        WireResult result = RequestFraming.ReadResponseHead(head[..n], out ResponseCode code, out uint bytes);
        if (result != WireResult.Complete) return (result, code, null);
        if (bytes > maxBytes) return (WireResult.Malformed, code, null);
        return source.Length < RequestFraming.ResponseHeadBytes + bytes ? (WireResult.Incomplete, code, null) : (WireResult.Complete, code, source.Slice(RequestFraming.ResponseHeadBytes, bytes).ToArray());
    }
}
