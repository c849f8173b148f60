using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Ledger;

public class NodeTests
{
    private readonly TestLedger _ledger = new();

    private NodeEntry Node(string name = "node") => _ledger.State.Node(Key(name).Id)!;

    private NodeVerdictBody Verdict(Verdict verdict, NodeReasons reasons, int votes = 3, ulong? height = null, string node = "node")
    {
        var body = new NodeVerdictBody(Key(node).Id, height ?? _ledger.Height, verdict, reasons, []);
        Committee committee = _ledger.State.NextCommittee;
        LedgerKey[] known = [.. Founders, .. Enumerable.Range(0, 10).Select(i => Key($"n{i}")), Key("node")];
        return body with { Votes = [.. committee.Members.Take(votes).Select((m, i) => ((byte)i, body.VoteOf(known.First(k => k.Id == m), _ledger.Network)))] };
    }

    [Fact]
    public void A_node_becomes_active_with_its_whole_stake_and_payable_later()
    {
        _ledger.StartNode("node", "alice");
        Assert.Equal((NodeStage.Active, 1UL, false), (Node().Stage, Node().StageHeight, Node().Payable));
        Assert.Equal(100 * TestLedger.Oxen, _ledger.State.Totals.Staked);
        Assert.NotEqual(NodeEntry.NoSwarm, Node().SwarmId);
        _ledger.Wait(2);
        Assert.False(Node().Payable);
        _ledger.Wait(1);
        Assert.True(Node().Payable);
        _ledger.Audit();
    }

    [Fact]
    public void Bad_registrations_are_refused()
    {
        _ledger.Refused(OperationFault.ContributionTooSmall, "alice", _ledger.Register("node", "alice", 25 * TestLedger.Oxen - 1));
        _ledger.Refused(OperationFault.ContributionTooLarge, "alice", _ledger.Register("node", "alice", 100 * TestLedger.Oxen + 1));
        _ledger.Refused(OperationFault.BadFee, "alice", _ledger.Register("node", "alice", 100 * TestLedger.Oxen, 10_001));
        _ledger.Refused(OperationFault.NotSignedByOwner, "bob", _ledger.Register("node", "alice", 100 * TestLedger.Oxen));
        _ledger.Refused(OperationFault.ContributionTooSmall, "alice", _ledger.Register("node", "alice", 25 * TestLedger.Oxen, 0, ("bob", TestLedger.Oxen)));
        _ledger.Refused(OperationFault.ContributionTooLarge, "alice", _ledger.Register("node", "alice", 90 * TestLedger.Oxen, 0, ("bob", 11 * TestLedger.Oxen)));
        _ledger.Refused(OperationFault.TooManyContributors, "alice", _ledger.Register("node", "alice", 25 * TestLedger.Oxen, 0, ("bob", 30 * TestLedger.Oxen), ("bob", 30 * TestLedger.Oxen)));
        _ledger.Do("alice", _ledger.Register("node", "alice", 50 * TestLedger.Oxen));
        _ledger.Refused(OperationFault.NodeExists, "bob", _ledger.Register("node", "bob", 50 * TestLedger.Oxen));
    }

    [Fact]
    public void Contributions_complete_a_stake_within_their_limits()
    {
        _ledger.Do("alice", _ledger.Register("node", "alice", 28 * TestLedger.Oxen, 0, ("bob", 20 * TestLedger.Oxen)));

        // 52 open, 8 places: 6.5 at least, 1 % more at most.
        _ledger.Refused(OperationFault.ContributionTooSmall, "carol", new NodeContributeBody(Key("node").Id, 6_499_999_999));
        _ledger.Refused(OperationFault.ContributionTooLarge, "carol", new NodeContributeBody(Key("node").Id, 52_520_000_001));
        _ledger.Refused(OperationFault.ContributionTooSmall, "bob", new NodeContributeBody(Key("node").Id, 20 * TestLedger.Oxen - 1));
        _ledger.Do("carol", new NodeContributeBody(Key("node").Id, 52_520_000_000));
        Assert.Equal(NodeStage.Collecting, Node().Stage); // bob's place is kept: 28 + 52.52 of 100
        _ledger.Refused(OperationFault.ContributionTooLarge, "dave", new NodeContributeBody(Key("node").Id, 1));
        _ledger.Do("bob", new NodeContributeBody(Key("node").Id, 20 * TestLedger.Oxen));
        Assert.Equal(NodeStage.Active, Node().Stage);
        _ledger.Refused(OperationFault.BadStage, "dave", new NodeContributeBody(Key("node").Id, TestLedger.Oxen));
        _ledger.Audit();
    }

