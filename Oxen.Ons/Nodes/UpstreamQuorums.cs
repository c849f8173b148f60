using System.Buffers.Binary;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Nodes;

/// <summary>The kinds of quorums of a real oxend, by number.</summary>
internal enum QuorumKind : byte
{
    Obligations = 0,
    Checkpointing = 1,
    Blink = 2,
    Pulse = 3,
}

/// <summary>Which nodes a real oxend draws for its quorums: indexes into the list of nodes by key, the active ones first.</summary>
internal static class UpstreamQuorums
{
    /// <summary>The generator of a quorum: seeded with its number and the block's hash.</summary>
    public static MersenneTwister64 Generator(QuorumKind kind, Bytes32 blockHash)
    {
        Span<uint> words = stackalloc uint[9];
        words[0] = (uint)kind;
        byte[] hash = blockHash.ToArray();
        for (int i = 0; i < 8; i++) words[i + 1] = BinaryPrimitives.ReadUInt32LittleEndian(hash.AsSpan(4 * i));
        return new MersenneTwister64(words);
    }

    /// <summary>The order of all active nodes; the first 20 are the checkpointing quorum.</summary>
    public static int[] Checkpointing(Bytes32 blockHash, int active)
    {
        int[] order = [.. Enumerable.Range(0, active)];
        Generator(QuorumKind.Checkpointing, blockHash).Shuffle(order.AsSpan());
        return order;
    }

    /// <summary>Validators first, then the workers that they test.</summary>
    public static int[] Obligations(Bytes32 blockHash, int active, int total, int validators = 10)
    {
        int[] order = [.. Enumerable.Range(0, total)];
        MersenneTwister64 generator = Generator(QuorumKind.Obligations, blockHash);
        if (validators >= total || active == total)
        {
            generator.Shuffle(order.AsSpan());
            return order;
        }

        MersenneTwister64 copy = generator.Clone();
        generator.Shuffle(order.AsSpan(0, active));
        copy.Shuffle(order.AsSpan(validators));
        return order;
    }
}
