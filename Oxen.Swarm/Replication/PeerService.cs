using Oxen.Swarm.Api;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Replication;

/// <summary>A layer of an onion request that another node passes on.</summary>
/// <param name="Data">The ciphertext.</param>
/// <param name="EncType">How it is encrypted.</param>
/// <param name="EphemeralKey">The client's key for this hop.</param>
/// <param name="Hop">Which hop this is.</param>
/// <param name="From">The node that it came by, in hexadecimal; null: a client.</param>
internal sealed record OnionHop(byte[] Data, string EncType, byte[] EphemeralKey, int Hop, string? From = null);

/// <summary>Answers messages of other nodes. Who sent them has been proven; what they say has not.</summary>
internal sealed class PeerService(NodeCore core, ReplicaService replica, RequestParser parser, Func<OnionHop, Task<(int Status, byte[] Body)>> onion)
{
    private const int MaxMessages = 1024;
    private const int MaxBucketsAtOnce = 256;
    private const long MaxPullBytes = 4_000_000;
    private const int MaxEntriesBytes = 8_000_000;

    /// <summary>The answer to a request; null if the sender is no node or the bytes are no request.</summary>
    public async Task<byte[]?> HandleAsync(ReadOnlyMemory<byte> sender, ReadOnlyMemory<byte> request)
    {
        if (core.View.Find(sender.Span) is not { } node) return null;
        if (!BtEncoding.TryRead(request.Span, out object? value) || value is not List<object> { Count: > 0 and <= MaxMessages } list) return null;
        // All at once: writes of one request share a commit.
        object[] answers = await Task.WhenAll(list.Select(m => AnswerAsync(node, m))).ConfigureAwait(false);
        return BtEncoding.Write(answers);
    }

    private static WireMap Error(int status, string reason) => new() { ["c"] = (long)status, ["f"] = reason };

    private async Task<object> AnswerAsync(SwarmMember node, object message)
    {
        if (message is not WireMap map || map.GetValueOrDefault("k") is not byte[] raw) return Error(ApiResult.BadRequest, "no message");
        string kind = ParamReader.Text(raw)!;
        bool member = Array.Exists(core.View.Peers, p => p.Hex == node.Hex);
        try
        {
            return kind switch
            {
                "ping" => new WireMap { ["p"] = 1L },
                "onion" => await OnionAsync(map, node.Hex).ConfigureAwait(false),
                "merge" => await MergeAsync(map).ConfigureAwait(false),
                "want" => Want(map),
                "op" when member => await OperateAsync(map).ConfigureAwait(false),
                "sync" => Compare(map, node, member),
                "buckets" when member => Buckets(map),
                "entries" when member => Entries(map),
                "pull" when member => Pull(map),
                _ => Error(member ? ApiResult.BadRequest : ApiResult.Misdirected, member ? "unknown message" : "not in this swarm"),
            };
        }
        catch (StoreException e)
        {
            return Error(ApiResult.Unavailable, e.Message);
        }
    }

    private async Task<WireMap> OperateAsync(WireMap map)
    {
        if (map.GetValueOrDefault("m") is not byte[] name || map.GetValueOrDefault("p") is not WireMap parameters || map.GetValueOrDefault("s") is not long stamp || map.GetValueOrDefault("o") is not long prior)
            return Error(ApiResult.BadRequest, "no operation");
        string method = ParamReader.Text(name)!;
        if (!RequestParser.Forwardable.Contains(method)) return Error(ApiResult.BadRequest, "invalid request: received invalid forwarded non-forwardable request");
        (SwarmRequest? request, string? fault) = parser.Parse(method, parameters, bt: true);
        if (request is not WriteRequest write) return Error(ApiResult.BadRequest, "invalid request: " + fault);
        if (!core.View.Owns(write.Account)) return Error(ApiResult.Misdirected, "not in this swarm");
        if (!core.Stamps.Observe(stamp)) return Error(ApiResult.BadRequest, "stamp of the far future");
        if (replica.Check(write, forwarded: true) is { } refused) return Error(refused.Status, refused.Body as string ?? "");
        return PeerMessages.Answer(await replica.ExecuteAsync(write, stamp, prior).ConfigureAwait(false));
    }

