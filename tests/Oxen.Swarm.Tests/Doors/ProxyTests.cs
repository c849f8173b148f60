using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Doors;

/// <summary>Onion requests to servers: client, three nodes, a file server's door, and back.</summary>
public class ProxyTests
{
    private static async Task<TestSwarm> SwarmAsync() => await TestSwarm.StartAsync(3, https: true, proxyHosts: ["127.0.0.1"], files: true);

    private static byte[][] Ids(TestSwarm swarm) => [.. swarm.Entries.Select(e => e.Identity.Ed25519.ToArray())];

    private static byte[][] Keys(TestSwarm swarm) => [.. swarm.Entries.Select(e => e.Identity.X25519.ToArray())];

    private static string Where(TestSwarm swarm, string target, string host = "127.0.0.1") =>
        string.Create(CultureInfo.InvariantCulture, $"\"host\":\"{host}\",\"target\":\"{target}\",\"method\":\"POST\",\"protocol\":\"https\",\"port\":{swarm[2].HttpsPort}");

    private static async Task<(int Status, byte[] Body)> SendAsync(TestSwarm swarm, byte[] request)
    {
        using var http = new HttpClient(Oxen.Swarm.Peers.HttpsPeerTransport.CreateHandler());
        using var content = new ByteArrayContent(request);
        using HttpResponseMessage reply = await http.PostAsync(new Uri($"https://127.0.0.1:{swarm[0].HttpsPort}/onion_req/v2"), content, TestContext.Current.CancellationToken);
        return ((int)reply.StatusCode, await reply.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("xchacha20")]
    [InlineData("aes-gcm")]
    public async Task A_file_goes_up_and_comes_down_by_version_four(string cipher)
    {
        await using TestSwarm swarm = await SwarmAsync();
        byte[] file = new byte[100_000];
        new Random(1).NextBytes(file);
        (JsonNode head, byte[] body) = await V4Async(swarm, cipher, """{"method":"POST","endpoint":"/file","headers":{"X-FS-TTL":"3600"}}""", file);
        Assert.Equal(200, (int)head["code"]!);
        string id = (string)JsonNode.Parse(body)!["id"]!;
        (head, body) = await V4Async(swarm, cipher, $$$"""{"method":"GET","endpoint":"/file/{{{id}}}","headers":{}}""", null);
        Assert.Equal(200, (int)head["code"]!);
        Assert.Equal(file, body);
        Assert.Equal(404, (int)(await V4Async(swarm, cipher, """{"method":"GET","endpoint":"/file/unknown","headers":{}}""", null)).Head["code"]!);
        (head, body) = await V4Async(swarm, cipher, "no json", null);
        Assert.Equal(400, (int)head["code"]!);
        Assert.Equal("Invalid v4 onion request", Encoding.ASCII.GetString(body));
        Assert.True(swarm[2].Core.Counters.Proxied >= 4);
    }

    [Theory]
    [InlineData("/oxen/v3/lsrpc")]
    [InlineData("/loki/v3/lsrpc")]
    public async Task Version_three_is_answered_with_the_bare_body_in_base64(string target)
    {
        await using TestSwarm swarm = await SwarmAsync();
        foreach (string cipher in new[] { "xchacha20", "aes-gcm", "aes-cbc" })
        {
            var onion = new MiniOnion(cipher);
            byte[] request = onion.BuildForServer("""{"method":"POST","endpoint":"/file","body":"hello","headers":{}}"""u8.ToArray(), Keys(swarm)[2], Where(swarm, target), Ids(swarm), Keys(swarm));
            (int status, byte[] answer) = await SendAsync(swarm, request);
            Assert.Equal(200, status);
            string id = (string)JsonNode.Parse(onion.Open(answer))!["id"]!;
            request = onion.BuildForServer(Encoding.UTF8.GetBytes($$$"""{"method":"GET","endpoint":"/file/{{{id}}}","headers":{}}"""), Keys(swarm)[2], Where(swarm, target), Ids(swarm), Keys(swarm));
            Assert.Equal("hello", onion.Open((await SendAsync(swarm, request)).Body));
            request = onion.BuildForServer("[]"u8.ToArray(), Keys(swarm)[2], Where(swarm, target), Ids(swarm), Keys(swarm));
            Assert.Equal("""{"status_code":400}""", onion.Open((await SendAsync(swarm, request)).Body));
        }
    }

    [Fact]
    public async Task Other_doors_and_other_hosts_are_not_reached()
    {
        await using TestSwarm swarm = await SwarmAsync();
        foreach (string target in new[] { "/storage_rpc/v1", "/oxen/v4/lsrpc?x=1", "/oxen/../ping_test/v1", "/other/v4/lsrpc" })
        {
            var onion = new MiniOnion("xchacha20");
            // The refusal is for the client, so it is sealed with the key of the last node.
            byte[] request = onion.BuildForServer([1], Keys(swarm)[2], Where(swarm, target), Ids(swarm), Keys(swarm), replyOfNode: true);
            (int status, byte[] answer) = await SendAsync(swarm, request);
            Assert.Equal(200, status);
            Assert.Equal("""{"body":"Invalid url","status":400}""", onion.Open(answer));
        }

        byte[] elsewhere = new MiniOnion("aes-gcm").BuildForServer([1], Keys(swarm)[2], Where(swarm, "/oxen/v4/lsrpc", "localhost"), Ids(swarm), Keys(swarm));
        (int code, byte[] text) = await SendAsync(swarm, elsewhere);
        Assert.Equal((502, "Host is not allowed"), (code, Encoding.ASCII.GetString(text)));
    }

    private static async Task<(JsonNode Head, byte[] Body)> V4Async(TestSwarm swarm, string cipher, string head, byte[]? body)
    {
        var onion = new MiniOnion(cipher);
        byte[] payload = [.. Encoding.UTF8.GetBytes($"l{Encoding.UTF8.GetByteCount(head)}:{head}"), .. body is null ? [] : Encoding.ASCII.GetBytes($"{body.Length}:"), .. body ?? [], (byte)'e'];
        (int status, byte[] answer) = await SendAsync(swarm, onion.BuildForServer(payload, Keys(swarm)[2], Where(swarm, "/oxen/v4/lsrpc"), Ids(swarm), Keys(swarm)));
        Assert.Equal(200, status);
        byte[] plain = onion.OpenBytes(answer);
        Assert.Equal((byte)'l', plain[0]);
        Assert.Equal((byte)'e', plain[^1]);
        int colon = Array.IndexOf(plain, (byte)':'), length = int.Parse(Encoding.ASCII.GetString(plain, 1, colon - 1), CultureInfo.InvariantCulture);
        int second = Array.IndexOf(plain, (byte)':', colon + 1 + length), bytes = int.Parse(Encoding.ASCII.GetString(plain, colon + 1 + length, second - colon - 1 - length), CultureInfo.InvariantCulture);
        return (JsonNode.Parse(plain.AsSpan(colon + 1, length))!, plain[(second + 1)..(second + 1 + bytes)]);
    }
}
