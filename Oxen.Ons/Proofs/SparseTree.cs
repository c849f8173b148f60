using Oxen.Ons.Ledger;

namespace Oxen.Ons.Proofs;

// A sparse Merkle tree over 256-bit keys, kept as a persistent tree: a change copies the nodes on its way and shares all others, so
// every block's tree stays whole for as long as somebody holds its root. That is the rollback, the snapshot for readers and the
// source of proofs at once. docs/protocol/ledger.md#tree
//
//   empty subtree            32 zero bytes
//   subtree of one leaf      that leaf: BLAKE2b-256(0 || key 32 || value hash 32)
//   any other                BLAKE2b-256(1 || left 32 || right 32)
//
// Bit 0 of a key is the most significant of its first byte; 0 goes left. Hashes are made when they are first asked for.

/// <summary>A persistent sparse Merkle tree of ledger entries. Never changes; <see cref="Set"/> and <see cref="Remove"/> give another.</summary>
internal sealed class SparseTree
{
    private readonly Node? _root;

    private SparseTree(Node? root, int count)
    {
        _root = root;
        Count = count;
    }

    public static SparseTree Empty { get; } = new(null, 0);

    public int Count { get; }

    public Bytes32 Root => _root?.Hash ?? default;

    public LedgerEntry? Find(Bytes32 key)
    {
        Node? at = _root;
        for (int depth = 0; at is Branch branch; depth++) at = key.Bit(depth) ? branch.Right : branch.Left;
        return at is Leaf leaf && leaf.Key == key ? leaf.Entry : null;
    }

    public SparseTree Set(Bytes32 key, LedgerEntry entry)
    {
        bool added = false;
        Node root = Set(_root, 0, new Leaf(key, entry), ref added);
        return new SparseTree(root, Count + (added ? 1 : 0));
    }

    public SparseTree Remove(Bytes32 key)
    {
        bool removed = false;
        Node? root = Remove(_root, 0, key, ref removed);
        return removed ? new SparseTree(root, Count - 1) : this;
    }

    /// <summary>Many changes at once, ascending by key, each key once; null removes. The same tree as one after the other, with fewer nodes made.</summary>
    public SparseTree Change(ReadOnlySpan<(Bytes32 Key, LedgerEntry? Entry)> changes)
    {
        int count = Count;
        Node? root = Change(_root, 0, changes, ref count);
        return ReferenceEquals(root, _root) ? this : new SparseTree(root, count);
    }

    /// <summary>All entries, by key.</summary>
    public IEnumerable<(Bytes32 Key, LedgerEntry Entry)> All()
    {
        var open = new Stack<Node>();
        if (_root is not null) open.Push(_root);
        while (open.TryPop(out Node? at))
        {
            if (at is Leaf leaf)
            {
                yield return (leaf.Key, leaf.Entry);
                continue;
            }

            var branch = (Branch)at;
            if (branch.Right is not null) open.Push(branch.Right);
            if (branch.Left is not null) open.Push(branch.Left);
        }
    }

    /// <summary>The siblings on a key's way, and what stands at its end: the proof that it is there or not.</summary>
    public TreeProof Prove(Bytes32 key)
    {
        var siblings = new List<Bytes32>(32);
        Node? at = _root;
        for (int depth = 0; at is Branch branch; depth++)
        {
            bool right = key.Bit(depth);
            siblings.Add((right ? branch.Left : branch.Right)?.Hash ?? default);
            at = right ? branch.Right : branch.Left;
        }

        return at switch
        {
            Leaf leaf when leaf.Key == key => TreeProof.Present([.. siblings], leaf.Entry.ToBytes()),
            Leaf leaf => TreeProof.OtherLeaf([.. siblings], leaf.Key, leaf.ValueHash),
            _ => TreeProof.Nothing([.. siblings]),
        };
    }

    internal static Bytes32 HashLeaf(Bytes32 key, Bytes32 valueHash)
    {
        Span<byte> input = stackalloc byte[1 + 2 * Bytes32.Length];
        input[0] = 0;
        key.CopyTo(input[1..]);
        valueHash.CopyTo(input[33..]);
        return LedgerHash.Bare(input);
    }

    internal static Bytes32 HashBranch(Bytes32 left, Bytes32 right)
    {
        Span<byte> input = stackalloc byte[1 + 2 * Bytes32.Length];
        input[0] = 1;
        left.CopyTo(input[1..]);
        right.CopyTo(input[33..]);
        return LedgerHash.Bare(input);
    }

