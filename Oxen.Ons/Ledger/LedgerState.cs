using System.Collections.Immutable;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Ledger;

/// <summary>
/// All of the ledger after one block. Never changes, so readers need no lock and an older one is the whole of a rollback. The tree
/// holds everything; what stands beside it is found from the tree and only makes finding quicker (<see cref="LedgerAudit"/>).
/// </summary>
internal sealed record LedgerState
{
    public required Genesis Genesis { get; init; }

    public required ulong Height { get; init; }

    public required ulong UnixMilliseconds { get; init; }

    /// <summary>Of the block that led here.</summary>
    public required Bytes32 BlockHash { get; init; }

    public required SparseTree Tree { get; init; }

    public required TotalsEntry Totals { get; init; }

    /// <summary>Signs this block.</summary>
    public required Committee Committee { get; init; }

    /// <summary>Signs the next one.</summary>
    public required Committee NextCommittee { get; init; }

    public required ImmutableSortedDictionary<Bytes32, NodeEntry> Nodes { get; init; }

    public required int PayableNodes { get; init; }

    /// <summary>What happens by itself, and when.</summary>
    public required ImmutableSortedSet<Due> Schedule { get; init; }

    /// <summary>The names that this block changed, as they are now.</summary>
    public IReadOnlyList<NameEntry> ChangedNames { get; init; } = [];

    /// <summary>Keys of names and zones by who owns them, or is their backup owner.</summary>
    public required ImmutableDictionary<Bytes32, ImmutableSortedSet<Bytes32>> Owned { get; init; }

    public Bytes32 Network => Genesis.Network;

    public LedgerRules Rules => Genesis.Rules;

    public Bytes32 Root => Tree.Root;

    public AccountEntry Account(Bytes32 id) => Tree.Find(AccountEntry.Key(id)) as AccountEntry ?? new AccountEntry(id, 0, 0);

    public NameEntry? Name(NameType type, NameHash hash) => Tree.Find(NameEntry.Key(type, hash)) as NameEntry;

    /// <summary>A name that the next block may still use.</summary>
    public NameEntry? ActiveName(NameType type, NameHash hash) => Name(type, hash) is { } name && name.IsActive(Height + 1) ? name : null;

    public ZoneEntry? Zone(Bytes32 index) => Tree.Find(ZoneEntry.Key(index)) as ZoneEntry;

    public ZoneEntry? ActiveZone(Bytes32 index) => Zone(index) is { } zone && zone.IsActive(Height + 1) ? zone : null;

    public NodeEntry? Node(Bytes32 id) => Nodes.GetValueOrDefault(id);

    public ReverseEntry? Reverse(Bytes32 address) => Tree.Find(ReverseEntry.Key(address)) as ReverseEntry;

    /// <summary>The names that an owner or backup owner has, expired ones too; by key.</summary>
    public IEnumerable<NameEntry> NamesOf(NameOwner owner) => (Owned.GetValueOrDefault(OwnerKey(owner)) ?? []).Select(Tree.Find).OfType<NameEntry>();

    public IEnumerable<ZoneEntry> ZonesOf(Bytes32 owner) => (Owned.GetValueOrDefault(OwnerKey(NameOwner.Of(owner))) ?? []).Select(Tree.Find).OfType<ZoneEntry>();

    internal static Bytes32 OwnerKey(NameOwner owner) => LedgerHash.Of("owner"u8, [owner.IsKey ? (byte)1 : (byte)0], owner.SignedBytes);

    /// <summary>The state of block 0.</summary>
    public static LedgerState Of(Genesis genesis)
    {
        SparseTree tree = SparseTree.Empty;
        ulong money = 0;
        foreach ((Bytes32 account, ulong amount) in genesis.Allocations)
        {
            tree = tree.Set(AccountEntry.Key(account), new AccountEntry(account, amount, 0));
            money += amount;
        }

        var totals = new TotalsEntry(money, 0, money, 0, 0, 0, 0);
        tree = tree.Set(TotalsEntry.Key, totals).Set(CommitteeEntry.Key, new CommitteeEntry(genesis.Committee));
        var header = new BlockHeader(0, genesis.UnixMilliseconds, default, genesis.Network, tree.Root, genesis.Committee.Hash, genesis.Committee.Hash);
        return new LedgerState
        {
            Genesis = genesis,
            Height = 0,
            UnixMilliseconds = genesis.UnixMilliseconds,
            BlockHash = header.Hash(genesis.Network),
            Tree = tree,
            Totals = totals,
            Committee = genesis.Committee,
            NextCommittee = genesis.Committee,
            Nodes = ImmutableSortedDictionary<Bytes32, NodeEntry>.Empty,
            PayableNodes = 0,
            Schedule = [],
            Owned = ImmutableDictionary<Bytes32, ImmutableSortedSet<Bytes32>>.Empty,
        };
    }