    [Fact]
    public void Before_the_stake_is_complete_everybody_may_leave()
    {
        ulong alice = _ledger.Balance("alice"), bob = _ledger.Balance("bob");
        _ledger.Do("alice", _ledger.Register("node", "alice", 28 * TestLedger.Oxen));
        _ledger.Do("bob", new NodeContributeBody(Key("node").Id, 20 * TestLedger.Oxen));
        _ledger.Refused(OperationFault.NotContributor, "carol", new NodeUnlockBody(Key("node").Id));
        _ledger.Do("bob", new NodeUnlockBody(Key("node").Id));
        Assert.Equal(bob - 2 * _ledger.Rules.OperationFee, _ledger.Balance("bob"));
        _ledger.Do("alice", new NodeUnlockBody(Key("node").Id));
        Assert.Null(_ledger.State.Node(Key("node").Id));
        Assert.Equal(alice - 2 * _ledger.Rules.OperationFee, _ledger.Balance("alice"));
        _ledger.Audit();
    }

    [Fact]
    public void Rewards_go_by_the_published_rule()
    {
        _ledger.Do("alice", _ledger.Register("node", "alice", 25 * TestLedger.Oxen, 2000));
        _ledger.Do("bob", new NodeContributeBody(Key("node").Id, 75 * TestLedger.Oxen));
        _ledger.WaitWithProofs(13, "node");
        Assert.Equal(15UL, _ledger.Height);

        // Payable from height 5 on: eleven blocks of 1 OXEN. A fifth to the operator, the rest by quarters.
        Assert.Equal(11 * TestLedger.Oxen, _ledger.State.Totals.Rewards);
        ulong alice = _ledger.Balance("alice"), bob = _ledger.Balance("bob");
        _ledger.Refused(OperationFault.NotContributor, "carol", new NodeCollectBody(Key("node").Id));
        _ledger.Do("alice", new NodeCollectBody(Key("node").Id));
        Assert.Equal(bob + 12 * TestLedger.Oxen * 8 / 10 * 3 / 4, _ledger.Balance("bob"));
        Assert.Equal(alice - _ledger.Rules.OperationFee + 12 * TestLedger.Oxen * 2 / 10 + 12 * TestLedger.Oxen * 8 / 10 / 4, _ledger.Balance("alice"));
        Assert.Equal(0UL, _ledger.State.Totals.Rewards);
        Assert.Equal(40_000 * TestLedger.Oxen + 12 * TestLedger.Oxen, _ledger.State.Totals.Issued);
        _ledger.Audit();
    }

    [Fact]
    public void A_node_leaves_after_the_lock_with_stakes_and_rewards()
    {
        _ledger.Do("alice", _ledger.Register("node", "alice", 90 * TestLedger.Oxen, 0));
        _ledger.Do("bob", new NodeContributeBody(Key("node").Id, 10 * TestLedger.Oxen));
        _ledger.Refused(OperationFault.Locked, "bob", new NodeUnlockBody(Key("node").Id)); // less than a quarter
        ulong bob = _ledger.Balance("bob");
        _ledger.Do("alice", new NodeUnlockBody(Key("node").Id));
        ulong leaves = Node().UnlockHeight;
        Assert.Equal(_ledger.Height + _ledger.Rules.UnlockBlocks, leaves);
        _ledger.Refused(OperationFault.AlreadyUnlocking, "alice", new NodeUnlockBody(Key("node").Id));
        while (_ledger.Height < leaves - 1) _ledger.WaitWithProofs(1, "node");
        Assert.NotNull(_ledger.State.Node(Key("node").Id));
        _ledger.Wait(1);
        Assert.Null(_ledger.State.Node(Key("node").Id));
        Assert.Equal(0UL, _ledger.State.Totals.Staked);
        Assert.True(_ledger.Balance("bob") > bob + 10 * TestLedger.Oxen);
        _ledger.Audit();
    }

    [Fact]
    public void Missing_proofs_cost_the_place_and_in_the_end_the_time_of_the_stake()
    {
        _ledger.StartNode("node", "alice");
        ulong last = Node().LastProofHeight;
        _ledger.WaitUntil(last + _ledger.Rules.ProofValidityBlocks);
        Assert.Equal(NodeStage.Active, Node().Stage);
        _ledger.Wait(1);
        Assert.Equal((NodeStage.Decommissioned, NodeReasons.MissedUptimeProof, false, NodeEntry.NoSwarm), (Node().Stage, Node().Reasons, Node().Payable, Node().SwarmId));
        ulong credit = Node().Credit;
        Assert.Equal(_ledger.Rules.CreditStart + 7 / _ledger.Rules.CreditPerBlocks, credit);

        // A proof brings it back; each block out has cost two of credit.
        LedgerState fork = _ledger.State;
        _ledger.Block(_ledger.Proof("node"));
        Assert.Equal((NodeStage.Active, credit - 2), (Node().Stage, Node().Credit));
        _ledger.Audit();
        _ledger.Rollback(fork.Height);
        _ledger.Wait(credit);
        Assert.Equal(NodeStage.Deregistered, Node().Stage);
        _ledger.Refused(OperationFault.Locked, "alice", new NodeUnlockBody(Key("node").Id));
        _ledger.Refused(OperationFault.BadStage, _ledger.Proof("node"));
        Assert.Equal(100 * TestLedger.Oxen, _ledger.State.Totals.Staked);
        _ledger.WaitUntil(Node().ReleaseHeight);
        Assert.Null(_ledger.State.Node(Key("node").Id));
        Assert.Equal(0UL, _ledger.State.Totals.Staked);
        _ledger.Audit();
    }

