using Oxen.Ons.Ledger;

namespace Oxen.Ons.Proofs;

// What one resolver says about one key, and what checks it against a root.
//
//   kind 1      0 nothing on the way, 1 the entry itself, 2 another leaf where the key would stand
//   depth 2     how many branches lie above
//   bitmap      depth bits, most significant first: 1 if that sibling is not empty; the last byte is filled with zeros
//   siblings    32 each, from the root down, those of the bitmap alone
//   kind 1      entry: varint length, bytes            kind 2      key 32, value hash 32

/// <summary>Proves that a key is in a tree, and what stands there; or that it is not.</summary>
internal sealed class TreeProof
{
    private const int MaxEntryBytes = 2048;

    private readonly Kinds _kind;
    private readonly Bytes32[] _siblings; // from the root down, zero where empty
    private readonly byte[] _entry = [];
    private readonly Bytes32 _otherKey, _otherValue;

    private TreeProof(Kinds kind, Bytes32[] siblings, byte[] entry, Bytes32 otherKey, Bytes32 otherValue)
    {
        (_kind, _siblings, _entry, _otherKey, _otherValue) = (kind, siblings, entry, otherKey, otherValue);
    }

    private enum Kinds : byte
    {
        Nothing = 0,
        Present = 1,
        OtherLeaf = 2,
    }

    /// <summary>True if this claims that the key is there.</summary>
    public bool IsPresent => _kind == Kinds.Present;

    /// <summary>The entry's bytes; empty unless <see cref="IsPresent"/>.</summary>
    public ReadOnlySpan<byte> Entry => _entry;

    public static TreeProof Present(Bytes32[] siblings, byte[] entry) => new(Kinds.Present, siblings, entry, default, default);

    public static TreeProof Nothing(Bytes32[] siblings) => new(Kinds.Nothing, siblings, [], default, default);

    public static TreeProof OtherLeaf(Bytes32[] siblings, Bytes32 key, Bytes32 valueHash) => new(Kinds.OtherLeaf, siblings, [], key, valueHash);

    public static bool TryRead(ReadOnlySpan<byte> data, out TreeProof? proof)
    {
        var reader = new LedgerReader(data);
        return TryRead(ref reader, out proof) && reader.Done;
    }

    public static bool TryRead(ref LedgerReader reader, out TreeProof? proof)
    {
        proof = null;
        byte kind = reader.U8();
        int depth = reader.U16();
        if (reader.Failed || kind > (byte)Kinds.OtherLeaf || depth > Bytes32.Bits) return false;
        ReadOnlySpan<byte> bitmap = reader.Bytes((depth + 7) / 8);
        if (reader.Failed || (depth % 8 != 0 && (bitmap[^1] & (0xFF >> (depth % 8))) != 0)) return false;
        var siblings = new Bytes32[depth];
        for (int i = 0; i < depth; i++)
        {
            if ((bitmap[i / 8] >> (7 - i % 8) & 1) == 0) continue;
            siblings[i] = reader.Bytes32();
            if (siblings[i].IsZero) return false; // one proof has one encoding
        }

        byte[] entry = kind == (byte)Kinds.Present ? reader.Blob(MaxEntryBytes) : [];
        Bytes32 otherKey = kind == (byte)Kinds.OtherLeaf ? reader.Bytes32() : default;
        Bytes32 otherValue = kind == (byte)Kinds.OtherLeaf ? reader.Bytes32() : default;
        if (reader.Failed) return false;
        proof = new TreeProof((Kinds)kind, siblings, entry, otherKey, otherValue);
        return true;
    }

    public void Write(LedgerWriter writer)
    {
        writer.U8((byte)_kind).U16((ushort)_siblings.Length);
        Span<byte> bitmap = stackalloc byte[Bytes32.Length];
        bitmap.Clear();
        for (int i = 0; i < _siblings.Length; i++)
        {
            if (!_siblings[i].IsZero) bitmap[i / 8] |= (byte)(0x80 >> (i % 8));
        }

        writer.Bytes(bitmap[..((_siblings.Length + 7) / 8)]);
        foreach (Bytes32 sibling in _siblings)
        {
            if (!sibling.IsZero) writer.Bytes(sibling);
        }

        if (_kind == Kinds.Present) writer.Blob(_entry);
        if (_kind == Kinds.OtherLeaf) writer.Bytes(_otherKey).Bytes(_otherValue);
    }

    public byte[] ToBytes()
    {
        var writer = new LedgerWriter(1024);
        Write(writer);
        return writer.ToArray();
    }

    /// <summary>Whether the claim about this key is true in the tree of this root.</summary>
    public bool Verify(Bytes32 key, Bytes32 root)
    {
        Bytes32 at;
        switch (_kind)
        {
            case Kinds.Present:
                at = SparseTree.HashLeaf(key, LedgerHash.Bare(_entry));
                break;
            case Kinds.OtherLeaf:
                // The other leaf must stand on this key's way, or the way is another's.
                int common = key.CommonBits(_otherKey);
                if (common < _siblings.Length || common == Bytes32.Bits || key == _otherKey) return false;
                at = SparseTree.HashLeaf(_otherKey, _otherValue);
                break;
            default:
                at = default;
                break;
        }

        for (int i = _siblings.Length - 1; i >= 0; i--) at = key.Bit(i) ? SparseTree.HashBranch(_siblings[i], at) : SparseTree.HashBranch(at, _siblings[i]);
        return at == root;
    }
}
