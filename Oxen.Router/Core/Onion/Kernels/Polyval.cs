using Oxen.Router.Core.Carrier.Kernels;

namespace Oxen.Router.Core.Onion.Kernels;

/// <summary>POLYVAL of RFC 8452 section 3: a keyed universal hash of whole 16-byte blocks.</summary>
/// <remarks>The arithmetic, its scalar twin and its vector forms are <see cref="Gf128"/>, shared with GHASH.</remarks>
internal static class Polyval
{
    public const int KeyBytes = 16, HashBytes = 16;
    public const int ExpandedBytes = Gf128.PowersBytes;

    public static void Expand(ReadOnlySpan<byte> key, Span<byte> expanded) => Gf128.ExpandPowers(key, expanded);

    /// <summary>hash = POLYVAL(key; blocks). `blocks` is a multiple of sixteen bytes.</summary>
    public static void Hash(ReadOnlySpan<byte> blocks, ReadOnlySpan<byte> expanded, Span<byte> hash)
    {
        hash[..HashBytes].Clear();
        Absorb(blocks, expanded, hash);
    }

    /// <summary>Goes on from the sum in `hash`.</summary>
    public static void Absorb(ReadOnlySpan<byte> blocks, ReadOnlySpan<byte> expanded, Span<byte> hash)
    {
        if (blocks.Length % 16 != 0) throw new ArgumentException("POLYVAL hashes whole blocks.", nameof(blocks));
        ArgumentOutOfRangeException.ThrowIfNotEqual(expanded.Length, ExpandedBytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(hash.Length, HashBytes);
        Gf128.Absorb<Gf128.AsIs>(blocks, expanded, hash);
    }
}
