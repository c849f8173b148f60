using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Oxen.Ons.Nodes;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Ledger;

/// <summary>One block in the making. An operation is applied whole or not at all: its handler looks first and changes after.</summary>
internal sealed partial class BlockEditor
{
    private readonly LedgerState _before;
    private readonly LedgerRules _rules;
    private readonly Bytes32 _network;
    private readonly ulong _height;
    private readonly ulong _unixMilliseconds;
    private readonly HashSet<Bytes32> _touched = [];
    private readonly List<NameEntry> _names = [];
    private readonly TreeDraft _tree;
    private readonly Dictionary<Bytes32, ImmutableSortedSet<Bytes32>.Builder> _owned = []; // those that this block changes
    private readonly Dictionary<Bytes32, Bytes32> _accountKeys = [];

    private TotalsEntry _totals;
    private ImmutableSortedDictionary<Bytes32, NodeEntry> _nodes;
    private ImmutableSortedSet<Due> _schedule;
    private int _payable;
    private bool _activeChanged;

    public BlockEditor(LedgerState before, ulong unixMilliseconds)
    {
        _before = before;
        _rules = before.Rules;
        _network = before.Network;
        _height = before.Height + 1;
        _unixMilliseconds = unixMilliseconds;
        _tree = new TreeDraft(before.Tree);
        _totals = before.Totals;
        _nodes = before.Nodes;
        _schedule = before.Schedule;
        _payable = before.PayableNodes;
        HappenDue();
        AccrueRewards();
    }

    /// <summary>Applies an operation, or says why not; then nothing has changed.</summary>
    public Refusal? Apply(Operation operation)
    {
        if (operation.ValidUntil != 0 && _height > operation.ValidUntil) return No(OperationFault.Expired, $"it was valid up to height {operation.ValidUntil}; this is {_height}");
        AccountEntry signer = Account(operation.Signer);
        if (operation.Nonce < signer.Nonce) return No(OperationFault.Replayed, $"its nonce is {operation.Nonce}, and the signer's next is {signer.Nonce}: this number was used");
        if (operation.Nonce > signer.Nonce) return No(OperationFault.NonceGap, $"its nonce is {operation.Nonce}, and the signer's next is {signer.Nonce}");
        if (!operation.SignatureChecked && !operation.VerifySignature()) return No(OperationFault.BadSignature, "the signature is not the signer's");
        bool free = operation.Body is NodeProofBody or NodeVerdictBody or EquivocationBody;
        ulong fee = free ? 0 : _rules.OperationFee;
        if (signer.Balance < fee) return No(OperationFault.NotEnoughMoney, $"the fee is {OxenAmount.Format(fee)} OXEN, the balance {OxenAmount.Format(signer.Balance)}");
        ulong spendable = signer.Balance - fee;
        Refusal? refusal = operation.Body switch
        {
            TransferBody body => Transfer(body, operation, spendable),
            BurnBody body => Burn(body, operation, spendable),
            NameBody body => Name(body, operation, spendable),
            ZoneCommitBody body => ZoneCommit(body, operation, spendable),
            ZoneRevealBody body => ZoneReveal(body, operation),
            ZoneUpdateBody body => ZoneUpdate(body, operation),
            ZoneRenewBody body => ZoneRenew(body, operation, spendable),
            ZoneRecoverBody body => ZoneRecover(body, operation),
            ReverseBody body => Reverse(body, operation),
            NodeRegisterBody body => NodeRegister(body, operation, spendable),
            NodeContributeBody body => NodeContribute(body, operation, spendable),
            NodeUnlockBody body => NodeUnlock(body, operation),
            NodeCollectBody body => NodeCollect(body, operation),
            NodeProofBody body => NodeProof(body, operation),
            NodeVerdictBody body => NodeVerdict(body),
            EquivocationBody body => Equivocation(body),
            _ => No(OperationFault.Malformed, "there is no such operation"),
        };
        if (refusal is not null) return refusal;

        // The handler has moved the money; the fee and the number are left.
        AccountEntry after = Account(operation.Signer);
        Put(after with { Balance = after.Balance - fee, Nonce = after.Nonce + 1 });
        _totals = _totals with { Balances = _totals.Balances - fee, Burned = _totals.Burned + fee };
        return null;
    }

    /// <summary>Closes the block. Call once.</summary>
    public (BlockHeader Header, LedgerState State) Finish(Bytes32 operationsRoot)
    {
        if (_activeChanged) AssignSwarms();
        Committee committee = _before.NextCommittee;
        Committee next = committee;
        if ((_height + 1) % _rules.EpochBlocks == 0)
        {
            next = ChooseCommittee() ?? committee;
            if (next.Hash != committee.Hash) _tree.Set(CommitteeEntry.Key, new CommitteeEntry(next));
        }

        if (!_totals.Balanced) throw new InvalidOperationException($"money was made or lost at height {_height}: {_totals}");
        _tree.Set(TotalsEntry.Key, _totals);
        SparseTree tree = _tree.ToTree();
        var header = new BlockHeader(_height, _unixMilliseconds, _before.BlockHash, operationsRoot, tree.Root, committee.Hash, next.Hash);
        var state = new LedgerState
        {
            Genesis = _before.Genesis,
            Height = _height,
            UnixMilliseconds = _unixMilliseconds,
            BlockHash = header.Hash(_network),
            Tree = tree,
            Totals = _totals,
            Committee = committee,
            NextCommittee = next,
            Nodes = _nodes,
            PayableNodes = _payable,
            Schedule = _schedule,
            Owned = OwnedAfter(),
            ChangedNames = _names,
        };
        return (header, state);
    }

