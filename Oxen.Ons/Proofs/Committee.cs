using System.Collections.Immutable;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Proofs;

/// <summary>The service nodes whose quorum signs headers for now: their keys, ascending. Any two quorums share an honest member as long as less than a third lies.</summary>
internal sealed class Committee
{
    public const int MaxMembers = 32;

    private Committee(ImmutableArray<Bytes32> members)
    {
        Members = members;
        var writer = new LedgerWriter(4 + 32 * members.Length);
        Write(writer);
        Hash = LedgerHash.Of("oxen-ledger-committee-1"u8, writer.Written);
    }

    public ImmutableArray<Bytes32> Members { get; }

    public Bytes32 Hash { get; }

    /// <summary>More than two thirds.</summary>
    public int Quorum => Members.Length * 2 / 3 + 1;

    public static Committee Of(IEnumerable<Bytes32> members)
    {
        ImmutableArray<Bytes32> sorted = [.. members.Distinct().Order()];
        ArgumentOutOfRangeException.ThrowIfZero(sorted.Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sorted.Length, MaxMembers);
        return new Committee(sorted);
    }

    public static Committee? Read(ref LedgerReader reader)
    {
        int count = reader.Count(MaxMembers);
        if (reader.Failed || count == 0) return null;
        var members = new Bytes32[count];
        for (int i = 0; i < count; i++)
        {
            members[i] = reader.Bytes32();
            if (reader.Failed || (i > 0 && members[i].CompareTo(members[i - 1]) <= 0)) return null;
        }

        return new Committee([.. members]);
    }

    public void Write(LedgerWriter writer)
    {
        writer.Varint((ulong)Members.Length);
        foreach (Bytes32 member in Members) writer.Bytes(member);
    }

    public int IndexOf(Bytes32 member) => Members.IndexOf(member);
}