    private async Task<WireMap> MergeAsync(WireMap map)
    {
        SwarmView view = core.View;
        if (SwarmSync.ReadRecords(map, core) is not { } records) return Error(ApiResult.BadRequest, "no records");
        if (records.Exists(r => !view.Owns(r.Account))) return Error(ApiResult.Misdirected, "not in this swarm");
        int? news = await core.Store.MergeAsync(records, core.Clock.Now).ConfigureAwait(false);
        return news is { } n ? new WireMap { ["n"] = (long)n } : Error(ApiResult.Unavailable, "storage is unavailable");
    }

    private WireMap Want(WireMap map)
    {
        if (map.GetValueOrDefault("e") is not byte[] raw || RecordWire.ReadEntries(raw) is not { } entries) return Error(ApiResult.BadRequest, "no entries");
        Dictionary<MessageKey, RecordEntry> known = core.Store.Entries([.. entries.Select(e => e.Key)]);
        return new WireMap { ["x"] = RecordWire.WriteKeys([.. entries.Where(e => !known.TryGetValue(e.Key, out RecordEntry k) || e.Beats(k)).Select(e => e.Key)]) };
    }

    private WireMap Compare(WireMap map, SwarmMember node, bool member)
    {
        if (map.GetValueOrDefault("r") is not byte[] r || RecordWire.ReadSums(r, 1) is not [ulong root] || map.GetValueOrDefault("v") is not long vote) return Error(ApiResult.BadRequest, "no sums");
        if (member)
        {
            core.NotePeer(node.Hex, vote == 1);
            if (map.GetValueOrDefault("h") is long stamp) core.Stamps.Observe(stamp);
        }

        ulong own = core.Store.Digests.Root;
        var answer = new WireMap
        {
            ["h"] = core.Stamps.Last, ["r"] = RecordWire.WriteSums([own]), ["t"] = core.Clock.Local,
            ["v"] = core.Votes ? 1L : 0L, ["w"] = RecordWire.WriteSums([core.View.SwarmId]),
        };
        if (member && own != root) answer["g"] = RecordWire.WriteSums(core.Store.Digests.GroupSums());
        return answer;
    }

    private WireMap Buckets(WireMap map) => map.GetValueOrDefault("g") is long group and >= 0 and < DigestTree.Groups
        ? new WireMap { ["b"] = RecordWire.WriteSums(core.Store.Digests.BucketSums((int)group)) } : Error(ApiResult.BadRequest, "no such group");

    private WireMap Entries(WireMap map)
    {
        if (map.GetValueOrDefault("b") is not List<object> { Count: <= MaxBucketsAtOnce } list || !list.TrueForAll(b => b is long bucket and >= 0 and < DigestTree.Buckets)) return Error(ApiResult.BadRequest, "no such bucket");
        SwarmView view = core.View;
        var entries = new List<RecordEntry>();
        foreach (long bucket in list.Cast<long>())
        {
            if (entries.Count * RecordWire.EntryBytes > MaxEntriesBytes) break;
            entries.AddRange(core.Store.Bucket((int)bucket, view.Owns));
        }

        return new WireMap { ["e"] = RecordWire.WriteEntries(entries) };
    }

    private WireMap Pull(WireMap map)
    {
        if (map.GetValueOrDefault("x") is not byte[] raw || RecordWire.ReadKeys(raw) is not { } keys) return Error(ApiResult.BadRequest, "no keys");
        return new WireMap { ["r"] = core.Store.Records(keys, MaxPullBytes).ConvertAll(r => (object)RecordWire.Write(r)) };
    }

    private async Task<WireMap> OnionAsync(WireMap map, string from)
    {
        if (map.GetValueOrDefault("d") is not byte[] data || map.GetValueOrDefault("y") is not byte[] type || map.GetValueOrDefault("x") is not byte[] { Length: 32 } key || map.GetValueOrDefault("h") is not long hop)
            return Error(ApiResult.BadRequest, "no onion request");
        (int status, byte[] body) = await onion(new OnionHop(data, ParamReader.Text(type)!, key, (int)Math.Clamp(hop, 1, 1000), from)).ConfigureAwait(false);
        return new WireMap { ["c"] = (long)status, ["d"] = body };
    }
}
