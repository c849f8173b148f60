using Oxen.Ons.Ledger;

namespace Oxen.Ons.Proofs;

/// <summary>An answer that needs no trust in whoever gives it: a header, a quorum's signatures under it, and a proof below its root.</summary>
internal sealed record ProvenAnswer(BlockHeader Header, HeaderSignatures Signatures, TreeProof Proof)
{
    public const int MaxBytes = 16 * 1024;

    public static ProvenAnswer? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes) return null;
        var reader = new LedgerReader(bytes);
        BlockHeader? header = BlockHeader.Read(ref reader);
        HeaderSignatures? signatures = header is null ? null : HeaderSignatures.Read(ref reader);
        return signatures is not null && TreeProof.TryRead(ref reader, out TreeProof? proof) && reader.Done ? new ProvenAnswer(header!, signatures, proof!) : null;
    }

    public byte[] ToBytes()
    {
        var writer = new LedgerWriter(2048);
        Header.Write(writer);
        Signatures.Write(writer);
        Proof.Write(writer);
        return writer.ToArray();
    }
}
