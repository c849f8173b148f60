using System.Buffers.Binary;

namespace Oxen.Router.Core.Carrier.Kernels;

/// <summary>The field of POLYVAL and GHASH: GF(2^128) with dot(a, b) = a * b * x^-128, RFC 8452 section 3.</summary>
/// <remarks>
/// A key is stored as its powers H^16, H^15, … H^1 (powers under dot, descending, 256 bytes), so that a group of n
/// blocks meets the last n slots in order. Sixteen powers let sixteen blocks share one reduction.
/// GHASH is the same sum over byte-reversed blocks (RFC 8452 appendix A); TOrder says which.
/// </remarks>
internal static partial class Gf128
{
    public const int Powers = 16;
    public const int PowersBytes = 16 * Powers;

    /// <summary>How the sixteen bytes of a block become a field element.</summary>
    internal interface IBlockOrder
    {
        static abstract bool IsReversed { get; }
    }

    internal readonly struct AsIs : IBlockOrder
    {
        public static bool IsReversed => false;
    }

    internal readonly struct Reversed : IBlockOrder
    {
        public static bool IsReversed => true;
    }

    /// <summary>Writes the descending powers of `key` (16 bytes) to `powers` (256 bytes).</summary>
    public static void ExpandPowers(ReadOnlySpan<byte> key, Span<byte> powers)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, 16);
        ArgumentOutOfRangeException.ThrowIfNotEqual(powers.Length, PowersBytes);
        key.CopyTo(powers[(PowersBytes - 16)..]);
        for (int i = Powers - 2; i >= 0; i--) Multiply(powers.Slice(16 * (i + 1), 16), powers[(PowersBytes - 16)..], powers.Slice(16 * i, 16));
    }

    /// <summary>product = dot(a, b).</summary>
    public static void Multiply(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, Span<byte> product)
    {
        if (IsAccelerated) MultiplyVector(a, b, product);
        else MultiplyScalar(a, b, product);
    }

    /// <summary>Absorbs whole blocks: for each block X, sum = dot(sum + X, H).</summary>
    public static void Absorb<TOrder>(ReadOnlySpan<byte> blocks, ReadOnlySpan<byte> powers, Span<byte> sum)
        where TOrder : struct, IBlockOrder
    {
        if (IsAccelerated) AbsorbVector<TOrder>(blocks, powers, sum);
        else AbsorbScalar<TOrder>(blocks, powers, sum);
    }

    internal static void AbsorbScalar<TOrder>(ReadOnlySpan<byte> blocks, ReadOnlySpan<byte> powers, Span<byte> sum)
        where TOrder : struct, IBlockOrder
    {
        ulong s0 = BinaryPrimitives.ReadUInt64LittleEndian(sum), s1 = BinaryPrimitives.ReadUInt64LittleEndian(sum[8..]);
        ReadOnlySpan<byte> h = powers[(PowersBytes - 16)..];
        ulong h0 = BinaryPrimitives.ReadUInt64LittleEndian(h), h1 = BinaryPrimitives.ReadUInt64LittleEndian(h[8..]);
        for (; !blocks.IsEmpty; blocks = blocks[16..])
        {
            if (TOrder.IsReversed)
            {
                s0 ^= BinaryPrimitives.ReadUInt64BigEndian(blocks[8..]);
                s1 ^= BinaryPrimitives.ReadUInt64BigEndian(blocks);
            }
            else
            {
                s0 ^= BinaryPrimitives.ReadUInt64LittleEndian(blocks);
                s1 ^= BinaryPrimitives.ReadUInt64LittleEndian(blocks[8..]);
            }

            (s0, s1) = Dot(s0, s1, h0, h1);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(sum, s0);
        BinaryPrimitives.WriteUInt64LittleEndian(sum[8..], s1);
    }

    internal static void MultiplyScalar(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, Span<byte> product)
    {
        (ulong p0, ulong p1) = Dot(
            BinaryPrimitives.ReadUInt64LittleEndian(a), BinaryPrimitives.ReadUInt64LittleEndian(a[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(b), BinaryPrimitives.ReadUInt64LittleEndian(b[8..]));
        BinaryPrimitives.WriteUInt64LittleEndian(product, p0);
        BinaryPrimitives.WriteUInt64LittleEndian(product[8..], p1);
    }

    // A 256-bit product, then two folds by x^64: the lowest word w is cleared by adding w * (x^128 + x^127 + x^126 + x^121 + 1).
    private static (ulong, ulong) Dot(ulong a0, ulong a1, ulong b0, ulong b1)
    {
        (ulong l0, ulong l1) = Carryless(a0, b0);
        (ulong h0, ulong h1) = Carryless(a1, b1);
        (ulong m0, ulong m1) = Carryless(a0 ^ a1, b0 ^ b1);
        m0 ^= l0 ^ h0;
        m1 ^= l1 ^ h1;
        ulong r0 = l0, r1 = l1 ^ m0, r2 = h0 ^ m1, r3 = h1;
        Fold(r0, ref r1, ref r2);
        Fold(r1, ref r2, ref r3);
        return (r2, r3);
    }

    private static void Fold(ulong w, ref ulong next, ref ulong afterNext)
    {
        // x^121, x^126, x^127 lie in the word after w's own; x^128 in the one after that.
        next ^= (w << 63) ^ (w << 62) ^ (w << 57);
        afterNext ^= w ^ (w >> 1) ^ (w >> 2) ^ (w >> 7);
    }

    private static (ulong Low, ulong High) Carryless(ulong x, ulong y) =>
        (CarrylessLow(x, y), Mirror(CarrylessLow(Mirror(x), Mirror(y))) >> 1);

    // Integer multiplication with holes: every fourth bit set leaves room for the carries, which the masks then drop.
    private static ulong CarrylessLow(ulong x, ulong y)
    {
        const ulong M0 = 0x1111111111111111, M1 = M0 << 1, M2 = M0 << 2, M3 = M0 << 3;
        ulong x0 = x & M0, x1 = x & M1, x2 = x & M2, x3 = x & M3;
        ulong y0 = y & M0, y1 = y & M1, y2 = y & M2, y3 = y & M3;
        ulong z0 = (x0 * y0) ^ (x1 * y3) ^ (x2 * y2) ^ (x3 * y1);
        ulong z1 = (x0 * y1) ^ (x1 * y0) ^ (x2 * y3) ^ (x3 * y2);
        ulong z2 = (x0 * y2) ^ (x1 * y1) ^ (x2 * y0) ^ (x3 * y3);
        ulong z3 = (x0 * y3) ^ (x1 * y2) ^ (x2 * y1) ^ (x3 * y0);
        return (z0 & M0) | (z1 & M1) | (z2 & M2) | (z3 & M3);
    }

    private static ulong Mirror(ulong x)
    {
        x = ((x >> 1) & 0x5555555555555555) | ((x & 0x5555555555555555) << 1);
        x = ((x >> 2) & 0x3333333333333333) | ((x & 0x3333333333333333) << 2);
        x = ((x >> 4) & 0x0F0F0F0F0F0F0F0F) | ((x & 0x0F0F0F0F0F0F0F0F) << 4);
        return BinaryPrimitives.ReverseEndianness(x);
    }
}
