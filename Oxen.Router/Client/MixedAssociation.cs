using System.Threading.Channels;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>
/// One program's UDP to anywhere: an association at an exit and one at each hidden service that it sends to, each made when its first
/// datagram is there. What is sent while one is being made waits, a little of it.
/// </summary>
internal sealed class MixedAssociation : IOnionAssociation
{
    private const int MaxServices = 32;
    private const int MaxWaiting = 16;
    private static readonly TimeSpan OpenPatience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly IOnionDatagrams _exits;
    private readonly ServiceReach _services;
    private readonly IsolationKey _isolation;
    private readonly TimeProvider _time;
    private readonly SharedDropCounters _drops;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Route> _routes = new(StringComparer.Ordinal); // "": the exit
    private readonly Channel<OnionDatagram> _received;
    private readonly CancellationTokenSource _ended = new();
    private readonly CancellationToken _end;
    private bool _disposed;

    public MixedAssociation(IOnionDatagrams exits, ServiceReach services, IsolationKey isolation, TimeProvider time, SharedDropCounters drops)
    {
        _exits = exits;
        _services = services;
        _isolation = isolation;
        _time = time;
        _drops = drops;
        _end = _ended.Token;
        _received = Channel.CreateBounded<OnionDatagram>(new BoundedChannelOptions(256) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true }, _ => drops.Count(DropReason.SlowReader));
    }

    private sealed class Route
    {
        public Func<ProxyDestination, ReadOnlyMemory<byte>, bool>? Send { get; set; }

        public Queue<(ProxyDestination To, byte[] Payload)> Waiting { get; } = new();

        /// <summary>Not open, and not being opened, before this time.</summary>
        public long FailedAt { get; set; }

        public bool Failed { get; set; }
    }

    public ChannelReader<OnionDatagram> Received => _received.Reader;

    public bool TrySend(in ProxyDestination to, ReadOnlySpan<byte> payload)
    {
        NameZone zone = to.IsName ? ServiceNames.ZoneOf(to.Name) : NameZone.Outside;
        string key = zone == NameZone.Outside ? "" : to.Name!;
        lock (_gate)
        {
            if (_disposed) return false;
            if (!_routes.TryGetValue(key, out Route? route))
            {
                if (zone == NameZone.Router || _routes.Count > MaxServices) return Drop(DropReason.NoPath);
                _routes.Add(key, route = new Route());
                _ = Task.Run(() => OpenAsync(key, route));
            }

            if (route.Failed)
            {
                if (_time.GetElapsedTime(route.FailedAt) < RetryAfter) return Drop(DropReason.NoPath);
                route.Failed = false;
                _ = Task.Run(() => OpenAsync(key, route));
            }

            if (route.Send is { } send) return send(to, payload.ToArray());
            if (route.Waiting.Count >= MaxWaiting || payload.Length > ProxyWire.MaxRecordBytes) return Drop(DropReason.OriginationQueueFull);
            route.Waiting.Enqueue((to, payload.ToArray()));
            return true;
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
        }

        _ended.Cancel();
        _ended.Dispose();
        _received.Writer.TryComplete();
    }

    private bool Drop(DropReason reason)
    {
        _drops.Count(reason);
        return false;
    }

    /// <summary>Makes one route, and carries what comes back until the end.</summary>
    private async Task OpenAsync(string key, Route route)
    {
        using var limit = new CancellationTokenSource(OpenPatience, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(_end, limit.Token);
        try
        {
            if (key.Length == 0)
            {
                using IOnionAssociation exit = await _exits.AssociateAsync(_isolation, linked.Token).ConfigureAwait(false);
                Ready(route, (to, payload) => exit.TrySend(to, payload.Span));
                await foreach (OnionDatagram datagram in exit.Received.ReadAllAsync(_end).ConfigureAwait(false)) _received.Writer.TryWrite(datagram);
            }
            else
            {
                (ServiceAddress address, _) = await ServiceNames.ResolveAsync(key, _services.Names, linked.Token).ConfigureAwait(false);
                using IServiceAssociation service = await _services.Datagrams.AssociateAsync(address, _isolation, linked.Token).ConfigureAwait(false);
                Ready(route, (to, payload) => service.TrySend(to.Port, payload.Span));
                await foreach (ServiceReply reply in service.Received.ReadAllAsync(_end).ConfigureAwait(false))
                    if (ProxyDestination.TryFromHost(key, reply.Port, out ProxyDestination from)) _received.Writer.TryWrite(new OnionDatagram(from, reply.Payload));
            }
        }
        catch (Exception e) when (e is OnionUnavailableException or OperationCanceledException)
        {
            // Told by the counter: UDP has no other words.
        }

        lock (_gate)
        {
            while (route.Waiting.TryDequeue(out _)) _drops.Count(DropReason.NoPath);
            route.Send = null;
            route.Failed = true;
            route.FailedAt = _time.GetTimestamp();
        }
    }

    private void Ready(Route route, Func<ProxyDestination, ReadOnlyMemory<byte>, bool> send)
    {
        lock (_gate)
        {
            route.Send = send;
            while (route.Waiting.TryDequeue(out (ProxyDestination To, byte[] Payload) waiting)) send(waiting.To, waiting.Payload);
        }
    }
}
