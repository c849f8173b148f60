using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;
using Oxen.Ons.Proofs;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Nodes;

/// <summary>What storage nodes see of each other becomes votes, and a quorum of votes a verdict on the ledger.</summary>
public sealed class NodeVoterTests : IAsyncLifetime
{
    private const int Nodes = 5;
    private static readonly LedgerKey[] Founders = [.. TestLedger.Founders];

    private readonly Genesis _genesis = Genesis.Create(
        "votes", (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), LedgerRules.Quick with { EpochBlocks = 1000, ProofValidityBlocks = 200, CreditStart = 500, CreditMost = 1000 },
        Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));

    private readonly List<NodeVoter> _voters = [];
    private LedgerHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await LedgerHost.OpenAsync(new MemorySequencer(), _genesis);
        LedgerCall call = LedgerCalls.To(new LedgerRpc(_host));
        for (int i = 0; i < Nodes; i++) await Do("alice", new NodeRegisterBody(Node(i), 0, 100 * TestLedger.Oxen, [], []).SignedBy(Key($"n{i}"), Key("alice").Id, _host.State.Account(Key("alice").Id).Nonce, _genesis.Network));
        foreach (LedgerKey founder in Founders) _voters.Add(new NodeVoter(_host, [founder], call));
        _voters.Add(new NodeVoter(_host, [Key("stranger")], call)); // in no committee: it sees, and has no vote
        foreach (NodeVoter voter in _voters) voter.Start();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (NodeVoter voter in _voters) await voter.DisposeAsync();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task A_node_whose_storage_a_quorum_does_not_reach_is_put_out_and_taken_back_when_it_answers()
    {
        ulong joined = _host.State.Node(Node(3))!.SwarmHeight;
        Assert.InRange(joined, 1UL, (ulong)Nodes);
        See(4, id => id != 3);
        await WaitBlocksAsync(80);
        Assert.Equal(NodeStage.Active, _host.State.Node(Node(3))!.Stage); // half the life of a proof is a hundred blocks
        await UntilAsync(() => _host.State.Node(Node(3))!.Stage == NodeStage.Decommissioned);
        Assert.Equal((NodeReasons.StorageUnreachable, NodeEntry.NoSwarm), (_host.State.Node(Node(3))!.Reasons, _host.State.Node(Node(3))!.SwarmId));
        Assert.All(Enumerable.Range(0, Nodes).Where(i => i != 3), i => Assert.Equal(NodeStage.Active, _host.State.Node(Node(i))!.Stage));

        See(1, id => id != 3);
        See(2, _ => true);
        await UntilAsync(() => _host.State.Node(Node(3))!.Stage == NodeStage.Active);
        Assert.True(_host.State.Node(Node(3))!.SwarmHeight > joined); // the same swarm, and not the same membership
        Assert.True(LedgerNodeSource.Of(_host.State).Find(Node(3).ToArray())!.SwarmSince > joined);
    }

    [Fact]
    public async Task Two_tests_or_two_members_are_not_enough_and_who_reaches_few_says_nothing()
    {
        foreach (NodeVoter voter in _voters) for (int n = 0; n < 2; n++) voter.Note(Node(1), false);
        foreach (NodeVoter voter in _voters.Take(2)) for (int n = 0; n < 4; n++) voter.Note(Node(2), false);
        foreach (NodeVoter voter in _voters) for (int i = 0; i < Nodes; i++) if (i > 2) voter.Note(Node(i), true);
        await WaitBlocksAsync(130);
        Assert.All(Enumerable.Range(0, Nodes), i => Assert.Equal(NodeStage.Active, _host.State.Node(Node(i))!.Stage));
        Assert.Contains(_voters[0].Due(_host.State), v => v.Node == Node(2)); // that member would, and is not enough
        Assert.DoesNotContain(_voters[0].Due(_host.State), v => v.Node == Node(1));

        foreach (NodeVoter voter in _voters) for (int n = 0; n < 4; n++) for (int i = 0; i < 3; i++) voter.Note(Node(i), false);
        await WaitBlocksAsync(130);
        Assert.All(_voters, v => Assert.Empty(v.Due(_host.State)));
        Assert.All(Enumerable.Range(0, Nodes), i => Assert.Equal(NodeStage.Active, _host.State.Node(Node(i))!.Stage));
    }

    private static Bytes32 Node(int i) => Key($"n{i}").Id;

    // So many tests of every node, by everybody.
    private void See(int tests, Func<int, bool> reached)
    {
        foreach (NodeVoter voter in _voters) for (int n = 0; n < tests; n++) for (int i = 0; i < Nodes; i++) voter.Note(Node(i), reached(i));
    }

    private async Task WaitBlocksAsync(int count)
    {
        ulong end = _host.State.Height + (ulong)count;
        while (_host.State.Height < end)
        {
            await Do("bob", new TransferBody(Key("carol").Id, 1));
            for (int i = 0; i < Nodes; i++)
            {
                if (_host.State.Node(Node(i)) is { Stage: NodeStage.Active } node && _host.State.Height >= node.LastProofHeight + 100)
                    await Do($"n{i}", new NodeProofBody(new NodeFacts(0, 1, 1, 2, 1, 2, 3, (ulong)DateTimeOffset.UtcNow.ToUnixTimeSeconds())));
            }
        }
    }

    private async Task UntilAsync(Func<bool> condition)
    {
        DateTime end = DateTime.UtcNow + TimeSpan.FromSeconds(60);
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < end, $"it did not come to that within a minute: height {_host.State.Height}, {string.Join(", ", _voters.Select(v => v.Trouble))}");
            await WaitBlocksAsync(1);
            await Task.Delay(5, CancellationToken.None);
        }
    }

    private async Task Do(string signer, OperationBody body) =>
        Assert.Null((await _host.SubmitAsync(Operation.Create(body, Key(signer), _host.State.Account(Key(signer).Id).Nonce, _genesis.Network))).Refusal);
}