    private static Node Set(Node? at, int depth, Leaf leaf, ref bool added)
    {
        switch (at)
        {
            case null:
                added = true;
                return leaf;
            case Leaf old when old.Key == leaf.Key:
                return leaf;
            case Leaf old:
                added = true;
                return Split(old, leaf, depth);
            default:
                var branch = (Branch)at;
                return leaf.Key.Bit(depth)
                    ? new Branch(branch.Left, Set(branch.Right, depth + 1, leaf, ref added))
                    : new Branch(Set(branch.Left, depth + 1, leaf, ref added), branch.Right);
        }
    }

    private static Branch Split(Leaf old, Leaf leaf, int depth)
    {
        int fork = old.Key.CommonBits(leaf.Key);
        Branch made = leaf.Key.Bit(fork) ? new Branch(old, leaf) : new Branch(leaf, old);
        for (int at = fork - 1; at >= depth; at--) made = leaf.Key.Bit(at) ? new Branch(null, made) : new Branch(made, null);
        return made;
    }

    private static Node? Remove(Node? at, int depth, Bytes32 key, ref bool removed)
    {
        switch (at)
        {
            case null:
                return null;
            case Leaf leaf:
                removed = leaf.Key == key;
                return removed ? null : leaf;
            default:
                var branch = (Branch)at;
                bool right = key.Bit(depth);
                Node? below = Remove(right ? branch.Right : branch.Left, depth + 1, key, ref removed);
                if (!removed) return branch;
                Node? other = right ? branch.Left : branch.Right;

                // A subtree of one leaf is that leaf.
                if (below is null && other is null or Leaf) return other;
                if (other is null && below is Leaf) return below;
                return right ? new Branch(other, below) : new Branch(below, other);
        }
    }

    private static Node? Change(Node? at, int depth, ReadOnlySpan<(Bytes32 Key, LedgerEntry? Entry)> changes, ref int count)
    {
        if (changes.IsEmpty) return at;
        if (changes.Length == 1)
        {
            (Bytes32 key, LedgerEntry? entry) = changes[0];
            bool changed = false;
            Node? made = entry is null ? Remove(at, depth, key, ref changed) : Set(at, depth, new Leaf(key, entry), ref changed);
            if (changed) count += entry is null ? -1 : 1;
            return made;
        }

        // Below nothing, or below one leaf, the two halves are what the changes make of them.
        (Node? left, Node? right) = at switch
        {
            Branch branch => (branch.Left, branch.Right),
            Leaf leaf when leaf.Key.Bit(depth) => ((Node?)null, (Node?)leaf),
            _ => (at, null),
        };
        int middle = 0;
        while (middle < changes.Length && !changes[middle].Key.Bit(depth)) middle++;
        Node? newLeft = Change(left, depth + 1, changes[..middle], ref count), newRight = Change(right, depth + 1, changes[middle..], ref count);
        if (at is Branch && ReferenceEquals(newLeft, left) && ReferenceEquals(newRight, right)) return at;

        // A subtree of one leaf is that leaf.
        if (newLeft is null && newRight is null or Leaf) return newRight;
        if (newRight is null && newLeft is Leaf) return newLeft;
        return new Branch(newLeft, newRight);
    }

    private abstract class Node
    {
        private Bytes32 _hash;
        private volatile bool _hashed;

        public Bytes32 Hash
        {
            get
            {
                if (_hashed) return _hash;

                // Two threads that come here at once write the same bytes; the flag is set after them.
                _hash = Compute();
                _hashed = true;
                return _hash;
            }
        }

        protected abstract Bytes32 Compute();
    }

    private sealed class Leaf(Bytes32 key, LedgerEntry entry) : Node
    {
        public Bytes32 Key { get; } = key;

        public LedgerEntry Entry { get; } = entry;

        public Bytes32 ValueHash => Entry.ValueHash();

        protected override Bytes32 Compute() => HashLeaf(Key, ValueHash);
    }

    private sealed class Branch(Node? left, Node? right) : Node
    {
        public Node? Left { get; } = left;

        public Node? Right { get; } = right;

        protected override Bytes32 Compute() => HashBranch(Left?.Hash ?? default, Right?.Hash ?? default);
    }
}
