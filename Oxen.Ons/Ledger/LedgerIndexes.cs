using System.Collections.Immutable;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Ledger;

/// <summary>What stands beside the tree and follows from it: nodes, schedule, who owns what. Made from the tree's leaves alone.</summary>
internal sealed record LedgerIndexes(ImmutableSortedDictionary<Bytes32, NodeEntry> Nodes, int PayableNodes, ImmutableSortedSet<Due> Schedule, ImmutableDictionary<Bytes32, ImmutableSortedSet<Bytes32>> Owned)
{
    public static LedgerIndexes Of(SparseTree tree, LedgerRules rules)
    {
        ImmutableSortedDictionary<Bytes32, NodeEntry>.Builder nodes = ImmutableSortedDictionary.CreateBuilder<Bytes32, NodeEntry>();
        ImmutableSortedSet<Due>.Builder schedule = ImmutableSortedSet.CreateBuilder<Due>();
        var owned = new Dictionary<Bytes32, SortedSet<Bytes32>>();
        void Own(NameOwner? owner, Bytes32 key)
        {
            if (owner is null) return;
            if (!owned.TryGetValue(LedgerState.OwnerKey(owner), out SortedSet<Bytes32>? keys)) owned[LedgerState.OwnerKey(owner)] = keys = [];
            keys.Add(key);
        }

        foreach ((Bytes32 key, LedgerEntry entry) in tree.All())
        {
            switch (entry)
            {
                case CommitmentEntry commitment:
                    schedule.Add(Due.Of(commitment, rules));
                    break;
                case NodeEntry node:
                    nodes.Add(node.Id, node);
                    foreach (Due due in Due.Of(node, rules)) schedule.Add(due);
                    break;
                case NameEntry name:
                    Own(name.Owner, key);
                    Own(name.Backup, key);
                    break;
                case ZoneEntry zone:
                    Own(NameOwner.Of(zone.Owner), key);
                    if (zone.Backup is { } backup) Own(NameOwner.Of(backup), key);
                    break;
            }
        }

        return new LedgerIndexes(nodes.ToImmutable(), nodes.Values.Count(n => n.Payable), schedule.ToImmutable(), owned.ToImmutableDictionary(o => o.Key, o => o.Value.ToImmutableSortedSet()));
    }
}
