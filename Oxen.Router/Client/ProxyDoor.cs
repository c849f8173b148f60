using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>What both doors share in configuration.</summary>
internal sealed record ProxyDoorOptions
{
    /// <summary>Name of the listener: part of every isolation key.</summary>
    public required string Listener { get; init; }

    /// <summary>If any are configured, nobody else may pass. Without, every user name and password is accepted and only isolates.</summary>
    public IReadOnlyDictionary<string, string> Users { get; init; } = new Dictionary<string, string>();

    /// <summary>From the first byte to the end of the request.</summary>
    public TimeSpan HandshakeTime { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Opening the stream and the exit's answer. Longer than the exit's own limits, so that its reason arrives.</summary>
    public TimeSpan ConnectTime { get; init; } = TimeSpan.FromSeconds(25);

    public bool Accepts(ReadOnlySpan<byte> user, ReadOnlySpan<byte> password)
    {
        if (Users.Count == 0) return true;
        Span<byte> given = stackalloc byte[32];
        Span<byte> wanted = stackalloc byte[32];
        bool known = Users.TryGetValue(System.Text.Encoding.UTF8.GetString(user), out string? secret);
        SHA256.HashData(password, given);
        SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(secret ?? ""), wanted);
        return CryptographicOperations.FixedTimeEquals(given, wanted) & known;
    }
}

/// <summary>A connection through the onion network, or the reason why there is none.</summary>
/// <param name="Unavailable">Why the onion network does not carry it, in words.</param>
/// <param name="Refusal">A hidden service's refusal, in words.</param>
internal readonly record struct ProxyConnection(OnionStream? Stream, ProxyStatus Status, ProxyDestination Bound, string? Unavailable, string? Refusal = null);

/// <summary>The part of SOCKS5 and HTTP that is the same: open a stream, ask the exit to connect, join the two.</summary>
internal static class ProxyDoor
{
    /// <summary>
    /// Opens a stream to `target`: a name in `.loki` to the hidden service itself, everything else by way of an exit. On anything but
    /// `Connected` the stream is already closed.
    /// </summary>
    /// <param name="services">Null: this door reaches no hidden services, and says so; their names go to no exit either.</param>
    public static ValueTask<ProxyConnection> ConnectAsync(
        IOnionStreams streams, ServiceReach? services, IsolationKey isolation, ProxyDestination target, TimeSpan timeLimit, TimeProvider time, CancellationToken cancel)
    {
        if (!target.IsName || ServiceNames.ZoneOf(target.Name) == NameZone.Outside) return ConnectOutsideAsync(streams, isolation, target, timeLimit, time, cancel);
        if (services is not null) return services.ConnectAsync(target, isolation, time, cancel);
        return new(new ProxyConnection(null, ProxyStatus.HostUnreachable, default, "hidden services are not reached from here"));
    }

    /// <summary>Opens a stream to `target` by way of an exit.</summary>
    public static ValueTask<ProxyConnection> ConnectAsync(IOnionStreams streams, IsolationKey isolation, ProxyDestination target, TimeSpan timeLimit, TimeProvider time, CancellationToken cancel) =>
        ConnectAsync(streams, null, isolation, target, timeLimit, time, cancel);

    private const int MaxTries = 2;

