using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Core;

/// <summary>What the control thread tells its host: rare things that an operator wants to know.</summary>
internal interface IControlEvents : IPathEvents
{
    void OnLinkUp(Link link);

    void OnLinkDown(Link link);

    /// <summary>Our clock was compared with a peer's: positive when the peer is ahead.</summary>
    void OnClock(TimeSpan peerAhead, bool corrected);

    /// <summary>A relay's: most of the relays that it met say that its clock is off by this much, more than links tolerate.</summary>
    void OnOwnClockOff(TimeSpan by);

    /// <summary>A request for a plug-in; the answer goes to <see cref="ControlCore.Reply"/>.</summary>
    void OnPluginRequest(LinkRequest request, byte[] message);
}

/// <summary>
/// The control plane of one router, sans-IO: links, path builds as a relay, paths as a client. One thread calls it. Families:
/// `Handle*` (the world speaks), <see cref="TryTransmit"/> (we speak), <see cref="NextDeadline"/>, commands.
/// </summary>
internal sealed class ControlCore : ILinkEvents, IDisposable
{
    private readonly DataPlane _dataPlane;
    private readonly NetworkClock _clock;
    private readonly IControlEvents _events;
    private const int MinClockWitnesses = 3;
    private const int OwnClockWitnesses = 9;

    private readonly bool _correctsClock;
    private readonly TimeSpan _clockTolerance;
    private readonly int _otherRelays;
    private readonly Dictionary<RouterId, TimeSpan> _peerClocks = [];

    // A client's: how far the clock of each relay is ahead, as last heard. One relay must not move our clock: the epoch of a
    // build, read by an accomplice at the other end, would be the mark of this client.
    private const int ClockPeers = 15;
    private static readonly TimeSpan LargestCorrection = TimeSpan.FromDays(7);
    private readonly int _clockQuorum;
    private readonly Dictionary<RouterId, TimeSpan> _clockSamples = [];
    private readonly RouterId[] _clockWitnesses;
    private readonly IEntropy _entropy;

    public ControlCore(ControlOptions options, DataPlane dataPlane, NodeDirectory directory, NetworkClock clock, IControlEvents events, IEntropy entropy)
    {
        _dataPlane = dataPlane;
        _clock = clock;
        _events = events;
        _correctsClock = options.Identity is null;
        _clockTolerance = options.Links.ClockTolerance;
        _otherRelays = directory.All.Count - (options.Identity is { } own && directory.TryGet(own.Id, out _) ? 1 : 0);
        _clockQuorum = Math.Clamp(directory.Relays.Count, 1, MinClockWitnesses);
        _clockWitnesses = options.Client is { } wishes ? [.. directory.Relays.Select(r => r.Id).Except(wishes.Excluded)] : [];
        _entropy = entropy;
        Links = new LinkManager(options.Links, options.Identity, directory, clock, dataPlane, this, entropy);
        if (options.Identity is { } identity && options.OnionKeys is { } keys)
        {
            var builds = new BuildProcessor(identity.Id, keys, options.Builds, entropy);
            Relay = new RelayPaths(Links, dataPlane, builds, new BuildBudget(options.Budget), clock, events, entropy);
        }

        if (options.Client is { } client) Client = new ClientPaths(client, Links, dataPlane, directory, clock, events, entropy);
    }

    public LinkManager Links { get; }

    /// <summary>Null for a router that relays for nobody.</summary>
    public RelayPaths? Relay { get; }

    /// <summary>Null for a router that builds no paths of its own.</summary>
    public ClientPaths? Client { get; }

    public Instant NextDeadline
    {
        get
        {
            Instant next = Links.NextDeadline;
            if (Relay is not null) next = Instant.Earlier(next, Relay.NextDeadline);
            if (Client is not null) next = Instant.Earlier(next, Client.NextDeadline);
            return next;
        }
    }

    public void HandleDatagram(Span<byte> datagram, in UdpAddress from, Instant now) => Links.HandleDatagram(datagram, from, now);

    public void HandleShardEvent(int shard, in ShardEvent happened, Instant now)
    {
        var path = new PathRef(shard, happened.Path);
        switch (happened.Kind)
        {
            case ShardEventKind.PathClosed:
                if (Relay?.OnShardEvent(path, PathCloseReason.Tampering) != true) Client?.OnShardEvent(path, "packets were tampered with", now);
                break;
            case ShardEventKind.TeardownReceived:
                Relay?.OnShardEvent(path, PathCloseReason.Finished);
                break;
            case ShardEventKind.NumbersExhausted:
                Client?.OnShardEvent(path, "its packet numbers are used up", now);
                break;
            case ShardEventKind.CommandRefused:
                if (Relay?.OnShardEvent(path, PathCloseReason.Refused) != true) Client?.OnShardEvent(path, "the data plane refused it", now);
                break;
        }
    }

    public void HandleTimeout(Instant now)
    {
        Links.HandleTimeout(now);
        Relay?.HandleTimeout(now);
        Client?.HandleTimeout(now);
    }

    public bool TryTransmit(Span<byte> buffer, out int bytes, out int segmentBytes, out UdpAddress to, Instant now) =>
        Links.TryTransmit(buffer, out bytes, out segmentBytes, out to, now);

    /// <summary>Answers a plug-in request.</summary>
    public bool Reply(LinkRequest request, byte[] message) => Links.Reply(request, message);

