using System.Collections.Immutable;

namespace Oxen.Ons.Ledger;

// Service nodes: docs/protocol/ledger.md#service-nodes
internal sealed partial class BlockEditor
{
    private const ushort WholeFee = 10_000;

    private Refusal? NodeRegister(NodeRegisterBody body, Operation operation, ulong spendable)
    {
        ulong need = _rules.StakeRequirement;
        if (body.Fee > WholeFee) return No(OperationFault.BadFee, $"the operator's cut is {body.Fee} of {WholeFee}");
        if (_nodes.ContainsKey(body.Node)) return No(OperationFault.NodeExists, "this node is registered already");
        ulong least = (need * _rules.OperatorPercent + 99) / 100;
        if (body.Amount < least) return No(OperationFault.ContributionTooSmall, $"the operator puts in {OxenAmount.Format(body.Amount)} OXEN; {OxenAmount.Format(least)} are the least");
        if (body.Amount > need) return TooLarge(body.Amount, need);
        if (body.Reserved.Length >= _rules.MaxContributors) return No(OperationFault.TooManyContributors, $"a node has at most {_rules.MaxContributors} contributors");
        ulong open = need - body.Amount;
        ulong free = (ulong)_rules.MaxContributors - 1;
        for (int i = 0; i < body.Reserved.Length; i++, free--)
        {
            (Bytes32 account, ulong amount) = body.Reserved[i];
            if (account == operation.Signer || body.Reserved.Take(i).Any(r => r.Account == account)) return No(OperationFault.TooManyContributors, "each account has one place");
            if (amount > open) return TooLarge(amount, open);
            if (amount < Share(open, free)) return TooSmall(amount, Share(open, free));
            open -= amount;
        }

        if (Short(body.Amount, spendable) is { } refusal) return refusal;
        if (!body.IsSigned(operation.Signer, operation.Nonce, _network)) return No(OperationFault.NotSignedByOwner, "the signature is not the node's over this registration");
        Stake(operation.Signer, body.Amount);
        Put(Complete(new NodeEntry
        {
            Id = body.Node,
            Contributions = [new Contribution(operation.Signer, body.Amount, 0), .. body.Reserved.Select(r => new Contribution(r.Account, 0, r.Amount))],
            Fee = body.Fee,
            RegistrationHeight = _height,
            StageHeight = _height,
        }));
        return null;
    }

    private Refusal? NodeContribute(NodeContributeBody body, Operation operation, ulong spendable)
    {
        if (Known(body.Node, out NodeEntry node) is { } unknown) return unknown;
        if (node.Stage != NodeStage.Collecting) return No(OperationFault.BadStage, "its stake is complete");
        int at = IndexOf(node, operation.Signer);
        ulong spoken = node.Staked + node.Reserved;
        ulong open = _rules.StakeRequirement > spoken ? _rules.StakeRequirement - spoken : 0;
        ulong reserved = at >= 0 && node.Contributions[at].Amount == 0 ? node.Contributions[at].Reserved : 0;
        if (at < 0 && node.Contributions.Length >= _rules.MaxContributors) return No(OperationFault.TooManyContributors, $"a node has at most {_rules.MaxContributors} contributors");
        ulong least = at < 0 ? Share(open, (ulong)(_rules.MaxContributors - node.Contributions.Length)) : Math.Max(reserved, 1);
        if (body.Amount == 0 || body.Amount < least) return TooSmall(body.Amount, Math.Max(least, 1));
        if (body.Amount > (open + reserved) * 101 / 100) return TooLarge(body.Amount, open + reserved);
        if (Short(body.Amount, spendable) is { } refusal) return refusal;
        Stake(operation.Signer, body.Amount);
        ImmutableArray<Contribution> contributions = at < 0
            ? node.Contributions.Add(new Contribution(operation.Signer, body.Amount, 0))
            : node.Contributions.SetItem(at, node.Contributions[at] with { Amount = node.Contributions[at].Amount + body.Amount, Reserved = 0 });
        Put(Complete(node with { Contributions = contributions }));
        return null;
    }

