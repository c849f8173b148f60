using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Doors;

/// <summary>Hostile bodies at the HTTPS door: a status of the contract each time, never a failure, and the node goes on.</summary>
public class DoorFuzzTests
{
    private static readonly int[] Statuses = [200, 400, 401, 403, 404, 406, 421];

    [Fact]
    public async Task Changed_requests_get_an_answer_of_the_contract_and_a_third_gets_past_the_envelope()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1, https: true);
        using var http = new HttpClient(HttpsPeerTransport.CreateHandler());
        using MiniAccount account = MiniAccount.Random();
        var dice = new Random(20261127);
        int past = 0, sent = 0;
        for (int i = 0; i < 500; i++)
        {
            byte[] body = Encoding.UTF8.GetBytes(Change(Template(dice, account), dice).ToJsonString());
            int damage = dice.Next(4);
            if (damage == 0) body[dice.Next(body.Length)] = (byte)dice.Next(256);
            if (damage == 1 && dice.Next(3) == 0) body = body[..dice.Next(body.Length)];
            (int status, string text) = await PostAsync(http, swarm, "/storage_rpc/v1", body);
            sent++;
            if (status == 429)
            {
                await Task.Delay(100, TestContext.Current.CancellationToken);
                continue;
            }

            Assert.True(Statuses.Contains(status), $"{status} {text} for {Encoding.UTF8.GetString(body)}");
            if (!text.StartsWith("invalid json", StringComparison.Ordinal) && !text.StartsWith("no method", StringComparison.Ordinal)) past++;
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{past} of {sent} inputs got past the envelope");
        Assert.True(past * 100 >= sent * 30, $"{past} of {sent}");
        Assert.Equal(200, (await swarm.AskAsync(0, "store", MiniRequests.Store(account, [1], TestSwarm.Now))).Status);
    }

    [Theory]
    [InlineData("""{"method":"info","params":{},"method":"info"}""", 200, null)]
    [InlineData("""{"method":"retrieve","params":{"pubkey":"05","pubkey":"00"}}""", 400, "Pubkey must be 66 hex digits (33 bytes) long")]
    [InlineData("""{"method":1,"params":{}}""", 400, "invalid json: no `method` field")]
    [InlineData("""{"method":"info","params":[]}""", 400, "invalid json: no `params` field")]
    [InlineData("""{"method":"info"}""", 400, "invalid json: no `params` field")]
    [InlineData("""{"method":"frobnicate","params":{}}""", 400, "no method frobnicate")]
    [InlineData("""{"method":"info","params":{}} more""", 400, "invalid json")]
    [InlineData("""{"method":"info","params":{"a":"\ud800"}}""", 400, "invalid json")]
    [InlineData("", 400, "invalid json")]
    [InlineData("[]", 400, "invalid json")]
    [InlineData("null", 400, "invalid json")]
    [InlineData("""{"method":"batch","params":{}}""", 400, "invalid request: Invalid batch request: no valid \"requests\" field")]
    [InlineData("""{"method":"batch","params":{"requests":[1]}}""", 400, "invalid request: Invalid batch request: requests must be objects")]
    [InlineData("""{"method":"batch","params":{"requests":[{"method":"batch","params":{}}]}}""", 400, "invalid request: Invalid batch request: subrequests may not contain meta-requests")]
    [InlineData("""{"method":"oxend_request","params":{"endpoint":"stop_daemon"}}""", 400, "invalid request: Invalid oxend endpoint 'stop_daemon'")]
    public async Task The_envelope_s_errors_are_the_contract_s_words(string body, int status, string? words)
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1, https: true);
        using var http = new HttpClient(HttpsPeerTransport.CreateHandler());
        (int got, string text) = await PostAsync(http, swarm, "/storage_rpc/v1", Encoding.UTF8.GetBytes(body));
        Assert.True(got == status, $"{got} {text}");
        if (words is not null) Assert.Contains(words, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deep_nesting_is_refused_and_so_are_damaged_onions()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1, https: true);
        using var http = new HttpClient(HttpsPeerTransport.CreateHandler());
        string deep = $$$"""{"method":"info","params":{"x":{{{new string('[', 5000)}}}{{{new string(']', 5000)}}}}}""";
        Assert.Equal((400, "invalid json"), await PostAsync(http, swarm, "/storage_rpc/v1", Encoding.UTF8.GetBytes(deep)));
        var dice = new Random(7);
        byte[] good = new MiniOnion("aes-gcm").Build("{\"method\":\"info\",\"params\":{}}"u8.ToArray(), [swarm.Entries[0].Identity.Ed25519.ToArray()], [swarm.Entries[0].Identity.X25519.ToArray()]);
        Assert.Equal(200, (await PostAsync(http, swarm, "/onion_req/v2", good)).Status);
        int past = 0;
        for (int i = 0; i < 200; i++)
        {
            byte[] bad = [.. good];
            if (i % 4 == 0) bad = bad[..dice.Next(bad.Length)];
            else bad[dice.Next(bad.Length)] ^= (byte)(1 << dice.Next(8));
            (int status, string text) = await PostAsync(http, swarm, "/onion_req/v2", bad);
            Assert.True(status is 200 or 400, $"{status} {text}");
            if (!text.StartsWith("Error parsing onion request", StringComparison.Ordinal)) past++;
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{past} of 200 onions got past their frame");
        Assert.True(past * 100 >= 200 * 30, $"{past} of 200");
    }

    private static async Task<(int Status, string Text)> PostAsync(HttpClient http, TestSwarm swarm, string path, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        using HttpResponseMessage reply = await http.PostAsync(new Uri($"https://127.0.0.1:{swarm[0].HttpsPort}{path}"), content, TestContext.Current.CancellationToken);
        return ((int)reply.StatusCode, await reply.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static JsonObject Template(Random dice, MiniAccount account)
    {
        long now = TestSwarm.Now;
        string hash = account.Hash([1]);
        return dice.Next(12) switch
        {
            0 => MiniRequests.Call("store", MiniRequests.Store(account, [1], now)),
            1 => MiniRequests.Call("store", MiniRequests.Store(account, [2], now, 5)),
            2 => MiniRequests.Call("retrieve", MiniRequests.Retrieve(account, now)),
            3 => MiniRequests.Call("delete", MiniRequests.Delete(account, hash)),
            4 => MiniRequests.Call("delete_all", MiniRequests.DeleteAll(account, now, null)),
            5 => MiniRequests.Call("delete_before", MiniRequests.DeleteBefore(account, now)),
            6 => MiniRequests.Call("expire_all", MiniRequests.ExpireAll(account, now)),
            7 => MiniRequests.Call("expire", MiniRequests.Expire(account, now + 100_000, "extend", hash)),
            8 => MiniRequests.Call("get_expiries", MiniRequests.GetExpiries(account, now, hash)),
            9 => MiniRequests.Call("revoke_subaccount", MiniRequests.Revoke(account, now, "revoke", account.Allow(new byte[32], 1).Token)),
            10 => MiniRequests.Call("ifelse", new JsonObject { ["if"] = new JsonObject { ["height_at_least"] = 1 }, ["then"] = MiniRequests.Call("info", []) }),
            _ => MiniRequests.Call("batch", new JsonObject { ["requests"] = new JsonArray(MiniRequests.Call("info", []), MiniRequests.Call("retrieve", MiniRequests.Retrieve(account, now))) }),
        };
    }

    // Another value, or none, in place of one of the parameters.
    private static JsonObject Change(JsonObject request, Random dice)
    {
        JsonObject parameters = request["params"]!.AsObject();
        if (parameters.Count == 0 || dice.Next(4) == 0) return request;
        string key = parameters.ElementAt(dice.Next(parameters.Count)).Key;
        JsonNode?[] values = [null, 0, -1, long.MaxValue, 1.5, true, "", "all", "zz", new string('a', 66), new JsonArray(), new JsonArray(1, "x"), new JsonObject()];
        if (dice.Next(5) == 0) parameters.Remove(key);
        else parameters[key] = values[dice.Next(values.Length)];
        return request;
    }
}
