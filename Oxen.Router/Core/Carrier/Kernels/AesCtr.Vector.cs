using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Ni = System.Runtime.Intrinsics.X86.Aes;

namespace Oxen.Router.Core.Carrier.Kernels;

// Eight blocks in flight hide the latency of AESENC; one block at a time for what is left (they overlap in the core).
// Every kernel is a leaf with one loop: a call inside makes the JIT keep the state on the stack.
internal static partial class AesCtr
{
    private static Vector128<byte> Reversal
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector128.Create((byte)15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    }

    internal static void XorVector(Span<byte> data, ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> counter)
    {
        ref byte p = ref MemoryMarshal.GetReference(data);
        ref byte key = ref MemoryMarshal.GetReference(expandedKey);
        // Kept reversed, so that the counting lane is a little-endian uint.
        Vector128<uint> count = Vector128.Shuffle(Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(counter)), Reversal).AsUInt32();
        bool is128 = expandedKey.Length == AesBlock.Expanded128Bytes;
        int wide = data.Length & ~127;
        if (wide > 0)
        {
            if (is128) Eight128(ref p, ref Unsafe.Add(ref p, wide), ref key, ref count);
            else Eight256(ref p, ref Unsafe.Add(ref p, wide), ref key, ref count);
            p = ref Unsafe.Add(ref p, wide);
        }

        int whole = (data.Length - wide) & ~15;
        if (whole > 0)
        {
            if (is128) Single128(ref p, ref Unsafe.Add(ref p, whole), ref key, ref count);
            else Single256(ref p, ref Unsafe.Add(ref p, whole), ref key, ref count);
        }

        int done = wide + whole;
        if (done == data.Length) return;
        Span<byte> last = stackalloc byte[16];
        Vector128.Shuffle(count.AsByte(), Reversal).CopyTo(last);
        AesBlock.EncryptVector(expandedKey, last, last);
        for (int i = done; i < data.Length; i++) data[i] ^= last[i - done];
        last.Clear();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Eight128(ref byte p, ref byte end, ref byte key, ref Vector128<uint> counter)
    {
        Vector128<uint> count = counter, one = Vector128.CreateScalar(1u);
        Vector128<byte> reversal = Reversal;
        do
        {
            Vector128<byte> k = Vector128.LoadUnsafe(ref key);
            Vector128<byte> b0 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b1 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b2 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b3 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b4 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b5 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b6 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b7 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            k = Vector128.LoadUnsafe(ref key, 16);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 32);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 48);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 64);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 80);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 96);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 112);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 128);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 144);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 160);
            Ni.EncryptLast(b0, k ^ Vector128.LoadUnsafe(ref p)).StoreUnsafe(ref p);
            Ni.EncryptLast(b1, k ^ Vector128.LoadUnsafe(ref p, 16)).StoreUnsafe(ref p, 16);
            Ni.EncryptLast(b2, k ^ Vector128.LoadUnsafe(ref p, 32)).StoreUnsafe(ref p, 32);
            Ni.EncryptLast(b3, k ^ Vector128.LoadUnsafe(ref p, 48)).StoreUnsafe(ref p, 48);
            Ni.EncryptLast(b4, k ^ Vector128.LoadUnsafe(ref p, 64)).StoreUnsafe(ref p, 64);
            Ni.EncryptLast(b5, k ^ Vector128.LoadUnsafe(ref p, 80)).StoreUnsafe(ref p, 80);
            Ni.EncryptLast(b6, k ^ Vector128.LoadUnsafe(ref p, 96)).StoreUnsafe(ref p, 96);
            Ni.EncryptLast(b7, k ^ Vector128.LoadUnsafe(ref p, 112)).StoreUnsafe(ref p, 112);
            p = ref Unsafe.Add(ref p, 128);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        counter = count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Single128(ref byte p, ref byte end, ref byte key, ref Vector128<uint> counter)
    {
        Vector128<uint> count = counter, one = Vector128.CreateScalar(1u);
        Vector128<byte> reversal = Reversal;
        do
        {
            Vector128<byte> b = Vector128.Shuffle(count.AsByte(), reversal) ^ Vector128.LoadUnsafe(ref key);
            count += one;
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
        counter = count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Eight256(ref byte p, ref byte end, ref byte key, ref Vector128<uint> counter)
    {
        Vector128<uint> count = counter, one = Vector128.CreateScalar(1u);
        Vector128<byte> reversal = Reversal;
        do
        {
            Vector128<byte> k = Vector128.LoadUnsafe(ref key);
            Vector128<byte> b0 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b1 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b2 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b3 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b4 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b5 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b6 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            Vector128<byte> b7 = Vector128.Shuffle(count.AsByte(), reversal) ^ k; count += one;
            k = Vector128.LoadUnsafe(ref key, 16);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 32);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 48);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 64);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 80);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 96);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 112);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 128);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 144);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 160);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 176);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 192);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 208);
            b0 = Ni.Encrypt(b0, k); b1 = Ni.Encrypt(b1, k); b2 = Ni.Encrypt(b2, k); b3 = Ni.Encrypt(b3, k); b4 = Ni.Encrypt(b4, k); b5 = Ni.Encrypt(b5, k); b6 = Ni.Encrypt(b6, k); b7 = Ni.Encrypt(b7, k);
            k = Vector128.LoadUnsafe(ref key, 224);
            Ni.EncryptLast(b0, k ^ Vector128.LoadUnsafe(ref p)).StoreUnsafe(ref p);
            Ni.EncryptLast(b1, k ^ Vector128.LoadUnsafe(ref p, 16)).StoreUnsafe(ref p, 16);
            Ni.EncryptLast(b2, k ^ Vector128.LoadUnsafe(ref p, 32)).StoreUnsafe(ref p, 32);
            Ni.EncryptLast(b3, k ^ Vector128.LoadUnsafe(ref p, 48)).StoreUnsafe(ref p, 48);
            Ni.EncryptLast(b4, k ^ Vector128.LoadUnsafe(ref p, 64)).StoreUnsafe(ref p, 64);
            Ni.EncryptLast(b5, k ^ Vector128.LoadUnsafe(ref p, 80)).StoreUnsafe(ref p, 80);
            Ni.EncryptLast(b6, k ^ Vector128.LoadUnsafe(ref p, 96)).StoreUnsafe(ref p, 96);
            Ni.EncryptLast(b7, k ^ Vector128.LoadUnsafe(ref p, 112)).StoreUnsafe(ref p, 112);
            p = ref Unsafe.Add(ref p, 128);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        counter = count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Single256(ref byte p, ref byte end, ref byte key, ref Vector128<uint> counter)
    {
        Vector128<uint> count = counter, one = Vector128.CreateScalar(1u);
        Vector128<byte> reversal = Reversal;
        do
        {
            Vector128<byte> b = Vector128.Shuffle(count.AsByte(), reversal) ^ Vector128.LoadUnsafe(ref key);
            count += one;
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 16));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 32));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 48));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 64));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 80));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 96));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 112));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 128));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 144));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 160));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 176));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 192));
            b = Ni.Encrypt(b, Vector128.LoadUnsafe(ref key, 208));
            Ni.EncryptLast(b, Vector128.LoadUnsafe(ref key, 224) ^ Vector128.LoadUnsafe(ref p)).StoreUnsafe(ref p);
            p = ref Unsafe.Add(ref p, 16);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        counter = count;
    }
}
