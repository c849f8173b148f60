using Oxen.Swarm.Api;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Replication;

// Messages between nodes: bt dictionaries with the kind under "k". docs/protocol/swarm.md#between-nodes
//
//   k        sends                                         answers
//   op       m method, p parameters, s stamp, o prior      c status, e element, f reason, q stamp required, t entries, v vote
//   merge    r records                                     n news, or c 503
//   sync     w swarm, r root, v vote, h last stamp         w, r, v, h, t own time, g sums of groups if the roots differ
//   buckets  g group                                       b sums
//   entries  b buckets                                     e entries
//   pull     x keys                                        r records
//   want     e entries                                     x keys that the other side does not have so late
//   onion    d data, y enc_type, x ephemeral key, h hop    c status, d body
//   ping                                                   p 1

/// <summary>Writes and reads messages between nodes.</summary>
internal static class PeerMessages
{
    public static WireMap Op(WriteRequest request, long stamp, long prior) =>
        new() { ["k"] = "op", ["m"] = request.Method, ["o"] = prior, ["p"] = request.ToParams(), ["s"] = stamp };

    public static WireMap Merge(IEnumerable<SwarmRecord> records) => new() { ["k"] = "merge", ["r"] = records.Select(r => (object)RecordWire.Write(r)).ToList() };

    public static WireMap Pull(IReadOnlyList<MessageKey> keys) => new() { ["k"] = "pull", ["x"] = RecordWire.WriteKeys(keys) };

    public static WireMap Want(IReadOnlyList<RecordEntry> entries) => new() { ["e"] = RecordWire.WriteEntries(entries), ["k"] = "want" };

    public static WireMap Answer(ReplicaAnswer answer)
    {
        var map = new WireMap { ["c"] = (long)answer.Status, ["v"] = answer.Votes ? 1L : 0L };
        if (answer.Element is not null) map["e"] = answer.Element;
        if (answer.Reason.Length > 0) map["f"] = answer.Reason;
        if (answer.Required > 0) map["q"] = answer.Required;
        if (answer.Touched.Count > 0) map["t"] = RecordWire.WriteEntries(answer.Touched);
        return map;
    }

    /// <summary>Null if a peer's answer makes no sense.</summary>
    public static ReplicaAnswer? ReadAnswer(object? value)
    {
        if (value is not WireMap map || map.GetValueOrDefault("c") is not long status || status is < 100 or > 999) return null;
        WireMap? element = map.GetValueOrDefault("e") is WireMap raw ? ToReply(raw) : null;
        string reason = map.GetValueOrDefault("f") is { } f ? ParamReader.Text(f) ?? "" : "";
        long required = map.GetValueOrDefault("q") is long q ? q : 0;
        List<RecordEntry>? touched = map.GetValueOrDefault("t") is byte[] entries ? RecordWire.ReadEntries(entries) : [];
        if (touched is null || (status == ApiResult.Ok && required == 0 && element is null)) return null;
        return new ReplicaAnswer((int)status, reason, element, required, touched, map.GetValueOrDefault("v") is 1L);
    }

    // bt has only byte strings: signatures are bytes to clients too, everything else in an element is text.
    private static WireMap ToReply(WireMap raw)
    {
        var map = new WireMap();
        foreach ((string key, object value) in raw)
        {
            map[key] = key is "already" or "failed" or "query_failure" && value is long flag ? flag != 0 : ToReply(value, key);
        }

        return map;
    }

    private static object ToReply(object value, string key) => value switch
    {
        byte[] bytes when key == "signature" => new WireBytes(bytes, BytesForm.Base64),
        byte[] bytes => System.Text.Encoding.Latin1.GetString(bytes),
        List<object> list => list.ConvertAll(item => ToReply(item, "")),
        WireMap map => ToReply(map),
        _ => value,
    };
}
