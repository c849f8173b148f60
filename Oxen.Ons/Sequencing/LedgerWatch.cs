namespace Oxen.Ons.Sequencing;

/// <summary>Does a piece of work after changes of a ledger, one at a time: changes while it is at work count as one. Any thread.</summary>
internal sealed class LedgerWatch(LedgerHost host, Func<CancellationToken, Task> work) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _changed = new(0, 1);
    private Task _loop = Task.CompletedTask;

    /// <summary>Begins, with one look at once.</summary>
    public void Start()
    {
        host.Changed += Note;
        _loop = Task.Run(LoopAsync);
        Note();
    }

    public async ValueTask DisposeAsync()
    {
        host.Changed -= Note;
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stop.Dispose();
        _changed.Dispose();
    }

    private void Note()
    {
        try
        {
            if (_changed.CurrentCount == 0) _changed.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // Somebody was faster, or it is over.
        }
    }

    private async Task LoopAsync()
    {
        try
        {
            while (true)
            {
                await _changed.WaitAsync(_stop.Token).ConfigureAwait(false);
                await work(_stop.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The end.
        }
    }
}
