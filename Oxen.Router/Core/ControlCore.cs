using System.Globalization;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
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
internal sealed class ControlCore : ILinkEvents, IDirectoryWire, IDisposable
{
    private readonly DataPlane _dataPlane;
    private readonly NetworkClock _clock;
    private readonly IControlEvents _events;
    private const int MinClockWitnesses = 3;
    private const int OwnClockWitnesses = 9;

    private readonly bool _correctsClock;
    private readonly TimeSpan _clockTolerance;
    private readonly NodeDirectory _directory;
    private readonly RouterId _self;
    private readonly Queue<RouterId> _releases = new();
    private readonly Dictionary<RouterId, TimeSpan> _peerClocks = [];

    // A client's: how far the clock of each relay is ahead, as last heard. One relay must not move our clock: the epoch of a
    // build, read by an accomplice at the other end, would be the mark of this client.
    private const int ClockPeers = 15;
    private static readonly TimeSpan LargestCorrection = TimeSpan.FromDays(7);
    private readonly Dictionary<RouterId, TimeSpan> _clockSamples = [];

    // A monotonic clock stands still while a machine sleeps, the wall clock does not.
    private static readonly TimeSpan ClockJump = TimeSpan.FromSeconds(5);

    // A process that was stopped for so long (or a machine whose monotonic clock goes on in its sleep) lost its links, whatever the clocks say.
    private static readonly TimeSpan LongPause = TimeSpan.FromSeconds(30);
    private long? _wallMinusMonotonic;
    private Instant _wallClockAt = Instant.Never;
    private string _clockTrouble = "";
    private readonly IEntropy _entropy;
    private readonly Dictionary<LinkRequest, (Action<bool> Told, Link? Extra)> _tests = [];
    private readonly Queue<Link> _extra = new(); // links that were made for a test alone; closed later, not while their manager tells us something

    /// <param name="directory">Who is a relay; with <see cref="ControlOptions.Directory"/> it is ours to change, else it stays as it is.</param>
    public ControlCore(ControlOptions options, DataPlane dataPlane, NodeDirectory directory, NetworkClock clock, IControlEvents events, IEntropy entropy, Instant now = default)
    {
        _dataPlane = dataPlane;
        _clock = clock;
        _events = events;
        _correctsClock = options.Identity is null;
        _clockTolerance = options.Links.ClockTolerance;
        _directory = directory;
        _self = options.Identity?.Id ?? default;
        _entropy = entropy;
        Links = new LinkManager(options.Links, options.Identity, directory, clock, dataPlane, this, entropy);
        if (options.Identity is { } identity && options.OnionKeys is { } keys)
        {
            var builds = new BuildProcessor(identity.Id, keys, options.Builds, entropy);
            Relay = new RelayPaths(Links, dataPlane, builds, new BuildBudget(options.Budget), clock, events, entropy);
        }

        if (options.Client is { } client) Client = new ClientPaths(client, Links, dataPlane, directory, clock, events, entropy);
        if (options.Directory is { } own) Directory = new DirectoryCore(own, options.Identity, options.OnionKeys, directory, this, clock, entropy, Candidates, now);
    }

    public LinkManager Links { get; }

    /// <summary>Null for a router that relays for nobody.</summary>
    public RelayPaths? Relay { get; }

    /// <summary>Null for a router that builds no paths of its own.</summary>
    public ClientPaths? Client { get; }

    /// <summary>Who is a relay, as this thread sees it now.</summary>
    public NodeDirectory Nodes => _directory;

    /// <summary>Null for a router whose directory is a list that does not change.</summary>
    public DirectoryCore? Directory { get; }

    /// <summary>Why a client has no path, or what else its user should know, in words; empty when all is well.</summary>
    public string Trouble
    {
        get
        {
            string[] all = [_clockTrouble, Client?.Trouble ?? "", Directory?.Trouble ?? ""];
            return string.Join("; ", all.Where(t => t.Length > 0));
        }
    }

    public Instant NextDeadline
    {
        get
        {
            if (_releases.Count > 0 || _extra.Count > 0) return Instant.Zero;
            Instant next = Links.NextDeadline;
            if (Directory is not null) next = Instant.Earlier(next, Directory.NextDeadline);
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
            case ShardEventKind.PathRetired:
                Client?.OnPathRetired(path);
                break;
            case ShardEventKind.CommandRefused:
                if (Relay?.OnShardEvent(path, PathCloseReason.Refused) != true) Client?.OnShardEvent(path, "the data plane refused it", now);
                break;
        }
    }

