using System.Diagnostics;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>Three etcds and two ledgers over them: the leader is killed, members are frozen, and nothing is lost and nothing forks.</summary>
public class EtcdClusterTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_killed_leader_and_frozen_members_cost_time_and_no_operation()
    {
        Assert.SkipUnless(Servers.HasEtcd, "etcd is not installed (package etcd-server)");
        await using EtcdCluster cluster = await EtcdCluster.StartAsync();
        Genesis genesis = Genesis.Create("cluster", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));
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
        int[] before = [.. writers.Select(w => w.Acknowledged)];
        await UntilAsync(() => first.Trouble.Length > 0 && second.Trouble.Length > 0);
        Assert.All(writers.Zip(before), w => Assert.InRange(w.First.Acknowledged, w.Second, w.Second + 1)); // one may have been on its way
        await cluster.ThawAsync(left[0]);
        await ReachAsync(writers, 20);
        await cluster.RestartAsync(leader);
        await cluster.FreezeAsync(left[1]); // a minority: the two others go on
        await ReachAsync(writers, 20);
        await cluster.ThawAsync(left[1]);

        foreach (Writer writer in writers) writer.Stop = true;
        await all.WaitAsync(Patience);
        Assert.Equal("", first.Trouble);
        await first.CatchUpAsync(CancellationToken.None);
        await second.CatchUpAsync(CancellationToken.None);
        Assert.Equal((first.State.Height, first.State.Root, first.State.BlockHash), (second.State.Height, second.State.Root, second.State.BlockHash));

        // A third one from the last member's view, replayed from the beginning: every acknowledged operation at its height.
        await using LedgerHost third = await LedgerHost.OpenAsync(cluster.Open(leader), genesis);
        Assert.Equal(first.State.BlockHash, third.State.BlockHash);
        Assert.Empty(LedgerAudit.Check(third.State));
        foreach (Writer writer in writers)
        {
            Assert.Equal((ulong)writer.Acknowledged, third.State.Account(Key(writer.Who).Id).Nonce);
            foreach (Receipt receipt in writer.Receipts) Assert.Contains((await third.BlockAtAsync(receipt.Height, CancellationToken.None))!.Operations, o => o.Id == receipt.Id);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{writers.Sum(w => w.Acknowledged)} operations in {third.State.Height} blocks, one leader killed, two members frozen, none lost");
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