    private Refusal? NodeUnlock(NodeUnlockBody body, Operation operation)
    {
        if (Known(body.Node, out NodeEntry node) is { } unknown) return unknown;
        int at = IndexOf(node, operation.Signer);
        if (at < 0 || node.Contributions[at].Amount == 0) return No(OperationFault.NotContributor, "the signer has no stake in this node");
        if (node.Stage == NodeStage.Deregistered) return No(OperationFault.Locked, $"the node was deregistered; stakes are locked up to height {node.ReleaseHeight}");
        if (node.Stage == NodeStage.Collecting)
        {
            if (at == 0)
            {
                Dissolve(node);
                return null;
            }

            Unstake(operation.Signer, node.Contributions[at].Amount);
            Put(node with { Contributions = node.Contributions.RemoveAt(at) });
            return null;
        }

        if (node.UnlockHeight != 0) return No(OperationFault.AlreadyUnlocking, $"it leaves at height {node.UnlockHeight} already");
        ulong free = node.RegistrationHeight + _rules.SmallUnlockDelayBlocks;
        if (node.Contributions[at].Amount < _rules.StakeRequirement / 4 && _height < free) return No(OperationFault.Locked, $"a contributor of less than a quarter may ask from height {free} on");
        Put(node with { UnlockHeight = _height + _rules.UnlockBlocks });
        return null;
    }

    private Refusal? NodeCollect(NodeCollectBody body, Operation operation)
    {
        if (Known(body.Node, out NodeEntry node) is { } unknown) return unknown;
        int at = IndexOf(node, operation.Signer);
        if (at < 0 || node.Contributions[at].Amount == 0) return No(OperationFault.NotContributor, "the signer has no stake in this node");
        if (!node.Payable || node.RewardIndex == _totals.RewardIndex) return No(OperationFault.NothingChanges, "no rewards are due");
        Put(Settle(node));
        return null;
    }

    private Refusal? NodeProof(NodeProofBody body, Operation operation)
    {
        if (Known(operation.Signer, out NodeEntry node) is { } unknown) return unknown;
        if (node.Stage is not (NodeStage.Active or NodeStage.Decommissioned)) return No(OperationFault.BadStage, $"the node is {Word(node.Stage)}");
        if (node.Stage == NodeStage.Active && _height < node.LastProofHeight + _rules.ProofGapBlocks) return No(OperationFault.ProofTooSoon, $"the last proof is of height {node.LastProofHeight}; the next is taken from {node.LastProofHeight + _rules.ProofGapBlocks} on");
        ulong now = _unixMilliseconds / 1000, told = body.Facts.UnixSeconds;
        if ((told > now ? told - now : now - told) > _rules.ProofClockSeconds) return No(OperationFault.ClockOff, $"its clock is more than {_rules.ProofClockSeconds} s from the block's");
        NodeEntry after = node with { LastProofHeight = _height, Facts = body.Facts };
        Put(node.Stage == NodeStage.Decommissioned && node.Reasons == NodeReasons.MissedUptimeProof ? Recommission(after) : after);
        return null;
    }

