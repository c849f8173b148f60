using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic.Protection;

/// <summary>Header protection: five mask bytes from 16 bytes of ciphertext. RFC 9001 section 5.4. Survives key updates.</summary>
internal sealed class HeaderKey : IDisposable
{
    private readonly bool _chacha;
    private readonly byte[] _key;   // AES: round keys

    public HeaderKey(TlsCipherSuite suite, ReadOnlySpan<byte> key)
    {
        _chacha = suite == TlsCipherSuite.ChaCha20Poly1305Sha256;
        if (_chacha) _key = key.ToArray();
        else
        {
            _key = new byte[key.Length == 16 ? AesBlock.Expanded128Bytes : AesBlock.Expanded256Bytes];
            AesBlock.Expand(key, _key);
        }
    }

    public void Mask(ReadOnlySpan<byte> sample, Span<byte> mask5)
    {
        Span<byte> block = stackalloc byte[16];
        if (_chacha)
        {
            // The sample names block counter and nonce. RFC 9001 section 5.4.4
            mask5.Clear();
            ChaCha20.Xor(mask5, _key, sample[4..], BinaryPrimitives.ReadUInt32LittleEndian(sample));
            return;
        }

        AesBlock.EncryptBlock(_key, sample, block);
        block[..5].CopyTo(mask5);
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_key);
}