    public void HandleTimeout(Instant now)
    {
        Links.HandleTimeout(now);
        while (_releases.TryDequeue(out RouterId relay)) ReleaseNow(relay, now);
        while (_extra.TryDequeue(out Link? link)) Links.Close(link, LinkError.None, "it was to be tested", now);
        if (Directory?.HandleTimeout(now) == true) Client?.OnDirectoryChanged(now);
        Relay?.HandleTimeout(now);
        Client?.HandleTimeout(now);
    }

    public bool TryTransmit(Span<byte> buffer, out int bytes, out int segmentBytes, out UdpAddress to, Instant now) =>
        Links.TryTransmit(buffer, out bytes, out segmentBytes, out to, now);

    /// <summary>
    /// Another list, another block of the ledger: who may be a relay from now on, and contacts to find them by.
    /// </summary>
    public void SetRoster(RelayRoster roster, long untilUnixSeconds, IEnumerable<RouterContact> contacts, Instant now)
    {
        Directory?.SetRoster(roster, untilUnixSeconds, now);
        Directory?.AddContacts(contacts, now);
    }

    /// <summary>Every contact that routers can be found by.</summary>
    public IReadOnlyCollection<RouterContact> KnownContacts => _directory.Known;

    /// <summary>How much of the network is known; null when the directory is a list.</summary>
    public (int Members, int Known, int Relays, int Exits)? ReadDirectory() =>
        Directory is null ? null : (_directory.MemberCount, _directory.Known.Count, _directory.Relays.Count, _directory.Exits.Count);

    /// <summary>
    /// What the machine's wall clock says; the host asks it every few seconds. When it jumps against the monotonic clock, the machine
    /// slept or somebody set it: links are made anew, and a client asks anew what the network looks like.
    /// </summary>
    public void HandleWallClock(long unixNanoseconds, Instant now)
    {
        long offset = unixNanoseconds - now.Nanoseconds;
        TimeSpan jump = new((offset - (_wallMinusMonotonic ?? offset)) / 100);
        _wallMinusMonotonic = offset;
        bool paused = !_wallClockAt.IsNever && now - _wallClockAt > LongPause;
        _wallClockAt = now;
        if (paused && jump.Duration() < ClockJump)
        {
            WakeUp("this process was stopped for a while", now);
            return;
        }

        if (jump.Duration() < ClockJump) return;

        // A relay follows its machine. A client's clock may have been corrected by the network: a sleep is added to that, and the
        // first new links tell whether it was one.
        if (!_correctsClock) _clock.Offset = offset;
        else if (jump > TimeSpan.Zero) _clock.Offset += jump.Ticks * 100;
        _clockSamples.Clear();
        WakeUp("this machine slept, or its clock was set", now);
    }

    /// <summary>The machine has other addresses than before (a client's host says so).</summary>
    public void HandleNetworkChange(Instant now)
    {
        Client?.OnNetworkChanged(now);
        Directory?.Fetch?.Doubt(now);
    }

    private void WakeUp(string why, Instant now)
    {
        foreach (Link link in Links.Links) if (link.Initiator) Links.Close(link, LinkError.None, why, now);
        Client?.OnWokeUp(now);
        Directory?.Fetch?.Doubt(now);
    }

    /// <summary>Finds out whether a router answers, by a request over a link. `told` once, on this thread.</summary>
    /// <param name="address">Where it is if the directory does not know it, as one that was put out; `default`: then it is not found.</param>
    /// <param name="message">A whole request to a plug-in, its kind in front.</param>
    public void Test(RouterId relay, UdpAddress address, byte[] message, int replyBytes, Action<bool> told, Instant now)
    {
        bool known = _directory.TryGet(relay, out _);
        Link? link = known ? Links.Dial(relay, now) : address.Port == 0 ? null : Links.DialAt(relay, address, now);
        if (link is not null && Links.Send(link, message, replyBytes, now) is { } request) _tests.Add(request, (told, known ? null : link));
        else told(false);
    }

