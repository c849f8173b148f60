using System.Collections.Concurrent;
using System.Threading.Channels;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Hosting;

/// <summary>
/// What the proxy doors see of a client: streams and UDP associations by isolation key. Each key has a group of its own, with
/// its own paths and session; the shared group is made ready at the start.
/// </summary>
internal sealed partial class ClientService : IRelayStreams, IOnionDatagrams
{
    private const int SharedGroup = 0;

    // Of its own: an exit that sees both a program's proxied streams and the tunnel is not told that they are one person's.
    public const int TunnelGroup = 1;
    private const int MaxGroups = 32;
    private static readonly TimeSpan GroupIdle = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan PathHeard = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan OpenPatience = TimeSpan.FromSeconds(15);

    private readonly RouterNode _node;
    private readonly SessionLoop _sessions;
    private readonly ControlLoop _control;
    private readonly ExitMap _exits;

    // All on the session thread.
    private readonly Dictionary<GroupKey, int> _groups = [];
    private readonly Dictionary<int, Instant> _lastUse = [];
    private readonly Dictionary<int, List<StreamOpening>> _waiting = [];
    private readonly Dictionary<int, TaskCompletionSource> _readySignals = [];
    private readonly Dictionary<(int Group, ushort Association), Association> _associations = [];
    private readonly ExitJudge<RouterId> _judge = new();
    private readonly bool _anyExit;
    private int _nextGroup = TunnelGroup;
    private ushort _nextAssociation;

    /// <summary>Whose streams, and by which of the user's exits.</summary>
    private readonly record struct GroupKey(IsolationKey Isolation, int Route);

    /// <param name="anyExit">Where no exits are named any may be taken: the path options name none either.</param>
    public ClientService(RouterNode node, SessionLoop sessions, ControlLoop control, ExitMap? exits = null, bool anyExit = true)
    {
        _anyExit = anyExit;
        _exits = exits ?? ExitMap.None;
        _node = node;
        _sessions = sessions;
        _control = control;
        sessions.GroupReady = OnGroupReady;
        sessions.GroupLost = OnGroupLost;
        sessions.PathFailed = (path, reason, suspect) =>
        {
            node.Notice(RouterNoticeKind.PathLost, reason);
            control.Post(now => control.Core.Client!.OnPathFailed(path, suspect, now));
        };
        sessions.PathMeasured = measured => control.Post(_ => control.Core.Client!.OnPathMeasured(measured));
        sessions.PathSwitched = (_, since, _) => node.Notice(RouterNoticeKind.PathSwitched, "traffic moved to a spare path", since);
        sessions.StreamsAvailable = (connection, now) =>
        {
            if (connection.Tag is ClientGroup group) ServeWaiting(group, now);
        };
        sessions.UdpArrived = OnUdp;
        sessions.Tick += now => DropIdleRelays(now, RelayIdle);
        sessions.TunnelReady = (group, _) =>
        {
            node.Notice(RouterNoticeKind.TunnelReady, "IP packets pass the tunnel");
            SignalReady(group.Number);
        };
    }

    public SharedDropCounters Drops { get; } = new();

    /// <summary>The usual exits are hidden services: no path ends at an exit unless a range wants one.</summary>
    public bool LeavesByService => _exits.UsualServices.Count > 0;

    /// <summary>Why there is no path, in words; empty when all is well.</summary>
    public string Trouble => _control.Core.Trouble;

    /// <param name="proxied">Paths for the doors are made ready before anybody asks.</param>
    /// <param name="tunnel">Paths for the tunnel too.</param>
    public void Start(bool proxied = true, bool tunnel = false)
    {
        if (proxied && !LeavesByService) _sessions.Post(now => GroupFor(default, -1, now));
        if (!tunnel) return;
        _sessions.Post(_ =>
        {
            ClientGroup group = _sessions.Client!.GetOrAdd(TunnelGroup);
            (group.WantsExit, group.WantsTunnel) = (true, true);
            _control.Post(t => _control.Core.Client!.Want(TunnelGroup, t, tunnel: true, _exits.Usual));
        });
    }

