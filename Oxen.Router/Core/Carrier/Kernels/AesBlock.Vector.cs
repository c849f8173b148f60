using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Ni = System.Runtime.Intrinsics.X86.Aes;

namespace Oxen.Router.Core.Carrier.Kernels;

// With AES instructions. SubWord is AESENCLAST of four equal columns under a zero key: ShiftRows leaves them as they are.
internal static partial class AesBlock
{
    internal static bool IsAccelerated
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Ni.IsSupported;
    }

    internal static void ExpandVector(ReadOnlySpan<byte> key, Span<byte> expandedKey)
    {
        int words = key.Length / 4;
        Span<uint> w = MemoryMarshal.Cast<byte, uint>(expandedKey);
        MemoryMarshal.Cast<byte, uint>(key).CopyTo(w);
        uint previous = w[words - 1];
        uint constant = 1;
        for (int i = words; i < w.Length; i++)
        {
            if (i % words == 0)
            {
                previous = SubWord(uint.RotateRight(previous, 8)) ^ constant;
                constant = (constant << 1) ^ ((constant >> 7) * 0x11B);
            }
            else if (words == 8 && i % 8 == 4)
            {
                previous = SubWord(previous);
            }

            previous ^= w[i - words];
            w[i] = previous;
        }
    }

    private static uint SubWord(uint word) => Ni.EncryptLast(Vector128.Create(word).AsByte(), Vector128<byte>.Zero).AsUInt32().ToScalar();

    internal static void EncryptVector(ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> input, Span<byte> output)
    {
        ref byte k = ref MemoryMarshal.GetReference(expandedKey);
        nuint last = (nuint)expandedKey.Length - 16;
        Vector128<byte> s = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(input)) ^ Vector128.LoadUnsafe(ref k);
        for (nuint i = 16; i < last; i += 16) s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, i));
        Ni.EncryptLast(s, Vector128.LoadUnsafe(ref k, last)).StoreUnsafe(ref MemoryMarshal.GetReference(output));
    }

    internal static void DecryptVector(ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> input, Span<byte> output)
    {
        ref byte k = ref MemoryMarshal.GetReference(expandedKey);
        nuint last = (nuint)expandedKey.Length - 16;
        Vector128<byte> s = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(input)) ^ Vector128.LoadUnsafe(ref k, last);
        for (nuint i = last - 16; i > 0; i -= 16) s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, i)));
        Ni.DecryptLast(s, Vector128.LoadUnsafe(ref k)).StoreUnsafe(ref MemoryMarshal.GetReference(output));
    }

    /// <summary>AES-128 with the round keys at `k`, to be inlined into kernels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<byte> Encrypt128(Vector128<byte> s, ref byte k)
    {
        s ^= Vector128.LoadUnsafe(ref k);
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 16));
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 32));
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 48));
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 64));
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 80));
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 96));
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 112));
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 128));
        s = Ni.Encrypt(s, Vector128.LoadUnsafe(ref k, 144));
        return Ni.EncryptLast(s, Vector128.LoadUnsafe(ref k, 160));
    }

    /// <summary>The inverse of <see cref="Encrypt128"/>; the decryption round keys are made on the way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<byte> Decrypt128(Vector128<byte> s, ref byte k)
    {
        s ^= Vector128.LoadUnsafe(ref k, 160);
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 144)));
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 128)));
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 112)));
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 96)));
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 80)));
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 64)));
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 48)));
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 32)));
        s = Ni.Decrypt(s, Ni.InverseMixColumns(Vector128.LoadUnsafe(ref k, 16)));
        return Ni.DecryptLast(s, Vector128.LoadUnsafe(ref k));
    }
}
