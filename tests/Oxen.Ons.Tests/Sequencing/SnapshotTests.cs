using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Sequencing;

public sealed class SnapshotTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-snapshot").FullName;
    private readonly MemorySequencer _store = new();
    private readonly Genesis _genesis = Genesis.Create("snapshot", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));

    private string SnapshotFile => Path.Combine(_directory, "ledger.snapshot");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_start_from_a_snapshot_has_the_same_state_and_goes_on_from_there()
    {
        Bytes32 root = await FillAsync();
        await using LedgerHost again = await OpenAsync();
        Assert.Equal((34UL, 34UL, root), (again.StartedFrom, again.State.Height, again.State.Root));
        Assert.Empty(LedgerAudit.Check(again.State));
        Assert.Null((await again.SubmitAsync(Operation.Create(new TransferBody(Key("bob").Id, 1), Key("alice"), again.State.Account(Key("alice").Id).Nonce, _genesis.Network))).Refusal);
        await using LedgerHost replayed = await LedgerHost.OpenAsync(_store, _genesis);
        Assert.Equal((0UL, 35UL, again.State.Root), (replayed.StartedFrom, replayed.State.Height, replayed.State.Root));

        // What is older than the snapshot comes out of the store.
        Assert.Equal(replayed.HeaderAt(3), await again.FindHeaderAsync(3));
        Assert.Equal(replayed.HeaderAt(0), await again.FindHeaderAsync(0));
        Assert.Null(await again.FindHeaderAsync(99));
        Assert.Equal(_genesis.Committee.Members, again.CommitteeOf(_genesis.Committee.Hash)!.Members);
    }

    [Fact]
    public async Task A_damaged_snapshot_is_passed_over_and_everything_replayed()
    {
        Bytes32 root = await FillAsync();
        byte[] good = await File.ReadAllBytesAsync(SnapshotFile);
        for (int i = 0; i < good.Length; i += 1 + good.Length / 60)
        {
            byte[] changed = [.. good];
            changed[i] ^= 0x10;
            await File.WriteAllBytesAsync(SnapshotFile, changed);
            Assert.Null(LedgerSnapshot.Read(SnapshotFile, _genesis));
        }

        await File.WriteAllBytesAsync(SnapshotFile, good[..^9]);
        await using LedgerHost again = await OpenAsync();
        Assert.Equal((0UL, root), (again.StartedFrom, again.State.Root));
    }

    [Fact]
    public async Task A_snapshot_of_a_branch_that_was_given_up_is_not_believed()
    {
        await FillAsync();
        byte[] givenUp = await File.ReadAllBytesAsync(SnapshotFile);
        await _store.TruncateAsync(20, CancellationToken.None);
        await using (LedgerHost again = await OpenAsync()) Assert.Equal((0UL, 19UL), (again.StartedFrom, again.State.Height));

        // The branch that took its place grows past the snapshot's height, by a host that writes none of its own over it.
        await using LedgerHost other = await LedgerHost.OpenAsync(_store, _genesis);
        for (int i = 0; i < 20; i++) await Do(other, "bob", new TransferBody(Key("alice").Id, 7));
        await File.WriteAllBytesAsync(SnapshotFile, givenUp);
        await using LedgerHost third = await OpenAsync();
        Assert.Equal((0UL, 39UL, other.State.Root), (third.StartedFrom, third.State.Height, third.State.Root));
    }

    [Fact]
    public async Task Another_networks_snapshot_is_none()
    {
        await FillAsync();
        Genesis other = Genesis.Create("other", 1_700_000_000_000, LedgerRules.Quick, _genesis.Committee, []);
        Assert.Null(LedgerSnapshot.Read(SnapshotFile, other));
        Assert.NotNull(LedgerSnapshot.Read(SnapshotFile, _genesis));
    }

    // Names, a zone's commitment, a node: something of everything that is kept beside the tree.
    private async Task<Bytes32> FillAsync()
    {
        await using LedgerHost host = await OpenAsync(every: 3); // below four, the end writes one whatever came since the last
        await Do(host, "alice", Buy("hello", 0, "alice", "bob"));
        await Do(host, "alice", Buy("a.loki", 5, "bob"));
        await Do(host, "alice", new ZoneCommitBody(new Bytes32([.. Enumerable.Repeat((byte)9, 32)]), 7 * TestLedger.Oxen));
        await Do(host, "bob", new NodeRegisterBody(Key("node").Id, 100, 100 * TestLedger.Oxen, [], []).SignedBy(Key("node"), Key("bob").Id, host.State.Account(Key("bob").Id).Nonce, _genesis.Network));
        for (int i = 0; i < 30; i++) await Do(host, "alice", new TransferBody(Key("carol").Id, 1));
        return host.State.Root;
    }

    private Task<LedgerHost> OpenAsync(ulong every = 8) => LedgerHost.OpenAsync(_store, _genesis, new LedgerHostOptions { SnapshotFile = SnapshotFile, SnapshotEvery = every });

    private static async Task Do(LedgerHost host, string signer, OperationBody body) =>
        Assert.Null((await host.SubmitAsync(Operation.Create(body, Key(signer), host.State.Account(Key(signer).Id).Nonce, host.State.Network))).Refusal);
}
