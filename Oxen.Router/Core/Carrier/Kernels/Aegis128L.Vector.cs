using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using Ni = System.Runtime.Intrinsics.X86.Aes;

namespace Oxen.Router.Core.Carrier.Kernels;

// With AES instructions. The state lives in eight registers through each kernel; kernels are leaves with one loop each
// (start, absorb, encrypt, decrypt, finish): a call inside, or two loops in one method, makes the JIT spill the state
// and costs a factor of two.
internal static partial class Aegis128L
{
    private struct State
    {
        public Vector128<byte> S0, S1, S2, S3, S4, S5, S6, S7;
    }

    internal static void SealVector(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        if (IsLinkShaped(data.Length, associated.Length))
        {
            SealLink(
                ref MemoryMarshal.GetReference(data), (nuint)data.Length, ref MemoryMarshal.GetReference(key), ref MemoryMarshal.GetReference(nonce),
                ref MemoryMarshal.GetReference(associated), ref MemoryMarshal.GetReference(tag));
            return;
        }

        State s = default;
        Start(ref s, key, nonce, associated);
        ref byte p = ref MemoryMarshal.GetReference(data);
        int whole = data.Length & ~31;
        if (whole > 0) Encrypt(ref s, ref p, ref Unsafe.Add(ref p, whole));
        if (whole < data.Length) EncryptLast(ref s, data[whole..]);
        Finish(ref s, associated.Length, data.Length).StoreUnsafe(ref MemoryMarshal.GetReference(tag));
        s = default;
    }

    internal static bool OpenVector(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        bool genuine = IsLinkShaped(data.Length, associated.Length)
            ? OpenLink(
                ref MemoryMarshal.GetReference(data), (nuint)data.Length, ref MemoryMarshal.GetReference(key), ref MemoryMarshal.GetReference(nonce),
                ref MemoryMarshal.GetReference(associated), ref MemoryMarshal.GetReference(tag))
            : OpenAny(data, key, nonce, associated, tag);
        if (!genuine) CryptographicOperations.ZeroMemory(data);
        return genuine;
    }

