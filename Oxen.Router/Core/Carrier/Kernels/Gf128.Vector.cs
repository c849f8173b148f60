using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Oxen.Router.Core.Carrier.Kernels;

// With carry-less multiplication, 128 or 512 bits wide. The first group is the short one (n modulo 16 blocks): leading
// zero blocks do not change the sum, so it simply uses the lower powers; every later group has sixteen.
// Products are gathered unreduced as low, middle and high; one reduction a group.
internal static partial class Gf128
{
    internal static bool IsAccelerated
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Pclmulqdq.IsSupported && Ssse3.IsSupported;
    }

    internal static bool IsWide
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Pclmulqdq.V512.IsSupported && Avx512BW.IsSupported;
    }

    private static Vector128<byte> Reversal
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector128.Create((byte)15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    }

    internal static void MultiplyVector(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, Span<byte> product) =>
        Dot(Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(a)), Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(b)))
            .StoreUnsafe(ref MemoryMarshal.GetReference(product));

    internal static void AbsorbVector<TOrder>(ReadOnlySpan<byte> blocks, ReadOnlySpan<byte> powers, Span<byte> sum)
        where TOrder : struct, IBlockOrder
    {
        if (blocks.Length < 16) return;
        ref byte p = ref MemoryMarshal.GetReference(blocks);
        ref byte h = ref MemoryMarshal.GetReference(powers);
        Vector128<byte> s = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(sum));
        AbsorbKernel<TOrder>(ref p, (nuint)blocks.Length & ~(nuint)15, ref h, ref s);
        s.StoreUnsafe(ref MemoryMarshal.GetReference(sum));
    }

    /// <summary>`length` is a positive multiple of sixteen.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void AbsorbKernel<TOrder>(ref byte p, nuint length, ref byte powers, ref Vector128<byte> sum)
        where TOrder : struct, IBlockOrder
    {
        if (IsWide) Absorb512<TOrder>(ref p, length, ref powers, ref sum);
        else Absorb128<TOrder>(ref p, length, ref powers, ref sum);
    }

    /// <summary>dot(a, b).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<byte> Dot(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<ulong> x = a.AsUInt64(), y = b.AsUInt64();
        return Reduce(
            Pclmulqdq.CarrylessMultiply(x, y, 0x00),
            Pclmulqdq.CarrylessMultiply(x, y, 0x01) ^ Pclmulqdq.CarrylessMultiply(x, y, 0x10),
            Pclmulqdq.CarrylessMultiply(x, y, 0x11));
    }

    // Two folds as in the scalar twin: the lowest word times x^121 + x^126 + x^127 joins the two words above it, and the swap
    // of halves stands for the + 1 and x^128.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Reduce(Vector128<ulong> low, Vector128<ulong> middle, Vector128<ulong> high)
    {
        Vector128<ulong> polynomial = Vector128.CreateScalar(0xC200000000000000ul);
        middle ^= Pclmulqdq.CarrylessMultiply(low, polynomial, 0x00) ^ Sse2.Shuffle(low.AsUInt32(), 0x4E).AsUInt64();
        high ^= Pclmulqdq.CarrylessMultiply(middle, polynomial, 0x00) ^ Sse2.Shuffle(middle.AsUInt32(), 0x4E).AsUInt64();
        return high.AsByte();
    }

    // The same in each lane; `cross` is the product of the sums of halves, which sheds the other two first.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Reduce(Vector512<ulong> low, Vector512<ulong> cross, Vector512<ulong> high, Vector512<ulong> polynomial)
    {
        Vector512<ulong> middle = cross ^ low ^ high ^ Swap(low) ^ Pclmulqdq.V512.CarrylessMultiply(low, polynomial, 0x00);
        return high ^ Swap(middle) ^ Pclmulqdq.V512.CarrylessMultiply(middle, polynomial, 0x00);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ulong> Load<TOrder>(ref byte p, nuint offset)
        where TOrder : struct, IBlockOrder
    {
        Vector128<byte> v = Vector128.LoadUnsafe(ref p, offset);
        return (TOrder.IsReversed ? Ssse3.Shuffle(v, Reversal) : v).AsUInt64();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> LoadFour<TOrder>(ref byte p, nuint offset)
        where TOrder : struct, IBlockOrder
    {
        Vector512<byte> v = Vector512.LoadUnsafe(ref p, offset);
        return (TOrder.IsReversed ? Avx512BW.Shuffle(v, Vector512.Create(Vector256.Create(Reversal, Reversal), Vector256.Create(Reversal, Reversal))) : v).AsUInt64();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static void Absorb128<TOrder>(ref byte p, nuint length, ref byte powers, ref Vector128<byte> sum)
        where TOrder : struct, IBlockOrder
    {
        Vector128<ulong> s = sum.AsUInt64();
        nuint at = 0, groupEnd = length % PowersBytes;
        if (groupEnd == 0) groupEnd = PowersBytes;
        nuint slot = PowersBytes - groupEnd;
        do
        {
            Vector128<ulong> low = default, middle = default, high = default;
            do
            {
                Vector128<ulong> x = Load<TOrder>(ref p, at) ^ s, h = Vector128.LoadUnsafe(ref powers, slot).AsUInt64();
                s = default;
                low ^= Pclmulqdq.CarrylessMultiply(x, h, 0x00);
                middle ^= Pclmulqdq.CarrylessMultiply(x, h, 0x01) ^ Pclmulqdq.CarrylessMultiply(x, h, 0x10);
                high ^= Pclmulqdq.CarrylessMultiply(x, h, 0x11);
                at += 16;
                slot += 16;
            }
            while (at < groupEnd);
            s = Reduce(low, middle, high).AsUInt64();
            slot = 0;
            groupEnd += PowersBytes;
        }
        while (at < length);
        sum = s.AsByte();
    }

    // Karatsuba: three products a vector, the cross one of the sums of halves. The four lanes are four sums of their own, each
    // a step of four blocks apart: all groups but the last multiply every lane by the same power (H^16, H^12, H^8, H^4), the
    // last by the powers in order, and only then the lanes meet. Nothing crosses lanes on the way from group to group.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static void Absorb512<TOrder>(ref byte p, nuint length, ref byte powers, ref Vector128<byte> sum)
        where TOrder : struct, IBlockOrder
    {
        Vector512<ulong> polynomial = Vector512.Create(0xC200000000000000ul);
        Vector512<ulong> h0 = Vector512.LoadUnsafe(ref powers).AsUInt64(), h1 = Vector512.LoadUnsafe(ref powers, 64).AsUInt64();
        Vector512<ulong> h2 = Vector512.LoadUnsafe(ref powers, 128).AsUInt64(), h3 = Vector512.LoadUnsafe(ref powers, 192).AsUInt64();
        if (length > PowersBytes)
        {
            h0 = Avx512F.Shuffle4x128(h0, h0, 0);
            h1 = Avx512F.Shuffle4x128(h1, h1, 0);
            h2 = Avx512F.Shuffle4x128(h2, h2, 0);
            h3 = Avx512F.Shuffle4x128(h3, h3, 0);
        }

        Vector512<ulong> k0 = Halves(h0), k1 = Halves(h1), k2 = Halves(h2), k3 = Halves(h3);
        Vector512<ulong> s = sum.AsUInt64().ToVector256().ToVector512(), low = default, cross = default, high = default, x;
        // The short group: its first one to four blocks stand in the upper lanes, then whole vectors.
        nuint first = length & 255;
        if (first != 0)
        {
            nuint odd = ((first - 1) & 63) + 1;
            x = First<TOrder>(ref p, odd, s);
            p = ref Unsafe.Add(ref p, odd);
            if (first > 192)
            {
                low = Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x00);
                cross = Pclmulqdq.V512.CarrylessMultiply(Halves(x), k0, 0x00);
                high = Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x11);
                x = LoadFour<TOrder>(ref p, 0);
                p = ref Unsafe.Add(ref p, 64);
            }

            if (first > 128)
            {
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x00);
                cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k1, 0x00);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x11);
                x = LoadFour<TOrder>(ref p, 0);
                p = ref Unsafe.Add(ref p, 64);
            }

            if (first > 64)
            {
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x00);
                cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k2, 0x00);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x11);
                x = LoadFour<TOrder>(ref p, 0);
                p = ref Unsafe.Add(ref p, 64);
            }

            low ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x00);
            cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k3, 0x00);
            high ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x11);
            s = Reduce(low, cross, high, polynomial);
            length -= first;
            if (length == 0)
            {
                sum = Sum(s).AsByte();
                return;
            }
        }

        if (length > PowersBytes)
        {
            ref byte last = ref Unsafe.Add(ref p, length - PowersBytes);
            do
            {
                // The three later vectors do not wait for the sum of the group before.
                x = LoadFour<TOrder>(ref p, 64);
                low = Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x00);
                cross = Pclmulqdq.V512.CarrylessMultiply(Halves(x), k1, 0x00);
                high = Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x11);
                x = LoadFour<TOrder>(ref p, 128);
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x00);
                cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k2, 0x00);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x11);
                x = LoadFour<TOrder>(ref p, 192);
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x00);
                cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k3, 0x00);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x11);
                x = LoadFour<TOrder>(ref p, 0) ^ s;
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x00);
                cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k0, 0x00);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x11);
                s = Reduce(low, cross, high, polynomial);
                p = ref Unsafe.Add(ref p, PowersBytes);
            }
            while (Unsafe.IsAddressLessThan(ref p, ref last));
        }

        h0 = Vector512.LoadUnsafe(ref powers).AsUInt64();
        h1 = Vector512.LoadUnsafe(ref powers, 64).AsUInt64();
        h2 = Vector512.LoadUnsafe(ref powers, 128).AsUInt64();
        h3 = Vector512.LoadUnsafe(ref powers, 192).AsUInt64();
        k0 = Halves(h0);
        k1 = Halves(h1);
        k2 = Halves(h2);
        k3 = Halves(h3);
        x = LoadFour<TOrder>(ref p, 64);
        low = Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x00);
        cross = Pclmulqdq.V512.CarrylessMultiply(Halves(x), k1, 0x00);
        high = Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x11);
        x = LoadFour<TOrder>(ref p, 128);
        low ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x00);
        cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k2, 0x00);
        high ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x11);
        x = LoadFour<TOrder>(ref p, 192);
        low ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x00);
        cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k3, 0x00);
        high ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x11);
        x = LoadFour<TOrder>(ref p, 0) ^ s;
        low ^= Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x00);
        cross ^= Pclmulqdq.V512.CarrylessMultiply(Halves(x), k0, 0x00);
        high ^= Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x11);
        sum = Sum(Reduce(low, cross, high, polynomial)).AsByte();
    }

    // The sum of the two halves of each lane, twice.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Halves(Vector512<ulong> v) => v ^ Swap(v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Swap(Vector512<ulong> v) => Avx512F.Shuffle(v.AsUInt32(), 0x4E).AsUInt64();

    // One to four blocks in the upper lanes, the sum joined to the first of them.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> First<TOrder>(ref byte p, nuint bytes, Vector512<ulong> sum)
        where TOrder : struct, IBlockOrder
    {
        if (bytes == 64) return LoadFour<TOrder>(ref p, 0) ^ sum;
        Vector128<ulong> x = Load<TOrder>(ref p, 0) ^ sum.GetLower().GetLower();
        if (bytes == 16) return Vector512.Create(Vector256<ulong>.Zero, Vector256.Create(Vector128<ulong>.Zero, x));
        Vector128<ulong> y = Load<TOrder>(ref p, 16);
        return bytes == 32
            ? Vector512.Create(Vector256<ulong>.Zero, Vector256.Create(x, y))
            : Vector512.Create(Vector256.Create(Vector128<ulong>.Zero, x), Vector256.Create(y, Load<TOrder>(ref p, 32)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ulong> Sum(Vector512<ulong> v)
    {
        Vector256<ulong> half = v.GetLower() ^ v.GetUpper();
        return half.GetLower() ^ half.GetUpper();
    }
}
