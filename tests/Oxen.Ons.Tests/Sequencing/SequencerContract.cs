using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>What every store of blocks promises.</summary>
public abstract class SequencerContract : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Another handle on the same store.</summary>
    internal abstract Task<IBlockSequencer> OpenAsync();

    public abstract ValueTask InitializeAsync();

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Blocks_come_back_in_order_as_they_were_given()
    {
        await using IBlockSequencer store = await OpenAsync();
        Assert.Empty(await store.ReadAsync(0, 10, None));
        for (int i = 0; i < 200; i++) Assert.True(await store.AppendAsync((ulong)i, BlockOf(i), None));
        IReadOnlyList<byte[]> all = await store.ReadAsync(0, 1000, None);
        Assert.Equal(200, all.Count);
        for (int i = 0; i < 200; i++) Assert.Equal(BlockOf(i), all[i]);
        IReadOnlyList<byte[]> some = await store.ReadAsync(190, 5, None);
        Assert.Equal([.. Enumerable.Range(190, 5).Select(BlockOf)], some);
        Assert.Empty(await store.ReadAsync(200, 5, None));
        await using IBlockSequencer other = await OpenAsync();
        Assert.Equal(200, (await other.ReadAsync(0, 1000, None)).Count);
    }

    [Fact]
    public async Task A_height_is_given_once_and_none_is_left_out()
    {
        await using IBlockSequencer store = await OpenAsync();
        Assert.False(await store.AppendAsync(1, BlockOf(1), None));
        Assert.True(await store.AppendAsync(0, BlockOf(0), None));
        Assert.False(await store.AppendAsync(0, BlockOf(9), None));
        Assert.False(await store.AppendAsync(2, BlockOf(2), None));
        Assert.True(await store.AppendAsync(1, BlockOf(1), None));
        Assert.Equal([BlockOf(0), BlockOf(1)], await store.ReadAsync(0, 10, None));
    }

    [Fact]
    public async Task Of_many_who_want_a_height_one_gets_it()
    {
        await using IBlockSequencer first = await OpenAsync();
        await using IBlockSequencer second = await OpenAsync();
        for (ulong height = 0; height < 20; height++)
        {
            bool[] got = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => Task.Run(() => (i % 2 == 0 ? first : second).AppendAsync(height, BlockOf(100 * (int)height + i), None))));
            Assert.Equal(1, got.Count(g => g));
            Assert.Equal(BlockOf(100 * (int)height + Array.IndexOf(got, true)), Assert.Single(await second.ReadAsync(height, 1, None)));
        }
    }

    [Fact]
    public async Task What_is_cut_off_is_gone_and_its_heights_are_free_again()
    {
        await using IBlockSequencer store = await OpenAsync();
        for (int i = 0; i < 20; i++)
        {
            Assert.True(await store.AppendAsync((ulong)i, BlockOf(i), None));
            await store.PutSignaturesAsync((ulong)i, BlockOf(i), None);
        }

        await store.TruncateAsync(12, None);
        Assert.Equal(12, (await store.ReadAsync(0, 100, None)).Count);
        Assert.Null(await store.GetSignaturesAsync(12, None));
        Assert.Equal(BlockOf(11), await store.GetSignaturesAsync(11, None));
        Assert.True(await store.AppendAsync(12, BlockOf(77), None));
        Assert.Equal(BlockOf(77), Assert.Single(await store.ReadAsync(12, 100, None)));
    }

    [Fact]
    public async Task Signatures_are_replaced_by_newer_ones()
    {
        await using IBlockSequencer store = await OpenAsync();
        Assert.Null(await store.GetSignaturesAsync(5, None));
        await store.PutSignaturesAsync(5, BlockOf(1), None);
        await store.PutSignaturesAsync(5, BlockOf(2), None);
        Assert.Equal(BlockOf(2), await store.GetSignaturesAsync(5, None));
    }

    [Fact]
    public async Task A_large_block_fits()
    {
        await using IBlockSequencer store = await OpenAsync();
        byte[] large = new byte[Block.MaxBytes];
        new Random(1).NextBytes(large);
        Assert.True(await store.AppendAsync(0, large, None));
        Assert.Equal(large, Assert.Single(await store.ReadAsync(0, 1, None)));
    }

    [Fact]
    public async Task The_same_operations_lead_to_the_same_root_whatever_keeps_the_blocks()
    {
        Genesis genesis = GenesisOf();
        var clock = new FixedClock();
        await using LedgerHost host = await LedgerHost.OpenAsync(await OpenAsync(), genesis, null, clock);
        foreach (Operation operation in Script(genesis)) Assert.Null((await host.SubmitAsync(operation)).Refusal);
        Assert.Equal(ExpectedRoot(), host.State.Root);
        Assert.Equal(ExpectedHash(), host.State.BlockHash);
        await using LedgerHost again = await LedgerHost.OpenAsync(await OpenAsync(), genesis, null, clock);
        Assert.Equal(host.State.Root, again.State.Root);
        Assert.Equal(host.State.BlockHash, again.State.BlockHash);
    }

    [Fact]
    public async Task Two_writers_on_one_store_agree_and_lose_nothing()
    {
        Genesis genesis = GenesisOf();
        await using LedgerHost first = await LedgerHost.OpenAsync(await OpenAsync(), genesis);
        await using LedgerHost second = await LedgerHost.OpenAsync(await OpenAsync(), null);
        async Task Send(LedgerHost host, string who)
        {
            for (ulong i = 0; i < 30; i++) Assert.Null((await host.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key(who), i, genesis.Network))).Refusal);
        }

        await Task.WhenAll(Send(first, "alice"), Send(second, "bob"));
        await first.CatchUpAsync(None);
        await second.CatchUpAsync(None);
        Assert.Equal(first.State.Root, second.State.Root);
        Assert.Equal(10_000 * TestLedger.Oxen + 60, first.State.Account(Key("carol").Id).Balance);
        Assert.Empty(LedgerAudit.Check(first.State));
    }

    [Fact]
    public async Task A_rollback_forgets_in_the_store_too_and_another_branch_grows()
    {
        Genesis genesis = GenesisOf();
        await using LedgerHost host = await LedgerHost.OpenAsync(await OpenAsync(), genesis);
        for (ulong i = 0; i < 110; i++) Assert.Null((await host.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), i, genesis.Network))).Refusal);
        Bytes32 root = host.StateAt(10)!.Root;
        await host.RollbackAsync(10, None);
        Assert.Equal((10UL, root), (host.State.Height, host.State.Root));
        Assert.Null((await host.SubmitAsync(Operation.Create(new TransferBody(Key("bob").Id, 5), Key("alice"), 10, genesis.Network))).Refusal);
        await using LedgerHost again = await LedgerHost.OpenAsync(await OpenAsync(), genesis);
        Assert.Equal((11UL, host.State.Root), (again.State.Height, again.State.Root));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => host.RollbackAsync(99, None));
    }

    [Fact]
    public async Task Votes_come_together_whoever_takes_them_and_old_ones_go()
    {
        await using IBlockSequencer first = await OpenAsync();
        await using IBlockSequencer second = await OpenAsync();
        StoredVote Vote(ulong height, string about, string member, byte sign) => new(height, Key(about).Id, Key(member).Id, [.. Enumerable.Repeat(sign, 64)]);
        Assert.Equal([Key("a").Id], (await first.ShareVoteAsync(Vote(5, "x", "a", 1), 0, None)).Select(v => v.Member));
        Assert.Equal([Key("b").Id], (await second.ShareVoteAsync(Vote(5, "y", "b", 2), 0, None)).Select(v => v.Member));
        Assert.Equal([Key("c").Id], (await second.ShareVoteAsync(Vote(6, "x", "c", 3), 0, None)).Select(v => v.Member));
        Assert.Equal(2, (await second.ShareVoteAsync(Vote(5, "x", "b", 4), 5, None)).Count);
        IReadOnlyList<StoredVote> all = await first.ShareVoteAsync(Vote(5, "x", "a", 9), 5, None); // said again: in place of the first
        Assert.Equal([(Key("a").Id, (byte)9), (Key("b").Id, (byte)4)], all.Select(v => (v.Member, v.Signature[63])).OrderBy(v => v.Item2 == 4));
        Assert.Single(await first.ShareVoteAsync(Vote(7, "x", "a", 1), 6, None));
        Assert.Single(await first.ShareVoteAsync(Vote(5, "x", "c", 1), 5, None)); // those of height 5 were forgotten
        Assert.Equal(2, (await first.ShareVoteAsync(Vote(6, "x", "a", 1), 5, None)).Count);
    }

    [Fact]
    public async Task Votes_taken_by_two_ledgers_on_one_store_make_one_quorum()
    {
        Genesis genesis = GenesisOf();
        await using LedgerHost first = await LedgerHost.OpenAsync(await OpenAsync(), genesis);
        await using LedgerHost second = await LedgerHost.OpenAsync(await OpenAsync(), genesis);
        Assert.Null((await first.SubmitAsync(Operation.Create(new NodeRegisterBody(Key("node").Id, 0, 100 * TestLedger.Oxen, [], []).SignedBy(Key("node"), Key("carol").Id, 0, genesis.Network), Key("carol"), 0, genesis.Network))).Refusal);
        await second.CatchUpAsync(None);
        var body = new NodeVerdictBody(Key("node").Id, first.State.Height, Verdict.Failing, NodeReasons.LokinetUnreachable, []);
        NodeVerdictBody last = body;
        for (int i = 0; i < 3; i++)
        {
            LedgerKey founder = TestLedger.Founders[i];
            (NodeVerdictBody now, int quorum) = (await (i % 2 == 0 ? first : second).VoteAsync(body, founder.Id, body.VoteOf(founder, genesis.Network), None))!.Value;
            Assert.Equal((i + 1, 3), (now.Votes.Length, quorum));
            last = now;
        }

        Assert.Null((await second.SubmitAsync(Operation.Create(last, TestLedger.Founders[0], 0, genesis.Network))).Refusal);
        Assert.Equal(NodeStage.Decommissioned, second.State.Node(Key("node").Id)!.Stage);
    }

    private static byte[] BlockOf(int i) => [(byte)i, (byte)(i >> 8), .. Enumerable.Repeat((byte)7, i % 50)];

    private protected static Genesis GenesisOf() => Genesis.Create("contract", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob", "carol" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));

    // One operation a block, at a clock that stands.
    private static IEnumerable<Operation> Script(Genesis genesis)
    {
        yield return Operation.Create(Buy("hello", 0, "alice"), Key("alice"), 0, genesis.Network);
        yield return Operation.Create(Buy("a.loki", 5, "bob", "alice"), Key("bob"), 0, genesis.Network);
        yield return Operation.Create(new NodeRegisterBody(Key("node").Id, 0, 100 * TestLedger.Oxen, [], []).SignedBy(Key("node"), Key("carol").Id, 0, genesis.Network), Key("carol"), 0, genesis.Network);
        for (ulong i = 1; i < 20; i++) yield return Operation.Create(new TransferBody(Key("dave").Id, i), Key("alice"), i, genesis.Network);
    }

    private static LedgerState Expected()
    {
        Genesis genesis = GenesisOf();
        return Script(genesis).Aggregate(LedgerState.Of(genesis), (s, o) => StateMachine.Build(s, [o], FixedClock.Milliseconds).State);
    }

    private static Bytes32 ExpectedRoot() => Expected().Root;

    private static Bytes32 ExpectedHash() => Expected().BlockHash;

    private sealed class FixedClock : TimeProvider
    {
        public const ulong Milliseconds = 1_700_000_100_000;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds((long)Milliseconds);
    }
}

