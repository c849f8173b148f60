using Oxen.Router.Client;

namespace Oxen.Router.Hosting;

/// <summary>Somebody who waits for a stream inside a path. The session thread gives it one, or says why there is none.</summary>
internal sealed class StreamOpening(CancellationToken cancel)
{
    private readonly TaskCompletionSource<OnionStream> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Nobody waits any more.</summary>
    public bool IsOver => cancel.IsCancellationRequested || _completion.Task.IsCompleted;

    public void Give(OnionStream stream)
    {
        if (!_completion.TrySetResult(stream)) _ = AbandonAsync(stream);
    }

    public void Fail(Exception reason) => _completion.TrySetException(reason);

    /// <summary>Serves those who wait, in their order, as long as streams can be opened.</summary>
    public static void Serve(List<StreamOpening> waiting, Func<OnionStream?> open)
    {
        while (waiting.Count > 0)
        {
            if (waiting[0].IsOver)
            {
                waiting.RemoveAt(0);
                continue;
            }

            if (open() is not { } stream) return;
            StreamOpening first = waiting[0];
            waiting.RemoveAt(0);
            first.Give(stream);
        }
    }

    /// <param name="stopWaiting">Called when nobody waits any more: openings without a path would pile up.</param>
    /// <param name="late">What to say when the time is over.</param>
    public async Task<OnionStream> WaitAsync(TimeSpan patience, Action stopWaiting, Func<Exception> late)
    {
        try
        {
            return await _completion.Task.WaitAsync(patience, cancel).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Whoever is late finds the completion taken.
            if (_completion.TrySetCanceled(CancellationToken.None))
            {
                stopWaiting();
                throw late();
            }

            return await _completion.Task.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (_completion.TrySetCanceled(cancel)) stopWaiting();
            else if (_completion.Task.IsCompletedSuccessfully) await AbandonAsync(_completion.Task.Result).ConfigureAwait(false);
            throw;
        }
    }

    public static async Task AbandonAsync(OnionStream stream)
    {
        stream.Abort();
        await stream.DisposeAsync().ConfigureAwait(false);
    }
}
