using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Wire;
using Oxen.Router.Handlers;

namespace Oxen.Router.Exit;

/// <summary>Whose stream it is, as far as an exit knows.</summary>
/// <param name="Session">Whose budget it counts against.</param>
/// <param name="Admitted">It may connect to the outside; requests to this router itself need no admission.</param>
/// <param name="Token">The number of the token that the session showed; -1: none was needed.</param>
/// <param name="StreamsOfToken">Streams at a time of all who hold it.</param>
internal readonly record struct ExitGuest(long Session, bool Admitted = true, int Token = -1, int StreamsOfToken = int.MaxValue);

/// <summary>
/// The exit's end of a stream, in reading order: header, budget, resolve, policy, connect, reply, pump both ways.
/// The address that passed the policy is the address that is connected to; there is no second look-up in between.
/// A reset of the inbound stream is told by completing its pipes with an exception.
/// </summary>
internal sealed class ExitStreamHandler(ExitPolicy policy, IExitResolver resolver, TimeProvider time, ExitLimits limits, RequestStreamHandler? requests = null)
{
    private readonly ConcurrentDictionary<long, int> _perSession = new();
    private int _open;

    public int OpenStreams => Volatile.Read(ref _open);

    /// <summary>Serves one inbound stream to its end. Never throws for what strangers do.</summary>
    public async Task RunAsync(ExitGuest guest, IDuplexPipe stream, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Exception? failure = null;
        bool entered = false;
        try
        {
            (WireResult result, StreamKind kind, ProxyDestination target) = await StreamHeader.ReadAsync(stream.Input, limits.HeaderTime, time, cancel).ConfigureAwait(false);
            entered = TryEnter(guest);
            if (result == WireResult.Incomplete) failure = new IOException("the stream ended within its header");
            else if (result == WireResult.Malformed) await ReplyAsync(stream.Output, ProxyStatus.Malformed, default, cancel).ConfigureAwait(false);
            else if (!entered) await ReplyAsync(stream.Output, ProxyStatus.Limit, default, cancel).ConfigureAwait(false);
            else if (kind == StreamKind.Connect && !guest.Admitted) await ReplyAsync(stream.Output, ProxyStatus.NotAdmitted, default, cancel).ConfigureAwait(false);
            else if (kind == StreamKind.Connect) await ConnectAsync(stream, target, cancel).ConfigureAwait(false);
            else if (requests is null) await ReplyAsync(stream.Output, ProxyStatus.NotOffered, default, cancel).ConfigureAwait(false);
            else await requests.RunAsync(stream, RequestOrigin.Path, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException or SocketException)
        {
            failure = e;
        }
        finally
        {
            if (entered) Leave(guest);
            await EndAsync(stream, failure).ConfigureAwait(false);
        }
    }

    public Task RunAsync(IDuplexPipe stream, CancellationToken cancel) => RunAsync(new ExitGuest(0), stream, cancel);

    /// <summary>Serves one inbound stream whose header was read, to its end. Never throws for what strangers do.</summary>
    public async Task RunAsync(ExitGuest guest, IDuplexPipe stream, ProxyDestination target, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Exception? failure = null;
        bool entered = TryEnter(guest);
        try
        {
            if (entered) await ConnectAsync(stream, target, cancel).ConfigureAwait(false);
            else await ReplyAsync(stream.Output, ProxyStatus.Limit, default, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException or SocketException)
        {
            failure = e;
        }
        finally
        {
            if (entered) Leave(guest);
            await EndAsync(stream, failure).ConfigureAwait(false);
        }
    }

    private bool TryEnter(in ExitGuest guest)
    {
        int mine = Count(guest.Session, 1);
        int ofToken = guest.Token < 0 ? 0 : Count(KeyOf(guest.Token), 1);
        if (Interlocked.Increment(ref _open) <= limits.StreamsInAll && mine <= limits.StreamsPerSession && ofToken <= guest.StreamsOfToken) return true;
        Leave(guest);
        return false;
    }

    private void Leave(in ExitGuest guest)
    {
        Interlocked.Decrement(ref _open);
        Count(guest.Session, -1);
        if (guest.Token >= 0) Count(KeyOf(guest.Token), -1);
    }

    // Sessions are numbered from 1.
    private static long KeyOf(int token) => -1L - token;

    private int Count(long key, int more)
    {
        int now = _perSession.AddOrUpdate(key, static (_, n) => n, static (_, before, n) => before + n, more);
        if (now == 0) _perSession.TryRemove(new KeyValuePair<long, int>(key, 0));
        return now;
    }

    private async Task ConnectAsync(IDuplexPipe stream, ProxyDestination target, CancellationToken cancel)
    {
        (Socket? socket, ProxyStatus status) = await OpenAsync(target, cancel).ConfigureAwait(false);
        if (socket is null)
        {
            await ReplyAsync(stream.Output, status, default, cancel).ConfigureAwait(false);
            return;
        }

        using var outward = new SocketDuplex(socket);
        try
        {
            await ReplyAsync(stream.Output, ProxyStatus.Connected, ProxyDestination.FromEndPoint((IPEndPoint)socket.LocalEndPoint!), cancel).ConfigureAwait(false);
        }
        catch
        {
            outward.Abort();
            throw;
        }

        Exception? broke = await PipeBridge.RunAsync(stream, outward, _ => outward.Abort(), cancel).ConfigureAwait(false);
        if (broke is not null) throw new IOException("the proxied stream broke", broke);
    }

    private async ValueTask<(Socket? Socket, ProxyStatus Status)> OpenAsync(ProxyDestination target, CancellationToken cancel)
    {
        IPEndPoint[] candidates;
        if (target.IsName)
        {
            IPAddress[] found;
            using (var limit = new CancellationTokenSource(limits.ResolveTime, time))
            using (var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token))
            {
                try
                {
                    found = await resolver.ResolveAsync(target.Name, linked.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
                {
                    return (null, ProxyStatus.NameNotResolved);
                }
            }

            if (found.Length == 0) return (null, ProxyStatus.NameNotResolved);
            candidates = [.. Interleave(found).Take(limits.AddressesPerName).Select(a => new IPEndPoint(a, target.Port))];
        }
        else
        {
            candidates = [target.Address.ToIPEndPoint()];
        }

        IPEndPoint[] allowed = [.. candidates.Where(c => policy.Allows(UdpAddress.From(c), ExitProtocol.Tcp))];
        return allowed.Length == 0 ? (null, ProxyStatus.PolicyRefused) : await RaceAsync(allowed, cancel).ConfigureAwait(false);
    }

    /// <summary>The resolver's order, the two families taking turns (RFC 8305 section 4).</summary>
    internal static IEnumerable<IPAddress> Interleave(IPAddress[] addresses)
    {
        AddressFamily first = addresses[0].AddressFamily;
        IPAddress[] a = [.. addresses.Where(x => x.AddressFamily == first)];
        IPAddress[] b = [.. addresses.Where(x => x.AddressFamily != first)];
        for (int i = 0; i < Math.Max(a.Length, b.Length); i++)
        {
            if (i < a.Length) yield return a[i];
            if (i < b.Length) yield return b[i];
        }
    }

    /// <summary>Starts one attempt after the other with a small head start each; the first to stand wins.</summary>
    private async ValueTask<(Socket? Socket, ProxyStatus Status)> RaceAsync(IPEndPoint[] candidates, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(limits.ConnectTime, time);
        using var race = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        var running = new List<Task<(Socket? Socket, ProxyStatus Status)>>();
        var worst = ProxyStatus.TimedOut;
        Socket? winner = null;
        int next = 0;
        try
        {
            while (winner is null && (next < candidates.Length || running.Count > 0))
            {
                Task? stagger = null;
                if (next < candidates.Length)
                {
                    running.Add(AttemptAsync(candidates[next++], race.Token));
                    if (next < candidates.Length) stagger = Task.Delay(limits.ConnectStagger, time, race.Token);
                }

                Task finished = await Task.WhenAny(stagger is null ? running : running.Append(stagger)).ConfigureAwait(false);
                if (finished == stagger) continue;
                var attempt = (Task<(Socket? Socket, ProxyStatus Status)>)finished;
                running.Remove(attempt);
                (winner, ProxyStatus status) = await attempt.ConfigureAwait(false);
                if (winner is null) worst = status;
            }
        }
        finally
        {
            await race.CancelAsync().ConfigureAwait(false);
            foreach (Task<(Socket? Socket, ProxyStatus Status)> late in running) (await late.ConfigureAwait(false)).Socket?.Dispose();
        }

        cancel.ThrowIfCancellationRequested();
        return winner is null ? (null, worst) : (winner, ProxyStatus.Connected);
    }

    private static async Task<(Socket? Socket, ProxyStatus Status)> AttemptAsync(IPEndPoint to, CancellationToken cancel)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(to, cancel).ConfigureAwait(false);
            return (socket, ProxyStatus.Connected);
        }
        catch (OperationCanceledException)
        {
            socket?.Dispose();
            return (null, ProxyStatus.TimedOut);
        }
        catch (SocketException e)
        {
            socket?.Dispose();
            return (null, e.SocketErrorCode switch
            {
                SocketError.ConnectionRefused or SocketError.ConnectionReset => ProxyStatus.ConnectionRefused,
                SocketError.NetworkUnreachable or SocketError.NetworkDown or SocketError.AddressFamilyNotSupported or SocketError.AddressNotAvailable => ProxyStatus.NetworkUnreachable,
                SocketError.HostUnreachable or SocketError.HostDown or SocketError.HostNotFound => ProxyStatus.HostUnreachable,
                SocketError.TimedOut => ProxyStatus.TimedOut,
                SocketError.TooManyOpenSockets => ProxyStatus.Limit,
                _ => ProxyStatus.Failed,
            });
        }
    }

    private static async ValueTask ReplyAsync(PipeWriter output, ProxyStatus status, ProxyDestination bound, CancellationToken cancel)
    {
        output.Advance(ProxyWire.WriteReply(status, bound, output.GetSpan(ProxyWire.MaxHeaderBytes)));
        await output.FlushAsync(cancel).ConfigureAwait(false);
    }

    private static async ValueTask EndAsync(IDuplexPipe stream, Exception? failure)
    {
        try
        {
            await stream.Output.CompleteAsync(failure).ConfigureAwait(false);
            await stream.Input.CompleteAsync(failure).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
        {
            // Gone already.
        }
    }
}
