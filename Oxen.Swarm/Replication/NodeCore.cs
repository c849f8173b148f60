using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Oxen.Swarm.Api;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Storage;

namespace Oxen.Swarm.Replication;

// What the parts of a node share: its keys, store and clocks, the view of the network, the links to the peers of the swarm,
// and whether it votes.
//
// A vote means "what a quorum acknowledged before me, I have too, or another voter has". A node whose disk is empty, or that
// has just come to this swarm, must not vote: with two such nodes a quorum could be formed by those who know nothing, and a
// deletion would pass unnoticed by the one node that still has the message. It votes again once it has compared itself with
// as many voters as make a quorum. If so many nodes are without a vote that no such set exists, then nobody can promise
// anything about the past, and those who can be reached start afresh. docs/protocol/swarm.md#votes

/// <summary>The shared middle of a node.</summary>
internal sealed class NodeCore : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, PeerLink> _links = new();
    private readonly ConcurrentDictionary<string, bool> _peerVotes = new();
    private readonly ConcurrentDictionary<string, bool> _caughtUp = new();
    private readonly ISwarmDirectory _directory;
    private readonly SemaphoreSlim _viewGate = new(1);
    private volatile SwarmView _view;
    private volatile bool _votes;

    public NodeCore(SwarmIdentity identity, MessageStore store, SwarmClock clock, ISwarmDirectory directory, IPeerTransport transport, SwarmTimes times)
    {
        Times = times;
        Identity = identity;
        Store = store;
        Clock = clock;
        Transport = transport;
        Stamps = new StampClock(clock, identity.Ed25519.Span[0]);
        Stamps.Observe(store.LatestStamp());
        _directory = directory;
        _view = new SwarmView(new SwarmRoster([], 0), identity.Ed25519.Span);
        Hex = Convert.ToHexStringLower(identity.Ed25519.Span);
    }

    public SwarmTimes Times { get; }

    public SwarmIdentity Identity { get; }

    public string Hex { get; }

    public MessageStore Store { get; }

    public SwarmClock Clock { get; }

    public StampClock Stamps { get; }

    public IPeerTransport Transport { get; }

    public SwarmCounters Counters { get; } = new();

    public SwarmView View => _view;

    /// <summary>Whether this node counts for quorums.</summary>
    public bool Votes => _votes;

    /// <summary>Links to the peers of our swarm, in the order of <see cref="SwarmView.Peers"/>.</summary>
    public PeerLink? LinkTo(string hex) => _links.GetValueOrDefault(hex);

    /// <summary>Reads the directory again and follows what has changed.</summary>
    public async Task RefreshAsync()
    {
        await _viewGate.WaitAsync().ConfigureAwait(false);
        try
        {
            SwarmView old = _view, next = new(_directory.Current, Identity.Ed25519.Span);
            // Out and in again between two looks is a move too: others decided meanwhile.
            bool moved = old.SwarmId != next.SwarmId || old.Self is { SwarmSince: > 0 } before && before.SwarmSince != next.Self?.SwarmSince;
            bool ringChanged = !old.Ring.Ids.SequenceEqual(next.Ring.Ids);
            foreach (SwarmMember peer in next.Peers)
            {
                PeerLink link = _links.GetOrAdd(peer.Hex, _ => new PeerLink(peer, Transport, Times.Answer, Times.Gather));
                link.Peer = peer;
            }

            if (moved)
            {
                _votes = false;
                _caughtUp.Clear();
                _peerVotes.Clear();
            }

            // What is kept says "caught up, among these members": whoever was away while others decided has to catch up again.
            bool left = old.SwarmId == SwarmRing.Unassigned ? next.SwarmId == SwarmRing.Unassigned && !next.Ring.Ids.IsEmpty : moved;
            if (left && Store.GetState("voter") is { Length: > 0 }) await Store.SetStateAsync("voter", []).ConfigureAwait(false);

            _view = next;
            Clock.Keep([.. next.Peers.Select(p => p.Hex)]);
            if (moved || ringChanged) await Store.SetScopeAsync(next.Owns).ConfigureAwait(false);
            if (moved && next.SwarmId != SwarmRing.Unassigned) _votes = Store.GetState("voter") is { } saved && saved.AsSpan().SequenceEqual(VoterAmong(next));
            else if (_votes && !VoterAmong(old).AsSpan().SequenceEqual(VoterAmong(next))) _votes = await Store.SetStateAsync("voter", VoterAmong(next)).ConfigureAwait(false);
            await ConsiderVoteAsync().ConfigureAwait(false);
            foreach ((string hex, PeerLink link) in _links)
            {
                if (Array.Exists(next.Peers, p => p.Hex == hex) || !_links.TryRemove(hex, out _)) continue;
                await link.DisposeAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _viewGate.Release();
        }
    }

    /// <summary>A peer showed whether it votes.</summary>
    public void NotePeer(string hex, bool votes) => _peerVotes[hex] = votes;

    /// <summary>Everything that this peer had is here now; what counts is whether it voted then.</summary>
    public async Task NoteCaughtUpAsync(string hex, bool peerVoted)
    {
        if (_votes) return;
        _caughtUp[hex] = peerVoted;
        await ConsiderVoteAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (PeerLink link in _links.Values) await link.DisposeAsync().ConfigureAwait(false);
        _viewGate.Dispose();
    }

    private async Task ConsiderVoteAsync()
    {
        SwarmView view = _view;
        if (_votes || view.SwarmId == SwarmRing.Unassigned) return;
        string[] known = [.. view.Peers.Select(p => p.Hex).Where(_peerVotes.ContainsKey)];
        int comparedVoters = known.Count(h => _caughtUp.GetValueOrDefault(h));
        int voteless = 1 + known.Count(h => !_peerVotes[h]);
        bool enough = comparedVoters >= Math.Min(view.Quorum, view.Peers.Length) && view.Peers.Length > 0;
        bool afresh = voteless > view.Size - view.Quorum && known.All(_caughtUp.ContainsKey); // the others cannot be a quorum
        if (!enough && !afresh) return;
        _votes = await Store.SetStateAsync("voter", VoterAmong(view)).ConfigureAwait(false);
    }

    /// <summary>
    /// swarm 8 | first 16 bytes of SHA-256 over the ids of its members, this node among them, and since when each is one; or, where the
    /// registry cannot say that, which list it is. The same members again are not the same swarm if they were others in between.
    /// </summary>
    private static byte[] VoterAmong(SwarmView view)
    {
        byte[] state = new byte[8 + 16];
        BinaryPrimitives.WriteUInt64BigEndian(state, view.SwarmId);
        string members = string.Concat(view.MembersOf(view.SwarmId).Select(m => string.Create(CultureInfo.InvariantCulture, $"{m.Hex}{m.SwarmSince},")));
        SHA256.HashData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{members}{view.Roster.Generation}"))).AsSpan(0, 16).CopyTo(state.AsSpan(8));
        return state;
    }
}
