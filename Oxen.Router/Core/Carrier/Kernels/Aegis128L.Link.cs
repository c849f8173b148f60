using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Ni = System.Runtime.Intrinsics.X86.Aes;

namespace Oxen.Router.Core.Carrier.Kernels;

// The shape that every sealed datagram has: sixteen bytes of associated data, and a multiple of sixteen bytes to seal. One
// method from key to tag, so that the state never leaves its registers: only the loop over the data is a loop, the rounds
// before and after it are written out. That, and no more than one XOR on the way round the state, is worth a quarter of the time.
internal static partial class Aegis128L
{
    private static bool IsLinkShaped(int dataBytes, int associatedBytes) => associatedBytes == 16 && dataBytes >= BlockBytes && dataBytes % 16 == 0;

    // The message joins S0 and S4 after the AES round, not in its key: a state word then waits for four cycles of AES a
    // block and not for five.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(
        ref Vector128<byte> s0, ref Vector128<byte> s1, ref Vector128<byte> s2, ref Vector128<byte> s3,
        ref Vector128<byte> s4, ref Vector128<byte> s5, ref Vector128<byte> s6, ref Vector128<byte> s7, Vector128<byte> m0, Vector128<byte> m1)
    {
        Vector128<byte> t = Ni.Encrypt(s7, m0) ^ s0;
        s7 = Ni.Encrypt(s6, s7);
        s6 = Ni.Encrypt(s5, s6);
        s5 = Ni.Encrypt(s4, s5);
        s4 = Ni.Encrypt(s3, m1) ^ s4;
        s3 = Ni.Encrypt(s2, s3);
        s2 = Ni.Encrypt(s1, s2);
        s1 = Ni.Encrypt(s0, s1);
        s0 = t;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void SealLink(ref byte p, nuint length, ref byte key, ref byte nonce, ref byte associated, ref byte tag)
    {
        Vector128<byte> k = Vector128.LoadUnsafe(ref key), n = Vector128.LoadUnsafe(ref nonce);
        Vector128<byte> c0 = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(C0)), c1 = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(C1));
        Vector128<byte> s0 = k ^ n, s1 = c1, s2 = c0, s3 = c1, s4 = s0, s5 = k ^ c0, s6 = k ^ c1, s7 = s5;
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, Vector128.LoadUnsafe(ref associated), default);
        ref byte end = ref Unsafe.Add(ref p, length & ~(nuint)31);
        do
        {
            Vector128<byte> m0 = Vector128.LoadUnsafe(ref p), m1 = Vector128.LoadUnsafe(ref p, 16);
            (m0 ^ s6 ^ s1 ^ (s2 & s3)).StoreUnsafe(ref p);
            (m1 ^ s2 ^ s5 ^ (s6 & s7)).StoreUnsafe(ref p, 16);
            Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m0, m1);
            p = ref Unsafe.Add(ref p, 32);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        if ((length & 16) != 0)
        {
            Vector128<byte> m0 = Vector128.LoadUnsafe(ref p);
            (m0 ^ s6 ^ s1 ^ (s2 & s3)).StoreUnsafe(ref p);
            Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m0, default);
        }

        Vector128<byte> m = Vector128.Create(128ul, (ulong)length * 8).AsByte() ^ s2;
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        (s0 ^ s1 ^ s2 ^ s3 ^ s4 ^ s5 ^ s6).StoreUnsafe(ref tag);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static bool OpenLink(ref byte p, nuint length, ref byte key, ref byte nonce, ref byte associated, ref byte tag)
    {
        Vector128<byte> k = Vector128.LoadUnsafe(ref key), n = Vector128.LoadUnsafe(ref nonce);
        Vector128<byte> c0 = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(C0)), c1 = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(C1));
        Vector128<byte> s0 = k ^ n, s1 = c1, s2 = c0, s3 = c1, s4 = s0, s5 = k ^ c0, s6 = k ^ c1, s7 = s5;
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, n, k);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, Vector128.LoadUnsafe(ref associated), default);
        ref byte end = ref Unsafe.Add(ref p, length & ~(nuint)31);
        do
        {
            Vector128<byte> m0 = Vector128.LoadUnsafe(ref p) ^ s6 ^ s1 ^ (s2 & s3), m1 = Vector128.LoadUnsafe(ref p, 16) ^ s2 ^ s5 ^ (s6 & s7);
            m0.StoreUnsafe(ref p);
            m1.StoreUnsafe(ref p, 16);
            // As Step; but here the message comes late, so it joins after the round as well.
            Vector128<byte> t = Ni.Encrypt(s7, Vector128<byte>.Zero) ^ (s0 ^ m0);
            s7 = Ni.Encrypt(s6, s7);
            s6 = Ni.Encrypt(s5, s6);
            s5 = Ni.Encrypt(s4, s5);
            s4 = Ni.Encrypt(s3, Vector128<byte>.Zero) ^ (s4 ^ m1);
            s3 = Ni.Encrypt(s2, s3);
            s2 = Ni.Encrypt(s1, s2);
            s1 = Ni.Encrypt(s0, s1);
            s0 = t;
            p = ref Unsafe.Add(ref p, 32);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        if ((length & 16) != 0)
        {
            Vector128<byte> m0 = Vector128.LoadUnsafe(ref p) ^ s6 ^ s1 ^ (s2 & s3);
            m0.StoreUnsafe(ref p);
            Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m0, default);
        }

        Vector128<byte> m = Vector128.Create(128ul, (ulong)length * 8).AsByte() ^ s2;
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        Step(ref s0, ref s1, ref s2, ref s3, ref s4, ref s5, ref s6, ref s7, m, m);
        // One vector comparison: no early exit, so as constant in time as FixedTimeEquals.
        return (s0 ^ s1 ^ s2 ^ s3 ^ s4 ^ s5 ^ s6) == Vector128.LoadUnsafe(ref tag);
    }
}
