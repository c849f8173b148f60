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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Reduce(Vector128<ulong> low, Vector128<ulong> middle, Vector128<ulong> high)
    {
        // x^121 + x^126 + x^127 as a word; two folds as in the scalar twin, the word swap standing for the + 1 and x^128.
        Vector128<ulong> polynomial = Vector128.CreateScalar(0xC200000000000000ul);
        low ^= Sse2.ShiftLeftLogical128BitLane(middle, 8);
        high ^= Sse2.ShiftRightLogical128BitLane(middle, 8);
        low = Pclmulqdq.CarrylessMultiply(low, polynomial, 0x00) ^ Sse2.Shuffle(low.AsUInt32(), 0x4E).AsUInt64();
        low = Pclmulqdq.CarrylessMultiply(low, polynomial, 0x00) ^ Sse2.Shuffle(low.AsUInt32(), 0x4E).AsUInt64();
        return (high ^ low).AsByte();
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static void Absorb512<TOrder>(ref byte p, nuint length, ref byte powers, ref Vector128<byte> sum)
        where TOrder : struct, IBlockOrder
    {
        Vector512<ulong> s = sum.AsUInt64().ToVector256().ToVector512();
        Vector512<ulong> low, middle, high, x, h;
        nuint first = length & 255;
        if (first != 0)
        {
            nuint slot = PowersBytes - first;
            low = middle = high = default;
            nuint fours = first & ~(nuint)63;
            for (nuint i = 0; i < fours; i += 64)
            {
                x = LoadFour<TOrder>(ref p, i) ^ s;
                s = default;
                h = Vector512.LoadUnsafe(ref powers, slot + i).AsUInt64();
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h, 0x00);
                middle ^= Pclmulqdq.V512.CarrylessMultiply(x, h, 0x01) ^ Pclmulqdq.V512.CarrylessMultiply(x, h, 0x10);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h, 0x11);
            }

            Vector128<ulong> s1 = s.GetLower().GetLower(), low1 = default, middle1 = default, high1 = default;
            for (nuint i = fours; i < first; i += 16)
            {
                Vector128<ulong> x1 = Load<TOrder>(ref p, i) ^ s1, h1 = Vector128.LoadUnsafe(ref powers, slot + i).AsUInt64();
                s1 = default;
                low1 ^= Pclmulqdq.CarrylessMultiply(x1, h1, 0x00);
                middle1 ^= Pclmulqdq.CarrylessMultiply(x1, h1, 0x01) ^ Pclmulqdq.CarrylessMultiply(x1, h1, 0x10);
                high1 ^= Pclmulqdq.CarrylessMultiply(x1, h1, 0x11);
            }

            s = Reduce(Sum(low) ^ low1, Sum(middle) ^ middle1, Sum(high) ^ high1).AsUInt64().ToVector256().ToVector512();
            p = ref Unsafe.Add(ref p, first);
        }

        ref byte end = ref Unsafe.Add(ref p, length - first);
        if (Unsafe.IsAddressLessThan(ref p, ref end))
        {
            Vector512<ulong> h0 = Vector512.LoadUnsafe(ref powers).AsUInt64(), h1 = Vector512.LoadUnsafe(ref powers, 64).AsUInt64();
            Vector512<ulong> h2 = Vector512.LoadUnsafe(ref powers, 128).AsUInt64(), h3 = Vector512.LoadUnsafe(ref powers, 192).AsUInt64();
            do
            {
                // The three later vectors do not wait for the sum of the group before.
                x = LoadFour<TOrder>(ref p, 64);
                low = Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x00);
                middle = Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x01) ^ Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x10);
                high = Pclmulqdq.V512.CarrylessMultiply(x, h1, 0x11);
                x = LoadFour<TOrder>(ref p, 128);
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x00);
                middle ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x01) ^ Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x10);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h2, 0x11);
                x = LoadFour<TOrder>(ref p, 192);
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x00);
                middle ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x01) ^ Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x10);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h3, 0x11);
                x = LoadFour<TOrder>(ref p, 0) ^ s;
                low ^= Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x00);
                middle ^= Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x01) ^ Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x10);
                high ^= Pclmulqdq.V512.CarrylessMultiply(x, h0, 0x11);
                s = Reduce(Sum(low), Sum(middle), Sum(high)).AsUInt64().ToVector256().ToVector512();
                p = ref Unsafe.Add(ref p, 256);
            }
            while (Unsafe.IsAddressLessThan(ref p, ref end));
        }

        sum = s.GetLower().GetLower().AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ulong> Sum(Vector512<ulong> v)
    {
        Vector256<ulong> half = v.GetLower() ^ v.GetUpper();
        return half.GetLower() ^ half.GetUpper();
    }
}
