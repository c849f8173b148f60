using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace Oxen.Ons.Sequencing;

// etcd by its JSON gateway (v3 API over HTTP/1.1): one key a block, taken by whoever creates it first while the one before it exists.
//
//   PREFIX/blk/0000000000000005      the block of height 5, 16 hexadecimal digits so that keys sort as heights do
//   PREFIX/sig/0000000000000005      the signatures under its header
//
// etcd answers a write after a quorum of its members has it on disk, and reads are linearizable.

/// <summary>Blocks in an etcd cluster.</summary>
internal sealed class EtcdSequencer : IBlockSequencer
{
    private const int PageBlocks = 64; // 64 blocks of at most 1 MiB stay below what one answer should hold

    private readonly HttpClient _http;
    private readonly string _prefix;

    /// <summary>`prefix` keeps networks in one cluster apart.</summary>
    public EtcdSequencer(Uri server, string prefix)
    {
        _http = new HttpClient { BaseAddress = server, Timeout = TimeSpan.FromSeconds(30) };
        _prefix = prefix;
    }

    public string Name => "etcd";

    public async Task<bool> AppendAsync(ulong height, ReadOnlyMemory<byte> block, CancellationToken cancel)
    {
        var compare = new List<object> { new { key = Key("blk", height), target = "CREATE", result = "EQUAL", create_revision = "0" } };
        if (height > 0) compare.Add(new { key = Key("blk", height - 1), target = "CREATE", result = "GREATER", create_revision = "0" });
        JsonElement reply = await PostAsync("txn", new { compare, success = new[] { new { request_put = new { key = Key("blk", height), value = Convert.ToBase64String(block.Span) } } } }, cancel).ConfigureAwait(false);
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
        => PostAsync("put", new { key = Key("sig", height), value = Convert.ToBase64String(signatures.Span) }, cancel);

    public async Task<byte[]?> GetSignaturesAsync(ulong height, CancellationToken cancel)
    {
        JsonElement reply = await PostAsync("range", new { key = Key("sig", height) }, cancel).ConfigureAwait(false);
        return reply.TryGetProperty("kvs", out JsonElement kvs) && kvs.GetArrayLength() == 1 ? kvs[0].GetProperty("value").GetBytesFromBase64() : null;
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        return ValueTask.CompletedTask;
    }

    private string Key(string kind, ulong height) => Convert.ToBase64String(Encoding.ASCII.GetBytes($"{_prefix}/{kind}/{height:x16}"));

    // One past the last key of a kind: '0' follows '/'.
    private string End(string kind) => Convert.ToBase64String(Encoding.ASCII.GetBytes($"{_prefix}/{kind}0"));

    private async Task<JsonElement> PostAsync(string method, object request, CancellationToken cancel)
    {
        using HttpResponseMessage response = await _http.PostAsJsonAsync($"v3/kv/{method}", request, cancel).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode) throw new IOException($"etcd answered {(int)response.StatusCode} to {method}: {await response.Content.ReadAsStringAsync(cancel).ConfigureAwait(false)}");
        return await response.Content.ReadFromJsonAsync<JsonElement>(cancel).ConfigureAwait(false);
    }
}