    private bool EndTest(LinkRequest request, bool answered)
    {
        if (!_tests.Remove(request, out (Action<bool> Told, Link? Extra) test)) return false;
        if (test.Extra is { State: not LinkState.Closed } link && link.Initiator) _extra.Enqueue(link);
        test.Told(answered);
        return true;
    }

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
        Directory?.OnLinkDown(link.PeerKey);
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
            case RequestKind.Directory when Directory is not null:
                if (Directory.Answer(link.PeerKey, link.Peer == LinkPeer.Relay, message, now) is { } answer) Links.Reply(request, answer);
                else Links.Refuse(request);
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
        if (EndTest(request, !message.IsEmpty) || Directory?.OnReply(request, message, now) == true) return;
        if (Relay?.OnReply(request, message, now) != true) Client?.OnReply(request, message, now);
    }

    void ILinkEvents.OnRequestFailed(Link link, LinkRequest request, Instant now)
    {
        if (EndTest(request, answered: false) || Directory?.OnFailed(request, now) == true) return;
        if (Relay?.OnRequestFailed(request) != true) Client?.OnRequestFailed(request, now);
    }

    void ILinkEvents.OnPathClose(Link link, PathHandle handle, PathCloseReason reason, Instant now)
    {
        Relay?.OnPathClose(link, handle, reason, now);
        Client?.OnPathClose(link, handle, now);
    }

    // ---- for the directory ----

    object? IDirectoryWire.Ask(RouterId relay, byte[] message, int maxReplyBytes, Instant now) =>
        Links.Dial(relay, now) is { } link ? Links.Send(link, message, maxReplyBytes, now) : null;

    // Later: a link must not end while its manager is in the middle of telling us something.
    void IDirectoryWire.Release(RouterId relay, Instant now)
    {
        if (Client is not null) _releases.Enqueue(relay);
    }

    private void ReleaseNow(RouterId relay, Instant now)
    {
        foreach (Link link in Links.Links)
            if (link.PeerKey == relay && link.Initiator && !Client!.Uses(link)) Links.Close(link, LinkError.None, "not needed for now", now);
    }

    // The client's guards and nobody else, so that few relays ever see its address.
    private IReadOnlyList<RouterId> Candidates(Instant now)
    {
        Client?.RefreshGuards(now);
        return Client?.Guards.Sample ?? [];
    }

    void ILinkEvents.OnPeerClock(Link link, TimeSpan ahead, Instant now)
    {
        // A client follows the median of its links: its own clock is nobody's business, but its epochs must fit.
        if (_correctsClock && link.Initiator)
        {
            if (_clockSamples.Count >= ClockPeers && !_clockSamples.ContainsKey(link.PeerKey)) _clockSamples.Remove(_clockSamples.Keys.First());
            _clockSamples[link.PeerKey] = ahead;
            TimeSpan median = _clockSamples.Values.Order().ElementAt(_clockSamples.Count / 2);
            bool off = median.Duration() > TimeSpan.FromMilliseconds(250);
            _clockTrouble = "";
            if (off && _clockSamples.Count < ClockQuorum)
            {
                AskAnotherClock(now);
            }
            else if (off && median.Duration() >= LargestCorrection)
            {
                _clockTrouble = string.Create(CultureInfo.InvariantCulture, $"this machine's clock is off by {-median.TotalDays:F1} days, as its relays say, and no more than {LargestCorrection.TotalDays} are corrected: set it (for example with chrony)");
            }
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

    private int ClockQuorum => Math.Clamp(_directory.Known.Count(c => c.IsRelay), 1, MinClockWitnesses);

    // Somebody's clock is wrong, and too few have been heard to know whose: a further link, to another guard.
    private void AskAnotherClock(Instant now)
    {
        if (Links.Links.Count(l => l.Initiator && l.State != LinkState.Closed) >= ClockQuorum) return;
        RouterId[] left = [.. Client!.Guards.Sample.Where(id => !_clockSamples.ContainsKey(id))];
        if (left.Length == 0) return;
        Span<byte> random = stackalloc byte[4];
        _entropy.FillPublic(random);
        Links.Dial(left[(int)(BitConverter.ToUInt32(random) % (uint)left.Length)], now);
    }

    private int OtherRelays => Math.Max(_directory.MemberCount, _directory.Known.Count) - (_directory.IsMember(_self) ? 1 : 0);

    // A relay's clock is its operator's business: we only say that it is wrong. One liar, or one peer that is off itself,
    // must not be able to; so it takes the median of several, each heard once.
    private void JudgeOwnClock(RouterId peer, TimeSpan ahead)
    {
        _peerClocks[peer] = ahead;

        // A relay that believes this stops itself, so a handful of liars who connect first must not be enough: it takes the
        // median of more than half of the directory (of nine, where that is larger).
        if (_peerClocks.Count < Math.Clamp((OtherRelays / 2) + 1, 2, OwnClockWitnesses)) return;
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

    /// <summary>Null: the directory is a list and stays as it is.</summary>
    public DirectoryOptions? Directory { get; init; }
}
