using System.Security.Cryptography;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Sequencing;

// The names of the newest state in one flat table, because a walk down the tree is twenty cache misses. Open addressing with linear
// steps; one writer, readers without a lock: a slot goes from empty to an entry to a newer entry of the same name, never back. Slots
// are chosen with a secret odd factor, since whoever buys a name chooses its hash.

/// <summary>Names by type and hash. One thread writes, any thread reads.</summary>
internal sealed class NameTable
{
    private const int Fewest = 64;

    private readonly ulong _factor = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) | 1;
    private volatile NameEntry?[] _slots = new NameEntry?[Fewest];

    /// <summary>All names of a tree.</summary>
    public static NameTable Of(Proofs.SparseTree tree)
    {
        var table = new NameTable();
        foreach ((_, LedgerEntry entry) in tree.All())
        {
            if (entry is NameEntry name) table.Set(name);
        }

        return table;
    }

    public int Count { get; private set; }

    /// <summary>The newest entry of a name, expired or not; null: there never was one.</summary>
    public NameEntry? Find(NameType type, NameHash hash)
    {
        NameEntry?[] slots = _slots;
        for (int at = Place(type, hash, slots.Length); ; at = (at + 1) & (slots.Length - 1))
        {
            NameEntry? entry = Volatile.Read(ref slots[at]);
            if (entry is null || (entry.Hash == hash && entry.Type == type)) return entry;
        }
    }

    public void Set(NameEntry entry)
    {
        if (2 * Count >= _slots.Length) Grow();
        if (Put(_slots, entry)) Count++;
    }

    private void Grow()
    {
        var larger = new NameEntry?[2 * _slots.Length];
        foreach (NameEntry? entry in _slots)
        {
            if (entry is not null) Put(larger, entry);
        }

        _slots = larger;
    }

    // True: it is a name that was not there.
    private bool Put(NameEntry?[] slots, NameEntry entry)
    {
        int at = Place(entry.Type, entry.Hash, slots.Length);
        while (slots[at] is { } other && (other.Hash != entry.Hash || other.Type != entry.Type)) at = (at + 1) & (slots.Length - 1);
        bool fresh = slots[at] is null;
        Volatile.Write(ref slots[at], entry);
        return fresh;
    }

    private int Place(NameType type, NameHash hash, int slots)
    {
        ulong mixed = (hash.Head ^ ((ulong)type << 56)) * _factor;
        return (int)(mixed >> 32) & (slots - 1);
    }
}
