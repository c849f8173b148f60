using System.Collections.Immutable;

namespace Oxen.Ons.Ledger;

/// <summary>A header and the operations that lead to its state root: header 177, count varint, then each operation as a blob.</summary>
internal sealed class Block(BlockHeader header, ImmutableArray<Operation> operations)
{
    public const int MaxBytes = 1 << 20;
    public const int MaxOperations = 4096;

    public BlockHeader Header { get; } = header;

    public ImmutableArray<Operation> Operations { get; } = operations;

    /// <summary>Null for anything but one whole block. Signatures and rules are the state machine's affair.</summary>
    public static Block? Read(ReadOnlySpan<byte> bytes, Bytes32 network)
    {
        if (bytes.Length > MaxBytes) return null;
        var reader = new LedgerReader(bytes);
        BlockHeader? header = BlockHeader.Read(ref reader);
        if (header is null) return null;
        int count = reader.Count(MaxOperations);
        ImmutableArray<Operation>.Builder operations = ImmutableArray.CreateBuilder<Operation>(count);
        for (int i = 0; i < count; i++)
        {
            Operation? operation = Operation.Read(reader.Blob(Operation.MaxBytes), network);
            if (reader.Failed || operation is null) return null;
            operations.Add(operation);
        }

        return reader.Done ? new Block(header, operations.MoveToImmutable()) : null;
    }

    public byte[] ToBytes()
    {
        var writer = new LedgerWriter(1024);
        Header.Write(writer);
        writer.Varint((ulong)Operations.Length);
        foreach (Operation operation in Operations) writer.Blob(operation.Encoded);
        return writer.ToArray();
    }

    /// <summary>Merkle root of operation ids and signatures, in the manner of RFC 6962: leaves and nodes begin with different bytes.</summary>
    public static Bytes32 RootOf(IReadOnlyList<Operation> operations)
    {
        if (operations.Count == 0) return default;
        var level = new List<Bytes32>(operations.Count);
        foreach (Operation operation in operations) level.Add(LedgerHash.Of("oxen-ledger-op-leaf-1"u8, operation.Encoded));
        while (level.Count > 1)
        {
            var above = new List<Bytes32>((level.Count + 1) / 2);
            for (int i = 0; i < level.Count; i += 2) above.Add(i + 1 < level.Count ? Proofs.SparseTree.HashBranch(level[i], level[i + 1]) : level[i]);
            level = above;
        }

        return level[0];
    }
}
