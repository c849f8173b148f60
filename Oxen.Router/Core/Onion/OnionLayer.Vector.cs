using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Oxen.Router.Core.Carrier.Kernels;
using Ni = System.Runtime.Intrinsics.X86.Aes;

namespace Oxen.Router.Core.Onion;

// With AES and carry-less multiplication. The tweak borrows the place of the left half while the hash runs, so that
// T || X_R is one contiguous run; the left half waits in a register meanwhile.
// The counter never carries out of the last byte, so it is one XOR or addition there, without a shuffle.
internal static partial class OnionLayer
{
    internal static void ForwardVector(Span<byte> body, ReadOnlySpan<byte> expandedKeys, in LayerTweak tweak)
    {
        ref byte b = ref MemoryMarshal.GetReference(body);
        ref byte k = ref MemoryMarshal.GetReference(expandedKeys);
        Vector128<byte> left = Vector128.LoadUnsafe(ref b), h = default;
        tweak.Vector.StoreUnsafe(ref b);
        Gf128.AbsorbKernel<Gf128.AsIs>(ref b, (nuint)body.Length, ref Unsafe.Add(ref k, LayerKeys.HashKey), ref h);
        left = AesBlock.Encrypt128(left ^ h, ref k) ^ h;
        left.StoreUnsafe(ref b);
        Stream(ref b, body.Length, Initial(left, ref k), ref k);
    }

    // A head is one long chain: end of the hash, ten rounds, a product, the first rounds of the stream. Two of them side by
    // side take little longer than one.
    internal static void ForwardTwoVector(
        Span<byte> first, ReadOnlySpan<byte> firstKeys, in LayerTweak firstTweak, Span<byte> second, ReadOnlySpan<byte> secondKeys, in LayerTweak secondTweak)
    {
        ref byte a = ref MemoryMarshal.GetReference(first), b = ref MemoryMarshal.GetReference(second);
        ref byte j = ref MemoryMarshal.GetReference(firstKeys), k = ref MemoryMarshal.GetReference(secondKeys);
        Vector128<byte> leftA = Vector128.LoadUnsafe(ref a), leftB = Vector128.LoadUnsafe(ref b), g = default, h = default;
        firstTweak.Vector.StoreUnsafe(ref a);
        secondTweak.Vector.StoreUnsafe(ref b);
        Gf128.AbsorbKernel<Gf128.AsIs>(ref a, (nuint)first.Length, ref Unsafe.Add(ref j, LayerKeys.HashKey), ref g);
        Gf128.AbsorbKernel<Gf128.AsIs>(ref b, (nuint)second.Length, ref Unsafe.Add(ref k, LayerKeys.HashKey), ref h);
        leftA = AesBlock.Encrypt128(leftA ^ g, ref j) ^ g;
        leftB = AesBlock.Encrypt128(leftB ^ h, ref k) ^ h;
        leftA.StoreUnsafe(ref a);
        leftB.StoreUnsafe(ref b);
        Vector128<byte> ivA = Initial(leftA, ref j), ivB = Initial(leftB, ref k);
        Stream(ref a, first.Length, ivA, ref j);
        Stream(ref b, second.Length, ivB, ref k);
    }

    internal static void InverseVector(Span<byte> body, ReadOnlySpan<byte> expandedKeys, in LayerTweak tweak)
    {
        ref byte b = ref MemoryMarshal.GetReference(body);
        ref byte k = ref MemoryMarshal.GetReference(expandedKeys);
        Vector128<byte> left = Vector128.LoadUnsafe(ref b), h = default;
        Stream(ref b, body.Length, Initial(left, ref k), ref k);
        tweak.Vector.StoreUnsafe(ref b);
        Gf128.AbsorbKernel<Gf128.AsIs>(ref b, (nuint)body.Length, ref Unsafe.Add(ref k, LayerKeys.HashKey), ref h);
        (AesBlock.Decrypt128(left ^ h, ref k) ^ h).StoreUnsafe(ref b);
    }

    // What is over after whole dozens (one block of either class) comes first: the long latency of a single block then hides
    // behind the first dozen.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Stream(ref byte b, int length, Vector128<byte> iv, ref byte k)
    {
        int right = length - HeadBytes, odd = right % DozenBytes;
        b = ref Unsafe.Add(ref b, HeadBytes);
        k = ref Unsafe.Add(ref k, LayerKeys.StreamKey);
        if (odd > 0) StreamSingle(ref b, ref Unsafe.Add(ref b, odd), ref k, ref iv);
        if (odd < right) StreamDozen(ref Unsafe.Add(ref b, odd), ref Unsafe.Add(ref b, right), ref k, ref iv);
    }