    private static async ValueTask<ProxyConnection> ConnectOutsideAsync(
        IOnionStreams streams, IsolationKey isolation, ProxyDestination target, TimeSpan timeLimit, TimeProvider time, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(timeLimit, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        for (int tries = 1; ; tries++)
        {
            OnionStream? stream = null;
            long asked = 0;
            try
            {
                stream = await streams.OpenForAsync(isolation, target, linked.Token).ConfigureAwait(false);
                asked = time.GetTimestamp();
                (WireResult result, ProxyStatus status, ProxyDestination bound) = await AskAsync(stream, target, linked.Token).ConfigureAwait(false);
                streams.OnAnswered(stream, target, result == WireResult.Complete ? status : ProxyStatus.Failed, time.GetElapsedTime(asked));
                if (result == WireResult.Complete && status == ProxyStatus.Connected)
                {
                    OnionStream connected = stream;
                    stream = null;
                    return new ProxyConnection(connected, status, bound, null);
                }

                return result == WireResult.Complete
                    ? new ProxyConnection(null, status, default, null)
                    : new ProxyConnection(null, ProxyStatus.Failed, default, "The exit ended the stream without an answer. Try again; another exit may do better.");
            }
            catch (OnionUnavailableException e)
            {
                return new ProxyConnection(null, ProxyStatus.NetworkUnreachable, default, e.Message);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                if (stream is not null) streams.OnAnswered(stream, target, ProxyStatus.TimedOut, time.GetElapsedTime(asked));
                return new ProxyConnection(null, ProxyStatus.TimedOut, default, null);
            }
            catch (Exception e) when (e is IOException or InvalidOperationException)
            {
                // An exit that is a hidden service just went: nothing of the program's was sent yet, and the next one is there.
                if (tries < MaxTries && stream is { IsOfService: true }) continue;
                return new ProxyConnection(null, ProxyStatus.Failed, default, "The stream through the path broke before the exit had answered. Try again.");
            }
            finally
            {
                if (stream is not null)
                {
                    stream.Abort();
                    await stream.DisposeAsync().ConfigureAwait(false);
                }
            }
        }
    }

    /// <summary>Sends the header of a stream inside a path and reads the answer, and nothing behind it. Incomplete: the stream ended before.</summary>
    public static async ValueTask<(WireResult Result, ProxyStatus Status, ProxyDestination Bound)> AskAsync(OnionStream stream, ProxyDestination target, CancellationToken cancel)
    {
        PipeWriter output = stream.Transport.Output;
        output.Advance(ProxyWire.WriteConnectHeader(target, output.GetSpan(ProxyWire.MaxHeaderBytes)));
        await output.FlushAsync(cancel).ConfigureAwait(false);
        return await ReadReplyAsync(stream.Transport.Input, cancel).ConfigureAwait(false);
    }

    /// <summary>
    /// The two pipes of an accepted connection, with a half-close that works. Kestrel's socket transport shuts both ways
    /// when its output completes, so where there is a socket we write to it ourselves; reading stays with Kestrel.
    /// Must be asked before anything was written to the connection.
    /// </summary>
    public static IDuplexPipe Transport(ConnectionContext connection)
    {
        Socket? socket = connection.Features.Get<IConnectionSocketFeature>()?.Socket;
        return socket is null ? connection.Transport : new Joined(connection.Transport.Input, SocketDuplex.CreateOutput(socket));
    }

    public static async Task JoinAsync(ConnectionContext connection, IDuplexPipe client, OnionStream stream, CancellationToken cancel)
    {
        await PipeBridge.RunAsync(
            client,
            stream.Transport,
            failure =>
            {
                stream.Abort(failure);
                connection.Abort(new ConnectionAbortedException("the proxied stream broke", failure));
            },
            cancel).ConfigureAwait(false);
    }

    private static async ValueTask<(WireResult Result, ProxyStatus Status, ProxyDestination Bound)> ReadReplyAsync(PipeReader input, CancellationToken cancel)
    {
        while (true)
        {
            ReadResult read = await input.ReadAsync(cancel).ConfigureAwait(false);
            WireResult result = Parse(read.Buffer, out ProxyStatus status, out ProxyDestination bound, out int consumed);
            if (result == WireResult.Incomplete && !read.IsCompleted && !read.IsCanceled)
            {
                input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                continue;
            }

            input.AdvanceTo(read.Buffer.GetPosition(consumed));
            return (result, status, bound);
        }
    }

    private static WireResult Parse(in ReadOnlySequence<byte> buffer, out ProxyStatus status, out ProxyDestination bound, out int consumed)
    {
        Span<byte> head = stackalloc byte[ProxyWire.MaxHeaderBytes];
        int n = (int)Math.Min(head.Length, buffer.Length);
        buffer.Slice(0, n).CopyTo(head);
        return ProxyWire.ReadReply(head[..n], out status, out bound, out consumed);
    }

    private sealed class Joined(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }
}
