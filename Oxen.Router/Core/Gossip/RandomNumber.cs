using System.Buffers.Binary;

namespace Oxen.Router.Core.Gossip;

/// <summary>Small numbers from random bytes that others may guess: whom to gossip with, when.</summary>
internal static class RandomNumber
{
    /// <summary>In [0, bound); the tiny bias of the remainder does not matter here.</summary>
    public static int Below(IEntropy entropy, int bound)
    {
        Span<byte> bytes = stackalloc byte[8];
        entropy.FillPublic(bytes);
        return (int)(BinaryPrimitives.ReadUInt64BigEndian(bytes) % (ulong)bound);
    }

    /// <summary>In [0, 1).</summary>
    public static double Fraction(IEntropy entropy)
    {
        Span<byte> bytes = stackalloc byte[8];
        entropy.FillPublic(bytes);
        return (BinaryPrimitives.ReadUInt64BigEndian(bytes) >> 11) * (1.0 / (1UL << 53));
    }
}