    /// <summary>A state from its tree; what stands beside the tree is made anew. Null if the tree has no totals, or another committee.</summary>
    internal static LedgerState? Restore(Genesis genesis, ulong height, ulong unixMilliseconds, Bytes32 blockHash, Committee committee, Committee next, SparseTree tree)
    {
        if (tree.Find(TotalsEntry.Key) is not TotalsEntry totals || tree.Find(CommitteeEntry.Key) is not CommitteeEntry entry || entry.Committee.Hash != next.Hash) return null;
        LedgerIndexes indexes = LedgerIndexes.Of(tree, genesis.Rules);
        return new LedgerState
        {
            Genesis = genesis,
            Height = height,
            UnixMilliseconds = unixMilliseconds,
            BlockHash = blockHash,
            Tree = tree,
            Totals = totals,
            Committee = committee,
            NextCommittee = next,
            Nodes = indexes.Nodes,
            PayableNodes = indexes.PayableNodes,
            Schedule = indexes.Schedule,
            Owned = indexes.Owned,
        };
    }
}

/// <summary>The committee that signs the next block, as a leaf: a client with a root can learn it.</summary>
internal sealed record CommitteeEntry(Committee Committee) : LedgerEntry
{
    public override EntryKind Kind => EntryKind.Committee;

    public static Bytes32 Key { get; } = KeyOf(EntryKind.Committee, ReadOnlySpan<byte>.Empty);

    protected override void WriteBody(LedgerWriter writer) => Committee.Write(writer);
}

/// <summary>What a due event is; those of one height happen in this order.</summary>
internal enum DueKind : byte
{
    Unlock = 0,
    Release = 1,
    CreditOut = 2,
    ProofMissed = 3,
    Payable = 4,
    CommitmentLapses = 5,
}

/// <summary>Something that happens by itself at a height.</summary>
internal readonly record struct Due(ulong Height, DueKind Kind, Bytes32 Id) : IComparable<Due>
{
    public int CompareTo(Due other)
    {
        int order = Height.CompareTo(other.Height);
        if (order == 0) order = Kind.CompareTo(other.Kind);
        return order != 0 ? order : Id.CompareTo(other.Id);
    }

    public static bool operator <(Due left, Due right) => left.CompareTo(right) < 0;

    public static bool operator >(Due left, Due right) => left.CompareTo(right) > 0;

    public static bool operator <=(Due left, Due right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Due left, Due right) => left.CompareTo(right) >= 0;

    public static IEnumerable<Due> Of(NodeEntry node, LedgerRules rules)
    {
        if (node.Stage is NodeStage.Active or NodeStage.Decommissioned && node.UnlockHeight != 0) yield return new Due(node.UnlockHeight, DueKind.Unlock, node.Id);
        if (node.Stage == NodeStage.Deregistered) yield return new Due(node.ReleaseHeight, DueKind.Release, node.Id);
        if (node.Stage == NodeStage.Decommissioned) yield return new Due(node.StageHeight + node.Credit, DueKind.CreditOut, node.Id);
        if (node.Stage != NodeStage.Active) yield break;
        yield return new Due(node.LastProofHeight + rules.ProofValidityBlocks + 1, DueKind.ProofMissed, node.Id);
        if (!node.Payable) yield return new Due(node.StageHeight + rules.PayableAfterBlocks, DueKind.Payable, node.Id);
    }

    public static Due Of(CommitmentEntry commitment, LedgerRules rules) => new(commitment.Height + rules.CommitMaxBlocks + 1, DueKind.CommitmentLapses, commitment.Commitment);
}
