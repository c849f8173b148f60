using System.Net.Sockets;

namespace Oxen.Router.Client;

/// <summary>Takes connections from a listener until it is stopped.</summary>
internal static class AcceptLoop
{
    // What is wrong may stay wrong for a while: a loop must not turn as fast as it can.
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(20);

    /// <summary>Ends when `stop` is cancelled or the listener is gone.</summary>
    /// <param name="listener">It listens already; the caller's.</param>
    /// <param name="take">Owns the socket from then on, and comes back at once.</param>
    /// <param name="time">For the rest after an error.</param>
    /// <param name="stop">Ends it.</param>
    public static async Task RunAsync(Socket listener, Action<Socket> take, TimeProvider time, CancellationToken stop)
    {
        await Task.Yield();
        while (!stop.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await listener.AcceptAsync(stop).ConfigureAwait(false);
            }
            catch (SocketException) when (!stop.IsCancellationRequested)
            {
                await RestAsync(time, stop).ConfigureAwait(false); // gone before it was taken, or no descriptor is left
                continue;
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }

            take(socket);
        }
    }

    /// <summary>A moment after an error of a socket that is used on.</summary>
    public static async Task RestAsync(TimeProvider time, CancellationToken stop) => await Task.Delay(Rest, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
}
