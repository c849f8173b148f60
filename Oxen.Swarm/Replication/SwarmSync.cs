using System.Collections.Concurrent;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Replication;

/// <summary>How a comparison with a peer ended.</summary>
internal enum SyncResult
{
    /// <summary>It did not answer, or not sensibly.</summary>
    NoAnswer = 0,

    /// <summary>Part of the differences is settled; compare again.</summary>
    Partial = 1,

    /// <summary>All that the peer had when the comparison began is here.</summary>
    Complete = 2,
}

// Comparison of two nodes of a swarm, begun by either, often:
//
//   1 sync      exchange sums over everything; equal: done. It also shows that the peer lives, its time, and whether it votes
//   2 hints     what it missed while it was silent goes first
//   3 buckets   of the groups that differ      4 entries   of the buckets that differ, a limited number in one go
//   5 pull what beats ours, give what beats theirs
//
// A difference must show twice before it is settled, for most are only on their way; stamps cannot tell which, since a wrong
// clock may have made them. A node without a vote, or with very many differences, takes everything at once.
// The same task hands what belongs to other swarms to their members, and removes what is over.

/// <summary>Keeps the node in agreement with its swarm.</summary>
internal sealed class SwarmSync(NodeCore core) : IDisposable
{
    private const int MaxBuckets = 128;
    private const int MaxKeysAtOnce = 400;
    private const long MaxPullBytes = 3_000_000;
    private const int MaxHintsAtOnce = 500;
    private static readonly TimeSpan MoveEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BusyPause = TimeSpan.FromMilliseconds(200);

    private readonly SemaphoreSlim _nudge = new(0);
    private readonly ConcurrentDictionary<string, HashSet<(MessageKey Key, long Stamp)>> _seen = new();

    private int _next;
    private SwarmView? _cleanView;

    /// <summary>After <see cref="RunAsync"/> has ended.</summary>
    public void Dispose() => _nudge.Dispose();

