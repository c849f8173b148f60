using System.Buffers.Binary;

namespace Oxen.Ons.Nodes;

/// <summary>Which swarm keeps an account's messages.</summary>
internal static class SwarmLookup
{
    /// <summary>An account's place on the ring: its 32-byte key (without the prefix) as four big-endian words, xored.</summary>
    public static ulong Position(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, 32);
        return BinaryPrimitives.ReadUInt64BigEndian(key) ^ BinaryPrimitives.ReadUInt64BigEndian(key[8..]) ^ BinaryPrimitives.ReadUInt64BigEndian(key[16..]) ^ BinaryPrimitives.ReadUInt64BigEndian(key[24..]);
    }

    /// <summary>The nearest id of an ascending list; the exact middle goes to the lower one. Null without swarms.</summary>
    public static ulong? Nearest(IReadOnlyList<ulong> ids, ulong position)
    {
        if (ids.Count == 0) return null;
        int low = 0, high = ids.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (ids[middle] < position) low = middle + 1;
            else high = middle;
        }

        ulong right = ids[low % ids.Count], left = ids[(low + ids.Count - 1) % ids.Count];
        return unchecked(right - position < position - left) ? right : left;
    }
}