/// <summary>What a store promises beside that, if several machines write it.</summary>
public abstract class SharedSequencerContract : SequencerContract
{
    [Fact]
    public async Task Signatures_taken_by_two_ledgers_on_one_store_make_one_quorum_at_both()
    {
        Genesis genesis = GenesisOf();
        await using LedgerHost first = await LedgerHost.OpenAsync(await OpenAsync(), genesis);
        await using LedgerHost second = await LedgerHost.OpenAsync(await OpenAsync(), genesis);
        Assert.Null((await first.SubmitAsync(Operation.Create(new TransferBody(Key("dave").Id, 1), Key("alice"), 0, genesis.Network))).Refusal);
        await second.CatchUpAsync(CancellationToken.None);
        for (int i = 0; i < 3; i++)
        {
            Assert.Null(await first.LatestSignedAsync()); // looks, and must not keep what it sees
            Assert.Null(await second.LatestSignedAsync());
            LedgerKey founder = TestLedger.Founders[i];
            Assert.True(await (i % 2 == 0 ? first : second).SignAsync(1, founder.Id, HeaderSignatures.Sign(first.HeaderAt(1)!, founder, genesis.Network)));
        }

        foreach (LedgerHost host in new[] { first, second }) Assert.Equal((1UL, 3), ((await host.LatestSignedAsync())!.Value.State.Height, (await host.LatestSignedAsync())!.Value.Signatures.ByMember.Count));
    }