    [Fact]
    public void Proofs_come_neither_too_often_nor_with_a_wrong_clock_nor_from_strangers()
    {
        _ledger.StartNode("node", "alice");
        _ledger.Refused(OperationFault.ProofTooSoon, _ledger.Proof("node"));
        _ledger.Wait(1);
        ulong now = _ledger.State.UnixMilliseconds / 1000;
        _ledger.Refused(OperationFault.ClockOff, _ledger.Proof("node", now + 302));
        _ledger.Refused(OperationFault.ClockOff, _ledger.Proof("node", now - 302));
        _ledger.Refused(OperationFault.UnknownNode, _ledger.Proof("stranger"));
        _ledger.Block(_ledger.Proof("node"));
        Assert.Equal((ushort)22021, Node().Facts!.StorageHttpsPort);
    }

    [Fact]
    public void A_committees_verdict_decommissions_and_recommissions()
    {
        _ledger.StartNode("node", "alice");
        _ledger.Wait(1);
        _ledger.Refused(OperationFault.BadVotes, "bob", Verdict(Oxen.Ons.Ledger.Verdict.Failing, NodeReasons.StorageUnreachable, 2));
        _ledger.Refused(OperationFault.BadVotes, "bob", Verdict(Oxen.Ons.Ledger.Verdict.Failing, NodeReasons.None));
        NodeVerdictBody good = Verdict(Oxen.Ons.Ledger.Verdict.Failing, NodeReasons.StorageUnreachable);
        _ledger.Refused(OperationFault.BadVotes, "bob", good with { Reasons = NodeReasons.ClockOutOfSync });
        _ledger.Refused(OperationFault.BadStage, "bob", Verdict(Oxen.Ons.Ledger.Verdict.Recommission, NodeReasons.None));
        _ledger.Do("bob", good);
        Assert.Equal((NodeStage.Decommissioned, 1U), (Node().Stage, Node().DecommissionCount));
        _ledger.Block(_ledger.Proof("node")); // a proof is no answer to this reason
        Assert.Equal(NodeStage.Decommissioned, Node().Stage);
        _ledger.Do("bob", Verdict(Oxen.Ons.Ledger.Verdict.Recommission, NodeReasons.None));
        Assert.Equal(NodeStage.Active, Node().Stage);
        _ledger.Refused(OperationFault.BadVotes, "bob", good); // votes of the life before
        _ledger.Audit();
    }

    [Fact]
    public void Who_signs_two_blocks_of_one_height_loses_the_stake()
    {
        _ledger.StartNode("node", "alice");
        var first = new BlockHeader(5, 1, default, default, default, default, default);
        BlockHeader second = first with { UnixMilliseconds = 2 };
        EquivocationBody Evidence(BlockHeader a, BlockHeader b, string by = "node") => new(Key("node").Id, a, HeaderSignatures.Sign(a, Key(by), _ledger.Network), b, HeaderSignatures.Sign(b, Key("node"), _ledger.Network));
        _ledger.Refused(OperationFault.BadEvidence, "bob", Evidence(first, first));
        _ledger.Refused(OperationFault.BadEvidence, "bob", Evidence(first, first with { Height = 6 }));
        _ledger.Refused(OperationFault.BadEvidence, "bob", Evidence(first, second, "bob"));
        ulong burned = _ledger.State.Totals.Burned;
        _ledger.Do("bob", Evidence(first, second));
        Assert.Equal((NodeStage.Deregistered, 0UL), (Node().Stage, Node().Staked));
        Assert.Equal(burned + 100 * TestLedger.Oxen, _ledger.State.Totals.Burned);
        _ledger.Audit();
        _ledger.WaitUntil(Node().ReleaseHeight);
        Assert.Null(_ledger.State.Node(Key("node").Id));
        _ledger.Audit();
    }

    [Fact]
    public void Committees_are_drawn_from_active_nodes_at_the_end_of_an_epoch()
    {
        string[] names = [.. Enumerable.Range(0, 6).Select(i => $"n{i}")];
        foreach (string name in names) _ledger.StartNode(name, "alice");
        Assert.Equal(_ledger.Genesis.Committee.Hash, _ledger.State.NextCommittee.Hash);
        while (_ledger.Height < _ledger.Rules.EpochBlocks - 1) _ledger.WaitWithProofs(1, names);
        Assert.Equal(_ledger.Genesis.Committee.Hash, _ledger.State.Committee.Hash);
        Assert.Equal(4, _ledger.State.NextCommittee.Members.Length);
        Assert.All(_ledger.State.NextCommittee.Members, m => Assert.NotNull(_ledger.State.Node(m)));
        Bytes32 next = _ledger.State.NextCommittee.Hash;
        _ledger.WaitWithProofs(1, names);
        Assert.Equal(next, _ledger.State.Committee.Hash);
    }
}
