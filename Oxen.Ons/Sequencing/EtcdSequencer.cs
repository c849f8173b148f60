using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Sequencing;

// etcd by its JSON gateway (v3 API over HTTP/1.1): one key a block, taken by whoever creates it first while the one before it exists.
//
//   PREFIX/blk/0000000000000005      the block of height 5, 16 hexadecimal digits so that keys sort as heights do
//   PREFIX/sig/0000000000000005      the signatures under its header
//   PREFIX/vote/0000000000000005/ABOUT/MEMBER      a member's vote about something of height 5
//
// Each request goes to one member; the next one is tried when it does not answer. A read may be asked again; of a write it is then
// not known whether it was done, and the caller reads. etcd answers a write after a quorum of its members has it on disk, and reads are linearizable.

/// <summary>Blocks in an etcd cluster.</summary>
internal sealed class EtcdSequencer : IBlockSequencer
{
    private const int PageBlocks = 64; // 64 blocks of at most 1 MiB stay below what one answer should hold

    private readonly HttpClient _http;
    private readonly IReadOnlyList<Uri> _members;
    private readonly string _prefix;
    private int _at; // whom to ask first

    /// <summary>`members` are of one cluster; `prefix` keeps networks in it apart. `handler` is ours from now on; null: sockets of this process.</summary>
    public EtcdSequencer(IReadOnlyList<Uri> members, string prefix, TimeSpan? patience = null, HttpMessageHandler? handler = null)
    {
        ArgumentOutOfRangeException.ThrowIfZero(members.Count);
        _http = new HttpClient(handler ?? new SocketsHttpHandler()) { Timeout = patience ?? TimeSpan.FromSeconds(10) };
        _members = members;
        _prefix = prefix;
    }

    public string Name => "etcd";

    public string Remedy => "More than half of the cluster's members must run and reach each other: `etcdctl endpoint status --cluster` shows who does.";

    public bool IsShared => true;

    public async Task<bool> AppendAsync(ulong height, ReadOnlyMemory<byte> block, CancellationToken cancel)
    {
        var compare = new List<object> { new { key = Key("blk", height), target = "CREATE", result = "EQUAL", create_revision = "0" } };
        if (height > 0) compare.Add(new { key = Key("blk", height - 1), target = "CREATE", result = "GREATER", create_revision = "0" });
        JsonElement reply = await PostAsync("txn", new { compare, success = new[] { new { request_put = new { key = Key("blk", height), value = block } } } }, cancel).ConfigureAwait(false);
        return reply.TryGetProperty("succeeded", out JsonElement succeeded) && succeeded.GetBoolean();
    }

    public async Task<IReadOnlyList<byte[]>> ReadAsync(ulong from, int count, CancellationToken cancel)
    {
        var blocks = new List<byte[]>();
        while (blocks.Count < count)
        {
            int page = Math.Min(PageBlocks, count - blocks.Count);
            JsonElement reply = await PostAsync("range", new { key = Key("blk", from + (ulong)blocks.Count), range_end = End("blk"), limit = page.ToString(), sort_target = "KEY", sort_order = "ASCEND" }, cancel).ConfigureAwait(false);
            if (!reply.TryGetProperty("kvs", out JsonElement kvs)) break;
            int before = blocks.Count;
            foreach (JsonElement kv in kvs.EnumerateArray())
            {
                if (kv.GetProperty("key").GetString() != Key("blk", from + (ulong)blocks.Count)) return blocks;
                blocks.Add(kv.GetProperty("value").GetBytesFromBase64());
            }

            if (blocks.Count - before < page) break;
        }

        return blocks;
    }

    public async Task TruncateAsync(ulong from, CancellationToken cancel)
    {
        foreach (string kind in new[] { "blk", "sig" }) await PostAsync("deleterange", new { key = Key(kind, from), range_end = End(kind) }, cancel).ConfigureAwait(false);
    }

    public Task PutSignaturesAsync(ulong height, ReadOnlyMemory<byte> signatures, CancellationToken cancel)
        => PostAsync("put", new { key = Key("sig", height), value = signatures }, cancel);

    public async Task<byte[]?> GetSignaturesAsync(ulong height, CancellationToken cancel)
    {
        JsonElement reply = await PostAsync("range", new { key = Key("sig", height) }, cancel).ConfigureAwait(false);
        return reply.TryGetProperty("kvs", out JsonElement kvs) && kvs.GetArrayLength() == 1 ? kvs[0].GetProperty("value").GetBytesFromBase64() : null;
    }

    public async Task<IReadOnlyList<StoredVote>> ShareVoteAsync(StoredVote vote, ulong forget, CancellationToken cancel)
    {
        string about = $"{_prefix}/vote/{vote.Height:x16}/{vote.About}/";
        var success = new object[]
        {
            new { request_delete_range = new { key = Encode($"{_prefix}/vote/"), range_end = Encode($"{_prefix}/vote/{forget:x16}") } },
            new { request_put = new { key = Encode(about + vote.Member), value = vote.Signature } },
            new { request_range = new { key = Encode(about), range_end = Encode(about[..^1] + "0"), limit = StoredVote.Most.ToString() } },
        };
        JsonElement reply = await PostAsync("txn", new { success }, cancel).ConfigureAwait(false);
        var votes = new List<StoredVote>();
        if (!reply.TryGetProperty("responses", out JsonElement responses) || responses.GetArrayLength() != success.Length) throw new IOException("etcd answered a vote with no list of votes");
        foreach (JsonElement kv in responses[2].GetProperty("response_range").GetProperty("kvs").EnumerateArray())
        {
            string key = Encoding.ASCII.GetString(kv.GetProperty("key").GetBytesFromBase64());
            if (Bytes32.TryParse(key.AsSpan(Math.Min(about.Length, key.Length)), out Bytes32 member)) votes.Add(vote with { Member = member, Signature = kv.GetProperty("value").GetBytesFromBase64() });
        }

        return votes;
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        return ValueTask.CompletedTask;
    }

    private static string Encode(string key) => Convert.ToBase64String(Encoding.ASCII.GetBytes(key));

    private string Key(string kind, ulong height) => Encode($"{_prefix}/{kind}/{height:x16}");

    // One past the last key of a kind: '0' follows '/'.
    private string End(string kind) => Encode($"{_prefix}/{kind}0");

    private async Task<JsonElement> PostAsync(string method, object request, CancellationToken cancel)
    {
        for (int tries = 1; ; tries++)
        {
            int at = Volatile.Read(ref _at);
            try
            {
                using HttpResponseMessage response = await _http.PostAsJsonAsync(new Uri(_members[at], $"v3/kv/{method}"), request, cancel).ConfigureAwait(false);
                if (!response.IsSuccessStatusCode) throw new IOException($"{_members[at]} answered {(int)response.StatusCode} to {method}: {await response.Content.ReadAsStringAsync(cancel).ConfigureAwait(false)}");
                return await response.Content.ReadFromJsonAsync<JsonElement>(cancel).ConfigureAwait(false);
            }
            catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !cancel.IsCancellationRequested))
            {
                Interlocked.CompareExchange(ref _at, (at + 1) % _members.Count, at);
                if (method == "range" && tries < _members.Count) continue;
                string why = e is OperationCanceledException ? $"{_members[at]} did not answer within {_http.Timeout.TotalSeconds:F0} s" : e.Message;
                throw new IOException(tries > 1 ? $"{why}; nor did any other of {_members.Count} members" : why, e);
            }
        }
    }
}
