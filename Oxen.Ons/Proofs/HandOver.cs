using Oxen.Ons.Ledger;

namespace Oxen.Ons.Proofs;

/// <summary>
/// A step from one committee to a later one: a header, signed by a quorum, and the lists that the client does not know yet.
/// `Signers`: who signed, where that is another committee than the client's (then more than two thirds of the client's are among
/// them: a skip). `Next`: who signs after this header, where that is another than who signed it.
/// </summary>
internal sealed record HandOver(BlockHeader Header, HeaderSignatures Signatures, Committee? Signers, Committee? Next)
{
    public static HandOver? Read(ref LedgerReader reader)
    {
        BlockHeader? header = BlockHeader.Read(ref reader);
        HeaderSignatures? signatures = header is null ? null : HeaderSignatures.Read(ref reader);
        if (signatures is null) return null;
        Committee? signers = null, next = null;
        if (reader.Flag() && (signers = Committee.Read(ref reader)) is null) return null;
        if (reader.Flag() && (next = Committee.Read(ref reader)) is null) return null;
        return reader.Failed ? null : new HandOver(header!, signatures, signers, next);
    }

    public void Write(LedgerWriter writer)
    {
        Header.Write(writer);
        Signatures.Write(writer);
        foreach (Committee? list in new[] { Signers, Next })
        {
            writer.Flag(list is not null);
            list?.Write(writer);
        }
    }
}
