using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Client;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Dns;

/// <summary>A byte stream to a resolver.</summary>
internal abstract class DnsStream : IAsyncDisposable
{
    public abstract IDuplexPipe Transport { get; }

    /// <summary>Ends both directions at once; more than once does no harm.</summary>
    public abstract void Abort();

    public abstract ValueTask DisposeAsync();
}

/// <summary>Opens streams to resolvers: through the exit, or on this machine's own network.</summary>
internal interface IDnsDialer
{
    /// <exception cref="IOException">There is none; the message says why, without the address.</exception>
    ValueTask<DnsStream> ConnectAsync(IPEndPoint server, CancellationToken cancel);
}

/// <summary>Through the path and the exit: the resolver sees the exit, and the machine's network sees nothing.</summary>
internal sealed class OnionDialer(IOnionStreams streams, IsolationKey isolation, TimeSpan connectTime, TimeProvider time) : IDnsDialer
{
    public async ValueTask<DnsStream> ConnectAsync(IPEndPoint server, CancellationToken cancel)
    {
        ProxyConnection through = await ProxyDoor.ConnectAsync(streams, isolation, ProxyDestination.FromEndPoint(server), connectTime, time, cancel).ConfigureAwait(false);
        if (through.Stream is { } stream) return new Through(stream);
        throw new IOException(through.Unavailable ?? $"the exit could not reach the resolver ({through.Status})");
    }

    private sealed class Through(OnionStream stream) : DnsStream
    {
        public override IDuplexPipe Transport => stream.Transport;

        public override void Abort() => stream.Abort();

        public override ValueTask DisposeAsync() => stream.DisposeAsync();
    }
}

/// <summary>Straight from this machine.</summary>
internal sealed class TcpDialer(TimeSpan connectTime, TimeProvider time) : IDnsDialer
{
    public async ValueTask<DnsStream> ConnectAsync(IPEndPoint server, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(server);
        var socket = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var limit = new CancellationTokenSource(connectTime, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            await socket.ConnectAsync(server, linked.Token).ConfigureAwait(false);
            return new Direct(new SocketDuplex(socket));
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            socket.Dispose();
            throw new IOException("the resolver did not accept a connection in time");
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"the resolver accepts no connection ({e.SocketErrorCode})", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private sealed class Direct(SocketDuplex socket) : DnsStream
    {
        public override IDuplexPipe Transport => socket;

        public override void Abort() => socket.Abort();

        public override ValueTask DisposeAsync()
        {
            socket.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
