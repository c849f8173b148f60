using System.Buffers;
using System.IO.Pipelines;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>The first bytes of a stream inside a path (docs/protocol/proxy.md#stream-header), as the side reads them that serves it.</summary>
internal static class StreamHeader
{
    /// <summary>Takes the header and nothing behind it. Incomplete: the stream ended within it.</summary>
    /// <exception cref="OperationCanceledException">It was not whole in time.</exception>
    public static async ValueTask<(WireResult Result, StreamKind Kind, ProxyDestination Target)> ReadAsync(PipeReader input, TimeSpan patience, TimeProvider time, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(input);
        using var limit = new CancellationTokenSource(patience, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        while (true)
        {
            ReadResult read = await input.ReadAsync(linked.Token).ConfigureAwait(false);
            WireResult result = Parse(read.Buffer, out StreamKind kind, out ProxyDestination target, out int consumed);
            if (result == WireResult.Incomplete && !read.IsCompleted && !read.IsCanceled)
            {
                input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                continue;
            }

            input.AdvanceTo(read.Buffer.GetPosition(consumed));
            return (result, kind, target);
        }
    }

    private static WireResult Parse(in ReadOnlySequence<byte> buffer, out StreamKind kind, out ProxyDestination target, out int consumed)
    {
        Span<byte> head = stackalloc byte[ProxyWire.MaxHeaderBytes];
        int n = (int)Math.Min(head.Length, buffer.Length);
        buffer.Slice(0, n).CopyTo(head);
        return ProxyWire.ReadStreamHeader(head[..n], out kind, out target, out consumed);
    }
}