    /// <summary>Completes when IP packets pass.</summary>
    public async Task WaitTunnelAsync(CancellationToken cancel)
    {
        Task ready = await _sessions.InvokeAsync(_ => _sessions.Client!.TryGet(TunnelGroup, out ClientGroup? group) && group!.Leased is not null ? Task.CompletedTask : Signal(TunnelGroup)).WaitAsync(cancel).ConfigureAwait(false);
        await ready.WaitAsync(cancel).ConfigureAwait(false);
    }

    /// <summary>Completes when the shared group can carry streams.</summary>
    public async Task WaitReadyAsync(CancellationToken cancel)
    {
        if (LeavesByService)
        {
            (await AssociateHiddenAsync(_exits.UsualServices, default, cancel).ConfigureAwait(false)).Dispose();
            return;
        }

        Task ready = await _sessions.InvokeAsync(_ => WhenReady(SharedGroup)).WaitAsync(cancel).ConfigureAwait(false);
        await ready.WaitAsync(cancel).ConfigureAwait(false);
    }

    public ValueTask<OnionStream> OpenAsync(IsolationKey isolation, CancellationToken cancel) => OpenForAsync(isolation, default, cancel);

    public ValueTask<OnionStream> OpenForAsync(IsolationKey isolation, ProxyDestination destination, CancellationToken cancel)
    {
        int route = _exits.RouteOf(destination);
        return _exits.ServicesOf(route) is { Count: > 0 } services
            ? new(OpenHiddenAsync(services, isolation, cancel))
            : OpenInAsync(now => GroupFor(isolation, route, now), $"{MaxGroups} isolation groups are in use; use fewer different proxy user names", cancel);
    }

    public void OnAnswered(OnionStream stream, ProxyDestination destination, ProxyStatus status, TimeSpan took)
    {
        if (stream is not StreamBridge bridge) return;
        int host = destination.IsName ? destination.Name.GetHashCode(StringComparison.Ordinal) : HashCode.Combine(destination.Address.High, destination.Address.Low);
        _sessions.Post(now => Judge(bridge.Connection, host, status, took, now));
    }

    // A stream in the group that `find` gives on the session thread.
    private ValueTask<OnionStream> OpenInAsync(Func<Instant, ClientGroup?> find, string none, CancellationToken cancel)
    {
        var opening = new StreamOpening(cancel);
        int number = -1;
        _sessions.Post(now =>
        {
            if (opening.IsOver) return;
            if (find(now) is not { } group)
            {
                opening.Fail(new OnionUnavailableException(none));
                return;
            }

            number = group.Number;
            Waiting(number).Add(opening);
            ServeWaiting(group, now);
        });
        return new ValueTask<OnionStream>(opening.WaitAsync(
            OpenPatience,
            () => _sessions.Post(_ =>
            {
                if (_waiting.TryGetValue(number, out List<StreamOpening>? waiting)) waiting.Remove(opening);
            }),
            NoPath));
    }