    private Refusal? NodeVerdict(NodeVerdictBody body)
    {
        if (Known(body.Node, out NodeEntry node) is { } unknown) return unknown;
        if (body.Height >= _height || body.Height + _rules.EpochBlocks < _height) return No(OperationFault.BadVotes, $"the votes are of height {body.Height}, this is {_height}");
        Proofs.Committee committee = _before.NextCommittee;
        if (body.Votes.Length < committee.Quorum) return No(OperationFault.BadVotes, $"{body.Votes.Length} votes, {committee.Quorum} are needed");
        NodeStage expected = body.Verdict == Verdict.Failing ? NodeStage.Active : NodeStage.Decommissioned;
        if (node.Stage != expected) return No(OperationFault.BadStage, $"the node is {Word(node.Stage)}, not {Word(expected)}");
        if (body.Verdict == Verdict.Failing && body.Reasons == NodeReasons.None) return No(OperationFault.BadVotes, "they give no reason");

        // Votes from before it entered its stage speak of another life.
        if (body.Height < node.StageHeight) return No(OperationFault.BadVotes, $"the votes are of height {body.Height}, and the node is {Word(node.Stage)} since {node.StageHeight}");
        foreach ((byte member, byte[] signature) in body.Votes)
        {
            if (member >= committee.Members.Length || !body.IsVote(committee.Members[member], signature, _network)) return No(OperationFault.BadVotes, $"vote {member} is not that member's of the committee");
        }

        Put(body.Verdict == Verdict.Failing ? Fail(node, body.Reasons) : Recommission(node));
        return null;
    }

    private Refusal? Equivocation(EquivocationBody body)
    {
        if (Known(body.Member, out NodeEntry node) is { } unknown) return unknown;
        if (node.Stage is not (NodeStage.Active or NodeStage.Decommissioned)) return No(OperationFault.BadStage, $"the node is {Word(node.Stage)}");
        if (body.First.Height != body.Second.Height || body.First == body.Second) return No(OperationFault.BadEvidence, "these are not two blocks of one height");
        if (!Proofs.HeaderSignatures.IsSigned(body.First, body.Member, body.FirstSignature, _network) || !Proofs.HeaderSignatures.IsSigned(body.Second, body.Member, body.SecondSignature, _network)) return No(OperationFault.BadEvidence, "the signatures are not both the member's");
        NodeEntry settled = Settle(node);
        ulong lost = settled.Contributions[0].Amount;
        _totals = _totals with { Staked = _totals.Staked - lost, Burned = _totals.Burned + lost };
        Put(Deregister(settled with { Contributions = settled.Contributions.SetItem(0, settled.Contributions[0] with { Amount = 0 }) }));
        return null;
    }

    private void HappenToNode(NodeEntry node, DueKind kind)
    {
        switch (kind)
        {
            case DueKind.Unlock or DueKind.Release:
                Dissolve(node);
                break;
            case DueKind.CreditOut:
                Put(Deregister(node));
                break;
            case DueKind.ProofMissed:
                Put(Fail(node, NodeReasons.MissedUptimeProof));
                break;
            case DueKind.Payable:
                Put(node with { Payable = true, RewardIndex = _totals.RewardIndex });
                break;
            default:
                throw new InvalidOperationException($"{kind} does not happen to nodes");
        }
    }

    // An active node that failed: on credit if it has earned any, else out.
    private NodeEntry Fail(NodeEntry node, NodeReasons reasons)
    {
        ulong credit = Math.Min(_rules.CreditMost, node.Credit + (_height - node.StageHeight) / _rules.CreditPerBlocks);
        if (credit < _rules.CreditLeast) return Deregister(node with { Reasons = reasons });
        return Settle(node) with { Stage = NodeStage.Decommissioned, StageHeight = _height, Payable = false, Credit = credit, Reasons = reasons, DecommissionCount = node.DecommissionCount + 1, SwarmId = NodeEntry.NoSwarm };
    }

    private NodeEntry Recommission(NodeEntry node)
    {
        ulong spent = 2 * (_height - node.StageHeight);
        return node with { Stage = NodeStage.Active, StageHeight = _height, LastProofHeight = _height, Credit = node.Credit > spent ? node.Credit - spent : 0, Reasons = NodeReasons.None };
    }

    private NodeEntry Deregister(NodeEntry node)
        => Settle(node) with { Stage = NodeStage.Deregistered, StageHeight = _height, Payable = false, UnlockHeight = 0, ReleaseHeight = _height + _rules.DeregisterLockBlocks, SwarmId = NodeEntry.NoSwarm };

