using System.Buffers;
using System.IO.Pipelines;

namespace Oxen.Router.Client;

/// <summary>
/// Joins two byte streams. Each direction ends on its own: the end of one input completes the other's output, and the
/// opposite direction goes on. An error in either ends both. No buffer of its own: a slow reader stops the far writer.
/// </summary>
internal static class PipeBridge
{
    /// <summary>Runs until both directions have ended. Returns what broke, or null after two clean ends. Never throws for the streams' own errors.</summary>
    /// <param name="abort">Called once, at the first error, with its cause: ends both sides at once.</param>
    public static async Task<Exception?> RunAsync(IDuplexPipe a, IDuplexPipe b, Action<Exception> abort, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        ArgumentNullException.ThrowIfNull(abort);
        using var broken = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Exception? failure = null;

        async Task Direction(PipeReader from, PipeWriter to)
        {
            try
            {
                await PumpAsync(from, to, broken.Token).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                if (Interlocked.CompareExchange(ref failure, e, null) is null)
                {
                    abort(e);
                    await broken.CancelAsync().ConfigureAwait(false);
                }
            }
        }

        await Task.WhenAll(Direction(a.Input, b.Output), Direction(b.Input, a.Output)).ConfigureAwait(false);
        if (failure is not null)
        {
            await EndAsync(a, failure).ConfigureAwait(false);
            await EndAsync(b, failure).ConfigureAwait(false);
        }

        return failure;
    }

    /// <summary>Copies until `from` ends, then completes `to`. If `to` is read no longer, tells `from` so and stops.</summary>
    public static async Task PumpAsync(PipeReader from, PipeWriter to, CancellationToken cancel)
    {
        while (true)
        {
            ReadResult read = await from.ReadAsync(cancel).ConfigureAwait(false);
            if (read.IsCanceled) throw new OperationCanceledException();
            ReadOnlySequence<byte> buffer = read.Buffer;
            bool readerGone = false;
            if (!buffer.IsEmpty)
            {
                foreach (ReadOnlyMemory<byte> part in buffer) to.Write(part.Span);
                FlushResult flushed = await to.FlushAsync(cancel).ConfigureAwait(false);
                if (flushed.IsCanceled) throw new OperationCanceledException();
                readerGone = flushed.IsCompleted;
            }

            from.AdvanceTo(buffer.End);
            if (read.IsCompleted || readerGone) break;
        }

        await to.CompleteAsync().ConfigureAwait(false);
        await from.CompleteAsync().ConfigureAwait(false);
    }

    private static async ValueTask EndAsync(IDuplexPipe pipe, Exception failure)
    {
        try
        {
            await pipe.Output.CompleteAsync(failure).ConfigureAwait(false);
            await pipe.Input.CompleteAsync(failure).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
        {
            // It is already gone, which is what was wanted.
        }
    }
}