    public async ValueTask<IOnionAssociation> AssociateAsync(IsolationKey isolation, CancellationToken cancel)
    {
        if (LeavesByService)
        {
            IServiceAssociation carrier = await AssociateHiddenAsync(_exits.UsualServices, isolation, cancel).ConfigureAwait(false);
            var carried = new Association(this, isolation);
            _ = CarryHiddenAsync(carried, -1, carrier);
            return carried;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(OpenPatience);
        while (true)
        {
            (Association? association, Task? ready) = await _sessions.InvokeAsync(now => TryAssociate(isolation, now)).ConfigureAwait(false);
            if (association is not null) return association;
            if (ready is null) throw new OnionUnavailableException("too many isolation groups or UDP associations are in use");
            try
            {
                await ready.WaitAsync(limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                throw NoPath();
            }
        }
    }

    /// <summary>Measures the way to the usual exit: the path in use of the shared group.</summary>
    /// <exception cref="OnionUnavailableException">There is no path; the message says why, in words for the user.</exception>
    public async Task<PathMeasure> MeasureAsync(CancellationToken cancel)
    {
        if (LeavesByService) return await TryExitsAsync(_exits.UsualServices, (exit, token) => new ValueTask<PathMeasure>(Services.MeasureAsync(exit, token)), cancel).ConfigureAwait(false);
        try
        {
            await _sessions.InvokeAsync(now => GroupFor(default, -1, now)).ConfigureAwait(false);
            await WaitReadyAsync(cancel).WaitAsync(OpenPatience, cancel).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw NoPath();
        }

        ClientPathState? path = await _sessions.InvokeAsync(_ => _sessions.Client!.TryGet(SharedGroup, out ClientGroup? group) ? group!.Active : null).ConfigureAwait(false);
        if (path is null) throw NoPath();
        return await PathProbe.RunAsync(_sessions, _node.Time, [.. path.Hops.Select(h => h.ToString())], path.Health, end: null, now => _sessions.Client!.ProbeAllHops(path, now), cancel).ConfigureAwait(false);
    }

    /// <summary>The groups and their paths, for the operator's screen.</summary>
    public Task<ClientView> ReadViewAsync(bool probeHops) => _sessions.InvokeAsync(now =>
    {
        var groups = new List<GroupView>();
        _sessions.Client!.Observe();
        foreach (ClientGroup group in _sessions.Client.Groups)
        {
            if (RelayRequests.Owns(group.Number)) continue; // a request's, gone in a moment
            var paths = new List<PathView>();
            foreach (ClientPathState path in group.Paths)
            {
                if (probeHops) _sessions.Client.ProbeAllHops(path, now);
                paths.Add(new PathView(path == group.Active, path.Attached, [.. path.Hops.Select(h => h.ToString())], path.Health.HopRtt.ToArray(), path.AllPacketsUp, path.AllPacketsDown, path.Expires - now, IsCrowded(group, path)));
            }

            groups.Add(new GroupView(group.Number, group.State, group.Switches, paths, group.Quic?.Stats, group.WantsTunnel, group.Leased is not null));
        }

        return new ClientView(groups, _sessions.OpenStreams, _waiting.Values.Sum(w => w.Count));
    });

    private static bool IsCrowded(ClientGroup group, ClientPathState path) =>
        group.Active is { } active && active != path && path.Hops.SkipLast(1).Intersect(active.Hops.SkipLast(1)).Any();

    // ---- session thread ----

    private ClientGroup? GroupFor(IsolationKey isolation, int route, Instant now)
    {
        var key = new GroupKey(isolation, route);
        if (!_groups.TryGetValue(key, out int number))
        {
            if (_groups.Count >= MaxGroups && !EvictOne(now)) return null;
            number = isolation.IsShared && route < 0 ? SharedGroup : ++_nextGroup;
            _groups.Add(key, number);
            _control.Post(t => _control.Core.Client!.Want(number, t, exits: _exits.ExitsOf(route)));
        }

        _lastUse[number] = now;
        ClientGroup group = _sessions.Client!.GetOrAdd(number);
        group.WantsExit = true;
        return group;
    }

    /// <summary>Ends the group that was used the longest ago, if that is a while and it carries nothing.</summary>
    private bool EvictOne(Instant now)
    {
        GroupKey oldest = default;
        int number = SharedGroup;
        foreach ((GroupKey key, int candidate) in _groups)
        {
            if (candidate == SharedGroup || now - _lastUse[candidate] < GroupIdle || IsBusy(candidate)) continue;
            if (number == SharedGroup || _lastUse[candidate] < _lastUse[number]) (oldest, number) = (key, candidate);
        }

        if (number == SharedGroup) return false;
        _groups.Remove(oldest);
        End(number, now);
        return true;
    }

    private void End(int number, Instant now)
    {
        _lastUse.Remove(number);
        _waiting.Remove(number);
        SignalReady(number); // whoever waits tries again, in a group made anew
        if (_sessions.Client!.TryGet(number, out ClientGroup? group)) _sessions.Client.Close(group!, now);
        _control.Post(_ => _control.Core.Client!.Drop(number));
    }

    private bool IsBusy(int number) =>
        (_waiting.TryGetValue(number, out List<StreamOpening>? waiting) && waiting.Count > 0)
        || (_sessions.Client!.TryGet(number, out ClientGroup? group) && _sessions.StreamsOf(group!.Quic) > 0)
        || _associations.Keys.Any(a => a.Group == number);

    /// <summary>Completes when the group can carry streams, at once if it can now.</summary>
    private Task WhenReady(int number)
    {
        return _sessions.Client!.TryGet(number, out ClientGroup? group) && group!.State == ClientGroupState.Ready ? Task.CompletedTask : Signal(number);
    }

    private Task Signal(int number)
    {
        if (!_readySignals.TryGetValue(number, out TaskCompletionSource? signal)) _readySignals.Add(number, signal = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        return signal.Task;
    }

    private void SignalReady(int number)
    {
        if (_readySignals.Remove(number, out TaskCompletionSource? signal)) signal.SetResult();
    }

    private void OnGroupReady(ClientGroup group, Instant now)
    {
        _node.Notice(RouterNoticeKind.SessionReady, "the session with the exit stands", now - group.OpenedAt);
        if (group.WantsTunnel) return; // ready when the lease is there
        SignalReady(group.Number);
        ServeWaiting(group, now);
    }

    private void OnGroupLost(ClientGroup group, string reason, Instant now)
    {
        _node.Notice(RouterNoticeKind.SessionLost, reason);
        _control.Post(t => _control.Core.Client!.OnGroupLost(group.Number, reason, t));
    }

    private void Judge(QuicConnection connection, int host, ProxyStatus status, TimeSpan took, Instant now)
    {
        if (connection.Tag is HiddenClient service) JudgeHidden(service.Address, connection, host, status, took, now);
        if (connection.Tag is not ClientGroup group || group.Quic != connection || !group.WantsExit) return;
        bool reached = status is ProxyStatus.Connected or ProxyStatus.ConnectionRefused;
        if (!reached && (group.Active is not { } path || now - path.Health.LastHeard > PathHeard)) return; // it is our path that is bad
        if (!_judge.TakesNote(group.Exit, host, status, took, now)) return;

        // The stream that tells is still there.
        if (HasChoice(group.Number) && _judge.TryCondemn(group.Exit, idle: _sessions.StreamsOf(connection) <= 1, now, out string reason)) _sessions.Client!.Leave(group, reason, now);
    }

    /// <summary>False: the user named one exit, and leaving it would leave him without any.</summary>
    private bool HasChoice(int number)
    {
        foreach ((GroupKey key, int group) in _groups)
            if (group == number) return _exits.ExitsOf(key.Route) is { Count: var named } && (named > 1 || (named == 0 && _anyExit));
        return false;
    }

    private void ServeWaiting(ClientGroup group, Instant now)
    {
        if (group.State == ClientGroupState.Ready) StreamOpening.Serve(Waiting(group.Number), () => _sessions.OpenStream(group.Quic!, now));
    }

    private List<StreamOpening> Waiting(int group)
    {
        if (!_waiting.TryGetValue(group, out List<StreamOpening>? waiting)) _waiting.Add(group, waiting = []);
        return waiting;
    }

    private OnionUnavailableException NoPath() => new(Trouble.Length > 0 ? $"there is no path to an exit: {Trouble}" : "there is no path to an exit yet");

    // ---- UDP ----

    /// <summary>An association; or what to wait for before the next try; or neither, when all are in use.</summary>
    private (Association? Association, Task? Ready) TryAssociate(IsolationKey isolation, Instant now)
    {
        if (_associations.Count >= 4096 || GroupFor(isolation, -1, now) is not { } group) return (null, null);
        if (group.State != ClientGroupState.Ready) return (null, WhenReady(group.Number));
        var association = new Association(this, isolation);
        return TryRegister(association, -1, group.Number) ? (association, null) : (null, null);
    }

    private bool TryRegister(Association association, int route, int group)
    {
        for (int i = 0; i < ushort.MaxValue; i++)
        {
            ushort number = ++_nextAssociation;
            if (!_associations.TryAdd((group, number), association)) continue;
            association.Ways[route] = new AssociationWay(group, number, null);
            return true;
        }

        return false;
    }

    /// <summary>The association's first datagram to a destination of this route: its group is made, and what comes until it stands is dropped.</summary>
    private void Register(Association association, int route, Instant now)
    {
        if (!association.IsDisposed && _associations.Count < 4096 && GroupFor(association.Isolation, route, now) is { } group) TryRegister(association, route, group.Number);
    }

    /// <param name="Carrier">By way of an exit that is a hidden service; else null, and the group and the number in it say which way.</param>
    private sealed record AssociationWay(int Group, ushort Number, IServiceAssociation? Carrier);

    private void OnUdp(long group, ReadOnlyMemory<byte> record, Instant now)
    {
        if (!ProxyWire.TryReadRecord(record.Span, out ushort number, out ProxyDestination from, out ReadOnlySpan<byte> payload))
        {
            Drops.Count(DropReason.BadRecord);
            return;
        }

        if (_associations.TryGetValue(((int)group, number), out Association? association)) association.Arrived(new OnionDatagram(from, payload.ToArray()));
        else Drops.Count(DropReason.UnknownSession);
    }

    private sealed class Association : IOnionAssociation
    {
        private readonly ClientService _service;
        private readonly Channel<OnionDatagram> _received;
        private readonly CancellationTokenSource _ended = new();
        private int _disposed;

        public Association(ClientService service, IsolationKey isolation)
        {
            _service = service;
            Isolation = isolation;
            End = _ended.Token;
            _received = Channel.CreateBounded<OnionDatagram>(
                new BoundedChannelOptions(256) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true, SingleWriter = true },
                _ => service.Drops.Count(DropReason.SlowReader));
        }

        public IsolationKey Isolation { get; }

        public bool IsDisposed => Volatile.Read(ref _disposed) != 0;

        public CancellationToken End { get; }

        /// <summary>By route: null while it is being made.</summary>
        public ConcurrentDictionary<int, AssociationWay?> Ways { get; } = new();

        public ChannelReader<OnionDatagram> Received => _received.Reader;

        public bool TrySend(in ProxyDestination to, ReadOnlySpan<byte> payload)
        {
            if (payload.Length > ProxyWire.MaxRecordBytes)
            {
                _service.Drops.Count(DropReason.TooLarge);
                return false;
            }

            int route = _service._exits.RouteOf(to);
            if (!Ways.TryGetValue(route, out AssociationWay? way) && Ways.TryAdd(route, null)) Open(route);
            if (way is null)
            {
                _service.Drops.Count(DropReason.NoPath);
                return false;
            }

            Span<byte> record = stackalloc byte[2 + ProxyWire.MaxDestinationBytes + ProxyWire.MaxRecordBytes];
            int length = ProxyWire.WriteRecord(way.Number, to, payload, record);
            if (way.Carrier is { } carrier && length > 0) return carrier.TrySend(ServiceUdp.Outside, record[2..length]);
            if (length is 0 or > ProxyWire.MaxRecordBytes)
            {
                _service.Drops.Count(DropReason.TooLarge);
                return false;
            }

            if (_service._sessions.TrySendUdp(way.Group, record[..length])) return true;
            _service.Drops.Count(DropReason.OriginationQueueFull);
            return false;
        }

        private void Open(int route)
        {
            if (_service._exits.ServicesOf(route).Count > 0) _ = _service.CarryHiddenAsync(this, route, null);
            else _service._sessions.Post(now => _service.Register(this, route, now));
        }

        public void Arrived(in OnionDatagram datagram) => _received.Writer.TryWrite(datagram);

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
            _service._sessions.Post(_ =>
            {
                foreach (AssociationWay? way in Ways.Values) if (way is { Carrier: null }) _service._associations.Remove((way.Group, way.Number));
            });
            _received.Writer.TryComplete();
            _ended.Cancel();
            _ended.Dispose();
        }
    }
}
