using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Router.Core.Quic.Tls;
using ChaCha20Poly1305 = Oxen.Router.Core.Carrier.Kernels.ChaCha20Poly1305;

namespace Oxen.Router.Core.Quic.Protection;

/// <summary>
/// One direction's packet keys of one level and key phase: AEAD key and IV out of a traffic secret. RFC 9001 section 5.
/// Works in place: header || payload || room for the tag.
/// </summary>
internal sealed class PacketKeys : IDisposable
{
    public const int TagBytes = 16;

    // RFC 9001 section 6.6 and appendix B.
    private const long GcmConfidentiality = 1L << 23;
    private const long GcmIntegrity = 1L << 52;
    private const long ChaChaIntegrity = 1L << 36;

    private readonly TlsCipherSuite _suite;
    private readonly byte[] _secret;
    private readonly byte[] _iv = new byte[12];
    private readonly byte[] _key;      // AES: expanded

    public PacketKeys(TlsCipherSuite suite, ReadOnlySpan<byte> secret)
    {
        _suite = suite;
        _secret = secret.ToArray();
        HashAlgorithmName hash = suite.Hash();
        Span<byte> key = stackalloc byte[KeyBytes(suite)];
        TlsKeySchedule.HkdfExpandLabel(hash, secret, "quic key"u8, default, key);
        TlsKeySchedule.HkdfExpandLabel(hash, secret, "quic iv"u8, default, _iv);
        switch (suite)
        {
            case TlsCipherSuite.Aes128GcmSha256:
                _key = new byte[AesGcm128.ExpandedBytes];
                AesGcm128.Expand(key, _key);
                break;
            case TlsCipherSuite.Aes256GcmSha384:
                _key = new byte[AesGcm256.ExpandedBytes];
                AesGcm256.Expand(key, _key);
                break;
            default:
                _key = key.ToArray();
                break;
        }

        CryptographicOperations.ZeroMemory(key);
    }

    /// <summary>Packets that may be sealed with one key.</summary>
    public long ConfidentialityLimit => IsGcm ? GcmConfidentiality : long.MaxValue;

    /// <summary>Forgeries that one connection may see.</summary>
    public long IntegrityLimit => IsGcm ? GcmIntegrity : ChaChaIntegrity;

    /// <summary>The keys after a key update; the header key stays. RFC 9001 section 6.1.</summary>
    public PacketKeys Next()
    {
        Span<byte> next = stackalloc byte[_secret.Length];
        TlsKeySchedule.HkdfExpandLabel(_suite.Hash(), _secret, "quic ku"u8, default, next);
        var keys = new PacketKeys(_suite, next);
        CryptographicOperations.ZeroMemory(next);
        return keys;
    }

    public static HeaderKey DeriveHeaderKey(TlsCipherSuite suite, ReadOnlySpan<byte> secret)
    {
        Span<byte> key = stackalloc byte[KeyBytes(suite)];
        TlsKeySchedule.HkdfExpandLabel(suite.Hash(), secret, "quic hp"u8, default, key);
        var header = new HeaderKey(suite, key);
        CryptographicOperations.ZeroMemory(key);
        return header;
    }

    /// <param name="packet">Header, payload, 16 bytes of room for the tag.</param>
    public void Seal(Span<byte> packet, int headerLength, long number)
    {
        Span<byte> nonce = stackalloc byte[12];
        Nonce(number, nonce);
        Span<byte> payload = packet[headerLength..^TagBytes];
        Span<byte> tag = packet[^TagBytes..];
        Span<byte> header = packet[..headerLength];
        switch (_suite)
        {
            case TlsCipherSuite.Aes128GcmSha256:
                AesGcm128.Seal(payload, _key, nonce, header, tag);
                break;
            case TlsCipherSuite.Aes256GcmSha384:
                AesGcm256.Seal(payload, _key, nonce, header, tag);
                break;
            default:
                ChaCha20Poly1305.Seal(payload, _key, nonce, header, tag);
                break;
        }
    }

    /// <summary>False: forged or damaged; the packet is unchanged then.</summary>
    public bool Open(Span<byte> packet, int headerLength, long number)
    {
        Span<byte> nonce = stackalloc byte[12];
        Nonce(number, nonce);
        Span<byte> payload = packet[headerLength..^TagBytes];
        Span<byte> tag = packet[^TagBytes..];
        Span<byte> header = packet[..headerLength];
        return _suite switch
        {
            TlsCipherSuite.Aes128GcmSha256 => AesGcm128.Open(payload, _key, nonce, header, tag),
            TlsCipherSuite.Aes256GcmSha384 => AesGcm256.Open(payload, _key, nonce, header, tag),
            _ => ChaCha20Poly1305.Open(payload, _key, nonce, header, tag),
        };
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_secret);
        CryptographicOperations.ZeroMemory(_iv);
        CryptographicOperations.ZeroMemory(_key);
    }

    private bool IsGcm => _suite != TlsCipherSuite.ChaCha20Poly1305Sha256;

    private void Nonce(long number, Span<byte> nonce)
    {
        _iv.CopyTo(nonce);
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], BinaryPrimitives.ReadUInt64BigEndian(nonce[4..]) ^ (ulong)number);
    }

    private static int KeyBytes(TlsCipherSuite suite) => suite == TlsCipherSuite.Aes128GcmSha256 ? 16 : 32;
}
