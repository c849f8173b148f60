using System.Threading.Channels;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Hosting;

/// <summary>
/// Streams, datagrams and IP packets to hidden services. Each pair of service and isolation key has a session of its own, over a rendezvous of its
/// own; one that nobody uses for some minutes is closed, what its service announced is kept.
/// </summary>
internal sealed class ServiceClients(RouterNodeOptions options, SessionLoop sessions, HiddenSessions hidden) : IServiceStreams, IServiceDatagrams, IServicePackets
{
    // Each that is connected holds a path to its rendezvous, and two more while it meets its service.
    private const int MaxConnected = 32;
    private const int MaxKnown = 256;
    private const int MaxWaiting = 512;
    private const int MaxAssociations = 256;
    private const int MaxTries = 3;
    private static readonly TimeSpan IdleAfter = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan OpenPatience = TimeSpan.FromSeconds(60);

    // Session thread only.
    private readonly Dictionary<HiddenClient, Reach> _reaches = [];
    private bool _directoryKnown;

    /// <summary>What is wanted of one service under one isolation key.</summary>
    private sealed class Reach
    {
        public List<StreamOpening> Waiting { get; } = [];

        public List<TaskCompletionSource> WaitingForReady { get; } = [];

        public Dictionary<ushort, Association> Associations { get; } = [];

        public ushort NextAssociation { get; set; }

        public PacketExchange? Packets { get; set; }

        public Instant LastUse { get; set; }
    }

    public SharedDropCounters Drops { get; } = new();

    // ---- any thread ----

