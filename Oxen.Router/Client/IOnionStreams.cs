using System.IO.Pipelines;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>What the TCP doors ask of the session layer: a fresh byte stream to the exit.</summary>
internal interface IOnionStreams
{
    /// <summary>Opens a stream through the path of this isolation group.</summary>
    /// <exception cref="OnionUnavailableException">There is no path; the message says why, in words for the user.</exception>
    ValueTask<OnionStream> OpenAsync(IsolationKey isolation, CancellationToken cancel);

    /// <summary>The same, to an exit that the user wants for this destination.</summary>
    /// <exception cref="OnionUnavailableException">There is no path; the message says why, in words for the user.</exception>
    ValueTask<OnionStream> OpenForAsync(IsolationKey isolation, ProxyDestination destination, CancellationToken cancel) => OpenAsync(isolation, cancel);

    /// <summary>What the exit answered on such a stream, so that an exit that is of no use is left. Before the stream is closed.</summary>
    /// <param name="status">`TimedOut` also when it did not answer in time, `Failed` when it ended the stream without an answer.</param>
    /// <param name="took">From the question to the answer.</param>
    void OnAnswered(OnionStream stream, ProxyDestination destination, ProxyStatus status, TimeSpan took)
    {
    }
}

/// <summary>
/// One byte stream to the exit. Completing `Transport.Output` finishes our sending side; the far side's end shows as the
/// end of `Transport.Input`, its reset as an exception from there. Dispose ends both.
/// </summary>
internal abstract class OnionStream : IAsyncDisposable
{
    public abstract IDuplexPipe Transport { get; }

    /// <summary>Cancelled, on the thread pool, when nothing more comes in: the far side's end or reset, or the end of the stream. Nobody has to read for it.</summary>
    public virtual CancellationToken InputEnded => CancellationToken.None;

    /// <summary>Its far end is a hidden service: one that stops takes its sessions with it, and another one may stand in for it.</summary>
    public virtual bool IsOfService => false;

    /// <summary>Ends both directions at once and tells the far side. May be called at any time, from any thread, more than once.</summary>
    public abstract void Abort(Exception? reason = null);

    public abstract ValueTask DisposeAsync();
}

/// <summary>No path can carry this now. The message is for the user: what is missing and what would help.</summary>
internal sealed class OnionUnavailableException : Exception
{
    public OnionUnavailableException(string message)
        : base(message)
    {
    }

    public OnionUnavailableException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
