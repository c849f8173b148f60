using Oxen.Ons.Ledger;

namespace Oxen.Ons.Proofs;

/// <summary>A tree with changes that are not in it yet: one that changes often costs its way through the tree once, when they are put in together.</summary>
internal sealed class TreeDraft(SparseTree tree)
{
    private readonly Dictionary<Bytes32, LedgerEntry?> _changes = [];

    public LedgerEntry? Find(Bytes32 key) => _changes.TryGetValue(key, out LedgerEntry? changed) ? changed : tree.Find(key);

    public void Set(Bytes32 key, LedgerEntry entry) => _changes[key] = entry;

    public void Remove(Bytes32 key) => _changes[key] = null;

    /// <summary>The tree with all changes.</summary>
    public SparseTree ToTree()
    {
        var changes = new (Bytes32 Key, LedgerEntry? Entry)[_changes.Count];
        int at = 0;
        foreach ((Bytes32 key, LedgerEntry? entry) in _changes) changes[at++] = (key, entry);
        Array.Sort(changes, static (a, b) => a.Key.CompareTo(b.Key));
        return tree.Change(changes);
    }
}
