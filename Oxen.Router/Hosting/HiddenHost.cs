using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Hosting;

// Hidden services of a client's router. The machines of Core/Hidden run on the session thread; here they are joined with the control
// thread, which builds their paths, with the bridges of streams, and with whoever uses them on the thread pool:
//
//   HiddenHost       what the machines say, and the life of it
//   ServiceClients   streams, datagrams and IP packets to others' services
//   HostedService    one service of ours                             IHostedService
//
// Everything with `now` runs on the session thread.

/// <summary>A client's hidden services, and all that it reaches of others.</summary>
#pragma warning disable CA1001 // the session loop, on whose thread it runs, disposes of it
internal sealed class HiddenHost : IHiddenEvents, IServiceHosting
#pragma warning restore CA1001
{
    private readonly RouterNodeOptions _options;
    private readonly SessionLoop _sessions;
    private readonly ControlLoop _control;
    private readonly HiddenSessions _hidden;
    private readonly List<HostedService> _services = [];

    public HiddenHost(RouterNodeOptions options, NetworkClock clock, SessionLoop sessions, ControlLoop control)
    {
        _options = options;
        _sessions = sessions;
        _control = control;
        IEntropy entropy = options.Entropy();
        _hidden = new HiddenSessions(new HiddenContext
        {
            Paths = new HiddenPaths(sessions.Outlets, this, entropy, sessions.Drops),
            Requests = new RelayRequests(sessions.Client!, this),
            Directory = NodeDirectory.Empty,
            Clock = clock,
            Randomness = ServicePeriod.OfNetwork(options.NetworkId.Span),
            Transport = HiddenSessions.TransportOf(RouterNode.PathTransport),
            Events = this,
            Entropy = entropy,
            Drops = sessions.Drops,
        });
        Clients = new ServiceClients(options, sessions, _hidden);
        sessions.Hidden = _hidden;
        sessions.ServiceStreamOpened = OnStreamOpened;
        sessions.Tick = Clients.Tick;
        control.DirectoryChanged = directory =>
        {
            // The control thread's own changes under its hands; ours is a copy that does not.
            NodeDirectory copy = directory.Snapshot();
            sessions.Post(now => OnDirectoryChanged(copy, now));
        };
    }

    public ServiceClients Clients { get; }

    public SharedDropCounters Drops { get; } = new();

    // ---- any thread ----

    public Task<IHostedService> HostAsync(HiddenServiceOptions options, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (_options.Client!.Class != SizeClass.Full) throw new ArgumentException("hidden services need packets of the full size", nameof(options));
        return _sessions.InvokeAsync<IHostedService>(now =>
        {
            using (var key = new ServiceKey(options.Seed))
            {
                if (_hidden.Services.Any(s => s.Address == key.Address)) throw new ArgumentException("this service is hosted here already", nameof(options));
            }

            var service = new HostedService(this, _sessions, _hidden.Host(options, now), _options.Time, Drops);
            _services.Add(service);
            return service;
        }).WaitAsync(cancel);
    }

    /// <summary>Ends everything, and tells those at the other ends as far as that goes.</summary>
    public Task StopAsync() => _sessions.InvokeAsync(now =>
    {
        foreach (HostedService service in _services.ToArray()) Stop(service, now);
        foreach (HiddenClient client in _hidden.Clients.ToArray()) client.Close(now);
        return true;
    });

    // ---- session thread ----

    public void Stop(HostedService service, Instant now)
    {
        if (!_services.Remove(service)) return;
        service.End();
        _hidden.Stop(service.Machine, now);
    }

    private void OnDirectoryChanged(NodeDirectory directory, Instant now)
    {
        _hidden.OnDirectoryChanged(directory, now);
        Clients.OnDirectoryChanged(now);
    }

    private void OnStreamOpened(HiddenServiceSession session, StreamBridge bridge, Instant now)
    {
        if (_services.Find(s => s.Machine == session.Service) is { } service) service.OnStream(session, bridge);
        else bridge.Abort();
    }

    // ---- the machines say, on the session thread ----

    void IHiddenPathEvents.WantPath(int group, RouterId terminal, bool once, Instant now) => _control.Post(t => _control.Core.Client!.WantPath(group, terminal, PathPurpose.Hidden, once, t));

    void IHiddenPathEvents.DropPath(int group, Instant now) => _control.Post(_ => _control.Core.Client!.Drop(group));

    void IHiddenPathEvents.OnPathFailed(PathRef path, string reason, int suspect, Instant now) => _control.Post(t => _control.Core.Client!.OnPathFailed(path, suspect, t));

    void IRelayRequestEvents.WantSession(int group, RouterId relay, Instant now) => _control.Post(t => _control.Core.Client!.WantPath(group, relay, PathPurpose.Session, once: true, t));

    void IRelayRequestEvents.DropSession(int group, Instant now) => _control.Post(_ => _control.Core.Client!.Drop(group));

    void IHiddenEvents.OnHiddenQuic(in QuicEvent happened, Instant now)
    {
        if (happened.Kind == QuicEventKind.StreamsAvailable && happened.Connection.Tag is HiddenClient client) Clients.OnReady(client, now);
        else _sessions.HandleQuic(happened, now);
    }

    void IHiddenEvents.OnHiddenUdp(HiddenClient client, ReadOnlySpan<byte> record, Instant now) => Clients.OnUdp(client, record);

    void IHiddenEvents.OnServiceUdp(HiddenServiceSession session, ReadOnlySpan<byte> record, Instant now) => _services.Find(s => s.Machine == session.Service)?.OnUdp(session, record);

    void IHiddenEvents.OnHiddenPacket(HiddenClient client, Span<byte> record, Instant now) => Clients.OnPacket(client, record);

    void IHiddenEvents.OnServicePacket(HiddenServiceSession session, Span<byte> record, Instant now) => _services.Find(s => s.Machine == session.Service)?.OnPacket(session, record);

    void IHiddenEvents.OnServiceSessionEnded(HiddenServiceSession session) => _services.Find(s => s.Machine == session.Service)?.OnSessionEnded(session);

    void IHiddenEvents.OnHiddenClientReady(HiddenClient client, Instant now) => Clients.OnReady(client, now);

    void IHiddenEvents.OnHiddenClientLost(HiddenClient client, string reason, Instant now) => Clients.OnLost(client, reason);

    void IHiddenEvents.OnServicePublished(HiddenService service, Instant now) => _services.Find(s => s.Machine == service)?.OnPublished();
}