    [Fact]
    public async Task Who_writes_nothing_sees_what_others_wrote_and_judges_by_it()
    {
        Genesis genesis = GenesisOf();
        await using LedgerHost first = await LedgerHost.OpenAsync(await OpenAsync(), genesis, new LedgerHostOptions { FollowEvery = TimeSpan.FromDays(1) });
        await using LedgerHost asleep = await LedgerHost.OpenAsync(await OpenAsync(), genesis, new LedgerHostOptions { FollowEvery = TimeSpan.FromDays(1) });
        await using LedgerHost idle = await LedgerHost.OpenAsync(await OpenAsync(), genesis, new LedgerHostOptions { FollowEvery = TimeSpan.FromMilliseconds(20) });
        var seen = new TaskCompletionSource();
        idle.Changed += () => { if (idle.State.Height == 2) seen.TrySetResult(); };
        for (ulong i = 0; i < 2; i++) Assert.Null((await first.SubmitAsync(Operation.Create(new TransferBody(Key("dave").Id, 1), Key("alice"), i, genesis.Network))).Refusal);
        await seen.Task.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(first.State.Root, idle.State.Root);

        // The number is good, and so is dave's money, for all that this one had not read before.
        Assert.Equal(0UL, asleep.State.Height);
        Assert.Null((await asleep.SubmitAsync(Operation.Create(new TransferBody(Key("dave").Id, 1), Key("alice"), 2, genesis.Network))).Refusal);
        Assert.Equal(OperationFault.NonceGap, (await asleep.SubmitAsync(Operation.Create(new TransferBody(Key("dave").Id, 1), Key("alice"), 9, genesis.Network))).Refusal!.Fault);
    }
}