    private NodeEntry Complete(NodeEntry node)
    {
        if (node.Staked < _rules.StakeRequirement) return node;
        return node with
        {
            Contributions = [.. node.Contributions.Where(c => c.Amount > 0)],
            Stage = NodeStage.Active,
            StageHeight = _height,
            LastProofHeight = _height,
            Credit = _rules.CreditStart,
        };
    }

    // Pays out what a node has earned: the operator's cut, then by stake, what does not divide to the operator.
    private NodeEntry Settle(NodeEntry node)
    {
        if (!node.Payable) return node;
        ulong owed = _totals.RewardIndex - node.RewardIndex;
        ulong shared = owed - (ulong)((UInt128)owed * node.Fee / WholeFee);
        ulong staked = node.Staked, left = owed;
        _totals = _totals with { Rewards = _totals.Rewards - owed };
        foreach (Contribution c in node.Contributions.Skip(1))
        {
            ulong part = (ulong)((UInt128)shared * c.Amount / staked);
            Receive(c.Account, part);
            left -= part;
        }

        Receive(node.Operator, left);
        return node with { RewardIndex = _totals.RewardIndex };
    }

    private void Dissolve(NodeEntry node)
    {
        NodeEntry settled = Settle(node);
        foreach (Contribution c in settled.Contributions) Unstake(c.Account, c.Amount);
        Replace(node, null);
    }

    private void Put(NodeEntry node) => Replace(_nodes.GetValueOrDefault(node.Id), node);

    private void Replace(NodeEntry? before, NodeEntry? after)
    {
        Bytes32 id = (before ?? after)!.Id;
        if (before is not null) foreach (Due due in Due.Of(before, _rules)) _schedule = _schedule.Remove(due);
        if (after is not null) foreach (Due due in Due.Of(after, _rules)) _schedule = _schedule.Add(due);
        _payable += (after?.Payable == true ? 1 : 0) - (before?.Payable == true ? 1 : 0);
        _activeChanged |= before?.Stage == NodeStage.Active != (after?.Stage == NodeStage.Active);
        _nodes = after is null ? _nodes.Remove(id) : _nodes.SetItem(id, after);
        if (after is null) _tree.Remove(NodeEntry.Key(id));
        else _tree.Set(NodeEntry.Key(id), after);
    }

    private void Stake(Bytes32 from, ulong amount)
    {
        Pay(from, amount);
        _totals = _totals with { Staked = _totals.Staked + amount };
    }

    private void Unstake(Bytes32 to, ulong amount)
    {
        _totals = _totals with { Staked = _totals.Staked - amount };
        Receive(to, amount);
    }

    private Refusal? Known(Bytes32 id, out NodeEntry node)
    {
        node = _nodes.GetValueOrDefault(id)!;
        return node is null ? No(OperationFault.UnknownNode, "there is no such node") : null;
    }

    private static string Word(NodeStage stage) => stage switch
    {
        NodeStage.Collecting => "still collecting its stake",
        NodeStage.Active => "active",
        NodeStage.Decommissioned => "decommissioned",
        _ => "deregistered",
    };

    private static int IndexOf(NodeEntry node, Bytes32 account)
    {
        for (int i = 0; i < node.Contributions.Length; i++)
        {
            if (node.Contributions[i].Account == account) return i;
        }

        return -1;
    }

    // The least that the next contributor puts in, so that the places that are left can complete the stake.
    private static ulong Share(ulong open, ulong free) => free == 0 ? open : (open + free - 1) / free;

    private static Refusal TooSmall(ulong found, ulong least) => No(OperationFault.ContributionTooSmall, $"{OxenAmount.Format(found)} OXEN are too little; {OxenAmount.Format(least)} are the least");

    private static Refusal TooLarge(ulong found, ulong open) => No(OperationFault.ContributionTooLarge, $"{OxenAmount.Format(found)} OXEN are too much; {OxenAmount.Format(open)} are open, and 1 % above is the most");
}
