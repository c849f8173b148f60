using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Sequencing;

public class NameTableTests
{
    [Fact]
    public void What_was_put_in_is_found_under_its_type_and_hash_and_newer_replaces_older()
    {
        var table = new NameTable();
        for (int round = 1; round <= 2; round++)
        {
            for (int i = 0; i < 5000; i++) table.Set(Entry(i, (NameType)(i % 3), (ulong)(round * 10_000 + i)));
            Assert.Equal(5000, table.Count);
        }

        for (int i = 0; i < 5000; i++)
        {
            Assert.Equal((ulong)(20_000 + i), table.Find((NameType)(i % 3), NameHash.Of($"n{i}"))!.UpdateHeight);
            Assert.Null(table.Find((NameType)((i + 1) % 3), NameHash.Of($"n{i}")));
        }
    }

    [Fact]
    public void Hashes_that_were_chosen_to_collide_are_all_found()
    {
        var table = new NameTable();
        byte[] hash = new byte[32];
        for (int i = 0; i < 2000; i++)
        {
            BitConverter.TryWriteBytes(hash.AsSpan(8), i); // the same first eight bytes
            table.Set(Entry(0, NameType.Session, (ulong)i) with { Hash = NameHash.FromBytes(hash) });
        }

        for (int i = 0; i < 2000; i++)
        {
            BitConverter.TryWriteBytes(hash.AsSpan(8), i);
            Assert.Equal((ulong)i, table.Find(NameType.Session, NameHash.FromBytes(hash))!.UpdateHeight);
        }
    }

    [Fact]
    public async Task Readers_see_every_name_that_was_there_while_the_table_grows()
    {
        var table = new NameTable();
        NameHash first = NameHash.Of("n0");
        table.Set(Entry(0, NameType.Session, 0));
        using var stop = new CancellationTokenSource();
        Task<int>[] readers = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            int misses = 0;
            while (!stop.IsCancellationRequested) if (table.Find(NameType.Session, first) is null) misses++;
            return misses;
        }))];
        for (int i = 0; i < 50_000; i++) table.Set(Entry(i, NameType.Session, (ulong)i));
        await stop.CancelAsync();
        int[] misses = await Task.WhenAll(readers);
        Assert.All(misses, m => Assert.Equal(0, m));
    }

    [Fact]
    public async Task The_ledgers_table_follows_blocks_and_rollbacks_and_a_restart()
    {
        var store = new MemorySequencer();
        Genesis genesis = Genesis.Create("table", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), [KeyValuePair.Create(Key("alice").Id, 10_000 * TestLedger.Oxen)]);
        await using LedgerHost host = await LedgerHost.OpenAsync(store, genesis);
        for (ulong i = 0; i < 20; i++) Assert.Null((await host.SubmitAsync(Operation.Create(Buy($"n{i}", 0, "alice"), Key("alice"), i, genesis.Network))).Refusal);
        await host.RollbackAsync(10, CancellationToken.None);
        Assert.Null((await host.SubmitAsync(Operation.Create(Buy("short.loki", 2, "alice"), Key("alice"), 10, genesis.Network))).Refusal);
        await using LedgerHost again = await LedgerHost.OpenAsync(store, genesis);
        foreach (LedgerHost ledger in new[] { host, again })
        {
            for (int i = 0; i < 20; i++) Assert.Equal(i < 10, ledger.FindName(NameType.Session, NameHash.Of($"n{i}")) is not null);
            Assert.NotNull(ledger.FindName(NameType.Lokinet, NameHash.Of("short.loki")));
        }

        // It lasts two blocks.
        for (ulong i = 11; i < 14; i++) await host.SubmitAsync(Operation.Create(new TransferBody(Key("bob").Id, 1), Key("alice"), i, genesis.Network));
        Assert.Null(host.FindName(NameType.Lokinet, NameHash.Of("short.loki")));
    }

    private static NameEntry Entry(int i, NameType type, ulong height) => new(type, NameHash.Of($"n{i}"), Owner("alice"), null, Value(i, type), default, height, 0);
}
