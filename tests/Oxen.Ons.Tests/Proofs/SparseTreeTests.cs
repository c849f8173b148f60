using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Tests.Proofs;

public class SparseTreeTests
{
    private static Bytes32 KeyOf(int i) => LedgerHash.Of("test key"u8, BitConverter.GetBytes(i));

    private static AccountEntry Entry(int i, ulong balance = 1) => new(KeyOf(i), balance, 0);

    [Fact]
    public void An_empty_tree_has_the_root_of_zeros_and_proves_that_nothing_is_there()
    {
        Assert.True(SparseTree.Empty.Root.IsZero);
        Assert.True(SparseTree.Empty.Prove(KeyOf(1)).Verify(KeyOf(1), default));
    }

    [Fact]
    public void The_root_follows_from_what_is_in_the_tree_and_not_from_the_way_there()
    {
        var random = new Random(7);
        SparseTree tree = SparseTree.Empty;
        var twin = new Dictionary<int, ulong>();
        for (int step = 0; step < 3000; step++)
        {
            int i = random.Next(400);
            if (random.Next(3) == 0)
            {
                tree = tree.Remove(KeyOf(i));
                twin.Remove(i);
            }
            else
            {
                ulong balance = (ulong)random.Next(5);
                tree = tree.Set(KeyOf(i), Entry(i, balance));
                twin[i] = balance;
            }

            Assert.Equal(twin.Count, tree.Count);
            if (step % 100 != 0) continue;
            SparseTree other = SparseTree.Empty;
            foreach ((int j, ulong balance) in twin.OrderBy(t => KeyOf(t.Key).ToString().Reverse().First())) other = other.Set(KeyOf(j), Entry(j, balance));
            Assert.Equal(other.Root, tree.Root);
            Assert.Equal(twin.Keys.Select(KeyOf).Order(), tree.All().Select(e => e.Key));
        }

        foreach (int i in twin.Keys) tree = tree.Remove(KeyOf(i));
        Assert.True(tree.Root.IsZero);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(40)]
    [InlineData(400)]
    public void Many_changes_at_once_are_the_same_as_one_after_the_other(int before)
    {
        var random = new Random(before);
        for (int round = 0; round < 200; round++)
        {
            SparseTree tree = Enumerable.Range(0, before).Where(_ => random.Next(4) > 0).Aggregate(SparseTree.Empty, (t, i) => t.Set(KeyOf(i), Entry(i)));
            Bytes32 root = tree.Root;
            SparseTree one = tree;
            var draft = new TreeDraft(tree);
            for (int change = random.Next(60); change > 0; change--)
            {
                int i = random.Next(before + 20);
                if (random.Next(3) == 0)
                {
                    one = one.Remove(KeyOf(i));
                    draft.Remove(KeyOf(i));
                }
                else
                {
                    AccountEntry entry = Entry(i, (ulong)random.Next(3));
                    one = one.Set(KeyOf(i), entry);
                    draft.Set(KeyOf(i), entry);
                }

                int other = random.Next(before + 20);
                Assert.Equal(one.Find(KeyOf(other)), draft.Find(KeyOf(other)));
            }

            SparseTree many = draft.ToTree();
            Assert.Equal((one.Count, one.Root, root), (many.Count, many.Root, tree.Root));
            Assert.Equal(one.All(), many.All());
        }
    }

    [Fact]
    public void Keys_that_differ_in_their_last_bits_alone_are_told_apart()
    {
        byte[] bytes = new byte[Bytes32.Length];
        Bytes32[] keys = new Bytes32[4];
        for (byte i = 0; i < 4; i++)
        {
            bytes[^1] = i;
            keys[i] = new Bytes32(bytes);
        }

        SparseTree one = keys.Aggregate(SparseTree.Empty, (t, k) => t.Set(k, Entry(1)));
        var draft = new TreeDraft(SparseTree.Empty);
        foreach (Bytes32 key in keys) draft.Set(key, Entry(1));
        Assert.Equal(one.Root, draft.ToTree().Root);
        draft = new TreeDraft(one);
        foreach (Bytes32 key in keys[1..]) draft.Remove(key);
        Assert.Equal(SparseTree.Empty.Set(keys[0], Entry(1)).Root, draft.ToTree().Root);
    }

    [Fact]
    public void An_older_tree_stays_as_it_was()
    {
        SparseTree before = Enumerable.Range(0, 50).Aggregate(SparseTree.Empty, (t, i) => t.Set(KeyOf(i), Entry(i)));
        Bytes32 root = before.Root;
        SparseTree after = before.Remove(KeyOf(3)).Set(KeyOf(4), Entry(4, 99)).Set(KeyOf(60), Entry(60));
        Assert.Equal(root, before.Root);
        Assert.Equal(1UL, ((AccountEntry)before.Find(KeyOf(4))!).Balance);
        Assert.Equal(99UL, ((AccountEntry)after.Find(KeyOf(4))!).Balance);
        Assert.Null(after.Find(KeyOf(3)));
        Assert.NotNull(before.Find(KeyOf(3)));
    }

    [Fact]
    public void Presence_and_absence_are_proven_and_neither_can_be_said_of_the_other()
    {
        SparseTree tree = Enumerable.Range(0, 200).Aggregate(SparseTree.Empty, (t, i) => t.Set(KeyOf(i), Entry(i)));
        for (int i = 0; i < 400; i++)
        {
            byte[] bytes = tree.Prove(KeyOf(i)).ToBytes();
            Assert.True(TreeProof.TryRead(bytes, out TreeProof? proof));
            Assert.Equal(i < 200, proof!.IsPresent);
            Assert.True(proof.Verify(KeyOf(i), tree.Root));
            Assert.False(proof.Verify(KeyOf(i), LedgerHash.Of("another"u8, [1])));
            if (i < 200)
            {
                Assert.Equal(Entry(i).ToBytes(), proof.Entry.ToArray());
                Assert.False(proof.Verify(KeyOf(i + 1), tree.Root));
            }
        }

        // A proof for another key, shown for this one: absence of what is there.
        for (int i = 0; i < 200; i++)
        {
            for (int j = 200; j < 220; j++) Assert.False(tree.Prove(KeyOf(j)).Verify(KeyOf(i), tree.Root));
        }
    }

    [Fact]
    public void Any_flipped_bit_breaks_a_proof()
    {
        SparseTree tree = Enumerable.Range(0, 200).Aggregate(SparseTree.Empty, (t, i) => t.Set(KeyOf(i), Entry(i)));
        foreach (int i in new[] { 0, 1, 250, 251, 252 })
        {
            byte[] bytes = tree.Prove(KeyOf(i)).ToBytes();
            for (int bit = 0; bit < 8 * bytes.Length; bit++)
            {
                byte[] changed = [.. bytes];
                changed[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.False(TreeProof.TryRead(changed, out TreeProof? proof) && proof!.Verify(KeyOf(i), tree.Root), $"key {i}, bit {bit}");
            }

            for (int cut = 0; cut < bytes.Length; cut++) Assert.False(TreeProof.TryRead(bytes.AsSpan(0, cut), out _));
        }
    }
}
