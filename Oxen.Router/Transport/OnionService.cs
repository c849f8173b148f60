using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Wire;
using Oxen.Router.Hosting;

namespace Oxen.Router.Transport;

/// <summary>One hosted service and the listeners of its ports: gives each stream to the listener of its port, and refuses the rest.</summary>
internal sealed class OnionService : IAsyncDisposable
{
    public const byte Tcp = 6; // IANA's number of the protocol

    private readonly IHostedService _hosted;
    private readonly Action<OnionService> _onEnd;
    private readonly Lock _lock = new();
    private readonly Dictionary<int, OnionListener> _ports = [];
    private readonly CancellationTokenSource _end = new();
    private readonly Task _dispatching;
    private readonly Task _announcing;
    private bool _ended;

    public OnionService(IHostedService hosted, Action<OnionService> onEnd, ILogger log)
    {
        _hosted = hosted;
        _onEnd = onEnd;
        _dispatching = Task.Run(DispatchAsync, CancellationToken.None);
        _announcing = Task.Run(() => AnnounceAsync(log), CancellationToken.None);
    }

    public ServiceAddress Address => _hosted.Address;

    /// <summary>False: the port has a listener, which is given; or, without one, the service has ended.</summary>
    public bool TryListen(OnionEndPoint bound, out OnionListener? listener)
    {
        lock (_lock)
        {
            listener = null;
            if (_ended) return false;
            if (_ports.TryGetValue(bound.Port, out listener)) return false;
            _ports.Add(bound.Port, listener = new OnionListener(this, bound));
            return true;
        }
    }

    public async ValueTask RemoveAsync(OnionListener listener)
    {
        lock (_lock)
        {
            _ports.Remove(listener.Port);
            if (_ports.Count > 0 || _ended) return;
            _ended = true;
        }

        _onEnd(this);
        await DisposeAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        await _announcing.ConfigureAwait(false);
        await _hosted.DisposeAsync().ConfigureAwait(false);
        await _dispatching.ConfigureAwait(false);
        _end.Dispose();
    }

    private async Task AnnounceAsync(ILogger log)
    {
        try
        {
            await _hosted.WaitPublishedAsync(_end.Token).ConfigureAwait(false);
            RouterLog.ServiceFound(log);
        }
        catch (Exception e) when (e is OperationCanceledException or OnionUnavailableException)
        {
            // It ended before anybody could find it.
        }
    }

    private async Task DispatchAsync()
    {
        await foreach (ServiceStream stream in _hosted.Streams.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
        {
            OnionListener? listener;
            lock (_lock) _ports.TryGetValue(stream.Port, out listener);
            ProxyStatus refusal = listener is null ? ProxyStatus.PolicyRefused : listener.Offer(stream);
            if (refusal != ProxyStatus.Connected) await stream.RefuseAsync(refusal).ConfigureAwait(false);
        }
    }
}

/// <summary>One port of a service. A client is told that it is connected when the server takes it.</summary>
internal sealed class OnionListener(OnionService service, OnionEndPoint bound) : IConnectionListener
{
    // What a server has not accepted yet, as a backlog of sockets.
    private const int Backlog = 512;

    private readonly Channel<ServiceStream> _arrived = Channel.CreateBounded<ServiceStream>(new BoundedChannelOptions(Backlog) { SingleWriter = true, FullMode = BoundedChannelFullMode.Wait });
    private volatile bool _unbound;
    private int _disposed;

    public System.Net.EndPoint EndPoint => bound;

    public int Port => bound.Port;

    /// <summary>`Connected`: taken. Else why not.</summary>
    public ProxyStatus Offer(ServiceStream stream) =>
        _arrived.Writer.TryWrite(stream) ? ProxyStatus.Connected
        : _unbound ? ProxyStatus.ConnectionRefused
        : ProxyStatus.Limit;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _arrived.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (_arrived.Reader.TryRead(out ServiceStream? stream))
            {
                if (_unbound)
                {
                    await stream.RefuseAsync(ProxyStatus.ConnectionRefused, cancellationToken).ConfigureAwait(false);
                    continue;
                }

                try
                {
                    await stream.AcceptAsync(cancellationToken).ConfigureAwait(false);
                    return new OnionConnection(stream, bound);
                }
                catch (Exception e) when (e is IOException or InvalidOperationException)
                {
                    await stream.DisposeAsync().ConfigureAwait(false); // the client has gone
                }
            }
        }

        return null;
    }

    /// <summary>Takes nobody new. Who is connected stays so until the listener is disposed.</summary>
    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _unbound = true;
        _arrived.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await UnbindAsync().ConfigureAwait(false);
        while (_arrived.Reader.TryRead(out ServiceStream? stream)) await stream.RefuseAsync(ProxyStatus.ConnectionRefused).ConfigureAwait(false);
        await service.RemoveAsync(this).ConfigureAwait(false);
    }
}