    /// <summary>Runs until cancelled: a comparison with one peer each `interval`, without pause while there is no vote.</summary>
    public async Task RunAsync(TimeSpan interval, CancellationToken cancel)
    {
        long lastMove = 0, lastClean = 0;
        try
        {
            while (!cancel.IsCancellationRequested)
            {
                bool busy = false;
                try
                {
                    busy = await StepAsync().ConfigureAwait(false);
                    long now = core.Clock.Provider.GetTimestamp();
                    if (lastClean == 0 || core.Clock.Provider.GetElapsedTime(lastClean, now) > MoveEvery)
                    {
                        lastClean = now;
                        await core.Store.CleanAsync(core.Clock.Now).ConfigureAwait(false);
                    }

                    if (lastMove == 0 || core.Clock.Provider.GetElapsedTime(lastMove, now) > MoveEvery)
                    {
                        lastMove = now;
                        await MoveForeignAsync().ConfigureAwait(false);
                    }
                }
                catch (StoreException)
                {
                    // the store's condition tells; trying goes on
                }

                TimeSpan pause = !busy ? interval : interval / 8 < BusyPause ? interval / 8 : BusyPause;
                await _nudge.WaitAsync(pause, cancel).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>Compares with the next peer, or with all while this node has no vote. True: there is more to do at once.</summary>
    public async Task<bool> StepAsync()
    {
        SwarmMember[] peers = core.View.Peers;
        if (peers.Length == 0) return false;
        if (core.Votes)
        {
            SwarmMember peer = peers[(int)((uint)Interlocked.Increment(ref _next) % (uint)peers.Length)];
            return await CompareAsync(peer).ConfigureAwait(false) == SyncResult.Partial;
        }

        await Task.WhenAll(peers.Select(CompareAsync)).ConfigureAwait(false);
        return !core.Votes;
    }

    /// <summary>There is something new to look at.</summary>
    public void Nudge() => _nudge.Release();

    /// <summary>One comparison.</summary>
    public async Task<SyncResult> CompareAsync(SwarmMember peer)
    {
        if (core.LinkTo(peer.Hex) is not { } link) return SyncResult.NoAnswer;
        SwarmView view = core.View;
        ulong root = core.Store.Digests.Root;
        long sent = core.Clock.Local;
        var hello = new WireMap { ["h"] = core.Stamps.Last, ["k"] = "sync", ["r"] = RecordWire.WriteSums([root]), ["v"] = core.Votes ? 1L : 0L, ["w"] = RecordWire.WriteSums([view.SwarmId]) };
        object? reply = await link.ProbeAsync(hello, core.Times.Answer).ConfigureAwait(false);
        if (reply is not WireMap map || map.GetValueOrDefault("t") is not long time || map.GetValueOrDefault("w") is not byte[] w || RecordWire.ReadSums(w, 1) is not [ulong swarm]) return SyncResult.NoAnswer;
        core.Clock.Observe(peer.Hex, time, sent, core.Clock.Local);
        if (swarm != view.SwarmId) return SyncResult.NoAnswer; // it sees another network than we do, for now
        if (map.GetValueOrDefault("h") is long stamp) core.Stamps.Observe(stamp);
        bool votes = map.GetValueOrDefault("v") is 1L;
        core.NotePeer(peer.Hex, votes);
        await GiveHintsAsync(peer, link).ConfigureAwait(false);
        SyncResult result = SyncResult.Complete;
        if (map.GetValueOrDefault("g") is byte[] g) result = RecordWire.ReadSums(g, DigestTree.Groups) is { } groups ? await SettleAsync(link, groups).ConfigureAwait(false) : SyncResult.NoAnswer;
        if (result == SyncResult.Complete) await core.NoteCaughtUpAsync(peer.Hex, votes).ConfigureAwait(false);
        return result;
    }

    /// <summary>Records of a `pull` answer or a `merge`; null if they are none or one of them cannot be true.</summary>
    public static List<SwarmRecord>? ReadRecords(object? message, NodeCore core)
    {
        if (message is not WireMap map || map.GetValueOrDefault("r") is not List<object> list) return null;
        var records = new List<SwarmRecord>(list.Count);
        foreach (object item in list)
        {
            if (RecordWire.Read(item, core.Clock.Now, core.Stamps.IsCredible) is not { } record) return null;
            core.Stamps.Observe(record.Stamp);
            records.Add(record);
        }

        return records;
    }

    /// <summary>Gives what belongs to other swarms to their members; removes it here once a quorum there has it.</summary>
    public async Task<int> MoveForeignAsync()
    {
        SwarmView view = core.View;
        // Nothing foreign comes in after a view was found clean: only what belongs here is written.
        if (view.Ring.Ids.IsEmpty || ReferenceEquals(view, _cleanView)) return 0;
        int moved = 0;
        List<AccountId> foreign = core.Store.Accounts(a => !view.Owns(a), 200);
        if (foreign.Count == 0) _cleanView = view;
        foreach (AccountId account in foreign)
        {
            if (!view.Ring.TryFind(account, out ulong target)) continue;
            List<RecordEntry> entries = core.Store.EntriesOf(account);
            if (entries.Count == 0) continue;
            SwarmMember[] members = view.MembersOf(target);
            bool[] told = await Task.WhenAll(members.Select(m => OfferAsync(m, entries))).ConfigureAwait(false);
            if (told.Count(t => t) < (members.Length / 2) + 1) continue;
            moved += await core.Store.HandOverAsync(entries).ConfigureAwait(false);
        }

        if (moved > 0) core.Counters.CountHandedOver(moved);
        return moved;
    }

    private async Task<bool> OfferAsync(SwarmMember member, List<RecordEntry> entries)
    {
        foreach (RecordEntry[] part in entries.Chunk(5_000))
        {
            if (await CallAsync(member, PeerMessages.Want(part)).ConfigureAwait(false) is not WireMap map || map.GetValueOrDefault("x") is not byte[] raw || RecordWire.ReadKeys(raw) is not { } wanted) return false;
            while (wanted.Count > 0)
            {
                List<SwarmRecord> records = core.Store.Records(wanted, MaxPullBytes);
                if (records.Count == 0) break;
                if (await CallAsync(member, PeerMessages.Merge(records)).ConfigureAwait(false) is not WireMap done || !done.ContainsKey("n")) return false;
                HashSet<MessageKey> sent = [.. records.Select(r => r.Key)];
                wanted.RemoveAll(sent.Contains);
            }
        }

        return true;
    }

    private async Task<object?> CallAsync(SwarmMember member, WireMap message)
    {
        byte[]? reply = await core.Transport.CallAsync(member, BtEncoding.Write(new List<object> { message }), TimeSpan.FromSeconds(10), CancellationToken.None).ConfigureAwait(false);
        return reply is not null && BtEncoding.TryRead(reply, out object? value) && value is List<object> { Count: 1 } list ? list[0] : null;
    }

    private async Task GiveHintsAsync(SwarmMember peer, PeerLink link)
    {
        byte[] node = peer.Ed25519.ToArray();
        while (core.Store.Hints(node, MaxHintsAtOnce) is { Count: > 0 } keys)
        {
            if (!await GiveAsync(link, keys).ConfigureAwait(false)) return;
            await core.Store.RemoveHintsAsync(node, keys).ConfigureAwait(false);
            if (keys.Count < MaxHintsAtOnce) return;
        }
    }

    private async Task<SyncResult> SettleAsync(PeerLink link, ulong[] theirs)
    {
        ulong[] ours = core.Store.Digests.GroupSums();
        var buckets = new List<int>();
        bool more = false;
        foreach (int group in Enumerable.Range(0, DigestTree.Groups).Where(g => ours[g] != theirs[g]).OrderBy(_ => Random.Shared.Next()))
        {
            if (buckets.Count >= MaxBuckets)
            {
                more = true;
                break;
            }

            object? reply = await link.SendAsync(new WireMap { ["g"] = (long)group, ["k"] = "buckets" }, 100).ConfigureAwait(false);
            if (reply is not WireMap map || map.GetValueOrDefault("b") is not byte[] raw || RecordWire.ReadSums(raw, DigestTree.GroupSize) is not { } sums) return SyncResult.NoAnswer;
            ulong[] own = core.Store.Digests.BucketSums(group);
            for (int i = 0; i < sums.Length; i++)
            {
                if (sums[i] != own[i]) buckets.Add((group * DigestTree.GroupSize) + i);
            }
        }

        if (buckets.Count > MaxBuckets)
        {
            more = true;
            buckets.RemoveRange(MaxBuckets, buckets.Count - MaxBuckets);
        }

        if (buckets.Count == 0) return SyncResult.Complete;
        SyncResult result = await SettleBucketsAsync(link, buckets, !core.Votes || more).ConfigureAwait(false);
        return result == SyncResult.Complete && more ? SyncResult.Partial : result;
    }

    private async Task<SyncResult> SettleBucketsAsync(PeerLink link, List<int> buckets, bool atOnce)
    {
        object? reply = await link.SendAsync(new WireMap { ["b"] = buckets.ConvertAll(b => (object)(long)b), ["k"] = "entries" }, 2000).ConfigureAwait(false);
        if (reply is not WireMap map || map.GetValueOrDefault("e") is not byte[] raw || RecordWire.ReadEntries(raw) is not { } entries) return SyncResult.NoAnswer;
        SwarmView view = core.View;
        Dictionary<MessageKey, RecordEntry> theirs = entries.DistinctBy(e => e.Key).ToDictionary(e => e.Key);
        Dictionary<MessageKey, RecordEntry> ours = [];
        foreach (int bucket in buckets)
        {
            foreach (RecordEntry entry in core.Store.Bucket(bucket, view.Owns)) ours[entry.Key] = entry;
        }

        long now = core.Clock.Now;
        List<RecordEntry> later = [.. theirs.Values.Where(t => !IsOver(t, now) && (!ours.TryGetValue(t.Key, out RecordEntry o) || t.Beats(o)))];
        List<RecordEntry> better = [.. ours.Values.Where(o => !IsOver(o, now) && (!theirs.TryGetValue(o.Key, out RecordEntry t) || o.Beats(t)))];
        HashSet<(MessageKey, long)> before = _seen.GetValueOrDefault(link.Peer.Hex) ?? [];
        _seen[link.Peer.Hex] = [.. later.Concat(better).Select(e => (e.Key, e.Stamp))];
        List<MessageKey> need = [.. later.Where(e => atOnce || before.Contains((e.Key, e.Stamp))).Select(e => e.Key)];
        List<MessageKey> give = [.. better.Where(e => atOnce || before.Contains((e.Key, e.Stamp))).Select(e => e.Key)];
        if (!await TakeAsync(link, need).ConfigureAwait(false)) return SyncResult.NoAnswer;
        foreach (MessageKey[] part in give.Chunk(MaxKeysAtOnce))
        {
            if (!await GiveAsync(link, part).ConfigureAwait(false)) return SyncResult.NoAnswer;
        }

        return SyncResult.Complete;
    }

    private static bool IsOver(RecordEntry entry, long now) => entry.Kind is RecordKind.Message or RecordKind.Tombstone && entry.Expiry <= now;

    private async Task<bool> TakeAsync(PeerLink link, List<MessageKey> need)
    {
        while (need.Count > 0)
        {
            object? reply = await link.SendAsync(PeerMessages.Pull([.. need.Take(MaxKeysAtOnce)]), 100 + (32 * MaxKeysAtOnce)).ConfigureAwait(false);
            if (ReadRecords(reply, core) is not { } records) return false;
            if (records.Count == 0)
            {
                need.RemoveRange(0, Math.Min(MaxKeysAtOnce, need.Count)); // gone meanwhile
                continue;
            }

            SwarmView view = core.View;
            if (await core.Store.MergeAsync([.. records.Where(r => view.Owns(r.Account))], core.Clock.Now).ConfigureAwait(false) is not { } news) return false;
            core.Counters.CountRepaired(news);
            HashSet<MessageKey> got = [.. records.Select(r => r.Key)];
            int before = need.Count;
            need.RemoveAll(got.Contains);
            if (need.Count == before) return false; // it sends what we did not ask for
        }

        return true;
    }

    private async Task<bool> GiveAsync(PeerLink link, IReadOnlyList<MessageKey> keys)
    {
        List<MessageKey> left = [.. keys];
        while (left.Count > 0)
        {
            List<SwarmRecord> records = core.Store.Records(left, MaxPullBytes);
            if (records.Count == 0) return true;
            object? reply = await link.SendAsync(PeerMessages.Merge(records), records.Sum(r => 200L + r.Data.Length)).ConfigureAwait(false);
            if (reply is not WireMap map || map.GetValueOrDefault("n") is not long news) return false;
            core.Counters.CountPushed(news);
            HashSet<MessageKey> sent = [.. records.Select(r => r.Key)];
            left.RemoveAll(sent.Contains);
        }

        return true;
    }
}
