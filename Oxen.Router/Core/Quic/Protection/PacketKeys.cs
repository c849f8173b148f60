using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Quic.Tls;

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
    private readonly AesGcm? _gcm;
    private readonly System.Security.Cryptography.ChaCha20Poly1305? _chacha;

    public PacketKeys(TlsCipherSuite suite, ReadOnlySpan<byte> secret)
    {
        _suite = suite;
        _secret = secret.ToArray();
        HashAlgorithmName hash = HashOf(suite);
        Span<byte> key = stackalloc byte[KeyBytes(suite)];
        TlsKeySchedule.HkdfExpandLabel(hash, secret, "quic key"u8, default, key);
        TlsKeySchedule.HkdfExpandLabel(hash, secret, "quic iv"u8, default, _iv);
        if ((ushort)suite == 0x1303) _chacha = new System.Security.Cryptography.ChaCha20Poly1305(key);
        else _gcm = new AesGcm(key, TagBytes);
        CryptographicOperations.ZeroMemory(key);
    }

    /// <summary>Packets that may be sealed with one key.</summary>
    public long ConfidentialityLimit => _chacha is null ? GcmConfidentiality : long.MaxValue;

    /// <summary>Forgeries that one connection may see.</summary>
    public long IntegrityLimit => _chacha is null ? GcmIntegrity : ChaChaIntegrity;

    /// <summary>The keys after a key update; the header key stays. RFC 9001 section 6.1.</summary>
    public PacketKeys Next()
    {
        Span<byte> next = stackalloc byte[_secret.Length];
        TlsKeySchedule.HkdfExpandLabel(HashOf(_suite), _secret, "quic ku"u8, default, next);
        var keys = new PacketKeys(_suite, next);
        CryptographicOperations.ZeroMemory(next);
        return keys;
    }

    public static HeaderKey DeriveHeaderKey(TlsCipherSuite suite, ReadOnlySpan<byte> secret)
    {
        Span<byte> key = stackalloc byte[KeyBytes(suite)];
        TlsKeySchedule.HkdfExpandLabel(HashOf(suite), secret, "quic hp"u8, default, key);
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
        if (_gcm is not null) _gcm.Encrypt(nonce, payload, payload, packet[^TagBytes..], packet[..headerLength]);
        else _chacha!.Encrypt(nonce, payload, payload, packet[^TagBytes..], packet[..headerLength]);
    }

    /// <summary>False: forged or damaged; the payload is undefined then.</summary>
    public bool Open(Span<byte> packet, int headerLength, long number)
    {
        Span<byte> nonce = stackalloc byte[12];
        Nonce(number, nonce);
        Span<byte> payload = packet[headerLength..^TagBytes];
        try
        {
            if (_gcm is not null) _gcm.Decrypt(nonce, payload, packet[^TagBytes..], payload, packet[..headerLength]);
            else _chacha!.Decrypt(nonce, payload, packet[^TagBytes..], payload, packet[..headerLength]);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_secret);
        CryptographicOperations.ZeroMemory(_iv);
        _gcm?.Dispose();
        _chacha?.Dispose();
    }

    private void Nonce(long number, Span<byte> nonce)
    {
        _iv.CopyTo(nonce);
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], BinaryPrimitives.ReadUInt64BigEndian(nonce[4..]) ^ (ulong)number);
    }

    private static int KeyBytes(TlsCipherSuite suite) => (ushort)suite == 0x1301 ? 16 : 32;

    private static HashAlgorithmName HashOf(TlsCipherSuite suite) => (ushort)suite == 0x1302 ? HashAlgorithmName.SHA384 : HashAlgorithmName.SHA256;
}
