using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Oxen.Router.Core.Carrier.Kernels;

// Rows across lanes: a vector holds one row of four (512 bits) or two (256 bits) blocks, a group of four vectors holds
// those blocks, and several groups are in flight to hide latency. Twenty-four blocks cover a full-class body in one go:
// its last 160 bytes of keystream are not used, which costs less than a second pass for the tail.
internal static partial class ChaCha20
{
    internal static bool IsAccelerated
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Avx2.IsSupported;
    }

    private struct Rows
    {
        public Vector128<uint> R0, R1, R2, R3;
    }

    internal static void XorVector(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, uint counter)
    {
        ref byte k = ref MemoryMarshal.GetReference(key);
        ReadOnlySpan<uint> n = MemoryMarshal.Cast<byte, uint>(nonce);
        Rows rows;
        rows.R0 = Vector128.Create(Sigma0, Sigma1, Sigma2, Sigma3);
        rows.R1 = Vector128.LoadUnsafe(ref k).AsUInt32();
        rows.R2 = Vector128.LoadUnsafe(ref k, 16).AsUInt32();
        rows.R3 = Vector128.Create(counter, n[0], n[1], n[2]);
        if (Avx512F.IsSupported && Avx512BW.IsSupported) XorWide(data, ref rows);
        else XorNarrow(data, ref rows);
        rows = default;
    }

    private static void XorWide(Span<byte> data, ref Rows rows)
    {
        ref byte p = ref MemoryMarshal.GetReference(data);
        int whole = data.Length - data.Length % 1536;
        if (whole > 0) Sixfold512(ref p, ref Unsafe.Add(ref p, whole), ref rows);
        data = data[whole..];
        if (data.Length > 256)
        {
            // The tail: all of it within one sixfold pass, or in steps of four blocks.
            if (data.Length > 768)
            {
                Tail512(ref MemoryMarshal.GetReference(data), (nuint)data.Length, ref rows);
                return;
            }

            p = ref MemoryMarshal.GetReference(data);
            whole = data.Length & ~255;
            Single512(ref p, ref Unsafe.Add(ref p, whole), ref rows);
            data = data[whole..];
        }

        if (data.IsEmpty) return;
        Span<byte> last = stackalloc byte[256];
        data.CopyTo(last);
        Single512(ref MemoryMarshal.GetReference(last), ref Unsafe.Add(ref MemoryMarshal.GetReference(last), 256), ref rows);
        last[..data.Length].CopyTo(data);
        last.Clear();
    }

    private static void XorNarrow(Span<byte> data, ref Rows rows)
    {
        ref byte p = ref MemoryMarshal.GetReference(data);
        int whole = data.Length & ~255;
        if (whole > 0) Twofold256(ref p, ref Unsafe.Add(ref p, whole), ref rows);
        data = data[whole..];
        if (data.IsEmpty) return;
        Span<byte> last = stackalloc byte[256];
        data.CopyTo(last);
        Twofold256(ref MemoryMarshal.GetReference(last), ref Unsafe.Add(ref MemoryMarshal.GetReference(last), 256), ref rows);
        last[..data.Length].CopyTo(data);
        last.Clear();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Wide4(Vector128<uint> v) => Vector512.Create(Vector256.Create(v, v), Vector256.Create(v, v));
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Wide2(Vector128<uint> v) => Vector256.Create(v, v);
    private static Vector512<uint> Lanes4 { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => Vector512.Create(0u, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0); }
    private static Vector256<uint> Lanes2 { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => Vector256.Create(0u, 0, 0, 0, 1, 0, 0, 0); }
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Blocks4(uint n) => Vector512.Create(n, 0, 0, 0, n, 0, 0, 0, n, 0, 0, 0, n, 0, 0, 0);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Blocks2(uint n) => Vector256.Create(n, 0, 0, 0, n, 0, 0, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Turn1(Vector512<uint> v) => Avx512F.Shuffle(v, 0x39);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Turn2(Vector512<uint> v) => Avx512F.Shuffle(v, 0x4E);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Turn3(Vector512<uint> v) => Avx512F.Shuffle(v, 0x93);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Turn1(Vector256<uint> v) => Avx2.Shuffle(v, 0x39);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Turn2(Vector256<uint> v) => Avx2.Shuffle(v, 0x4E);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Turn3(Vector256<uint> v) => Avx2.Shuffle(v, 0x93);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Rotate16(Vector512<uint> v) => Avx512F.RotateLeft(v, 16);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Rotate12(Vector512<uint> v) => Avx512F.RotateLeft(v, 12);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Rotate8(Vector512<uint> v) => Avx512F.RotateLeft(v, 8);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector512<uint> Rotate7(Vector512<uint> v) => Avx512F.RotateLeft(v, 7);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Rotate12(Vector256<uint> v) => (v << 12) | (v >>> 20);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Rotate7(Vector256<uint> v) => (v << 7) | (v >>> 25);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Rotate16(Vector256<uint> v) => Avx2.Shuffle(v.AsByte(), Wide2(Vector128.Create((byte)2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13).AsUInt32()).AsByte()).AsUInt32();
    [MethodImpl(MethodImplOptions.AggressiveInlining)] private static Vector256<uint> Rotate8(Vector256<uint> v) => Avx2.Shuffle(v.AsByte(), Wide2(Vector128.Create((byte)3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14).AsUInt32()).AsByte()).AsUInt32();

    // Four rows of four lanes into four blocks of four rows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(ref byte p, nuint at, Vector512<uint> a, Vector512<uint> b, Vector512<uint> c, Vector512<uint> d)
    {
        Vector512<uint> ab = Avx512F.Shuffle4x128(a, b, 0x44), cd = Avx512F.Shuffle4x128(c, d, 0x44);
        (Vector512.LoadUnsafe(ref p, at).AsUInt32() ^ Avx512F.Shuffle4x128(ab, cd, 0x88)).AsByte().StoreUnsafe(ref p, at);
        (Vector512.LoadUnsafe(ref p, at + 64).AsUInt32() ^ Avx512F.Shuffle4x128(ab, cd, 0xDD)).AsByte().StoreUnsafe(ref p, at + 64);
        ab = Avx512F.Shuffle4x128(a, b, 0xEE);
        cd = Avx512F.Shuffle4x128(c, d, 0xEE);
        (Vector512.LoadUnsafe(ref p, at + 128).AsUInt32() ^ Avx512F.Shuffle4x128(ab, cd, 0x88)).AsByte().StoreUnsafe(ref p, at + 128);
        (Vector512.LoadUnsafe(ref p, at + 192).AsUInt32() ^ Avx512F.Shuffle4x128(ab, cd, 0xDD)).AsByte().StoreUnsafe(ref p, at + 192);
    }

    // As Write, within `length` bytes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteWithin(ref byte p, nuint at, nuint length, Vector512<uint> a, Vector512<uint> b, Vector512<uint> c, Vector512<uint> d)
    {
        Vector512<uint> ab = Avx512F.Shuffle4x128(a, b, 0x44), cd = Avx512F.Shuffle4x128(c, d, 0x44);
        XorWithin(ref p, at, length, Avx512F.Shuffle4x128(ab, cd, 0x88).AsByte());
        XorWithin(ref p, at + 64, length, Avx512F.Shuffle4x128(ab, cd, 0xDD).AsByte());
        ab = Avx512F.Shuffle4x128(a, b, 0xEE);
        cd = Avx512F.Shuffle4x128(c, d, 0xEE);
        XorWithin(ref p, at + 128, length, Avx512F.Shuffle4x128(ab, cd, 0x88).AsByte());
        XorWithin(ref p, at + 192, length, Avx512F.Shuffle4x128(ab, cd, 0xDD).AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void XorWithin(ref byte p, nuint at, nuint length, Vector512<byte> stream)
    {
        if (at + 64 <= length)
        {
            (Vector512.LoadUnsafe(ref p, at) ^ stream).StoreUnsafe(ref p, at);
            return;
        }

        if (at + 32 <= length)
        {
            (Vector256.LoadUnsafe(ref p, at) ^ stream.GetLower()).StoreUnsafe(ref p, at);
            at += 32;
            stream = stream.GetUpper().ToVector512();
        }

        if (at + 16 <= length)
        {
            (Vector128.LoadUnsafe(ref p, at) ^ stream.GetLower().GetLower()).StoreUnsafe(ref p, at);
            at += 16;
            stream = stream.GetLower().GetUpper().ToVector256().ToVector512();
        }

        Vector128<ulong> rest = stream.GetLower().GetLower().AsUInt64();
        ulong word = rest.ToScalar();
        if (at + 8 <= length)
        {
            Unsafe.WriteUnaligned(ref Unsafe.Add(ref p, at), Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref p, at)) ^ word);
            at += 8;
            word = rest.GetElement(1);
        }

        for (; at < length; at++, word >>= 8) Unsafe.Add(ref p, at) ^= (byte)word;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(ref byte p, nuint at, Vector256<uint> a, Vector256<uint> b, Vector256<uint> c, Vector256<uint> d)
    {
        (Vector256.LoadUnsafe(ref p, at).AsUInt32() ^ Avx2.Permute2x128(a, b, 0x20)).AsByte().StoreUnsafe(ref p, at);
        (Vector256.LoadUnsafe(ref p, at + 32).AsUInt32() ^ Avx2.Permute2x128(c, d, 0x20)).AsByte().StoreUnsafe(ref p, at + 32);
        (Vector256.LoadUnsafe(ref p, at + 64).AsUInt32() ^ Avx2.Permute2x128(a, b, 0x31)).AsByte().StoreUnsafe(ref p, at + 64);
        (Vector256.LoadUnsafe(ref p, at + 96).AsUInt32() ^ Avx2.Permute2x128(c, d, 0x31)).AsByte().StoreUnsafe(ref p, at + 96);
    }

    // 6 groups of 4 blocks; a to d hold the rows of a group, one 128-bit lane a block.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Sixfold512(ref byte p, ref byte end, ref Rows rows)
    {
        Vector512<uint> row0 = Wide4(rows.R0), row1 = Wide4(rows.R1), row2 = Wide4(rows.R2), row3 = Wide4(rows.R3) + Lanes4;
        do
        {
            Vector512<uint> a0 = row0, b0 = row1, c0 = row2, d0 = row3;
            Vector512<uint> a1 = row0, b1 = row1, c1 = row2, d1 = row3 + Blocks4(4);
            Vector512<uint> a2 = row0, b2 = row1, c2 = row2, d2 = row3 + Blocks4(8);
            Vector512<uint> a3 = row0, b3 = row1, c3 = row2, d3 = row3 + Blocks4(12);
            Vector512<uint> a4 = row0, b4 = row1, c4 = row2, d4 = row3 + Blocks4(16);
            Vector512<uint> a5 = row0, b5 = row1, c5 = row2, d5 = row3 + Blocks4(20);
            int n = 10;
            do
            {
                a0 += b0; a1 += b1; a2 += b2; a3 += b3; a4 += b4; a5 += b5;
                d0 = Rotate16(d0 ^ a0); d1 = Rotate16(d1 ^ a1); d2 = Rotate16(d2 ^ a2); d3 = Rotate16(d3 ^ a3); d4 = Rotate16(d4 ^ a4); d5 = Rotate16(d5 ^ a5);
                c0 += d0; c1 += d1; c2 += d2; c3 += d3; c4 += d4; c5 += d5;
                b0 = Rotate12(b0 ^ c0); b1 = Rotate12(b1 ^ c1); b2 = Rotate12(b2 ^ c2); b3 = Rotate12(b3 ^ c3); b4 = Rotate12(b4 ^ c4); b5 = Rotate12(b5 ^ c5);
                a0 += b0; a1 += b1; a2 += b2; a3 += b3; a4 += b4; a5 += b5;
                d0 = Rotate8(d0 ^ a0); d1 = Rotate8(d1 ^ a1); d2 = Rotate8(d2 ^ a2); d3 = Rotate8(d3 ^ a3); d4 = Rotate8(d4 ^ a4); d5 = Rotate8(d5 ^ a5);
                c0 += d0; c1 += d1; c2 += d2; c3 += d3; c4 += d4; c5 += d5;
                b0 = Rotate7(b0 ^ c0); b1 = Rotate7(b1 ^ c1); b2 = Rotate7(b2 ^ c2); b3 = Rotate7(b3 ^ c3); b4 = Rotate7(b4 ^ c4); b5 = Rotate7(b5 ^ c5);
                b0 = Turn1(b0); b1 = Turn1(b1); b2 = Turn1(b2); b3 = Turn1(b3); b4 = Turn1(b4); b5 = Turn1(b5);
                c0 = Turn2(c0); c1 = Turn2(c1); c2 = Turn2(c2); c3 = Turn2(c3); c4 = Turn2(c4); c5 = Turn2(c5);
                d0 = Turn3(d0); d1 = Turn3(d1); d2 = Turn3(d2); d3 = Turn3(d3); d4 = Turn3(d4); d5 = Turn3(d5);
                a0 += b0; a1 += b1; a2 += b2; a3 += b3; a4 += b4; a5 += b5;
                d0 = Rotate16(d0 ^ a0); d1 = Rotate16(d1 ^ a1); d2 = Rotate16(d2 ^ a2); d3 = Rotate16(d3 ^ a3); d4 = Rotate16(d4 ^ a4); d5 = Rotate16(d5 ^ a5);
                c0 += d0; c1 += d1; c2 += d2; c3 += d3; c4 += d4; c5 += d5;
                b0 = Rotate12(b0 ^ c0); b1 = Rotate12(b1 ^ c1); b2 = Rotate12(b2 ^ c2); b3 = Rotate12(b3 ^ c3); b4 = Rotate12(b4 ^ c4); b5 = Rotate12(b5 ^ c5);
                a0 += b0; a1 += b1; a2 += b2; a3 += b3; a4 += b4; a5 += b5;
                d0 = Rotate8(d0 ^ a0); d1 = Rotate8(d1 ^ a1); d2 = Rotate8(d2 ^ a2); d3 = Rotate8(d3 ^ a3); d4 = Rotate8(d4 ^ a4); d5 = Rotate8(d5 ^ a5);
                c0 += d0; c1 += d1; c2 += d2; c3 += d3; c4 += d4; c5 += d5;
                b0 = Rotate7(b0 ^ c0); b1 = Rotate7(b1 ^ c1); b2 = Rotate7(b2 ^ c2); b3 = Rotate7(b3 ^ c3); b4 = Rotate7(b4 ^ c4); b5 = Rotate7(b5 ^ c5);
                b0 = Turn3(b0); b1 = Turn3(b1); b2 = Turn3(b2); b3 = Turn3(b3); b4 = Turn3(b4); b5 = Turn3(b5);
                c0 = Turn2(c0); c1 = Turn2(c1); c2 = Turn2(c2); c3 = Turn2(c3); c4 = Turn2(c4); c5 = Turn2(c5);
                d0 = Turn1(d0); d1 = Turn1(d1); d2 = Turn1(d2); d3 = Turn1(d3); d4 = Turn1(d4); d5 = Turn1(d5);
            }
            while (--n > 0);
            Write(ref p, 0, a0 + row0, b0 + row1, c0 + row2, d0 + row3);
            Write(ref p, 256, a1 + row0, b1 + row1, c1 + row2, d1 + row3 + Blocks4(4));
            Write(ref p, 512, a2 + row0, b2 + row1, c2 + row2, d2 + row3 + Blocks4(8));
            Write(ref p, 768, a3 + row0, b3 + row1, c3 + row2, d3 + row3 + Blocks4(12));
            Write(ref p, 1024, a4 + row0, b4 + row1, c4 + row2, d4 + row3 + Blocks4(16));
            Write(ref p, 1280, a5 + row0, b5 + row1, c5 + row2, d5 + row3 + Blocks4(20));
            row3 += Blocks4(24);
            p = ref Unsafe.Add(ref p, 1536);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        rows.R3 = row3.GetLower().GetLower();
    }

    // 1 groups of 4 blocks; a to d hold the rows of a group, one 128-bit lane a block.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Single512(ref byte p, ref byte end, ref Rows rows)
    {
        Vector512<uint> row0 = Wide4(rows.R0), row1 = Wide4(rows.R1), row2 = Wide4(rows.R2), row3 = Wide4(rows.R3) + Lanes4;
        do
        {
            Vector512<uint> a0 = row0, b0 = row1, c0 = row2, d0 = row3;
            int n = 10;
            do
            {
                a0 += b0;
                d0 = Rotate16(d0 ^ a0);
                c0 += d0;
                b0 = Rotate12(b0 ^ c0);
                a0 += b0;
                d0 = Rotate8(d0 ^ a0);
                c0 += d0;
                b0 = Rotate7(b0 ^ c0);
                b0 = Turn1(b0);
                c0 = Turn2(c0);
                d0 = Turn3(d0);
                a0 += b0;
                d0 = Rotate16(d0 ^ a0);
                c0 += d0;
                b0 = Rotate12(b0 ^ c0);
                a0 += b0;
                d0 = Rotate8(d0 ^ a0);
                c0 += d0;
                b0 = Rotate7(b0 ^ c0);
                b0 = Turn3(b0);
                c0 = Turn2(c0);
                d0 = Turn1(d0);
            }
            while (--n > 0);
            Write(ref p, 0, a0 + row0, b0 + row1, c0 + row2, d0 + row3);
            row3 += Blocks4(4);
            p = ref Unsafe.Add(ref p, 256);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        rows.R3 = row3.GetLower().GetLower();
    }

    // 2 groups of 2 blocks; a to d hold the rows of a group, one 128-bit lane a block.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Twofold256(ref byte p, ref byte end, ref Rows rows)
    {
        Vector256<uint> row0 = Wide2(rows.R0), row1 = Wide2(rows.R1), row2 = Wide2(rows.R2), row3 = Wide2(rows.R3) + Lanes2;
        do
        {
            Vector256<uint> a0 = row0, b0 = row1, c0 = row2, d0 = row3;
            Vector256<uint> a1 = row0, b1 = row1, c1 = row2, d1 = row3 + Blocks2(2);
            int n = 10;
            do
            {
                a0 += b0; a1 += b1;
                d0 = Rotate16(d0 ^ a0); d1 = Rotate16(d1 ^ a1);
                c0 += d0; c1 += d1;
                b0 = Rotate12(b0 ^ c0); b1 = Rotate12(b1 ^ c1);
                a0 += b0; a1 += b1;
                d0 = Rotate8(d0 ^ a0); d1 = Rotate8(d1 ^ a1);
                c0 += d0; c1 += d1;
                b0 = Rotate7(b0 ^ c0); b1 = Rotate7(b1 ^ c1);
                b0 = Turn1(b0); b1 = Turn1(b1);
                c0 = Turn2(c0); c1 = Turn2(c1);
                d0 = Turn3(d0); d1 = Turn3(d1);
                a0 += b0; a1 += b1;
                d0 = Rotate16(d0 ^ a0); d1 = Rotate16(d1 ^ a1);
                c0 += d0; c1 += d1;
                b0 = Rotate12(b0 ^ c0); b1 = Rotate12(b1 ^ c1);
                a0 += b0; a1 += b1;
                d0 = Rotate8(d0 ^ a0); d1 = Rotate8(d1 ^ a1);
                c0 += d0; c1 += d1;
                b0 = Rotate7(b0 ^ c0); b1 = Rotate7(b1 ^ c1);
                b0 = Turn3(b0); b1 = Turn3(b1);
                c0 = Turn2(c0); c1 = Turn2(c1);
                d0 = Turn1(d0); d1 = Turn1(d1);
            }
            while (--n > 0);
            Write(ref p, 0, a0 + row0, b0 + row1, c0 + row2, d0 + row3);
            Write(ref p, 128, a1 + row0, b1 + row1, c1 + row2, d1 + row3 + Blocks2(2));
            row3 += Blocks2(4);
            p = ref Unsafe.Add(ref p, 256);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        rows.R3 = row3.GetLower();
    }

    // The same, once, for what is left after whole passes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tail512(ref byte p, nuint length, ref Rows rows)
    {
        Vector512<uint> row0 = Wide4(rows.R0), row1 = Wide4(rows.R1), row2 = Wide4(rows.R2), row3 = Wide4(rows.R3) + Lanes4;
        Vector512<uint> a0 = row0, b0 = row1, c0 = row2, d0 = row3;
        Vector512<uint> a1 = row0, b1 = row1, c1 = row2, d1 = row3 + Blocks4(4);
        Vector512<uint> a2 = row0, b2 = row1, c2 = row2, d2 = row3 + Blocks4(8);
        Vector512<uint> a3 = row0, b3 = row1, c3 = row2, d3 = row3 + Blocks4(12);
        Vector512<uint> a4 = row0, b4 = row1, c4 = row2, d4 = row3 + Blocks4(16);
        Vector512<uint> a5 = row0, b5 = row1, c5 = row2, d5 = row3 + Blocks4(20);
        int n = 10;
        do
        {
            a0 += b0; a1 += b1; a2 += b2; a3 += b3; a4 += b4; a5 += b5;
            d0 = Rotate16(d0 ^ a0); d1 = Rotate16(d1 ^ a1); d2 = Rotate16(d2 ^ a2); d3 = Rotate16(d3 ^ a3); d4 = Rotate16(d4 ^ a4); d5 = Rotate16(d5 ^ a5);
            c0 += d0; c1 += d1; c2 += d2; c3 += d3; c4 += d4; c5 += d5;
            b0 = Rotate12(b0 ^ c0); b1 = Rotate12(b1 ^ c1); b2 = Rotate12(b2 ^ c2); b3 = Rotate12(b3 ^ c3); b4 = Rotate12(b4 ^ c4); b5 = Rotate12(b5 ^ c5);
            a0 += b0; a1 += b1; a2 += b2; a3 += b3; a4 += b4; a5 += b5;
            d0 = Rotate8(d0 ^ a0); d1 = Rotate8(d1 ^ a1); d2 = Rotate8(d2 ^ a2); d3 = Rotate8(d3 ^ a3); d4 = Rotate8(d4 ^ a4); d5 = Rotate8(d5 ^ a5);
            c0 += d0; c1 += d1; c2 += d2; c3 += d3; c4 += d4; c5 += d5;
            b0 = Rotate7(b0 ^ c0); b1 = Rotate7(b1 ^ c1); b2 = Rotate7(b2 ^ c2); b3 = Rotate7(b3 ^ c3); b4 = Rotate7(b4 ^ c4); b5 = Rotate7(b5 ^ c5);
            b0 = Turn1(b0); b1 = Turn1(b1); b2 = Turn1(b2); b3 = Turn1(b3); b4 = Turn1(b4); b5 = Turn1(b5);
            c0 = Turn2(c0); c1 = Turn2(c1); c2 = Turn2(c2); c3 = Turn2(c3); c4 = Turn2(c4); c5 = Turn2(c5);
            d0 = Turn3(d0); d1 = Turn3(d1); d2 = Turn3(d2); d3 = Turn3(d3); d4 = Turn3(d4); d5 = Turn3(d5);
            a0 += b0; a1 += b1; a2 += b2; a3 += b3; a4 += b4; a5 += b5;
            d0 = Rotate16(d0 ^ a0); d1 = Rotate16(d1 ^ a1); d2 = Rotate16(d2 ^ a2); d3 = Rotate16(d3 ^ a3); d4 = Rotate16(d4 ^ a4); d5 = Rotate16(d5 ^ a5);
            c0 += d0; c1 += d1; c2 += d2; c3 += d3; c4 += d4; c5 += d5;
            b0 = Rotate12(b0 ^ c0); b1 = Rotate12(b1 ^ c1); b2 = Rotate12(b2 ^ c2); b3 = Rotate12(b3 ^ c3); b4 = Rotate12(b4 ^ c4); b5 = Rotate12(b5 ^ c5);
            a0 += b0; a1 += b1; a2 += b2; a3 += b3; a4 += b4; a5 += b5;
            d0 = Rotate8(d0 ^ a0); d1 = Rotate8(d1 ^ a1); d2 = Rotate8(d2 ^ a2); d3 = Rotate8(d3 ^ a3); d4 = Rotate8(d4 ^ a4); d5 = Rotate8(d5 ^ a5);
            c0 += d0; c1 += d1; c2 += d2; c3 += d3; c4 += d4; c5 += d5;
            b0 = Rotate7(b0 ^ c0); b1 = Rotate7(b1 ^ c1); b2 = Rotate7(b2 ^ c2); b3 = Rotate7(b3 ^ c3); b4 = Rotate7(b4 ^ c4); b5 = Rotate7(b5 ^ c5);
            b0 = Turn3(b0); b1 = Turn3(b1); b2 = Turn3(b2); b3 = Turn3(b3); b4 = Turn3(b4); b5 = Turn3(b5);
            c0 = Turn2(c0); c1 = Turn2(c1); c2 = Turn2(c2); c3 = Turn2(c3); c4 = Turn2(c4); c5 = Turn2(c5);
            d0 = Turn1(d0); d1 = Turn1(d1); d2 = Turn1(d2); d3 = Turn1(d3); d4 = Turn1(d4); d5 = Turn1(d5);
        }
        while (--n > 0);
        WriteWithin(ref p, 0, length, a0 + row0, b0 + row1, c0 + row2, d0 + row3);
        WriteWithin(ref p, 256, length, a1 + row0, b1 + row1, c1 + row2, d1 + row3 + Blocks4(4));
        WriteWithin(ref p, 512, length, a2 + row0, b2 + row1, c2 + row2, d2 + row3 + Blocks4(8));
        WriteWithin(ref p, 768, length, a3 + row0, b3 + row1, c3 + row2, d3 + row3 + Blocks4(12));
        WriteWithin(ref p, 1024, length, a4 + row0, b4 + row1, c4 + row2, d4 + row3 + Blocks4(16));
        WriteWithin(ref p, 1280, length, a5 + row0, b5 + row1, c5 + row2, d5 + row3 + Blocks4(20));
    }
}
