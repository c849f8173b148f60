using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>A store that fails for a while stops nobody for good: it is said, tried again, and nothing is lost or done twice.</summary>
public class StoreTroubleTests
{
    private static readonly Genesis Begin = Genesis.Create("trouble", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));

    [Theory]
    [InlineData(false)] // the block never got there
    [InlineData(true)] // it did, and the answer was lost
    public async Task After_failures_every_operation_is_in_once_and_its_sender_is_told(bool durable)
    {
        var store = new AwkwardStore(new MemorySequencer(), durable);
        await using LedgerHost host = await LedgerHost.OpenAsync(store, Begin);
        var words = new List<string>();
        Task<Receipt>[] sent = [];
        bool toldBefore = false;
        host.TroubleChanged += () =>
        {
            words.Add(host.Trouble);
            if (host.Trouble.Length == 0 && words.Count == 2) toldBefore = sent.Any(s => s.IsCompleted);
        };
        store.Failures = 3;
        sent = [.. Enumerable.Range(0, 20).Select(i => host.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key(i % 2 == 0 ? "alice" : "bob"), (ulong)(i / 2), Begin.Network)))];
        Receipt[] receipts = await Task.WhenAll(sent);
        Assert.All(receipts, r => Assert.Null(r.Refusal));
        Assert.Equal(20UL, host.State.Account(Key("carol").Id).Balance);
        Assert.InRange(store.Failures, 0, durable ? 2 : 0); // what was durable is found, and nothing is left to append
        Assert.Contains(words, w => w.Contains("does not answer: the disk is on fire", StringComparison.Ordinal) && w.EndsWith("Put it out.", StringComparison.Ordinal));
        Assert.Equal("", host.Trouble);
        Assert.False(toldBefore, "a sender was told of its block while the ledger still spoke of the trouble");
        foreach (Receipt receipt in receipts)
        {
            Block block = (await host.BlockAtAsync(receipt.Height, CancellationToken.None))!;
            Assert.Contains(block.Operations, o => o.Id == receipt.Id);
        }
    }

    [Fact]
    public async Task What_another_process_wrote_that_breaks_a_rule_stops_the_ledger_and_says_so()
    {
        var store = new MemorySequencer();
        await using LedgerHost host = await LedgerHost.OpenAsync(store, Begin);
        Assert.True(await store.AppendAsync(1, new byte[] { 1, 2, 3 }, CancellationToken.None));
        Operation operation = Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), 0, Begin.Network);
        await Assert.ThrowsAsync<InvalidDataException>(() => host.SubmitAsync(operation));
        Assert.Contains("block 1 of the store is garbled", host.Trouble, StringComparison.Ordinal);
        Receipt later = await host.SubmitAsync(operation);
        Assert.Contains("the ledger has stopped", later.Refusal!.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)] // after the start
    [InlineData(true)] // at the start
    public async Task A_block_of_another_writer_with_a_forged_signature_is_refused_and_no_member_signs_it(bool atStart)
    {
        var store = new MemorySequencer();
        (Block forged, _) = Forged(LedgerState.Of(Begin));
        await store.AppendAsync(0, Begin.Encoded, CancellationToken.None);
        if (atStart)
        {
            await store.AppendAsync(1, forged.ToBytes(), CancellationToken.None);
            InvalidDataException e = await Assert.ThrowsAsync<InvalidDataException>(() => LedgerHost.OpenAsync(store, Begin));
            Assert.Contains("the signature is not the signer's", e.Message, StringComparison.Ordinal);
            return;
        }

        await using LedgerHost host = await LedgerHost.OpenAsync(store, Begin);
        using var signer = new BlockSigner(host, [.. Founders], new SigningJournal(null));
        await store.AppendAsync(1, forged.ToBytes(), CancellationToken.None);
        await Assert.ThrowsAsync<InvalidDataException>(() => host.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("bob"), 0, Begin.Network)));
        Assert.Contains("breaks a rule", host.Trouble, StringComparison.Ordinal);
        Assert.Equal(0UL, host.State.Height);
        Assert.Empty((await host.SignaturesAtAsync(1)).ByMember);
        Assert.Null(await store.GetSignaturesAsync(1, CancellationToken.None));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_quorum_of_the_committee_stands_for_old_blocks_and_strangers_for_nothing(bool strangers)
    {
        // As many operations as make it worth to ask; one of them is not its signer's.
        var store = new MemorySequencer();
        (Block forged, LedgerState after) = Forged(LedgerState.Of(Begin), more: 300);
        await store.AppendAsync(0, Begin.Encoded, CancellationToken.None);
        await store.AppendAsync(1, forged.ToBytes(), CancellationToken.None);
        await Assert.ThrowsAsync<InvalidDataException>(() => LedgerHost.OpenAsync(store, Begin));
        HeaderSignatures signatures = HeaderSignatures.None;
        for (int i = 0; i < 4; i++)
        {
            LedgerKey member = strangers ? Key($"stranger {i}") : Founders.Single(f => after.Committee.IndexOf(f.Id) == i);
            signatures = signatures.With((byte)i, HeaderSignatures.Sign(forged.Header, member, Begin.Network));
        }

        var writer = new LedgerWriter(1024);
        signatures.Write(writer);
        await store.PutSignaturesAsync(1, writer.ToArray(), CancellationToken.None);
        if (strangers)
        {
            await Assert.ThrowsAsync<InvalidDataException>(() => LedgerHost.OpenAsync(store, Begin));
            return;
        }

        await using LedgerHost later = await LedgerHost.OpenAsync(store, Begin);
        Assert.Equal(after.Root, later.State.Root);
    }

    // A transfer out of somebody else's account, with the root that it leads to; good but for the signature.
    private static (Block Block, LedgerState After) Forged(LedgerState state, int more = 0)
    {
        byte[] bytes = Operation.Create(new TransferBody(Key("carol").Id, 500 * TestLedger.Oxen), Key("alice"), 0, Begin.Network).Encoded;
        bytes[^1] ^= 1;
        Operation stolen = Operation.Read(bytes, Begin.Network)!;
        stolen.SignatureChecked = true;
        IEnumerable<Operation> others = Enumerable.Range(0, more).Select(i => Operation.Create(new TransferBody(Key("carol").Id, 1), Key("bob"), (ulong)i, Begin.Network));
        return StateMachine.Build(state, [stolen, .. others], state.UnixMilliseconds + 1);
    }
}
