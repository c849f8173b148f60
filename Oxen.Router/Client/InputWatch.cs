using System.IO.Pipelines;

namespace Oxen.Router.Client;

/// <summary>
/// Looks whether a connection breaks while something else is waited for. What comes meanwhile stays to be read, the end of the stream too.
/// One reader at a time: nobody else reads until <see cref="StopAsync"/> has returned.
/// </summary>
internal sealed class InputWatch : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly PipeReader _input;

    public InputWatch(PipeReader input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _input = input;
        Breaks = WatchAsync();
    }

    /// <summary>True: the connection broke. False: something came, or the watch was stopped.</summary>
    public Task<bool> Breaks { get; }

    /// <returns>Whether the connection had broken.</returns>
    public async Task<bool> StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        if (await Breaks.ConfigureAwait(false)) return true;

        // Where the first bytes and the end of the watch met, the reader has done its read and keeps the cancellation for the next
        // one, whose caller would take it for an abort and reset a connection that nothing is wrong with. Reading once takes it away.
        if (_input.TryRead(out ReadResult read)) _input.AdvanceTo(read.Buffer.Start);
        return false;
    }

    public void Dispose() => _stop.Dispose();

    private async Task<bool> WatchAsync()
    {
        try
        {
            ReadResult read = await _input.ReadAsync(_stop.Token).ConfigureAwait(false);
            _input.AdvanceTo(read.Buffer.Start);
            return false;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            return true;
        }
    }
}
