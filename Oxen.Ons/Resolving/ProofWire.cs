using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Resolving;

// Look-ups through a path, docs/protocol/ons.md#through-a-path. Every question of a kind has one size, and so has every answer:
// whoever counts bytes on the way learns neither which name nor whether there is one.
//
//   ons_resolve    version 1 (1) | network 32 | key 32 | key 32
//   answer         status 1 | then, if 0: header, signatures, proof, proof | zeros up to 6144
//   ons_way        version 1 (1) | network 32 | height 8 | committee 32
//   answer         status 1 | then, if 0: count, steps as blobs (as many as fit) | zeros up to 16384
//   ons_subname    version 1 (1) | network 32 | zone's index 32 | look-up hash 32
//   answer         status 1 | then, if 0: flag, [record as blob] | zeros up to 2304

/// <summary>What a resolver says before its answer.</summary>
internal enum ProofStatus : byte
{
    Ok = 0,

    /// <summary>Its ledger is of another network.</summary>
    OtherNetwork = 1,

    /// <summary>No recent block has a quorum's signatures.</summary>
    NothingSigned = 2,

    /// <summary>It never had that committee.</summary>
    UnknownCommittee = 3,
}

/// <summary>Questions and padded answers of look-ups through a path.</summary>
internal static class ProofWire
{
    public const string ResolveMethod = "ons_resolve", WayMethod = "ons_way", SubnameMethod = "ons_subname";
    public const int ResolveBytes = 1 + 3 * Bytes32.Length, WayBytes = 1 + Bytes32.Length + 8 + Bytes32.Length;
    public const int ResolveAnswerBytes = 6144, WayAnswerBytes = 16_384, SubnameAnswerBytes = 2304;
    private const int MaxSteps = 64;

    public static byte[] Question(Bytes32 network, Bytes32 first, Bytes32 second) => new LedgerWriter(ResolveBytes).U8(1).Bytes(network).Bytes(first).Bytes(second).ToArray();

    public static byte[] WayQuestion(Bytes32 network, ulong height, Bytes32 committee) => new LedgerWriter(WayBytes).U8(1).Bytes(network).U64(height).Bytes(committee).ToArray();

    public static bool ReadQuestion(ReadOnlySpan<byte> bytes, out Bytes32 network, out Bytes32 first, out Bytes32 second)
    {
        var reader = new LedgerReader(bytes);
        bool known = reader.U8() == 1;
        (network, first, second) = (reader.Bytes32(), reader.Bytes32(), reader.Bytes32());
        return known && reader.Done;
    }

    public static bool ReadWayQuestion(ReadOnlySpan<byte> bytes, out Bytes32 network, out ulong height, out Bytes32 committee)
    {
        var reader = new LedgerReader(bytes);
        bool known = reader.U8() == 1;
        (network, height, committee) = (reader.Bytes32(), reader.U64(), reader.Bytes32());
        return known && reader.Done;
    }

    public static byte[] Padded(ProofStatus status, int bytes)
    {
        byte[] answer = new byte[bytes];
        answer[0] = (byte)status;
        return answer;
    }

    /// <summary>Null if the two proofs are longer than an answer may be: with the limits of entries and committees, only a tree of impossible depth does that.</summary>
    public static byte[]? Answer(BlockHeader header, HeaderSignatures signatures, TreeProof first, TreeProof second)
    {
        var writer = new LedgerWriter(ResolveAnswerBytes);
        writer.U8((byte)ProofStatus.Ok);
        header.Write(writer);
        signatures.Write(writer);
        first.Write(writer);
        second.Write(writer);
        if (writer.Length > ResolveAnswerBytes) return null;
        byte[] answer = new byte[ResolveAnswerBytes];
        writer.Written.CopyTo(answer);
        return answer;
    }

    /// <summary>As <see cref="ProvenAnswer"/>s; null for anything else.</summary>
    public static (ProofStatus Status, byte[][] Answers)? ReadAnswer(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != ResolveAnswerBytes || bytes[0] > (byte)ProofStatus.UnknownCommittee) return null;
        if (bytes[0] != 0) return ((ProofStatus)bytes[0], []);
        var reader = new LedgerReader(bytes[1..]);
        BlockHeader? header = BlockHeader.Read(ref reader);
        HeaderSignatures? signatures = header is null ? null : HeaderSignatures.Read(ref reader);
        if (signatures is null || !TreeProof.TryRead(ref reader, out TreeProof? first) || !TreeProof.TryRead(ref reader, out TreeProof? second)) return null;
        return (ProofStatus.Ok, [new ProvenAnswer(header!, signatures, first!).ToBytes(), new ProvenAnswer(header!, signatures, second!).ToBytes()]);
    }

    /// <summary>Null: none is kept here.</summary>
    public static byte[] SubnameAnswer(byte[]? record)
    {
        var writer = new LedgerWriter(SubnameAnswerBytes);
        writer.U8((byte)ProofStatus.Ok).Flag(record is not null);
        if (record is not null) writer.Blob(record);
        byte[] answer = new byte[SubnameAnswerBytes];
        writer.Written.CopyTo(answer);
        return answer;
    }

    public static (ProofStatus Status, byte[]? Record)? ReadSubname(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != SubnameAnswerBytes || bytes[0] > (byte)ProofStatus.UnknownCommittee) return null;
        if (bytes[0] != 0) return ((ProofStatus)bytes[0], null);
        var reader = new LedgerReader(bytes[1..]);
        byte[]? record = reader.Flag() ? reader.Blob(Zones.Subname.MaxBytes) : null;
        return reader.Failed ? null : (ProofStatus.Ok, record);
    }

    public static byte[] WayAnswer(IReadOnlyList<HandOver> steps)
    {
        var taken = new List<byte[]>();
        int length = 2;
        foreach (HandOver step in steps.Take(MaxSteps))
        {
            var one = new LedgerWriter(2048);
            step.Write(one);
            if (length + 3 + one.Length > WayAnswerBytes) break;
            length += 3 + one.Length;
            taken.Add(one.ToArray());
        }

        var writer = new LedgerWriter(WayAnswerBytes);
        writer.U8((byte)ProofStatus.Ok).Varint((ulong)taken.Count);
        foreach (byte[] step in taken) writer.Blob(step);
        byte[] answer = new byte[WayAnswerBytes];
        writer.Written.CopyTo(answer);
        return answer;
    }

    public static (ProofStatus Status, IReadOnlyList<HandOver> Steps)? ReadWay(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != WayAnswerBytes || bytes[0] > (byte)ProofStatus.UnknownCommittee) return null;
        if (bytes[0] != 0) return ((ProofStatus)bytes[0], []);
        var reader = new LedgerReader(bytes[1..]);
        int count = reader.Count(MaxSteps);
        var steps = new List<HandOver>();
        for (int i = 0; i < count; i++)
        {
            byte[] blob = reader.Blob(WayAnswerBytes);
            if (reader.Failed) return null;
            var inner = new LedgerReader(blob);
            if (HandOver.Read(ref inner) is not { } step || !inner.Done) return null;
            steps.Add(step);
        }

        return reader.Failed ? null : (ProofStatus.Ok, steps);
    }
}