public sealed class MemorySequencerTests : SharedSequencerContract
{
    private readonly MemorySequencer _store = new();

    internal override Task<IBlockSequencer> OpenAsync() => Task.FromResult<IBlockSequencer>(_store);

    public override ValueTask InitializeAsync() => ValueTask.CompletedTask;
}

public sealed class SqliteSequencerTests : SequencerContract
{
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-ledger").FullName;

    internal override Task<IBlockSequencer> OpenAsync() => Task.FromResult<IBlockSequencer>(SqliteSequencer.Open(Path.Combine(_directory, "ledger.db")));

    public override ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public override ValueTask DisposeAsync()
    {
        Directory.Delete(_directory, recursive: true);
        return base.DisposeAsync();
    }
}

/// <summary>One etcd for all tests of the class; each test has a prefix of its own.</summary>
public sealed class EtcdFixture : IAsyncLifetime
{
    internal Servers? Server { get; private set; }

    public async ValueTask InitializeAsync() => Server = Servers.HasEtcd ? await Servers.EtcdAsync() : null;

    public async ValueTask DisposeAsync()
    {
        if (Server is not null) await Server.DisposeAsync();
    }
}

public sealed class EtcdSequencerTests(EtcdFixture fixture) : SharedSequencerContract, IClassFixture<EtcdFixture>
{
    private readonly string _prefix = Guid.NewGuid().ToString("N");

    internal override Task<IBlockSequencer> OpenAsync() => Task.FromResult<IBlockSequencer>(new EtcdSequencer([new Uri($"http://127.0.0.1:{fixture.Server!.Port}/")], _prefix));

    public override ValueTask InitializeAsync()
    {
        Assert.SkipUnless(fixture.Server is not null, "etcd is not installed (package etcd-server)");
        return ValueTask.CompletedTask;
    }
}

/// <summary>One PostgreSQL for all tests of the class; each test has a network of its own.</summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    internal Servers? Server { get; private set; }

    public async ValueTask InitializeAsync() => Server = Servers.HasPostgres ? await Servers.PostgresAsync() : null;

    public async ValueTask DisposeAsync()
    {
        if (Server is not null) await Server.DisposeAsync();
    }
}

public sealed class PostgresSequencerTests(PostgresFixture fixture) : SharedSequencerContract, IClassFixture<PostgresFixture>
{
    private readonly string _network = Guid.NewGuid().ToString("N");

    internal override async Task<IBlockSequencer> OpenAsync() => await PostgresSequencer.OpenAsync(fixture.Server!.Postgres, _network, CancellationToken.None);

    public override ValueTask InitializeAsync()
    {
        Assert.SkipUnless(fixture.Server is not null, "PostgreSQL is not installed (package postgresql)");
        return ValueTask.CompletedTask;
    }
}
