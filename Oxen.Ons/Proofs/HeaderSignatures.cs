using System.Collections.Immutable;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Proofs;

/// <summary>A committee's signatures under one header: count, then (index of the member 1, signature 64) ascending.</summary>
internal sealed class HeaderSignatures
{
    private HeaderSignatures(ImmutableSortedDictionary<byte, byte[]> byMember) => ByMember = byMember;

    public static HeaderSignatures None { get; } = new(ImmutableSortedDictionary<byte, byte[]>.Empty);

    public ImmutableSortedDictionary<byte, byte[]> ByMember { get; }

    private static ReadOnlySpan<byte> Tag => "oxen-ledger-header-1"u8;

    public static byte[] Sign(BlockHeader header, LedgerKey member, Bytes32 network) => member.Sign(Tag, header.Hash(network));

    public static bool IsSigned(BlockHeader header, Bytes32 member, byte[] signature, Bytes32 network) => LedgerSignature.Verify(member, Tag, header.Hash(network), signature);

    public HeaderSignatures With(byte member, byte[] signature) => new(ByMember.SetItem(member, signature));

    /// <summary>As many as a quorum, the first ones: a proof needs no more.</summary>
    public HeaderSignatures Least(int quorum) => new(ByMember.Take(quorum).ToImmutableSortedDictionary());

    /// <summary>Whether at least a quorum of the committee signed this header. Looks at no more signatures than it needs.</summary>
    public bool IsQuorum(BlockHeader header, Committee committee, Bytes32 network)
    {
        if (ByMember.Count < committee.Quorum) return false;
        byte[] message = LedgerSignature.Message(Tag, header.Hash(network));
        int good = 0;
        foreach ((byte member, byte[] signature) in ByMember)
        {
            if (member < committee.Members.Length && LedgerSignature.Verify(committee.Members[member], message, signature) && ++good == committee.Quorum) return true;
        }

        return false;
    }

    public static HeaderSignatures? Read(ref LedgerReader reader)
    {
        int count = reader.Count(Committee.MaxMembers);
        ImmutableSortedDictionary<byte, byte[]>.Builder byMember = ImmutableSortedDictionary.CreateBuilder<byte, byte[]>();
        int last = -1;
        for (int i = 0; i < count; i++)
        {
            byte member = reader.U8();
            if (member <= last) return null;
            last = member;
            byMember.Add(member, reader.Bytes(LedgerSignature.Bytes).ToArray());
        }

        return reader.Failed ? null : new HeaderSignatures(byMember.ToImmutable());
    }

    public void Write(LedgerWriter writer)
    {
        writer.Varint((ulong)ByMember.Count);
        foreach ((byte member, byte[] signature) in ByMember) writer.U8(member).Bytes(signature);
    }
}
