using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Duties;
using Oxen.Swarm.Replication;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;
using Oxen.Swarm.Tests.Doors;

namespace Oxen.Swarm.Tests.Duties;

/// <summary>Limits of requests whose senders are unknown. Rates are so low that a slow machine refills nothing that matters.</summary>
public class OnionLimitsTests
{
    private const double Slow = 0.001; // a second

    [Theory]
    [InlineData("xchacha20")]
    [InlineData("onion by quic")]
    public async Task The_first_node_limits_addresses(string way)
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, doors: true, rate: 1);
        await using ApiDoor door = ApiDoor.Open(way, swarm);
        int refused = 0;
        for (int i = 0; i < 60 && refused == 0; i++)
        {
            try
            {
                Assert.Equal(200, (await door.AskAsync(0, "info", [])).Status);
            }
            catch (Xunit.Sdk.EqualException)
            {
                refused++; // the door answers 429 in clear
            }
        }

        Assert.Equal(1, refused);
        byte[] request = new MiniOnion("xchacha20").Build(Encoding.UTF8.GetBytes("{}"), [swarm.Entries[1].Identity.Ed25519.ToArray()], [swarm.Entries[1].Identity.X25519.ToArray()]);
        Assert.Equal(200, (await swarm[1].Onion.HandleAsync(request, TestContext.Current.CancellationToken)).Status); // what comes by other ways goes on
    }

    [Fact]
    public async Task Nodes_behind_limit_each_node_that_onions_come_by()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(4, onionRates: new OnionRates(Node: Slow, NodeBurst: 10));
        int[] answers = [.. await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => HopAsync(swarm.Entries[1].Hex)))];
        Assert.Equal((10, 30), (answers.Count(a => a == 200), answers.Count(a => a == 429)));
        Assert.Equal(200, await HopAsync(swarm.Entries[2].Hex));
        Assert.Equal(200, await HopAsync(null));

        async Task<int> HopAsync(string? from)
        {
            byte[] box = new MiniOnion("xchacha20").Seal(Frame("{\"method\":\"info\",\"params\":{}}", "{\"headers\":{}}"), swarm.Entries[0].Identity.X25519.ToArray(), out string json);
            byte[] key = Convert.FromHexString((string)JsonNode.Parse(json)!["ephemeral_key"]!);
            return (await swarm[0].Onion.HandleHopAsync(new OnionHop(box, "xchacha20", key, 2, from), TestContext.Current.CancellationToken)).Status;
        }

        static byte[] Frame(string blob, string json) => [.. BitConverter.GetBytes(blob.Length), .. Encoding.ASCII.GetBytes(blob), .. Encoding.ASCII.GetBytes(json)];
    }

    [Theory]
    [InlineData("xchacha20")]
    [InlineData("router")]
    public async Task The_last_node_limits_what_is_asked_for_one_account(string way)
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, doors: true, onionRates: new OnionRates(Account: Slow, AccountBurst: 10));
        await using ApiDoor door = ApiDoor.Open(way, swarm), direct = ApiDoor.Open("https", swarm);
        using MiniAccount flooded = MiniAccount.Random(), other = MiniAccount.Random();
        var statuses = new List<int>();
        for (byte i = 0; i < 6; i++)
        {
            JsonArray two = [MiniRequests.Call("store", MiniRequests.Store(flooded, [i], TestSwarm.Now)), MiniRequests.Call("retrieve", MiniRequests.Retrieve(flooded, TestSwarm.Now))];
            statuses.AddRange((await door.AskAsync(0, "batch", new JsonObject { ["requests"] = two })).Json!["results"]!.AsArray().Select(r => (int)r!["code"]!));
        }

        Assert.Equal((10, 2), (statuses.Count(s => s == 200), statuses.Count(s => s == 429)));
        Assert.Equal((429, "Too many requests, try again later"), Text(await door.AskAsync(0, "store", MiniRequests.Store(flooded, [9], TestSwarm.Now))));
        Assert.Equal(200, (await door.AskAsync(0, "store", MiniRequests.Store(other, [9], TestSwarm.Now))).Status);
        Assert.Equal(200, (await direct.AskAsync(0, "store", MiniRequests.Store(flooded, [9], TestSwarm.Now))).Status); // whose address is known

        static (int, string) Text((int Status, JsonNode? Json, string Text) answer) => (answer.Status, answer.Text);
    }
}
