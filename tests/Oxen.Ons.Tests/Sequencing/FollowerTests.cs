using System.Net;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;
using Oxen.Ons.Proofs;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using Oxen.Ons.Zones;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>Copies of a ledger over HTTP: they believe blocks that follow the rules and that a quorum stands for, and their members complete it.</summary>
public sealed class FollowerTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Often = TimeSpan.FromMilliseconds(20);
    private static readonly LedgerKey[] Founders = [.. TestLedger.Founders];

    private readonly Genesis _genesis = Genesis.Create("follow", (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), LedgerRules.Quick with { EpochBlocks = 1000, ProofGapBlocks = 1 }, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));
    private LedgerHost _main = null!;
    private RpcServer _server = null!;
    private HttpClient _http = null!;

    public async ValueTask InitializeAsync()
    {
        _main = await LedgerHost.OpenAsync(new MemorySequencer(), _genesis);
        _server = await RpcServer.StartAsync(new LedgerRpc(_main), new IPEndPoint(IPAddress.Loopback, 0), CancellationToken.None);
        _http = OxendClient.CreateHttp(Patience);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _server.DisposeAsync();
        await _main.DisposeAsync();
    }

    [Fact]
    public async Task A_copy_takes_only_what_a_quorum_stands_for()
    {
        await using LedgerFollower follower = Follower([]);
        await using LedgerHost copy = await CopyAsync(follower);
        for (int i = 0; i < 150; i++) await Do("alice", new TransferBody(Key("carol").Id, 1));
        Assert.True(await follower.LookAsync(copy, CancellationToken.None));
        Assert.Equal(0UL, copy.State.Height); // nobody has signed
        await SignAsync(100, Founders[..2]);
        Assert.True(await follower.LookAsync(copy, CancellationToken.None));
        Assert.Equal(0UL, copy.State.Height); // two of four are no quorum
        await SignAsync(100, Founders[2..3]);
        await UntilAsync(async () => await follower.LookAsync(copy, CancellationToken.None) && copy.State.Height == 100);
        Assert.Equal(_main.StateAt(100)!.Root, copy.State.Root);
        await SignAsync(150, Founders[..3]);
        await UntilAsync(async () => await follower.LookAsync(copy, CancellationToken.None) && copy.State.Height == 150);
        Assert.Equal((_main.State.Root, 150UL), (copy.State.Root, (await copy.LatestSignedAsync())!.Value.State.Height));
    }

    [Fact]
    public async Task A_copy_has_the_names_below_zones_too_and_hands_new_ones_on()
    {
        await using LedgerFollower follower = Follower([]);
        await using LedgerHost copy = await LedgerHost.OpenAsync(new MemorySequencer(), _genesis, new LedgerHostOptions { Forward = follower.ForwardAsync, ForwardSubname = follower.ForwardSubnameAsync });
        ZoneIndex zone = ZoneIndex.Of("copied-names.loki", NameType.Lokinet, _genesis.Network);
        var reveal = new ZoneRevealBody(NameType.Lokinet, zone.LengthClass, 1, zone.Blind, Key("alice").Id, null, [], default);
        await Do("alice", new ZoneCommitBody(reveal.Commitment(Key("alice").Id, _genesis.Network), 7 * TestLedger.Oxen));
        await Do("bob", new TransferBody(Key("carol").Id, 1));
        await Do("alice", reveal);
        for (int i = 0; i < 70; i++) Assert.Equal(SubnameRefusal.None, _main.Subnames.Put(Below(zone, $"n{i}", 1))); // more than a page
        Assert.True(await follower.LookAsync(copy, CancellationToken.None));
        Assert.Equal(0, copy.Subnames.Count); // the zone is not proven to this copy: it does not take them, and does not forget that it must
        await SignAsync(3, Founders[..3]);
        await UntilAsync(async () => await follower.LookAsync(copy, CancellationToken.None) && copy.Subnames.Count == 70);
        Assert.Equal(SubnameRefusal.None, await copy.PublishSubnameAsync(Below(zone, "late", 1), CancellationToken.None));
        Assert.Equal((71, 71), (_main.Subnames.Count, copy.Subnames.Count));
        Assert.Equal(SubnameRefusal.Old, await copy.PublishSubnameAsync(Below(zone, "late", 0), CancellationToken.None));
    }

    private byte[] Below(ZoneIndex zone, string label, ulong sequence)
        => new SubnamePublication(zone.Index, Key("signer").Id, SubnamePublication.GrantOf(Key("alice"), zone.Index, 0, Key("signer").Id, _genesis.Network), Subname.Seal(label, [ZoneRecord.Text(label)], Key("signer"), sequence, 4_000_000_000, new byte[24])).ToBytes();

    [Fact]
    public async Task Members_who_follow_complete_the_quorum_and_operations_go_on_to_the_ledger()
    {
        using var signer = new BlockSigner(_main, Founders[..1], new SigningJournal(null));
        await using LedgerFollower second = Follower(Founders[1..2]), third = Follower(Founders[2..3]);
        await using LedgerHost secondCopy = await CopyAsync(second), thirdCopy = await CopyAsync(third);
        second.Start(secondCopy);
        third.Start(thirdCopy);
        for (ulong i = 0; i < 5; i++)
        {
            Receipt receipt = await secondCopy.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), i, _genesis.Network));
            Assert.Equal((null, i + 1), (receipt.Refusal, receipt.Height));
            await UntilAsync(() => Task.FromResult(secondCopy.State.Height == i + 1 && thirdCopy.State.Height == i + 1));
        }

        Assert.Equal(_main.State.Root, thirdCopy.State.Root);
        Receipt refused = await thirdCopy.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), 99, _genesis.Network));
        Assert.Equal(OperationFault.NonceGap, refused.Refusal!.Fault);
    }

    [Fact]
    public async Task An_account_sends_one_operation_after_another_through_a_copy_that_has_none_of_them_yet()
    {
        await using LedgerFollower follower = Follower([]);
        await using LedgerHost copy = await CopyAsync(follower);
        var calls = new LedgerRpc(copy);
        for (ulong i = 0; i < 3; i++)
        {
            JsonElement account = await LedgerCalls.To(calls)("ledger_account", new { account = Key("alice").Id.ToString() }, CancellationToken.None);
            Assert.Equal((i, 0UL), (account.GetProperty("nonce").GetUInt64(), copy.State.Height)); // nobody signs: the copy stays where it is
            Assert.Null((await copy.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), i, _genesis.Network))).Refusal);
        }

        // One that is refused takes nothing with it, and what is in the copy is counted once.
        Assert.Equal(OperationFault.NotEnoughMoney, (await copy.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, ulong.MaxValue), Key("alice"), 3, _genesis.Network))).Refusal!.Fault);
        Assert.Equal(3UL, copy.NextNonce(Key("alice").Id));
        await SignAsync(3, Founders[..3]);
        await UntilAsync(async () => await follower.LookAsync(copy, CancellationToken.None) && copy.State.Height == 3);
        Assert.Equal((3UL, 3UL, 0UL), (copy.State.Account(Key("alice").Id).Nonce, copy.NextNonce(Key("alice").Id), copy.NextNonce(Key("bob").Id)));
    }

    [Fact]
    public async Task A_copy_whose_committee_is_asleep_knows_the_numbers_of_what_was_sent_elsewhere()
    {
        await using LedgerFollower follower = Follower([]);
        await using LedgerHost copy = await LedgerHost.OpenAsync(new MemorySequencer(), _genesis, new LedgerHostOptions { Forward = follower.ForwardAsync, Ahead = () => follower.Ahead });
        for (int i = 0; i < 3; i++) await Do("alice", new TransferBody(Key("carol").Id, 1));
        Assert.True(await follower.LookAsync(copy, CancellationToken.None));
        Assert.Equal((0UL, 0UL, 3UL), (copy.State.Height, copy.State.Account(Key("alice").Id).Nonce, copy.NextNonce(Key("alice").Id)));
        Assert.Null((await copy.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), copy.NextNonce(Key("alice").Id), _genesis.Network))).Refusal);
        Assert.Equal(4UL, copy.NextNonce(Key("alice").Id));
    }

    [Fact]
    public async Task Who_has_a_receipt_of_a_copy_finds_the_operation_in_it()
    {
        using var signer = new BlockSigner(_main, Founders, new SigningJournal(null));
        await using var follower = new LedgerFollower(new OxendClient(_http, _server.Address), [], new SigningJournal(null), TimeSpan.FromSeconds(1), TimeProvider.System);
        await using LedgerHost copy = await CopyAsync(follower);
        follower.Start(copy);
        for (ulong i = 0; i < 3; i++)
        {
            Receipt receipt = await copy.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), copy.NextNonce(Key("alice").Id), _genesis.Network));
            Assert.Equal((null, i + 1), (receipt.Refusal, receipt.Height));
            Assert.True(copy.State.Height >= receipt.Height);
        }
    }

    [Fact]
    public async Task A_ledger_that_is_not_reached_is_an_error_that_says_so()
    {
        await using LedgerFollower follower = Follower([]);
        await using LedgerHost copy = await CopyAsync(follower);
        await _server.DisposeAsync();
        byte[] operation = Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), 0, _genesis.Network).Encoded;
        OxendException refused = await Assert.ThrowsAsync<OxendException>(() => LedgerCalls.To(new LedgerRpc(copy))("ledger_submit", new { operation = Convert.ToBase64String(operation) }, CancellationToken.None));
        Assert.Equal(RpcRefusal.Unreached, refused.Code);
        Assert.Contains("did not answer ledger_submit", refused.Message, StringComparison.Ordinal);
        Assert.Equal(0UL, copy.NextNonce(Key("alice").Id));
    }

    [Fact]
    public async Task A_ledger_that_breaks_a_rule_is_not_followed()
    {
        // Money out of nowhere, signed by everybody; and by a quorum that is none.
        var evil = new MemorySequencer();
        await using LedgerHost theirs = await LedgerHost.OpenAsync(evil, _genesis);
        await theirs.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), 0, _genesis.Network));
        Block good = (await theirs.BlockAtAsync(1, CancellationToken.None))!;
        var bad = new Block(good.Header with { StateRoot = good.Header.OperationsRoot }, good.Operations);
        await evil.TruncateAsync(1, CancellationToken.None);
        Assert.True(await evil.AppendAsync(1, bad.ToBytes(), CancellationToken.None));
        await using RpcServer door = await RpcServer.StartAsync(new LedgerRpc(theirs), new IPEndPoint(IPAddress.Loopback, 0), CancellationToken.None);
        await using var follower = new LedgerFollower(new OxendClient(_http, door.Address), [], new SigningJournal(null), Often, TimeProvider.System);
        await using LedgerHost copy = await CopyAsync(follower);
        Assert.False(await follower.LookAsync(copy, CancellationToken.None));
        Assert.Contains("breaks a rule: its state root is another", follower.Trouble, StringComparison.Ordinal);
        Assert.Equal(0UL, copy.State.Height);
    }

    [Fact]
    public async Task A_registered_node_proves_by_itself_that_it_is_up()
    {
        using var signer = new BlockSigner(_main, Founders, new SigningJournal(null));
        await using LedgerFollower follower = Follower([]);
        await using LedgerHost copy = await CopyAsync(follower);
        follower.Start(copy);
        await using var prover = new NodeProver(copy, Key("node"), () => new NodeFacts(0x7F000001, 1090, 0, 0, 1, 2, 3, 0), TimeProvider.System);
        prover.Start();
        await Do("alice", new NodeRegisterBody(Key("node").Id, 0, 100 * TestLedger.Oxen, [], []).SignedBy(Key("node"), Key("alice").Id, 0, _genesis.Network));
        ulong registered = _main.State.Height;

        // Proofs are good for six blocks: without any it would be out long before thirty have passed.
        for (int i = 0; i < 30; i++)
        {
            await Do("bob", new TransferBody(Key("carol").Id, 1));
            ulong height = _main.State.Height;
            await UntilAsync(() => Task.FromResult(copy.State.Height >= height && (!NodeProver.IsDue(_main.State, Key("node").Id) || _main.State.Height > height)));
        }

        NodeEntry node = _main.State.Node(Key("node").Id)!;
        Assert.Equal((NodeStage.Active, 0U, (ushort)1090), (node.Stage, node.DecommissionCount, node.Facts!.QuorumPort));
        Assert.InRange(prover.Sent, 5, 40);
        Assert.True(node.LastProofHeight > registered);
    }

    [Fact]
    public async Task Votes_of_a_quorum_put_a_node_out_and_take_it_back()
    {
        await Do("alice", new NodeRegisterBody(Key("node").Id, 0, 100 * TestLedger.Oxen, [], []).SignedBy(Key("node"), Key("alice").Id, 0, _genesis.Network));
        await VerdictAsync(Verdict.Failing, NodeReasons.LokinetUnreachable);
        Assert.Equal((NodeStage.Decommissioned, NodeReasons.LokinetUnreachable), (_main.State.Node(Key("node").Id)!.Stage, _main.State.Node(Key("node").Id)!.Reasons));
        await VerdictAsync(Verdict.Recommission, NodeReasons.None);
        Assert.Equal(NodeStage.Active, _main.State.Node(Key("node").Id)!.Stage);

        // A stranger's vote, a garbled one, and one about the future are none.
        foreach ((string who, ulong height, bool spoil) in new[] { ("stranger", _main.State.Height, false), ("founder 0", _main.State.Height, true), ("founder 0", _main.State.Height + 5, false) })
        {
            LedgerKey key = who == "stranger" ? Key(who) : Founders[0];
            await Assert.ThrowsAsync<OxendException>(() => VoteAsync(key, new NodeVerdictBody(Key("node").Id, height, Verdict.Failing, NodeReasons.MissedPulse, []), spoil));
        }
    }

    private async Task VerdictAsync(Verdict verdict, NodeReasons reasons)
    {
        var body = new NodeVerdictBody(Key("node").Id, _main.State.Height, verdict, reasons, []);
        for (int i = 0; i < 3; i++)
        {
            JsonElement answer = await VoteAsync(Founders[i], body);
            Assert.Equal((i + 1, 3), (answer.GetProperty("votes").GetInt32(), answer.GetProperty("quorum").GetInt32()));
            if (i < 2) continue;
            var reader = new LedgerReader(answer.GetProperty("verdict").GetBytesFromBase64());
            LedgerKey last = Founders[i];
            Receipt receipt = await _main.SubmitAsync(Operation.Create(NodeVerdictBody.ReadBody(ref reader)!, last, _main.State.Account(last.Id).Nonce, _genesis.Network));
            Assert.Null(receipt.Refusal);
        }
    }

    private Task<JsonElement> VoteAsync(LedgerKey member, NodeVerdictBody body, bool spoil = false)
    {
        byte[] signature = body.VoteOf(member, _genesis.Network);
        if (spoil) signature[5] ^= 1;
        return new OxendClient(_http, _server.Address).CallAsync("ledger_vote", new { node = body.Node.ToString(), height = body.Height, verdict = (int)body.Verdict, reasons = (int)body.Reasons, member = member.Id.ToString(), signature = Convert.ToBase64String(signature) }, CancellationToken.None);
    }

    private LedgerFollower Follower(IReadOnlyList<LedgerKey> keys) => new(new OxendClient(_http, _server.Address), keys, new SigningJournal(null), Often, TimeProvider.System);

    private Task<LedgerHost> CopyAsync(LedgerFollower follower) => LedgerHost.OpenAsync(new MemorySequencer(), _genesis, new LedgerHostOptions { Forward = follower.ForwardAsync });

    private async Task Do(string signer, OperationBody body) =>
        Assert.Null((await _main.SubmitAsync(Operation.Create(body, Key(signer), _main.State.Account(Key(signer).Id).Nonce, _genesis.Network))).Refusal);

    private async Task SignAsync(ulong height, IEnumerable<LedgerKey> members)
    {
        foreach (LedgerKey member in members) Assert.True(await _main.SignAsync(height, member.Id, HeaderSignatures.Sign(_main.HeaderAt(height)!, member, _genesis.Network)));
    }

    private static async Task UntilAsync(Func<Task<bool>> look)
    {
        DateTime end = DateTime.UtcNow + Patience;
        while (!await look())
        {
            Assert.True(DateTime.UtcNow < end, "it did not come to that within a minute");
            await Task.Delay(10);
        }
    }
}
