using Oxen.Ons.Proofs;

namespace Oxen.Ons.Ledger;

/// <summary>Looks at every leaf of a state and says what does not agree: the money, the root, and everything that is kept beside the tree.</summary>
internal static class LedgerAudit
{
    public static IReadOnlyList<string> Check(LedgerState state)
    {
        var wrong = new List<string>();
        SparseTree rebuilt = SparseTree.Empty;
        UInt128 balances = 0, staked = 0, deposits = 0, rewards = 0;
        foreach ((Bytes32 key, LedgerEntry entry) in state.Tree.All())
        {
            rebuilt = rebuilt.Set(key, entry);
            switch (entry)
            {
                case AccountEntry account:
                    balances += account.Balance;
                    break;
                case CommitmentEntry commitment:
                    deposits += commitment.Deposit;
                    break;
                case NodeEntry node:
                    staked += node.Staked;
                    if (node.Payable) rewards += state.Totals.RewardIndex - node.RewardIndex;
                    break;
            }
        }

        TotalsEntry totals = state.Totals;
        LedgerIndexes indexes = LedgerIndexes.Of(state.Tree, state.Rules);
        if (!totals.Balanced) wrong.Add($"issued - burned is not what there is: {totals}");
        if (balances != totals.Balances) wrong.Add($"accounts hold {balances}, the totals say {totals.Balances}");
        if (staked != totals.Staked) wrong.Add($"stakes are {staked}, the totals say {totals.Staked}");
        if (deposits != totals.Deposits) wrong.Add($"deposits are {deposits}, the totals say {totals.Deposits}");
        if (rewards != totals.Rewards) wrong.Add($"rewards due are {rewards}, the totals say {totals.Rewards}");
        if (indexes.PayableNodes != state.PayableNodes) wrong.Add($"{indexes.PayableNodes} nodes are payable, {state.PayableNodes} are counted");
        if (rebuilt.Root != state.Root || rebuilt.Count != state.Tree.Count) wrong.Add("the tree built anew has another root");
        if (!(state.Tree.Find(TotalsEntry.Key) is TotalsEntry leaf ? leaf == totals : false)) wrong.Add("the leaf of the totals is another");
        if (!indexes.Nodes.SequenceEqual(state.Nodes)) wrong.Add("the list of nodes is not that of the tree");
        if (!indexes.Schedule.SetEquals(state.Schedule)) wrong.Add("the schedule does not follow from the tree");
        if (indexes.Owned.Count != state.Owned.Count || indexes.Owned.Any(o => !(state.Owned.GetValueOrDefault(o.Key) ?? []).SetEquals(o.Value))) wrong.Add("the index of owners does not follow from the tree");
        return wrong;
    }
}