    private const int DozenBytes = 12 * 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Initial(Vector128<byte> left, ref byte k) => Gf128.Dot(left, Vector128.LoadUnsafe(ref k, LayerKeys.VectorKey)) & LastBits;

    private static Vector128<byte> LastBits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector128.Create(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0x80FFFFFF).AsByte();
    }

    // The counter block plus n; the last byte is the top byte of the last word.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Count(uint n) => Vector128.Create(0u, 0, 0, n << 24).AsByte();

    // Twelve blocks in flight: eight would do if nothing ever waited. The sixteen registers that VAESENC reaches are then full.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void StreamDozen(ref byte p, ref byte end, ref byte key, ref Vector128<byte> iv)
    {
        Vector128<byte> v = iv, one = Count(1);
        do
        {
            Vector128<byte> k = Vector128.LoadUnsafe(ref key);
            Vector128<byte> b0 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b1 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b2 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b3 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b4 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b5 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b6 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b7 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b8 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b9 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b10 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            Vector128<byte> b11 = v ^ k; v = (v.AsUInt32() + one.AsUInt32()).AsByte();
            k = Vector128.LoadUnsafe(ref key, 16);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 32);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 48);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 64);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 80);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 96);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 112);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 128);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 144);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k); b8 = Ni.Encrypt(b8, k); b9 = Ni.Encrypt(b9, k); b10 = Ni.Encrypt(b10, k); b11 = Ni.Encrypt(b11, k);
            k = Vector128.LoadUnsafe(ref key, 160);
            Ni.EncryptLast(b0, k ^ Vector128.LoadUnsafe(ref p)).StoreUnsafe(ref p);
            Ni.EncryptLast(b1, k ^ Vector128.LoadUnsafe(ref p, 16)).StoreUnsafe(ref p, 16);
            Ni.EncryptLast(b2, k ^ Vector128.LoadUnsafe(ref p, 32)).StoreUnsafe(ref p, 32);
            Ni.EncryptLast(b3, k ^ Vector128.LoadUnsafe(ref p, 48)).StoreUnsafe(ref p, 48);
            Ni.EncryptLast(b4, k ^ Vector128.LoadUnsafe(ref p, 64)).StoreUnsafe(ref p, 64);
            Ni.EncryptLast(b5, k ^ Vector128.LoadUnsafe(ref p, 80)).StoreUnsafe(ref p, 80);
            Ni.EncryptLast(b6, k ^ Vector128.LoadUnsafe(ref p, 96)).StoreUnsafe(ref p, 96);
            Ni.EncryptLast(b7, k ^ Vector128.LoadUnsafe(ref p, 112)).StoreUnsafe(ref p, 112);
            Ni.EncryptLast(b8, k ^ Vector128.LoadUnsafe(ref p, 128)).StoreUnsafe(ref p, 128);
            Ni.EncryptLast(b9, k ^ Vector128.LoadUnsafe(ref p, 144)).StoreUnsafe(ref p, 144);
            Ni.EncryptLast(b10, k ^ Vector128.LoadUnsafe(ref p, 160)).StoreUnsafe(ref p, 160);
            Ni.EncryptLast(b11, k ^ Vector128.LoadUnsafe(ref p, 176)).StoreUnsafe(ref p, 176);
            p = ref Unsafe.Add(ref p, DozenBytes);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        iv = v;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void StreamSingle(ref byte p, ref byte end, ref byte key, ref Vector128<byte> iv)
    {
        Vector128<byte> v = iv;
        do
        {
            Vector128<byte> b = v ^ Vector128.LoadUnsafe(ref key);
            v = (v.AsUInt32() + Count(1).AsUInt32()).AsByte();
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 16));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 32));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 48));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 64));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 80));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 96));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 112));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 128));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 144));
            Ni.EncryptLast(b, Vector128.LoadUnsafe(ref key, 160) ^ Vector128.LoadUnsafe(ref p)).StoreUnsafe(ref p);
            p = ref Unsafe.Add(ref p, 16);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        iv = v;
    }
}
