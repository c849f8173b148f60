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
        var store = new Failing(new MemorySequencer(), durable);
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
        Assert.Contains(words, w => w.Contains("does not answer: the disk is on fire", StringComparison.Ordinal));
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

    private sealed class Failing(IBlockSequencer inner, bool durable) : IBlockSequencer
    {
        public int Failures { get; set; }

        public string Name => inner.Name;

        public async Task<bool> AppendAsync(ulong height, ReadOnlyMemory<byte> block, CancellationToken cancel)
        {
            if (Failures == 0) return await inner.AppendAsync(height, block, cancel);
            Failures--;
            if (durable) await inner.AppendAsync(height, block, cancel);
            throw new IOException("the disk is on fire");
        }

        public Task<IReadOnlyList<byte[]>> ReadAsync(ulong from, int count, CancellationToken cancel) => inner.ReadAsync(from, count, cancel);

        public Task TruncateAsync(ulong from, CancellationToken cancel) => inner.TruncateAsync(from, cancel);

        public Task PutSignaturesAsync(ulong height, ReadOnlyMemory<byte> signatures, CancellationToken cancel) => inner.PutSignaturesAsync(height, signatures, cancel);

        public Task<byte[]?> GetSignaturesAsync(ulong height, CancellationToken cancel) => inner.GetSignaturesAsync(height, cancel);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
