using System.Text.Json.Nodes;
using Oxen.Swarm.Tests.Client;

namespace Oxen.Swarm.Tests.Cluster;

public class SwarmBehaviourTests
{
    [Fact]
    public async Task Without_a_quorum_nothing_is_acknowledged_and_each_member_s_part_says_why()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(5);
        using MiniAccount account = MiniAccount.Random();
        foreach (int i in new[] { 2, 3, 4 }) await swarm.StopNodeAsync(i);
        (int status, JsonNode? json, _) = await swarm.AskAsync(0, "store", MiniRequests.Store(account, [1], TestSwarm.Now));
        Assert.Equal(503, status);
        Assert.NotNull(json!["swarm"]![swarm.Entries[0].Hex]!["signature"]);
        Assert.True((bool)json["swarm"]![swarm.Entries[4].Hex]!["failed"]!);
        await swarm.StartNodeAsync(2);
        await swarm.WaitAsync(() => swarm[2].NotReady.Count == 0, "the third is back");
        await swarm.WaitAsync(() => !swarm[0].Core.LinkTo(swarm.Entries[2].Hex)!.IsSilent, "the first knows it");
        Assert.Equal(200, (await swarm.AskAsync(0, "store", MiniRequests.Store(account, [2], TestSwarm.Now))).Status);
    }

    [Fact]
    public async Task A_member_that_was_away_gets_what_it_missed_stores_deletions_and_revocations()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(5);
        using MiniAccount account = MiniAccount.Random();
        for (byte i = 0; i < 4; i++) await Ok(swarm, 0, "store", MiniRequests.Store(account, [i], TestSwarm.Now));
        await swarm.StopNodeAsync(4);
        await Ok(swarm, 1, "delete", MiniRequests.Delete(account, account.Hash([0])));
        await Ok(swarm, 1, "store", MiniRequests.Store(account, [9], TestSwarm.Now, 5));
        await Ok(swarm, 1, "expire", MiniRequests.Expire(account, TestSwarm.Now + 50_000, "shorten", account.Hash([1])));
        byte[] token = account.Allow(new byte[32], 1).Token;
        await Ok(swarm, 2, "revoke_subaccount", MiniRequests.Revoke(account, TestSwarm.Now, "revoke", token));
        await swarm.StartNodeAsync(4);
        await swarm.WaitAsync(() => swarm.Agree() && swarm[4].NotReady.Count == 0, "all agree");
        JsonArray inbox = (await Ok(swarm, 4, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now)))["messages"]!.AsArray();
        Assert.Equal(new[] { 1, 2, 3 }.Select(i => account.Hash([(byte)i])).Order(), inbox.Select(m => (string)m!["hash"]!).Order());
        Assert.Single((await Ok(swarm, 4, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now, 5)))["messages"]!.AsArray());
        Assert.True(swarm[4].Store.IsRevoked(Id(account), token));
    }

    [Fact]
    public async Task A_member_with_an_empty_disk_refuses_clients_until_it_has_caught_up_and_does_not_vote()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(5, intervalMilliseconds: 100);
        using MiniAccount account = MiniAccount.Random();
        for (byte i = 0; i < 50; i++) await Ok(swarm, 0, "store", MiniRequests.Store(account, [i], TestSwarm.Now));
        await swarm.StopNodeAsync(3);
        await swarm.StopNodeAsync(4);
        foreach (TestSwarm.Entry other in swarm.Entries.Take(3)) swarm.Wires.Cut(other.Hex, swarm.Entries[4].Hex);
        await swarm.StartNodeAsync(4, wipe: true);
        Assert.Equal(["not done syncing"], swarm[4].NotReady);
        Assert.False(swarm[4].Core.Votes);
        swarm.Wires.MendAll();
        await swarm.WaitAsync(() => swarm[4].Core.Votes, "the fifth votes");
        Assert.Equal(50, (await Ok(swarm, 4, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now)))["messages"]!.AsArray().Count);
    }

    // Two voters are no quorum of four, and two without a vote are no majority either.
    [Fact]
    public async Task Half_of_an_even_swarm_that_lost_its_disks_catches_up_and_votes_again()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(4);
        using MiniAccount account = MiniAccount.Random();
        for (byte i = 0; i < 10; i++) await Ok(swarm, 0, "store", MiniRequests.Store(account, [i], TestSwarm.Now));
        await swarm.StopNodeAsync(2);
        await swarm.StopNodeAsync(3);
        await swarm.StartNodeAsync(2, wipe: true);
        await swarm.StartNodeAsync(3, wipe: true);
        await swarm.WaitAsync(() => swarm[2].Core.Votes && swarm[3].Core.Votes, "both vote");
        Assert.Equal(10, (await Ok(swarm, 3, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now)))["messages"]!.AsArray().Count);
    }

    // It left with everything, and the others deleted and stored without it.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_member_that_comes_back_does_not_vote_before_it_has_caught_up(bool restarted)
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(6, i => i < 5 ? 0UL : SwarmRing.Unassigned, intervalMilliseconds: 100, waitReady: false);
        await swarm.WaitAsync(() => Enumerable.Range(0, 5).All(i => swarm[i].NotReady.Count == 0), "five are ready");
        using MiniAccount account = MiniAccount.Random();
        for (byte i = 0; i < 10; i++) await Ok(swarm, 0, "store", MiniRequests.Store(account, [i], TestSwarm.Now));
        await Replace(4, 5);
        await swarm.WaitAsync(() => swarm[5].Core.Votes && swarm[5].NotReady.Count == 0, "the sixth has taken its place");
        foreach (TestSwarm.Entry other in swarm.Entries.Take(4)) swarm.Wires.Cut(other.Hex, swarm.Entries[4].Hex);
        for (byte i = 0; i < 5; i++) await Ok(swarm, 0, "delete", MiniRequests.Delete(account, account.Hash([i])));
        await Replace(5, 4);
        if (restarted)
        {
            await swarm.StopNodeAsync(4);
            await swarm.StartNodeAsync(4);
        }

        Assert.False(swarm[4].Core.Votes);
        Assert.Equal(["not done syncing"], swarm[4].NotReady);
        swarm.Wires.MendAll();
        await swarm.WaitAsync(() => swarm[4].Core.Votes, "it votes again");
        Assert.Equal(5, (await Ok(swarm, 4, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now)))["messages"]!.AsArray().Count);

        // And for a restart among the same members the vote is kept.
        foreach (TestSwarm.Entry other in swarm.Entries.Take(4)) swarm.Wires.Cut(other.Hex, swarm.Entries[4].Hex);
        await swarm.StopNodeAsync(4);
        await swarm.StartNodeAsync(4);
        Assert.True(swarm[4].Core.Votes);

        async Task Replace(int leaves, int comes)
        {
            swarm.Entries[leaves].SwarmId = SwarmRing.Unassigned;
            swarm.Entries[comes].SwarmId = 0;
            swarm.Publish();
            await swarm.WaitAsync(() => Enumerable.Range(0, 6).All(i => (swarm[i].Core.View.SwarmId == 0) == (i != leaves)), "all know");
        }
    }

    // While it was down it left and came back, and the others deleted without it: the members are those that it knew.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_member_that_was_replaced_and_taken_back_while_it_was_down_has_no_vote_before_it_has_caught_up(bool registryTells)
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(6, i => i < 5 ? 0UL : SwarmRing.Unassigned, intervalMilliseconds: 100, waitReady: false);
        foreach (TestSwarm.Entry entry in swarm.Entries) entry.SwarmSince = registryTells ? 1UL : 0;
        swarm.Publish(Generation(1));
        await swarm.WaitAsync(() => Enumerable.Range(0, 5).All(i => swarm[i].NotReady.Count == 0), "five are ready");
        using MiniAccount account = MiniAccount.Random();
        for (byte i = 0; i < 10; i++) await Ok(swarm, 0, "store", MiniRequests.Store(account, [i], TestSwarm.Now));

        // A restart in the same swarm keeps the vote, whoever can be reached.
        Isolate();
        await Restart();
        Assert.True(swarm[4].Core.Votes);
        swarm.Wires.MendAll();
        await swarm.WaitAsync(() => swarm.Entries.Take(5).Select(e => e.Node!.Store.Digests.Root).Distinct().Count() == 1, "the five agree");

        await swarm.StopNodeAsync(4);
        Replace(4, 5, 2);
        await swarm.WaitAsync(() => swarm[5].Core.Votes, "the sixth has taken its place");
        for (byte i = 0; i < 5; i++) await Ok(swarm, 0, "delete", MiniRequests.Delete(account, account.Hash([i])));
        Replace(5, 4, 3);
        Isolate();
        await swarm.StartNodeAsync(4);
        Assert.False(swarm[4].Core.Votes);
        Assert.Equal(["not done syncing"], swarm[4].NotReady);
        swarm.Wires.MendAll();
        await swarm.WaitAsync(() => swarm[4].Core.Votes, "it votes again");
        Assert.Equal(5, (await Ok(swarm, 4, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now)))["messages"]!.AsArray().Count);
        if (!registryTells) return;

        // And one that runs and looked away meanwhile: it hears of its being there again, never of its having left.
        Isolate();
        swarm.Entries[4].SwarmSince = 4;
        swarm.Publish();
        await swarm.WaitAsync(() => !swarm[4].Core.Votes, "it has lost its vote");
        Assert.All(Enumerable.Range(0, 4), i => Assert.True(swarm[i].Core.Votes));
        swarm.Wires.MendAll();
        await swarm.WaitAsync(() => swarm[4].Core.Votes, "it votes again");

        void Replace(int leaves, int comes, ulong at)
        {
            swarm.Entries[leaves].SwarmId = SwarmRing.Unassigned;
            swarm.Entries[comes].SwarmId = 0;
            if (registryTells) swarm.Entries[comes].SwarmSince = at;
            swarm.Publish(Generation(at));
        }

        void Isolate()
        {
            foreach (TestSwarm.Entry other in swarm.Entries.Where(e => e != swarm.Entries[4])) swarm.Wires.Cut(other.Hex, swarm.Entries[4].Hex);
        }

        async Task Restart()
        {
            await swarm.StopNodeAsync(4);
            await swarm.StartNodeAsync(4);
        }

        ulong Generation(ulong list) => registryTells ? 0 : list;
    }

    // The message is on three nodes; the deletion reaches one of them and two that never had the message.
    [Fact]
    public async Task A_deletion_that_only_one_member_understood_is_on_a_quorum_before_it_is_acknowledged()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(5, intervalMilliseconds: 60_000);
        using MiniAccount account = MiniAccount.Random();
        string hash = account.Hash([1]);
        Isolate(3, 4);
        await Ok(swarm, 0, "store", MiniRequests.Store(account, [1], TestSwarm.Now));
        swarm.Wires.MendAll();
        await Probe();
        Isolate(0, 1);
        await Ok(swarm, 3, "delete", MiniRequests.Delete(account, hash));
        foreach (int i in new[] { 2, 3, 4 }) Assert.Equal(Oxen.Swarm.Storage.RecordKind.Tombstone, Assert.Single(swarm[i].Store.EntriesOf(Id(account))).Kind);
        Assert.Equal(1, swarm[3].Core.Counters.WriteBacks);

        void Isolate(params int[] nodes)
        {
            foreach (int n in nodes)
            {
                foreach (TestSwarm.Entry other in swarm.Entries.Where(e => e.Hex != swarm.Entries[n].Hex && !nodes.Any(m => swarm.Entries[m].Hex == e.Hex))) swarm.Wires.Cut(swarm.Entries[n].Hex, other.Hex);
            }
        }

        // Everybody counts everybody as alive again, without exchanging records.
        async Task Probe()
        {
            for (int a = 0; a < 5; a++)
            {
                for (int b = 0; b < 5; b++)
                {
                    if (a != b) await swarm[a].Core.LinkTo(swarm.Entries[b].Hex)!.ProbeAsync(new Oxen.Swarm.Wire.WireMap { ["k"] = "ping" }, TimeSpan.FromSeconds(5));
                }
            }
        }
    }

    [Fact]
    public async Task Two_wrong_clocks_of_five_do_not_stop_clients_with_right_ones()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(5);
        using MiniAccount account = MiniAccount.Random();
        swarm.Entries[1].Clock.Skew = TimeSpan.FromMinutes(-10);
        swarm.Entries[2].Clock.Skew = TimeSpan.FromMinutes(10);
        await swarm.WaitAsync(() => Math.Abs(swarm[1].Core.Clock.Now - TestSwarm.Now) < 5000 && Math.Abs(swarm[2].Core.Clock.Now - TestSwarm.Now) < 5000, "both are corrected");
        foreach (int i in new[] { 1, 2 })
        {
            JsonNode reply = await Ok(swarm, i, "store", MiniRequests.Store(account, [(byte)i], TestSwarm.Now));
            Assert.InRange((long)reply["t"]!, TestSwarm.Now - 10_000, TestSwarm.Now + 10_000);
        }

        Assert.Equal(0, swarm[0].Core.Clock.Correction);
    }

    [Fact]
    public async Task When_swarms_change_messages_move_with_their_namespaces_and_leave_nothing_behind()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(6, i => i < 3 ? 0UL : ulong.MaxValue, waitReady: false);
        await swarm.WaitAsync(() => Enumerable.Range(0, 3).All(i => swarm[i].NotReady.Count == 0), "the first swarm is ready");
        MiniAccount[] accounts = [.. Enumerable.Range(0, 20).Select(i => new MiniAccount(Enumerable.Repeat((byte)(90 + i), 32).ToArray(), 5))];
        foreach (MiniAccount account in accounts)
        {
            await Ok(swarm, 0, "store", MiniRequests.Store(account, [1], TestSwarm.Now));
            await Ok(swarm, 1, "store", MiniRequests.Store(account, [2], TestSwarm.Now, 5));
        }

        for (int i = 3; i < 6; i++) swarm.Entries[i].SwarmId = 0x8000000000000000;
        swarm.Publish();
        await swarm.WaitAsync(() => Enumerable.Range(0, 6).All(i => swarm[i].NotReady.Count == 0), "the new swarm is ready");
        MiniAccount[] moved = [.. accounts.Where(a => swarm[3].Core.View.Owns(Id(a)))];
        Assert.InRange(moved.Length, 2, 18);
        await swarm.WaitAsync(
            () => moved.All(a => Enumerable.Range(0, 3).All(i => swarm[i].Store.EntriesOf(Id(a)).Count == 0) && Enumerable.Range(3, 3).All(i => swarm[i].Store.EntriesOf(Id(a)).Count == 2)), "messages have moved");
        foreach (MiniAccount account in accounts)
        {
            int node = moved.Contains(account) ? 4 : 2;
            Assert.Equal(account.Hash([2], 5), (string?)Assert.Single((await Ok(swarm, node, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now, 5)))["messages"]!.AsArray())!["hash"]);
            account.Dispose();
        }
    }

    private static AccountId Id(MiniAccount account)
    {
        Assert.True(AccountId.TryParse(account.Id, false, out AccountId id));
        return id;
    }

    private static async Task<JsonNode> Ok(TestSwarm swarm, int node, string method, JsonObject parameters)
    {
        (int status, JsonNode? json, string text) = await swarm.AskAsync(node, method, parameters);
        Assert.True(status == 200, $"{method}: {status} {text}");
        return json!;
    }
}
