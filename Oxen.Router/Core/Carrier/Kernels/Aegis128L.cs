using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Oxen.Router.Core.Carrier.Kernels;

/// <summary>AEGIS-128L with 128-bit tags, draft-irtf-cfrg-aegis-aead, in place.</summary>
/// <remarks>Associated data is taken in whole or zero-padded 32-byte blocks; the link layer's sixteen bytes are one padded block.</remarks>
internal static partial class Aegis128L
{
    public const int KeyBytes = 16, NonceBytes = 16, TagBytes = 16;

    private const int StateBytes = 128, BlockBytes = 32;

    // The Fibonacci constants C0 and C1 of the draft.
    private static ReadOnlySpan<byte> C0 => [0x00, 0x01, 0x01, 0x02, 0x03, 0x05, 0x08, 0x0d, 0x15, 0x22, 0x37, 0x59, 0x90, 0xe9, 0x79, 0x62];
    private static ReadOnlySpan<byte> C1 => [0xdb, 0x3d, 0x18, 0x55, 0x6d, 0xc2, 0x2f, 0xf1, 0x20, 0x11, 0x31, 0x42, 0x73, 0xb5, 0x28, 0xdd];

    /// <summary>Encrypts in place and writes the tag (16 bytes).</summary>
    public static void Seal(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        Check(key, nonce);
        ArgumentOutOfRangeException.ThrowIfNotEqual(tag.Length, TagBytes);
        if (AesBlock.IsAccelerated) SealVector(data, key, nonce, associated, tag);
        else SealScalar(data, key, nonce, associated, tag);
    }

    /// <summary>Decrypts in place and compares the tag in constant time. False: `data` holds no plaintext any more (it is cleared).</summary>
    public static bool Open(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        Check(key, nonce);
        if (tag.Length != TagBytes) return false;
        return AesBlock.IsAccelerated ? OpenVector(data, key, nonce, associated, tag) : OpenScalar(data, key, nonce, associated, tag);
    }

    internal static void SealScalar(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        Span<byte> state = stackalloc byte[StateBytes];
        Span<byte> block = stackalloc byte[BlockBytes], stream = stackalloc byte[BlockBytes];
        Start(state, key, nonce, associated);
        for (int at = 0; at < data.Length; at += BlockBytes)
        {
            int n = Math.Min(BlockBytes, data.Length - at);
            block.Clear();
            data.Slice(at, n).CopyTo(block);
            Stream(state, stream);
            Update(state, block);
            for (int i = 0; i < n; i++) data[at + i] ^= stream[i];
        }

        Finish(state, associated.Length, data.Length, tag);
        state.Clear();
    }

    internal static bool OpenScalar(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        Span<byte> state = stackalloc byte[StateBytes];
        Span<byte> block = stackalloc byte[BlockBytes], stream = stackalloc byte[BlockBytes], expected = stackalloc byte[TagBytes];
        Start(state, key, nonce, associated);
        for (int at = 0; at < data.Length; at += BlockBytes)
        {
            int n = Math.Min(BlockBytes, data.Length - at);
            Stream(state, stream);
            for (int i = 0; i < n; i++) data[at + i] ^= stream[i];
            block.Clear();
            data.Slice(at, n).CopyTo(block);
            Update(state, block);
        }

        Finish(state, associated.Length, data.Length, expected);
        state.Clear();
        bool genuine = CryptographicOperations.FixedTimeEquals(expected, tag);
        if (!genuine) CryptographicOperations.ZeroMemory(data);
        return genuine;
    }

    private static void Start(Span<byte> state, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated)
    {
        Span<byte> block = stackalloc byte[BlockBytes];
        for (int i = 0; i < 16; i++)
        {
            state[i] = state[64 + i] = (byte)(key[i] ^ nonce[i]);
            state[16 + i] = state[48 + i] = C1[i];
            state[32 + i] = C0[i];
            state[80 + i] = state[112 + i] = (byte)(key[i] ^ C0[i]);
            state[96 + i] = (byte)(key[i] ^ C1[i]);
        }

        nonce.CopyTo(block);
        key.CopyTo(block[16..]);
        for (int i = 0; i < 10; i++) Update(state, block);
        for (int at = 0; at < associated.Length; at += BlockBytes)
        {
            block.Clear();
            associated.Slice(at, Math.Min(BlockBytes, associated.Length - at)).CopyTo(block);
            Update(state, block);
        }

        block.Clear();
    }

    // S'i = AESRound(S(i-1), Si), the message joining S0 and S4.
    private static void Update(Span<byte> state, ReadOnlySpan<byte> block)
    {
        Span<ulong> next = stackalloc ulong[StateBytes / 8];
        Span<byte> bytes = MemoryMarshal.AsBytes(next);
        state[112..].CopyTo(bytes);
        state[..112].CopyTo(bytes[16..]);
        AesSoft.Round(next[..8]);
        AesSoft.Round(next[8..]);
        for (int i = 0; i < StateBytes; i++) state[i] ^= bytes[i];
        for (int i = 0; i < 16; i++)
        {
            state[i] ^= block[i];
            state[64 + i] ^= block[16 + i];
        }
    }

    // z0 = S6 ^ S1 ^ (S2 & S3), z1 = S2 ^ S5 ^ (S6 & S7)
    private static void Stream(ReadOnlySpan<byte> s, Span<byte> stream)
    {
        for (int i = 0; i < 16; i++)
        {
            stream[i] = (byte)(s[96 + i] ^ s[16 + i] ^ (s[32 + i] & s[48 + i]));
            stream[16 + i] = (byte)(s[32 + i] ^ s[80 + i] ^ (s[96 + i] & s[112 + i]));
        }
    }

    private static void Finish(Span<byte> state, int associatedBytes, int dataBytes, Span<byte> tag)
    {
        Span<byte> block = stackalloc byte[BlockBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(block, (ulong)associatedBytes * 8);
        BinaryPrimitives.WriteUInt64LittleEndian(block[8..], (ulong)dataBytes * 8);
        for (int i = 0; i < 16; i++) block[i] ^= state[32 + i];
        block[..16].CopyTo(block[16..]);
        for (int i = 0; i < 7; i++) Update(state, block);
        for (int i = 0; i < 16; i++)
            tag[i] = (byte)(state[i] ^ state[16 + i] ^ state[32 + i] ^ state[48 + i] ^ state[64 + i] ^ state[80 + i] ^ state[96 + i]);
        block.Clear();
    }

    private static void Check(ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceBytes);
    }
}
