using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Oxen.Swarm.Api;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Tests.Api;

public class MonitorTests
{
    private sealed class Sink(string id) : INotificationSink
    {
        public ConcurrentQueue<(string Command, byte[] Body)> Got { get; } = new();

        public string Id => id;

        public void Push(string command, byte[] body) => Got.Enqueue((command, body));
    }

    [Fact]
    public async Task Subscribers_hear_of_new_messages_on_every_member_byte_for_byte()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3);
        using MiniAccount account = MiniAccount.Random();
        Sink[] sinks = [.. Enumerable.Range(0, 3).Select(i => new Sink($"c{i}"))];
        for (int i = 0; i < 3; i++) Assert.Equal("d7:successi1ee", Latin(swarm[i].Monitor.Subscribe(Request(account, [0, 5], data: true), sinks[i])));
        byte[] two = [(byte)'l', .. Request(account, [0], false), .. Request(account, [5], false), (byte)'e'];
        Assert.Equal("ld7:successi1eed7:successi1eee", Latin(swarm[0].Monitor.Subscribe(two, new Sink("other"))));
        long now = TestSwarm.Now;
        Assert.Equal(200, (await swarm.AskAsync(1, "store", MiniRequests.Store(account, [7, 8], now, ttl: 3_600_000))).Status);
        Assert.Equal(200, (await swarm.AskAsync(1, "store", MiniRequests.Store(account, [7, 8], now, ttl: 3_600_000))).Status); // not new
        Assert.Equal(200, (await swarm.AskAsync(1, "store", MiniRequests.Store(account, [9], now, 42))).Status); // not asked for
        string expected = $"d1:@33:{Latin(Convert.FromHexString(account.Id))}1:h43:{account.Hash([7, 8])}1:ni0e1:ti{now}e1:zi{now + 3_600_000}e1:~2:{Latin([7, 8])}e";
        await swarm.WaitAsync(() => sinks.All(s => !s.Got.IsEmpty), "all members have told");
        foreach (Sink sink in sinks) Assert.Equal([("message", expected)], sink.Got.Select(g => (g.Command, Latin(g.Body))));
        swarm[0].Monitor.Forget(sinks[0]);
        await swarm.AskAsync(0, "store", MiniRequests.Store(account, [1], now));
        Assert.Single(sinks[0].Got);
    }

    [Fact]
    public async Task Groups_and_their_members_subscribe_too()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1);
        using MiniAccount group = MiniAccount.Random(3), member = MiniAccount.Random();
        long t = TestSwarm.Now / 1000;
        byte[] text = Encoding.ASCII.GetBytes($"MONITOR{group.Id}{t}011,12");
        Assert.Equal("d7:successi1ee", Answer("", group.Sign(text), new Sink("owner")));
        (byte[] token, byte[] signature) = group.Allow(member.Ed25519, 1);
        var sink = new Sink("member");
        Assert.Equal("d7:successi1ee", Answer($"1:S64:{Latin(signature)}1:T36:{Latin(token)}", member.Sign(text), sink));
        (byte[] mute, byte[] muteSignature) = group.Allow(member.Ed25519, 2);
        Assert.StartsWith("d7:errcodei5e", Answer($"1:S64:{Latin(muteSignature)}1:T36:{Latin(mute)}", member.Sign(text), sink), StringComparison.Ordinal); // it may not read
        Assert.StartsWith("d7:errcodei5e", Answer("", member.Sign(text), sink), StringComparison.Ordinal);
        Assert.Equal(200, (await swarm.AskAsync(0, "store", MiniRequests.Store(group, [1], TestSwarm.Now, 11))).Status);
        await swarm.WaitAsync(() => !sink.Got.IsEmpty, "the member is told");
        Assert.Contains("1:ni11e", Latin(Assert.Single(sink.Got).Body), StringComparison.Ordinal);

        // Keys ascend: S, T, n, p, s, t.
        string Answer(string subaccount, byte[] by, Sink to) =>
            Latin(swarm[0].Monitor.Subscribe(Encoding.Latin1.GetBytes($"d{subaccount}1:nli11ei12ee1:p33:{Latin(Convert.FromHexString(group.Id))}1:s64:{Latin(by)}1:ti{t}ee"), to));
    }

    [Theory]
    [InlineData("P", "", 1)]
    [InlineData("P", "3:abc", 2)]
    [InlineData("n", "le", 3)]
    [InlineData("n", "li5ei0ee", 3)]
    [InlineData("n", "li40000ee", 3)]
    [InlineData("t", "i1000000000e", 4)]
    [InlineData("t", "", 1)]
    [InlineData("s", "64:0000000000000000000000000000000000000000000000000000000000000000", 5)]
    [InlineData("s", "1:x", 5)]
    public async Task What_is_wrong_with_a_subscription_has_a_number(string key, string value, int code)
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1);
        using MiniAccount account = MiniAccount.Random();
        Assert.True(BtEncoding.TryRead(Request(account, [0], false), out object? map));
        if (value.Length == 0) ((WireMap)map!).Remove(key);
        else
        {
            Assert.True(BtEncoding.TryRead(Encoding.Latin1.GetBytes(value), out object? changed));
            ((WireMap)map!)[key] = changed!;
        }

        Assert.True(BtEncoding.TryRead(swarm[0].Monitor.Subscribe(BtEncoding.Write(map!), new Sink("x")), out object? reply));
        Assert.Equal((long)code, ((WireMap)reply!)["errcode"]);
    }

    private static byte[] Request(MiniAccount account, int[] spaces, bool data)
    {
        long t = TestSwarm.Now / 1000;
        string text = $"MONITOR{account.Id}{t}{(data ? 1 : 0)}{string.Join(',', spaces.Select(s => s.ToString(CultureInfo.InvariantCulture)))}";
        string list = string.Concat(spaces.Select(s => $"i{s}e"));
        return Encoding.Latin1.GetBytes($"d1:P32:{Latin(account.Ed25519)}{(data ? "1:di1e" : "")}1:nl{list}e1:s64:{Latin(account.Sign(Encoding.ASCII.GetBytes(text)))}1:ti{t}ee");
    }

    private static string Latin(byte[] bytes) => Encoding.Latin1.GetString(bytes);
}