    public async ValueTask<OnionStream> OpenAsync(ServiceAddress service, string host, ushort port, IsolationKey isolation, CancellationToken cancel)
    {
        if (!ProxyDestination.TryFromHost(host, port, out ProxyDestination target) || !target.IsName || port == 0) throw new ArgumentException("a service is asked for by a name and a port", nameof(host));
        RequireFullPackets();
        using var limit = new CancellationTokenSource(OpenPatience, options.Time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        for (int tries = 1; ; tries++)
        {
            OnionStream? stream = null;
            try
            {
                stream = await TakeAsync(service, isolation, linked.Token).ConfigureAwait(false);
                (WireResult result, ProxyStatus status, _) = await ProxyDoor.AskAsync(stream, target, linked.Token).ConfigureAwait(false);
                if (result == WireResult.Complete && status == ProxyStatus.Connected)
                {
                    OnionStream connected = stream;
                    stream = null;
                    return connected;
                }

                throw result == WireResult.Complete ? OnionRefusedException.OfService(status) : new OnionUnavailableException("the hidden service ended the stream without an answer");
            }
            catch (Exception e) when (e is IOException or InvalidOperationException)
            {
                // The session ended under the stream, as when its service was started anew: nothing of the user's was sent yet.
                if (tries == MaxTries) throw new OnionUnavailableException("the connection to the hidden service broke before it had answered", e);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                throw new OnionUnavailableException("the hidden service did not answer in time");
            }
            finally
            {
                if (stream is not null) await StreamOpening.AbandonAsync(stream).ConfigureAwait(false);
            }
        }
    }

    /// <summary>A stream to a service that is an exit, for the header and the answer of docs/protocol/proxy.md.</summary>
    /// <exception cref="OnionUnavailableException">The service is not reached; the message says why, in words for the user.</exception>
    public async ValueTask<OnionStream> OpenOutwardAsync(ServiceAddress exit, IsolationKey isolation, CancellationToken cancel)
    {
        RequireFullPackets();
        return await TakeAsync(exit, isolation, cancel).ConfigureAwait(false);
    }

    public ValueTask<IServiceAssociation> AssociateAsync(ServiceAddress service, IsolationKey isolation, CancellationToken cancel) => AssociateAsync(service, isolation, outward: false, cancel);

    /// <param name="outward">With the outside, by way of a service that is an exit: all has port <see cref="ServiceUdp.Outside"/>, and a destination before the datagram.</param>
    public async ValueTask<IServiceAssociation> AssociateAsync(ServiceAddress service, IsolationKey isolation, bool outward, CancellationToken cancel)
    {
        return await ReachAsync(service, isolation, (client, reach) =>
        {
            if (reach.Associations.Count >= MaxAssociations) throw new OnionUnavailableException("too many UDP associations with this hidden service are in use");
            while (reach.Associations.ContainsKey(++reach.NextAssociation))
            {
            }

            var made = new Association(this, client, reach.NextAssociation, outward);
            reach.Associations.Add(made.Number, made);
            return made;
        }, cancel).ConfigureAwait(false);
    }

    public async ValueTask<IPacketExchange> ExchangeAsync(ServiceAddress service, ServicePacketHandler handler, CancellationToken cancel)
    {
        PacketExchange exchange = await ReachAsync(service, default, (client, reach) => reach.Packets is null
            ? reach.Packets = new PacketExchange(this, client, handler)
            : throw new OnionUnavailableException("IP packets are exchanged with this hidden service already"), cancel).ConfigureAwait(false);
        if (exchange.Client.Content?.TakesPackets == true) return exchange;
        await exchange.DisposeAsync().ConfigureAwait(false);
        throw new OnionUnavailableException("the hidden service takes no IP packets");
    }

    /// <summary>Makes what holds on to a service, on the session thread, and waits until the service is reached.</summary>
    private async Task<T> ReachAsync<T>(ServiceAddress service, IsolationKey isolation, Func<HiddenClient, Reach, T> make, CancellationToken cancel)
        where T : IDisposable
    {
        RequireFullPackets();
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        T made = await sessions.InvokeAsync(now =>
        {
            Reach reach = ReachFor(service, isolation, now, out HiddenClient client);
            T it = make(client, reach);
            if (client.State == HiddenClientState.Ready) ready.SetResult();
            else reach.WaitingForReady.Add(ready);
            Open(client, now);
            return it;
        }).ConfigureAwait(false);
        try
        {
            await ready.Task.WaitAsync(OpenPatience, options.Time, cancel).ConfigureAwait(false);
            return made;
        }
        catch (Exception e)
        {
            made.Dispose();
            if (e is TimeoutException) throw new OnionUnavailableException("the hidden service did not answer in time", e);
            throw;
        }
    }

    /// <summary>Measures the way to a service of the shared group, meeting it first if need be.</summary>
    /// <exception cref="OnionUnavailableException">The service is not reached; the message says why, in words for the user.</exception>
    public async Task<PathMeasure> MeasureAsync(ServiceAddress service, CancellationToken cancel)
    {
        // An association keeps the session while it is measured.
        using IServiceAssociation holds = await AssociateAsync(service, default, cancel).ConfigureAwait(false);
        (HiddenClient client, HiddenPath? path) = await sessions.InvokeAsync(now =>
        {
            ReachFor(service, default, now, out HiddenClient found);
            return (found, found.Path);
        }).ConfigureAwait(false);
        if (path is null || client.Health is not { } health) throw new OnionUnavailableException("the hidden service is being met anew at this moment");
        return await PathProbe.RunAsync(
            sessions,
            options.Time,
            [.. path.Hops.Select(h => h.ToString())],
            path.Health,
            health,
            now =>
            {
                hidden.Paths.ProbeAllHops(path, now);
                client.ProbeEnd(now);
            },
            cancel).ConfigureAwait(false);
    }

    /// <summary>What a service announces, once it is reached; null: it ended meanwhile.</summary>
    /// <exception cref="OnionUnavailableException">It is not reached; the message says why.</exception>
    public async Task<IntrosetContent?> ReadContentAsync(ServiceAddress service, CancellationToken cancel)
    {
        using IServiceAssociation reached = await AssociateAsync(service, default, cancel).ConfigureAwait(false);
        return await sessions.InvokeAsync(_ => _reaches.Keys.FirstOrDefault(c => c.Address == service && c.Content is not null)?.Content).ConfigureAwait(false);
    }

    /// <summary>All services that are or were reached, for the operator's screen.</summary>
    public Task<IReadOnlyList<ServiceClientView>> ReadViewAsync(bool probeHops) => sessions.InvokeAsync<IReadOnlyList<ServiceClientView>>(now =>
    {
        var views = new List<ServiceClientView>();
        foreach ((HiddenClient client, Reach reach) in _reaches)
        {
            HiddenPath? path = client.Path;
            if (probeHops && path is not null) hidden.Paths.ProbeAllHops(path, now);
            views.Add(new ServiceClientView(
                client.Address, client.State, client.Moves, client.LastTrouble, client.LookedUpIn, client.MetIn, client.RoundTrip,
                path is null ? [] : [.. path.Hops.Select(h => h.ToString())], path is null ? [] : path.Health.HopRtt.ToArray(),
                sessions.StreamsOf(client.Quic), reach.Associations.Count, client.Quic?.Stats));
        }

        return views;
    });

    // ---- session thread ----

    /// <summary>Closes what nobody has used for a while.</summary>
    public void Tick(Instant now)
    {
        foreach ((HiddenClient client, Reach reach) in _reaches)
        {
            if (IsBusy(client, reach)) reach.LastUse = now;
            else if (client.State != HiddenClientState.Idle && now - reach.LastUse >= IdleAfter) client.Close(now);
        }
    }

    public void OnDirectoryChanged(Instant now)
    {
        _directoryKnown = true;
        foreach ((HiddenClient client, Reach reach) in _reaches.ToArray()) if (reach.Waiting.Count + reach.WaitingForReady.Count > 0) Open(client, now);
    }

    public void OnReady(HiddenClient client, Instant now)
    {
        if (!_reaches.TryGetValue(client, out Reach? reach) || client.State != HiddenClientState.Ready) return;
        StreamOpening.Serve(reach.Waiting, () => sessions.OpenStream(client.Quic!, now));
        foreach (TaskCompletionSource ready in reach.WaitingForReady) ready.TrySetResult();
        reach.WaitingForReady.Clear();
    }

    public void OnLost(HiddenClient client, string reason)
    {
        if (!_reaches.TryGetValue(client, out Reach? reach)) return;
        string before = client.LastTrouble.Length > 0 && client.LastTrouble != reason ? $" ({client.LastTrouble})" : "";
        var why = new OnionUnavailableException($"the hidden service is not reached: {reason}{before}");
        foreach (StreamOpening opening in reach.Waiting) opening.Fail(why);
        foreach (TaskCompletionSource ready in reach.WaitingForReady) ready.TrySetException(why);
        reach.Waiting.Clear();
        reach.WaitingForReady.Clear();
    }

    public void OnUdp(HiddenClient client, ReadOnlySpan<byte> record)
    {
        if (!ServiceUdp.TryRead(record, out ushort number, out ushort port, out ReadOnlySpan<byte> payload)) Drops.Count(DropReason.BadRecord);
        else if (_reaches.TryGetValue(client, out Reach? reach) && reach.Associations.TryGetValue(number, out Association? association)) association.Arrived(port, payload);
        else Drops.Count(DropReason.UnknownSession);
    }

    public void OnPacket(HiddenClient client, Span<byte> record)
    {
        if (_reaches.TryGetValue(client, out Reach? reach) && reach.Packets is { } exchange) exchange.Handler(record);
        else Drops.Count(DropReason.UnknownSession);
    }

    private void RequireFullPackets()
    {
        if (options.Client!.Class != SizeClass.Full) throw new OnionUnavailableException("hidden services need packets of the full size; this client is set to smaller ones");
    }

    private Task<OnionStream> TakeAsync(ServiceAddress service, IsolationKey isolation, CancellationToken cancel)
    {
        var opening = new StreamOpening(cancel);
        HiddenClient? client = null;
        sessions.Post(now =>
        {
            if (opening.IsOver) return;
            try
            {
                Reach reach = ReachFor(service, isolation, now, out client);
                if (reach.Waiting.Count >= MaxWaiting) throw new OnionUnavailableException("too many connections wait for this hidden service");
                reach.Waiting.Add(opening);
                OnReady(client, now);
                Open(client, now);
            }
            catch (OnionUnavailableException e)
            {
                opening.Fail(e);
            }
        });
        return opening.WaitAsync(
            OpenPatience,
            () => sessions.Post(_ =>
            {
                if (client is not null && _reaches.TryGetValue(client, out Reach? reach)) reach.Waiting.Remove(opening);
            }),
            () => new OnionUnavailableException("the hidden service did not answer in time"));
    }

    // Before the network is known nobody can be found: those who wait are served when it is.
    private void Open(HiddenClient client, Instant now)
    {
        if (_directoryKnown) client.Open(now);
    }

    private Reach ReachFor(ServiceAddress service, IsolationKey isolation, Instant now, out HiddenClient client)
    {
        client = hidden.ClientOf(service, new UInt128(isolation.High, isolation.Low), options.ServiceKeys.GetValueOrDefault(service));
        if (!_reaches.TryGetValue(client, out Reach? reach)) _reaches.Add(client, reach = new Reach());
        reach.LastUse = now;
        if (client.State == HiddenClientState.Idle) MakeRoom(client, now);
        return reach;
    }

    private void MakeRoom(HiddenClient wanted, Instant now)
    {
        int connected = 0;
        HiddenClient? oldest = null, forgotten = null;
        foreach ((HiddenClient client, Reach reach) in _reaches)
        {
            if (client.State != HiddenClientState.Idle) connected++;
            if (client == wanted || IsBusy(client, reach)) continue;
            if (client.State == HiddenClientState.Idle) forgotten = Older(forgotten, client);
            else oldest = Older(oldest, client);
        }

        if (connected >= MaxConnected)
        {
            if (oldest is null)
            {
                if (!IsBusy(wanted, _reaches[wanted])) Forget(wanted, now);
                throw new OnionUnavailableException($"{MaxConnected} hidden services are in use at the same time; try again when one of them is not");
            }

            oldest.Close(now);
        }

        if (_reaches.Count > MaxKnown && forgotten is not null) Forget(forgotten, now);
    }

    private HiddenClient Older(HiddenClient? one, HiddenClient other) => one is null || _reaches[other].LastUse < _reaches[one].LastUse ? other : one;

    private void Forget(HiddenClient client, Instant now)
    {
        _reaches.Remove(client);
        hidden.Forget(client, now);
    }

    private bool IsBusy(HiddenClient client, Reach reach) => reach.Waiting.Count + reach.WaitingForReady.Count + reach.Associations.Count + sessions.StreamsOf(client.Quic) > 0 || reach.Packets is not null;

    private sealed class Association : IServiceAssociation
    {
        private readonly ServiceClients _owner;
        private readonly HiddenClient _client;
        private readonly Channel<ServiceReply> _received;
        private readonly bool _outward;
        private int _disposed;

        public Association(ServiceClients owner, HiddenClient client, ushort number, bool outward)
        {
            _outward = outward;
            _owner = owner;
            _client = client;
            Number = number;
            _received = Channel.CreateBounded<ServiceReply>(
                new BoundedChannelOptions(256) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true, SingleWriter = true },
                _ => owner.Drops.Count(DropReason.SlowReader));
        }

        public ushort Number { get; }

        public ChannelReader<ServiceReply> Received => _received.Reader;

        public bool TrySend(ushort port, ReadOnlySpan<byte> payload)
        {
            if (payload.Length > ServiceUdp.MaxPayloadBytes)
            {
                _owner.Drops.Count(DropReason.TooLarge);
                return false;
            }

            Span<byte> record = stackalloc byte[JointSeal.MaxRecordBytes];
            if (_owner.Send(_client, RecordType.Udp, record[..ServiceUdp.Write(Number, port, payload, record)])) return true;
            _owner.Drops.Count(DropReason.OriginationQueueFull);
            return false;
        }

        public void Arrived(ushort port, ReadOnlySpan<byte> payload)
        {
            if (port == ServiceUdp.Outside == _outward) _received.Writer.TryWrite(new ServiceReply(port, payload.ToArray()));
            else _owner.Drops.Count(DropReason.BadRecord);
        }

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
            _received.Writer.TryComplete();
            _owner.Remove(this, _client);
        }
    }

    private sealed class PacketExchange(ServiceClients owner, HiddenClient client, ServicePacketHandler handler) : IPacketExchange, IDisposable
    {
        private int _disposed;

        public HiddenClient Client { get; } = client;

        public ServicePacketHandler Handler { get; } = handler;

        public bool TrySend(ReadOnlySpan<byte> packet)
        {
            if (packet.Length <= TunnelConstants.InnerMtu && owner.Send(Client, RecordType.Ip, packet)) return true;
            owner.Drops.Count(DropReason.OriginationQueueFull);
            return false;
        }

        public void Dispose() => _ = DisposeAsync().AsTask();

        public async ValueTask DisposeAsync()
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0) await owner.RemoveAsync(this).ConfigureAwait(false);
        }
    }

    private bool Send(HiddenClient client, RecordType type, ReadOnlySpan<byte> record) => sessions.TrySendHidden(client, type, record);

    private Task<bool> RemoveAsync(PacketExchange exchange) => sessions.InvokeAsync(_ =>
    {
        if (!_reaches.TryGetValue(exchange.Client, out Reach? reach) || reach.Packets != exchange) return false;
        reach.Packets = null;
        return true;
    });

    private void Remove(Association association, HiddenClient client) => sessions.Post(_ =>
    {
        if (_reaches.TryGetValue(client, out Reach? reach)) reach.Associations.Remove(association.Number);
    });
}

/// <param name="Moves">How often the session moved to another rendezvous.</param>
/// <param name="Trouble">Why the last attempt to meet the service failed; empty when none did.</param>
/// <param name="LookedUpIn">How long the search for its introset took; zero before one was found.</param>
/// <param name="MetIn">From the wish to go there until it was met; zero before.</param>
/// <param name="RoundTrip">To the service; zero where unknown.</param>
/// <param name="Hops">Of our path to the rendezvous, which is the last; empty without one.</param>
/// <param name="HopRtt">Last round trip to each of them; zero where unknown.</param>
internal sealed record ServiceClientView(
    ServiceAddress Address, HiddenClientState State, int Moves, string Trouble, TimeSpan LookedUpIn, TimeSpan MetIn, TimeSpan RoundTrip, IReadOnlyList<string> Hops, TimeSpan[] HopRtt, int Streams, int Associations, Core.Quic.QuicStats? Quic);
