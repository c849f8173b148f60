using System.Buffers.Binary;

namespace Oxen.Router.Core.Carrier.Kernels;

/// <summary>ChaCha20 of RFC 8439: 32-byte key, 12-byte nonce, 32-bit block counter; XORs the keystream in place.</summary>
internal static partial class ChaCha20
{
    public const int KeyBytes = 32, NonceBytes = 12, BlockBytes = 64;

    // "expand 32-byte k"
    private const uint Sigma0 = 0x61707865, Sigma1 = 0x3320646e, Sigma2 = 0x79622d32, Sigma3 = 0x6b206574;

    /// <summary>XORs the keystream that begins at block `counter` into `data`. The counter must not pass 2^32.</summary>
    public static void Xor(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, uint counter)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceBytes);
        if (IsAccelerated) XorVector(data, key, nonce, counter);
        else XorScalar(data, key, nonce, counter);
    }

    internal static void XorScalar(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, uint counter)
    {
        Span<uint> start = stackalloc uint[16], words = stackalloc uint[16];
        Span<byte> stream = stackalloc byte[BlockBytes];
        (start[0], start[1], start[2], start[3]) = (Sigma0, Sigma1, Sigma2, Sigma3);
        for (int i = 0; i < 8; i++) start[4 + i] = BinaryPrimitives.ReadUInt32LittleEndian(key[(4 * i)..]);
        start[12] = counter;
        for (int i = 0; i < 3; i++) start[13 + i] = BinaryPrimitives.ReadUInt32LittleEndian(nonce[(4 * i)..]);
        while (!data.IsEmpty)
        {
            start.CopyTo(words);
            for (int i = 0; i < 10; i++)
            {
                Quarter(words, 0, 4, 8, 12);
                Quarter(words, 1, 5, 9, 13);
                Quarter(words, 2, 6, 10, 14);
                Quarter(words, 3, 7, 11, 15);
                Quarter(words, 0, 5, 10, 15);
                Quarter(words, 1, 6, 11, 12);
                Quarter(words, 2, 7, 8, 13);
                Quarter(words, 3, 4, 9, 14);
            }

            for (int i = 0; i < 16; i++) BinaryPrimitives.WriteUInt32LittleEndian(stream[(4 * i)..], words[i] + start[i]);
            int n = Math.Min(BlockBytes, data.Length);
            for (int i = 0; i < n; i++) data[i] ^= stream[i];
            data = data[n..];
            start[12]++;
        }

        start.Clear();
        words.Clear();
        stream.Clear();
    }

    private static void Quarter(Span<uint> w, int a, int b, int c, int d)
    {
        w[a] += w[b]; w[d] = uint.RotateLeft(w[d] ^ w[a], 16);
        w[c] += w[d]; w[b] = uint.RotateLeft(w[b] ^ w[c], 12);
        w[a] += w[b]; w[d] = uint.RotateLeft(w[d] ^ w[a], 8);
        w[c] += w[d]; w[b] = uint.RotateLeft(w[b] ^ w[c], 7);
    }
}
