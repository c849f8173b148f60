using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Doors;

/// <summary>Five nodes with real HTTPS doors, which also talk to each other by HTTPS.</summary>
public sealed class HttpsDoorTests : IAsyncLifetime
{
#pragma warning disable CA5359 // a node's certificate is of its own making
    private readonly HttpClient _http = new(new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = static (_, _, _, _) => true }, AllowAutoRedirect = false });
#pragma warning restore CA5359
    private TestSwarm _swarm = null!;

    public async ValueTask InitializeAsync() => _swarm = await TestSwarm.StartAsync(5, https: true);

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _swarm.DisposeAsync();
    }

    [Fact]
    public async Task Messages_are_stored_and_retrieved_as_clients_do_it()
    {
        using MiniAccount account = MiniAccount.Random();
        (HttpResponseMessage stored, string text) = await Rpc(0, "store", MiniRequests.Store(account, [1, 2, 3], TestSwarm.Now));
        Assert.Equal(HttpStatusCode.OK, stored.StatusCode);
        Assert.Equal("application/json", stored.Content.Headers.ContentType!.ToString());
        Assert.Equal("Oxen Storage Server/2.12.0", string.Join(' ', stored.Headers.GetValues("Server")));
        Assert.All(JsonNode.Parse(text)!["swarm"]!.AsObject(), p => Assert.NotNull(p.Value!["signature"]));
        for (int i = 0; i < 5; i++)
        {
            (_, string reply) = await Rpc(i, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now));
            Assert.Single(JsonNode.Parse(reply)!["messages"]!.AsArray());
        }

        (HttpResponseMessage refused, string reason) = await Rpc(0, "retrieve", new JsonObject { ["pubkey"] = account.Id });
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Equal("text/plain", refused.Content.Headers.ContentType!.ToString());
        Assert.Equal("retrieve: request signature required", reason);
    }

    [Fact]
    public async Task A_dead_member_costs_no_stall_and_catches_up_when_it_is_back()
    {
        using MiniAccount account = MiniAccount.Random();
        await _swarm.StopNodeAsync(4);
        for (int i = 0; i < 10; i++)
        {
            (HttpResponseMessage stored, string text) = await Rpc(i % 4, "store", MiniRequests.Store(account, [(byte)i], TestSwarm.Now));
            Assert.Equal(HttpStatusCode.OK, stored.StatusCode);
            JsonNode dead = JsonNode.Parse(text)!["swarm"]![_swarm.Entries[4].Hex]!;
            Assert.True((bool)dead["failed"]!);
            Assert.True((bool)dead["timeout"]!);
        }

        await _swarm.StartNodeAsync(4);
        await _swarm.WaitAsync(() => _swarm[4].NotReady.Count == 0 && _swarm.Agree(), "the fifth has caught up");
        (_, string reply) = await Rpc(4, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now));
        Assert.Equal(10, JsonNode.Parse(reply)!["messages"]!.AsArray().Count);
    }

    [Fact]
    public async Task Pings_statistics_and_unknown_paths_are_answered()
    {
        using HttpResponseMessage ping = await _http.PostAsync(Url(0, "/ping_test/v1"), null);
        Assert.Equal(Convert.ToBase64String(Convert.FromHexString(_swarm.Entries[0].Hex)), ping.Headers.GetValues("X-Oxen-Snode-Pubkey").Single());
        Assert.Empty(await ping.Content.ReadAsByteArrayAsync());
        Assert.Equal("{\"version\":\"2.12.0\"}", await _http.GetStringAsync(Url(0, "/get_stats/v1")));
        using HttpResponseMessage unknown = await _http.GetAsync(Url(0, "/x/y"));
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal("GET /x/y Not Found", await unknown.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Long_polls_large_bodies_and_broken_json_are_refused_in_known_words()
    {
        using var poll = new HttpRequestMessage(HttpMethod.Post, Url(0, "/storage_rpc/v1")) { Content = new StringContent("{}") };
        poll.Headers.Add("x-loki-long-poll", "1");
        using HttpResponseMessage gone = await _http.SendAsync(poll);
        Assert.Equal((HttpStatusCode.Gone, "long polling is no longer supported, client upgrade required"), (gone.StatusCode, await gone.Content.ReadAsStringAsync()));
        await Post("{", HttpStatusCode.BadRequest, "invalid json");
        await Post("{\"params\":{}}", HttpStatusCode.BadRequest, "invalid json: no `method` field");
        await Post("{\"method\":\"info\"}", HttpStatusCode.BadRequest, "invalid json: no `params` field");
        string large = await RawAsync(0, $"POST /storage_rpc/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: {(10 * 1024 * 1024) + 1}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 413", large, StringComparison.Ordinal);
        Assert.Contains("Request body too large", large, StringComparison.Ordinal);

        async Task Post(string body, HttpStatusCode status, string text)
        {
            using HttpResponseMessage reply = await _http.PostAsync(Url(0, "/storage_rpc/v1"), new StringContent(body));
            Assert.Equal((status, text), (reply.StatusCode, await reply.Content.ReadAsStringAsync()));
        }
    }

    [Fact]
    public async Task The_seed_gives_what_clients_start_from()
    {
        const string request = """{"jsonrpc":"2.0","method":"get_n_service_nodes","params":{"active_only":true,"limit":3,"fields":{"public_ip":true,"storage_port":true,"pubkey_x25519":true,"pubkey_ed25519":true,"requested_unlock_height":true,"height":true}}}""";
        using HttpResponseMessage reply = await _http.PostAsync(Url(0, "/json_rpc"), new StringContent(request));
        Assert.Equal("application/json", reply.Content.Headers.ContentType!.ToString());
        JsonNode result = JsonNode.Parse(await reply.Content.ReadAsStringAsync())!["result"]!;
        Assert.Equal("OK", (string?)result["status"]);
        JsonArray nodes = result["service_node_states"]!.AsArray();
        Assert.Equal(3, nodes.Count);
        Assert.All(nodes, n => Assert.Equal(["height", "pubkey_ed25519", "pubkey_x25519", "public_ip", "requested_unlock_height", "storage_port"], n!.AsObject().Select(f => f.Key).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public async Task Whoever_is_no_node_learns_nothing_at_the_nodes_own_path()
    {
        foreach (string? sender in new[] { null, "zz", new string('a', 64), _swarm.Entries[1].Hex })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Url(0, "/swarm_peer/v1")) { Content = new ByteArrayContent(new byte[200]) };
            if (sender is not null) request.Headers.Add("X-Oxen-Node", sender);
            using HttpResponseMessage reply = await _http.SendAsync(request);
            Assert.Equal((HttpStatusCode.Forbidden, "not a node"), (reply.StatusCode, await reply.Content.ReadAsStringAsync()));
        }
    }

    [Fact]
    public async Task Onion_requests_go_over_several_nodes_with_each_cipher_and_come_back_encrypted_for_the_client()
    {
        using MiniAccount account = MiniAccount.Random();
        foreach (string cipher in new[] { "aes-gcm", "aes-cbc", "xchacha20" })
        {
            byte[] call = Encoding.UTF8.GetBytes(MiniRequests.Call("store", MiniRequests.Store(account, Encoding.ASCII.GetBytes(cipher), TestSwarm.Now)).ToJsonString());
            var onion = new MiniOnion(cipher);
            byte[] body = onion.Build(call, [.. new[] { 1, 2, 3, 0 }.Select(i => Convert.FromHexString(_swarm.Entries[i].Hex))], [.. new[] { 1, 2, 3, 0 }.Select(i => _swarm.Entries[i].Identity.X25519.ToArray())]);
            using HttpResponseMessage reply = await _http.PostAsync(Url(1, "/onion_req/v2"), new ByteArrayContent(body));
            byte[] answer = await reply.Content.ReadAsByteArrayAsync();
            Assert.True(reply.StatusCode == HttpStatusCode.OK, $"{cipher}: {reply.StatusCode} {Encoding.UTF8.GetString(answer)}");
            JsonNode opened = JsonNode.Parse(onion.Open(answer))!;
            Assert.Equal(200, (int)opened["status"]!);
            Assert.Equal(account.Hash(Encoding.ASCII.GetBytes(cipher)), (string?)JsonNode.Parse((string)opened["body"]!)!["hash"]);
        }
    }

    [Fact]
    public async Task Errors_on_an_onion_s_way_are_those_that_clients_look_for()
    {
        byte[] nobody = Enumerable.Repeat((byte)9, 32).ToArray();
        var onion = new MiniOnion("xchacha20");
        byte[] body = onion.Build("{}"u8.ToArray(), [Convert.FromHexString(_swarm.Entries[0].Hex), nobody], [_swarm.Entries[0].Identity.X25519.ToArray(), _swarm.Entries[1].Identity.X25519.ToArray()]);
        await Post(body, HttpStatusCode.BadGateway, $"Next node not found: {Convert.ToHexStringLower(nobody)}");
        body[10] ^= 1;
        await Post(body, HttpStatusCode.BadRequest, "Invalid ciphertext");
        await Post([1, 2], HttpStatusCode.BadRequest, "Error parsing onion request: payload too short");
        byte[] wrong = new MiniOnion("aes-gcm").Seal([.. new byte[4], .. "{}"u8], _swarm.Entries[0].Identity.X25519.ToArray(), out string json);
        using HttpResponseMessage reply = await _http.PostAsync(Url(0, "/onion_req/v2"), new ByteArrayContent([.. BitConverter.GetBytes(wrong.Length), .. wrong, .. Encoding.ASCII.GetBytes(json)]));
        Assert.Equal(HttpStatusCode.OK, reply.StatusCode); // encrypted: {"status":400,"body":"Invalid json"}

        async Task Post(byte[] bytes, HttpStatusCode status, string text)
        {
            using HttpResponseMessage r = await _http.PostAsync(Url(0, "/onion_req/v2"), new ByteArrayContent(bytes));
            Assert.Equal((status, text), (r.StatusCode, await r.Content.ReadAsStringAsync()));
        }
    }

    private string Url(int node, string path) => $"https://127.0.0.1:{_swarm.Entries[node].Port}{path}";

    private async Task<(HttpResponseMessage Reply, string Text)> Rpc(int node, string method, JsonObject parameters)
    {
        HttpResponseMessage reply = await _http.PostAsync(Url(node, "/storage_rpc/v1"), new StringContent(MiniRequests.Call(method, parameters).ToJsonString()));
        return (reply, await reply.Content.ReadAsStringAsync());
    }

    private async Task<string> RawAsync(int node, string request)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, _swarm.Entries[node].Port);
#pragma warning disable CA5359 // a node's certificate is of its own making
        await using var tls = new System.Net.Security.SslStream(socket.GetStream(), false, static (_, _, _, _) => true);
#pragma warning restore CA5359
        await tls.AuthenticateAsClientAsync("localhost");
        await tls.WriteAsync(Encoding.ASCII.GetBytes(request));
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        try
        {
            int read;
            while ((read = await tls.ReadAsync(buffer)) > 0) text.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }
        catch (IOException)
        {
            // closed under the body that the server did not want
        }

        return text.ToString();
    }
}