    /// <summary>Closes paths and links; the datagrams that say so still wait in <see cref="TryTransmit"/>.</summary>
    public void Stop(Instant now)
    {
        Client?.CloseAll();
        Relay?.CloseAll(PathCloseReason.Shutdown);
        Links.Stop(now);
    }

    public void Dispose() => Links.Dispose();

    // ---- from the links ----

    void ILinkEvents.OnLinkUp(Link link, Instant now) => _events.OnLinkUp(link);

    void ILinkEvents.OnLinkDown(Link link, Instant now)
    {
        Relay?.OnLinkDown(link);
        Client?.OnLinkDown(link, now);
        _events.OnLinkDown(link);
    }

    void ILinkEvents.OnRequest(Link link, LinkRequest request, ReadOnlySpan<byte> message, Instant now)
    {
        if (message.IsEmpty)
        {
            Links.Refuse(request);
            return;
        }

        switch ((RequestKind)message[0])
        {
            case RequestKind.Build when Relay is not null:
                Relay.OnBuild(link, request, message, now);
                break;
            case RequestKind.Plugin:
                _events.OnPluginRequest(request, message[1..].ToArray());
                break;
            default:
                Links.Refuse(request);
                break;
        }
    }

    void ILinkEvents.OnReply(Link link, LinkRequest request, ReadOnlySpan<byte> message, Instant now)
    {
        if (Relay?.OnReply(request, message, now) != true) Client?.OnReply(request, message, now);
    }

    void ILinkEvents.OnRequestFailed(Link link, LinkRequest request, Instant now)
    {
        if (Relay?.OnRequestFailed(request) != true) Client?.OnRequestFailed(request, now);
    }

    void ILinkEvents.OnPathClose(Link link, PathHandle handle, PathCloseReason reason, Instant now)
    {
        Relay?.OnPathClose(link, handle, reason, now);
        Client?.OnPathClose(link, handle, now);
    }

    void ILinkEvents.OnPeerClock(Link link, TimeSpan ahead, Instant now)
    {
        // A client follows the median of its links: its own clock is nobody's business, but its epochs must fit.
        if (_correctsClock && link.Initiator)
        {
            if (_clockSamples.Count >= ClockPeers && !_clockSamples.ContainsKey(link.PeerKey)) _clockSamples.Remove(_clockSamples.Keys.First());
            _clockSamples[link.PeerKey] = ahead;
            TimeSpan median = _clockSamples.Values.Order().ElementAt(_clockSamples.Count / 2);
            bool off = median.Duration() > TimeSpan.FromMilliseconds(250) && median.Duration() < LargestCorrection;
            if (off && _clockSamples.Count < _clockQuorum) AskAnotherClock(now);
            else if (off)
            {
                _clock.Offset += median.Ticks * 100;
                _clockSamples.Clear();
                _events.OnClock(median, corrected: true);
                return;
            }
        }

        _events.OnClock(ahead, corrected: false);
        if (!_correctsClock && link.Peer == LinkPeer.Relay) JudgeOwnClock(link.PeerKey, ahead);
    }

    // Somebody's clock is wrong, and too few have been heard to know whose: a further link, to one relay at random.
    private void AskAnotherClock(Instant now)
    {
        if (Links.Links.Count(l => l.Initiator && l.State != LinkState.Closed) >= _clockQuorum) return;
        RouterId[] left = [.. _clockWitnesses.Where(id => !_clockSamples.ContainsKey(id))];
        if (left.Length == 0) return;
        Span<byte> random = stackalloc byte[4];
        _entropy.FillPublic(random);
        Links.Dial(left[(int)(BitConverter.ToUInt32(random) % (uint)left.Length)], now);
    }

    // A relay's clock is its operator's business: we only say that it is wrong. One liar, or one peer that is off itself,
    // must not be able to; so it takes the median of several, each heard once.
    private void JudgeOwnClock(RouterId peer, TimeSpan ahead)
    {
        _peerClocks[peer] = ahead;

        // A relay that believes this stops itself, so a handful of liars who connect first must not be enough: it takes the
        // median of more than half of the directory (of nine, where that is larger).
        if (_peerClocks.Count < Math.Clamp((_otherRelays / 2) + 1, 2, OwnClockWitnesses)) return;
        TimeSpan median = _peerClocks.Values.Order().ElementAt(_peerClocks.Count / 2);
        TimeSpan lower = _peerClocks.Values.Order().ElementAt((_peerClocks.Count - 1) / 2);
        if (median.Duration() > _clockTolerance && lower.Duration() > _clockTolerance && (median < TimeSpan.Zero) == (lower < TimeSpan.Zero)) _events.OnOwnClockOff(median);
    }
}

/// <summary>What a router's control plane does.</summary>
internal sealed class ControlOptions
{
    public LinkOptions Links { get; init; } = new();

    /// <summary>A relay's; null for a client, which has no lasting identity.</summary>
    public RouterIdentity? Identity { get; init; }

    public OnionKeyRing? OnionKeys { get; init; }

    public BuildPolicy Builds { get; init; } = BuildPolicy.Default;

    public BuildBudgetOptions Budget { get; init; } = new();

    /// <summary>Null for a router that builds no paths of its own.</summary>
    public ClientPathOptions? Client { get; init; }
}