    private static Refusal No(OperationFault fault, string detail) => new(fault, detail);

    private Refusal? Transfer(TransferBody body, Operation operation, ulong spendable)
    {
        if (body.Amount == 0) return No(OperationFault.ZeroAmount, "nothing is moved");
        if (Short(body.Amount, spendable) is { } refusal) return refusal;
        Pay(operation.Signer, body.Amount);
        Receive(body.To, body.Amount);
        return null;
    }

    private Refusal? Burn(BurnBody body, Operation operation, ulong spendable)
    {
        if (body.Amount == 0) return No(OperationFault.ZeroAmount, "nothing is burned");
        if (Short(body.Amount, spendable) is { } refusal) return refusal;
        Pay(operation.Signer, body.Amount);
        _totals = _totals with { Burned = _totals.Burned + body.Amount };
        return null;
    }

    private static Refusal? Short(ulong amount, ulong spendable) =>
        amount <= spendable ? null : No(OperationFault.NotEnoughMoney, $"it takes {OxenAmount.Format(amount)} OXEN, and {OxenAmount.Format(spendable)} are left after the fee");

    private AccountEntry Account(Bytes32 id) => _tree.Find(AccountKey(id)) as AccountEntry ?? new AccountEntry(id, 0, 0);

    private void Put(AccountEntry account) => _tree.Set(AccountKey(account.Id), account);

    // An operation looks at its signer's account several times, and each look would cost a hash.
    private Bytes32 AccountKey(Bytes32 id)
    {
        ref Bytes32 key = ref CollectionsMarshal.GetValueRefOrAddDefault(_accountKeys, id, out bool known);
        return known ? key : key = AccountEntry.Key(id);
    }

    // Out of the balances; the caller says where to.
    private void Pay(Bytes32 from, ulong amount)
    {
        AccountEntry account = Account(from);
        Put(account with { Balance = checked(account.Balance - amount) });
        _totals = _totals with { Balances = _totals.Balances - amount };
    }

    private void Receive(Bytes32 to, ulong amount)
    {
        if (amount == 0) return;
        AccountEntry account = Account(to);
        Put(account with { Balance = checked(account.Balance + amount) });
        _totals = _totals with { Balances = _totals.Balances + amount };
    }

    private void Own(NameOwner? owner, Bytes32 key)
    {
        if (owner is null) return;
        OwnedBy(LedgerState.OwnerKey(owner)).Add(key);
    }

    private void Disown(NameOwner? owner, Bytes32 key)
    {
        if (owner is null) return;
        OwnedBy(LedgerState.OwnerKey(owner)).Remove(key);
    }

    private ImmutableSortedSet<Bytes32>.Builder OwnedBy(Bytes32 owner)
    {
        ref ImmutableSortedSet<Bytes32>.Builder? keys = ref CollectionsMarshal.GetValueRefOrAddDefault(_owned, owner, out _);
        return keys ??= (_before.Owned.GetValueOrDefault(owner) ?? []).ToBuilder();
    }

    private ImmutableDictionary<Bytes32, ImmutableSortedSet<Bytes32>> OwnedAfter()
    {
        if (_owned.Count == 0) return _before.Owned;
        ImmutableDictionary<Bytes32, ImmutableSortedSet<Bytes32>>.Builder all = _before.Owned.ToBuilder();
        foreach ((Bytes32 owner, ImmutableSortedSet<Bytes32>.Builder keys) in _owned)
        {
            if (keys.Count == 0) all.Remove(owner);
            else all[owner] = keys.ToImmutable();
        }

        return all.ToImmutable();
    }

    private void HappenDue()
    {
        while (!_schedule.IsEmpty && _schedule.Min.Height <= _height)
        {
            Due due = _schedule.Min;
            int before = _schedule.Count;
            if (due.Kind == DueKind.CommitmentLapses) LapseCommitment(due.Id);
            else HappenToNode(_nodes[due.Id], due.Kind);
            if (_schedule.Count == before && _schedule.Min == due) throw new InvalidOperationException($"{due} did not happen");
        }
    }

    private void AccrueRewards()
    {
        if (_payable == 0) return;
        ulong each = _rules.BlockReward / (ulong)_payable;
        ulong all = each * (ulong)_payable;
        if ((UInt128)_totals.Issued + all > 1UL << 63) return; // the coin has a ceiling
        _totals = _totals with { RewardIndex = _totals.RewardIndex + each, Issued = _totals.Issued + all, Rewards = _totals.Rewards + all };
    }

    private void AssignSwarms()
    {
        IReadOnlyList<(Bytes32 Node, ulong Swarm)> active = [.. _nodes.Values.Where(n => n.Stage == NodeStage.Active).Select(n => (n.Id, n.SwarmId))];
        foreach ((Bytes32 id, ulong swarm) in SwarmAssignment.Assign(active, _before.BlockHash.Seed, SwarmOrder.Stable))
        {
            if (_nodes[id].SwarmId != swarm) Put(_nodes[id] with { SwarmId = swarm, SwarmHeight = _height });
        }
    }

    private Committee? ChooseCommittee()
    {
        Bytes32[] active = [.. _nodes.Values.Where(n => n.Stage == NodeStage.Active).Select(n => n.Id)];
        if (active.Length == 0) return null;
        new MersenneTwister64(_before.BlockHash.Seed).Shuffle(active.AsSpan());
        return Committee.Of(active.Take(_rules.CommitteeSize));
    }
}
