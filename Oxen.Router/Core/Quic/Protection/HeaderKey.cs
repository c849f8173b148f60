using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic.Protection;

/// <summary>Header protection: five mask bytes from 16 bytes of ciphertext. RFC 9001 section 5.4. Survives key updates.</summary>
internal sealed class HeaderKey : IDisposable
{
    private readonly Aes? _aes;
    private readonly byte[] _key;

    public HeaderKey(TlsCipherSuite suite, ReadOnlySpan<byte> key)
    {
        _key = key.ToArray();
        if ((ushort)suite == 0x1303) return;
        _aes = Aes.Create();
        _aes.Key = _key;
    }

    public void Mask(ReadOnlySpan<byte> sample, Span<byte> mask5)
    {
        Span<byte> block = stackalloc byte[16];
        if (_aes is not null) _aes.EncryptEcb(sample, block, PaddingMode.None);
        else ChaChaBlock(sample, block);
        block[..5].CopyTo(mask5);
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_key);
        _aes?.Dispose();
    }

    /// <summary>The first 16 bytes of the ChaCha20 block that counter and nonce in the sample name. RFC 8439 section 2.3.</summary>
    private void ChaChaBlock(ReadOnlySpan<byte> sample, Span<byte> out16)
    {
        Span<uint> s = stackalloc uint[16];
        s[0] = 0x61707865;
        s[1] = 0x3320646e;
        s[2] = 0x79622d32;
        s[3] = 0x6b206574;
        for (int i = 0; i < 8; i++) s[4 + i] = BinaryPrimitives.ReadUInt32LittleEndian(_key.AsSpan(4 * i));
        for (int i = 0; i < 4; i++) s[12 + i] = BinaryPrimitives.ReadUInt32LittleEndian(sample[(4 * i)..]);
        Span<uint> x = stackalloc uint[16];
        s.CopyTo(x);
        for (int round = 0; round < 10; round++)
        {
            Quarter(ref x[0], ref x[4], ref x[8], ref x[12]);
            Quarter(ref x[1], ref x[5], ref x[9], ref x[13]);
            Quarter(ref x[2], ref x[6], ref x[10], ref x[14]);
            Quarter(ref x[3], ref x[7], ref x[11], ref x[15]);
            Quarter(ref x[0], ref x[5], ref x[10], ref x[15]);
            Quarter(ref x[1], ref x[6], ref x[11], ref x[12]);
            Quarter(ref x[2], ref x[7], ref x[8], ref x[13]);
            Quarter(ref x[3], ref x[4], ref x[9], ref x[14]);
        }

        for (int i = 0; i < 4; i++) BinaryPrimitives.WriteUInt32LittleEndian(out16[(4 * i)..], x[i] + s[i]);
    }

    private static void Quarter(ref uint a, ref uint b, ref uint c, ref uint d)
    {
        a += b; d = BitOperations.RotateLeft(d ^ a, 16);
        c += d; b = BitOperations.RotateLeft(b ^ c, 12);
        a += b; d = BitOperations.RotateLeft(d ^ a, 8);
        c += d; b = BitOperations.RotateLeft(b ^ c, 7);
    }
}
