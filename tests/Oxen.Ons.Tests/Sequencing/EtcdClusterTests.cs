using System.Diagnostics;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>Three etcds and two ledgers over them: the leader is killed, members are frozen or cut off, and nothing is lost and nothing forks.</summary>
public class EtcdClusterTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_killed_leader_and_frozen_members_cost_time_and_no_operation()
    {
        Assert.SkipUnless(Servers.HasEtcd, "etcd is not installed (package etcd-server)");
        await using EtcdCluster cluster = await EtcdCluster.StartAsync();
        Genesis genesis = Begin();
        await using LedgerHost first = await LedgerHost.OpenAsync(cluster.Open(0), genesis), second = await LedgerHost.OpenAsync(cluster.Open(1), null);
        var writers = new[] { new Writer(first, "alice"), new Writer(second, "bob") };
        Task all = Task.WhenAll(writers.Select(w => w.RunAsync()));
        await ReachAsync(writers, 20);

        int leader = await cluster.LeaderAsync();
        cluster.Kill(leader);
        await ReachAsync(writers, 40);

        // Two are left, one of them freezes: no quorum, so nobody may be told that anything is durable.
        int[] left = [.. Enumerable.Range(0, 3).Where(i => i != leader)];
        await cluster.FreezeAsync(left[0]);
        await StandStillAsync(first, second, writers);
        await cluster.ThawAsync(left[0]);
        await ReachAsync(writers, 20);
        await cluster.RestartAsync(leader);
        await cluster.FreezeAsync(left[1]); // a minority: the two others go on
        await ReachAsync(writers, 20);
        await cluster.ThawAsync(left[1]);

        ulong height = await AgreeAsync(cluster, genesis, leader, all, writers);
        TestContext.Current.TestOutputHelper?.WriteLine($"{writers.Sum(w => w.Acknowledged)} operations in {height} blocks, one leader killed, two members frozen, none lost");
    }

    [Fact]
    public async Task Members_that_are_cut_off_from_each_other_cost_time_and_no_operation()
    {
        Assert.SkipUnless(Servers.HasEtcd, "etcd is not installed (package etcd-server)");
        Assert.SkipUnless(EtcdNetwork.Missing is null, EtcdNetwork.Missing ?? "");
        using var network = new EtcdNetwork();
        await using EtcdCluster cluster = await EtcdCluster.StartAsync(network);
        Genesis genesis = Begin();
        int leader = await cluster.LeaderAsync();
        await using LedgerHost first = await LedgerHost.OpenAsync(cluster.Open(leader), genesis), second = await LedgerHost.OpenAsync(cluster.Open((leader + 1) % 3), null);
        var words = new System.Collections.Concurrent.ConcurrentQueue<string>();
        first.TroubleChanged += () => words.Enqueue(first.Trouble);
        var writers = new[] { new Writer(first, "alice"), new Writer(second, "bob") };
        Task all = Task.WhenAll(writers.Select(w => w.RunAsync()));
        await ReachAsync(writers, 20);

        // The leader alone, still reached by who asks it first. The others choose another one; it tells nobody that something is durable.
        network.Cut(leader);
        int next = await cluster.LeaderAsync(except: leader);
        await ReachAsync(writers, 20);
        await using (EtcdSequencer alone = cluster.OpenOnly(leader))
        {
            await Assert.ThrowsAsync<IOException>(() => alone.AppendAsync(first.State.Height + 1, new byte[] { 1, 2, 3 }, CancellationToken.None));
            await Assert.ThrowsAsync<IOException>(() => alone.ReadAsync(0, 1, CancellationToken.None));
        }

        network.Mend();
        await ReachAsync(writers, 20);

        // A minority without its cable: a follower, and nobody reaches it.
        int follower = Enumerable.Range(0, 3).First(i => i != next && i != leader);
        network.Unplug(follower);
        await ReachAsync(writers, 20);
        network.Plug(follower);

        // All of them from each other: each is reached, and none may say that anything is durable.
        network.Cut(0, 1);
        await StandStillAsync(first, second, writers);
        Assert.All(new[] { first, second }, h => Assert.Contains("More than half of the cluster's members must run and reach each other", h.Trouble, StringComparison.Ordinal));
        network.Mend();
        await ReachAsync(writers, 20);

        // And none is reached.
        for (int i = 0; i < 3; i++) network.Unplug(i);
        await StandStillAsync(first, second, writers);
        for (int i = 0; i < 3; i++) network.Plug(i);
        await ReachAsync(writers, 20);

        ulong height = await AgreeAsync(cluster, genesis, leader, all, writers);
        Assert.Contains(words, w => w.StartsWith("etcd does not answer: ", StringComparison.Ordinal) && w.Contains("what waits is kept", StringComparison.Ordinal));
        TestContext.Current.TestOutputHelper?.WriteLine($"{writers.Sum(w => w.Acknowledged)} operations in {height} blocks; cut off: the leader, a follower, each from each, all from us; none lost. It was said:\n{string.Join('\n', words.Distinct())}");
    }

    private static Genesis Begin() => Genesis.Create("cluster", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));

    // Nobody is told that anything is durable from here on.
    private static async Task StandStillAsync(LedgerHost first, LedgerHost second, Writer[] writers)
    {
        int[] before = [.. writers.Select(w => w.Acknowledged)];
        await UntilAsync(() => first.Trouble.Length > 0 && second.Trouble.Length > 0);
        Assert.All(writers.Zip(before), w => Assert.InRange(w.First.Acknowledged, w.Second, w.Second + 1)); // one may have been on its way
    }

    // Ends the writers, and looks at what is left: one chain at both, and from the beginning at a third one that asks `member` first, with every acknowledged operation at its height.
    private static async Task<ulong> AgreeAsync(EtcdCluster cluster, Genesis genesis, int member, Task all, Writer[] writers)
    {
        foreach (Writer writer in writers) writer.Stop = true;
        await all.WaitAsync(Patience);
        LedgerHost first = writers[0].Host, second = writers[1].Host;
        Assert.Equal("", first.Trouble);
        await first.CatchUpAsync(CancellationToken.None);
        await second.CatchUpAsync(CancellationToken.None);
        Assert.Equal((first.State.Height, first.State.Root, first.State.BlockHash), (second.State.Height, second.State.Root, second.State.BlockHash));
        await using LedgerHost third = await LedgerHost.OpenAsync(cluster.Open(member), genesis);
        Assert.Equal(first.State.BlockHash, third.State.BlockHash);
        Assert.Empty(LedgerAudit.Check(third.State));
        foreach (Writer writer in writers)
        {
            Assert.Equal((ulong)writer.Acknowledged, third.State.Account(Key(writer.Who).Id).Nonce);
            foreach (Receipt receipt in writer.Receipts) Assert.Contains((await third.BlockAtAsync(receipt.Height, CancellationToken.None))!.Operations, o => o.Id == receipt.Id);
        }

        return third.State.Height;
    }

    private static async Task ReachAsync(Writer[] writers, int more)
    {
        int[] from = [.. writers.Select(w => w.Acknowledged)];
        await UntilAsync(() => writers.Zip(from).All(w => w.First.Acknowledged >= w.Second + more));
    }

    private static async Task UntilAsync(Func<bool> look)
    {
        long begin = Stopwatch.GetTimestamp();
        while (!look())
        {
            Assert.True(Stopwatch.GetElapsedTime(begin) < Patience, "it did not come to that within a minute");
            await Task.Delay(20);
        }
    }

    private sealed class Writer(LedgerHost host, string who)
    {
        public string Who => who;

        public LedgerHost Host => host;

        public volatile bool Stop;

        public List<Receipt> Receipts { get; } = [];

        public int Acknowledged => Volatile.Read(ref _acknowledged);

        private int _acknowledged;

        public async Task RunAsync()
        {
            for (ulong i = 0; !Stop; i++)
            {
                Receipt receipt = await host.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key(who), i, host.State.Network));
                Assert.Null(receipt.Refusal);
                Receipts.Add(receipt);
                Interlocked.Increment(ref _acknowledged);
            }
        }
    }
}