    private static bool OpenAny(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        State s = default;
        Start(ref s, key, nonce, associated);
        ref byte p = ref MemoryMarshal.GetReference(data);
        int whole = data.Length & ~31;
        if (whole > 0) Decrypt(ref s, ref p, ref Unsafe.Add(ref p, whole));
        if (whole < data.Length) DecryptLast(ref s, data[whole..]);
        // One vector comparison: no early exit, so as constant in time as FixedTimeEquals.
        bool genuine = Finish(ref s, associated.Length, data.Length) == Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(tag));
        s = default;
        return genuine;
    }

    private static void Start(ref State s, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated)
    {
        Vector128<byte> k = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(key)), n = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(nonce));
        Vector128<byte> c0 = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(C0)), c1 = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(C1));
        s.S0 = s.S4 = k ^ n;
        s.S1 = s.S3 = c1;
        s.S2 = c0;
        s.S5 = s.S7 = k ^ c0;
        s.S6 = k ^ c1;
        Ten(ref s, n, k);
        ref byte a = ref MemoryMarshal.GetReference(associated);
        int whole = associated.Length & ~31;
        if (whole > 0) Absorb(ref s, ref a, ref Unsafe.Add(ref a, whole));
        if (whole == associated.Length) return;
        if (associated.Length - whole == 16)
        {
            Once(ref s, Vector128.LoadUnsafe(ref a, (nuint)whole), default);
            return;
        }

        Span<byte> last = stackalloc byte[BlockBytes];
        last.Clear();
        associated[whole..].CopyTo(last);
        Once(ref s, Vector128.Create<byte>(last), Vector128.Create<byte>(last[16..]));
    }

    private static void EncryptLast(ref State s, Span<byte> data)
    {
        Span<byte> block = stackalloc byte[BlockBytes];
        block.Clear();
        data.CopyTo(block);
        Encrypt(ref s, ref MemoryMarshal.GetReference(block), ref Unsafe.Add(ref MemoryMarshal.GetReference(block), BlockBytes));
        block[..data.Length].CopyTo(data);
    }

    private static void DecryptLast(ref State s, Span<byte> data)
    {
        Span<byte> block = stackalloc byte[BlockBytes];
        block.Clear();
        data.CopyTo(block);
        Vector128<byte> z0 = s.S6 ^ s.S1 ^ (s.S2 & s.S3), z1 = s.S2 ^ s.S5 ^ (s.S6 & s.S7);
        (Vector128.Create<byte>(block) ^ z0).CopyTo(block);
        (Vector128.Create<byte>(block[16..]) ^ z1).CopyTo(block[16..]);
        block[data.Length..].Clear();
        block[..data.Length].CopyTo(data);
        Once(ref s, Vector128.Create<byte>(block), Vector128.Create<byte>(block[16..]));
        block.Clear();
    }

    private static Vector128<byte> Finish(ref State s, int associatedBytes, int dataBytes)
    {
        Vector128<byte> m = Vector128.Create((ulong)associatedBytes * 8, (ulong)dataBytes * 8).AsByte() ^ s.S2;
        Seven(ref s, m, m);
        return s.S0 ^ s.S1 ^ s.S2 ^ s.S3 ^ s.S4 ^ s.S5 ^ s.S6;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Ten(ref State s, Vector128<byte> m0, Vector128<byte> m1)
    {
        Vector128<byte> s0 = s.S0, s1 = s.S1, s2 = s.S2, s3 = s.S3, s4 = s.S4, s5 = s.S5, s6 = s.S6, s7 = s.S7;
        int n = 10;
        do
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
        while (--n > 0);
        s.S0 = s0; s.S1 = s1; s.S2 = s2; s.S3 = s3; s.S4 = s4; s.S5 = s5; s.S6 = s6; s.S7 = s7;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Seven(ref State s, Vector128<byte> m0, Vector128<byte> m1)
    {
        Vector128<byte> s0 = s.S0, s1 = s.S1, s2 = s.S2, s3 = s.S3, s4 = s.S4, s5 = s.S5, s6 = s.S6, s7 = s.S7;
        int n = 7;
        do
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
        while (--n > 0);
        s.S0 = s0; s.S1 = s1; s.S2 = s2; s.S3 = s3; s.S4 = s4; s.S5 = s5; s.S6 = s6; s.S7 = s7;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Once(ref State s, Vector128<byte> m0, Vector128<byte> m1)
    {
        Vector128<byte> s0 = s.S0, s1 = s.S1, s2 = s.S2, s3 = s.S3, s4 = s.S4, s5 = s.S5, s6 = s.S6, s7 = s.S7;
        int n = 1;
        do
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
        while (--n > 0);
        s.S0 = s0; s.S1 = s1; s.S2 = s2; s.S3 = s3; s.S4 = s4; s.S5 = s5; s.S6 = s6; s.S7 = s7;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Absorb(ref State s, ref byte p, ref byte end)
    {
        Vector128<byte> s0 = s.S0, s1 = s.S1, s2 = s.S2, s3 = s.S3, s4 = s.S4, s5 = s.S5, s6 = s.S6, s7 = s.S7;
        do
        {
            Vector128<byte> m0 = Vector128.LoadUnsafe(ref p), m1 = Vector128.LoadUnsafe(ref p, 16);
            Vector128<byte> t = Ni.Encrypt(s7, m0) ^ s0;
            s7 = Ni.Encrypt(s6, s7);
            s6 = Ni.Encrypt(s5, s6);
            s5 = Ni.Encrypt(s4, s5);
            s4 = Ni.Encrypt(s3, m1) ^ s4;
            s3 = Ni.Encrypt(s2, s3);
            s2 = Ni.Encrypt(s1, s2);
            s1 = Ni.Encrypt(s0, s1);
            s0 = t;
            p = ref Unsafe.Add(ref p, 32);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        s.S0 = s0; s.S1 = s1; s.S2 = s2; s.S3 = s3; s.S4 = s4; s.S5 = s5; s.S6 = s6; s.S7 = s7;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Encrypt(ref State s, ref byte p, ref byte end)
    {
        Vector128<byte> s0 = s.S0, s1 = s.S1, s2 = s.S2, s3 = s.S3, s4 = s.S4, s5 = s.S5, s6 = s.S6, s7 = s.S7;
        do
        {
            Vector128<byte> m0 = Vector128.LoadUnsafe(ref p), m1 = Vector128.LoadUnsafe(ref p, 16);
            (m0 ^ s6 ^ s1 ^ (s2 & s3)).StoreUnsafe(ref p);
            (m1 ^ s2 ^ s5 ^ (s6 & s7)).StoreUnsafe(ref p, 16);
            Vector128<byte> t = Ni.Encrypt(s7, m0) ^ s0;
            s7 = Ni.Encrypt(s6, s7);
            s6 = Ni.Encrypt(s5, s6);
            s5 = Ni.Encrypt(s4, s5);
            s4 = Ni.Encrypt(s3, m1) ^ s4;
            s3 = Ni.Encrypt(s2, s3);
            s2 = Ni.Encrypt(s1, s2);
            s1 = Ni.Encrypt(s0, s1);
            s0 = t;
            p = ref Unsafe.Add(ref p, 32);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        s.S0 = s0; s.S1 = s1; s.S2 = s2; s.S3 = s3; s.S4 = s4; s.S5 = s5; s.S6 = s6; s.S7 = s7;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Decrypt(ref State s, ref byte p, ref byte end)
    {
        Vector128<byte> s0 = s.S0, s1 = s.S1, s2 = s.S2, s3 = s.S3, s4 = s.S4, s5 = s.S5, s6 = s.S6, s7 = s.S7;
        do
        {
            Vector128<byte> m0 = Vector128.LoadUnsafe(ref p) ^ s6 ^ s1 ^ (s2 & s3), m1 = Vector128.LoadUnsafe(ref p, 16) ^ s2 ^ s5 ^ (s6 & s7);
            m0.StoreUnsafe(ref p);
            m1.StoreUnsafe(ref p, 16);
            Vector128<byte> t = Ni.Encrypt(s7, m0) ^ s0;
            s7 = Ni.Encrypt(s6, s7);
            s6 = Ni.Encrypt(s5, s6);
            s5 = Ni.Encrypt(s4, s5);
            s4 = Ni.Encrypt(s3, m1) ^ s4;
            s3 = Ni.Encrypt(s2, s3);
            s2 = Ni.Encrypt(s1, s2);
            s1 = Ni.Encrypt(s0, s1);
            s0 = t;
            p = ref Unsafe.Add(ref p, 32);
        }
        while (Unsafe.IsAddressLessThan(ref p, ref end));
        s.S0 = s0; s.S1 = s1; s.S2 = s2; s.S3 = s3; s.S4 = s4; s.S5 = s5; s.S6 = s6; s.S7 = s7;
    }
}
