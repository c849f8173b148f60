using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Oxen.Router.Native.Sodium;

/// <summary>
/// ChaCha20-Poly1305 (RFC 8439) from libsodium, on spans and in place: for keys that seal one thing and die, where a key
/// object would cost more than the cipher.
/// </summary>
internal static unsafe partial class SodiumChaCha20Poly1305
{
    public const int KeyBytes = 32;
    public const int NonceBytes = 12;
    public const int TagBytes = 16;

    private const string Library = "libsodium";

    static SodiumChaCha20Poly1305()
    {
        if (sodium_init() < 0) throw new InvalidOperationException("libsodium did not start");
        if (crypto_aead_chacha20poly1305_ietf_keybytes() != KeyBytes
            || crypto_aead_chacha20poly1305_ietf_npubbytes() != NonceBytes
            || crypto_aead_chacha20poly1305_ietf_abytes() != TagBytes)
        {
            throw new InvalidOperationException("libsodium's ChaCha20-Poly1305 has other sizes than RFC 8439");
        }
    }

    public static void Seal(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> tag)
    {
        Check(key, nonce, tag);
        fixed (byte* d = data, k = key, n = nonce, t = tag)
        {
            if (crypto_aead_chacha20poly1305_ietf_encrypt_detached(d, t, null, d, (ulong)data.Length, null, 0, null, n, k) != 0)
            {
                throw new InvalidOperationException("libsodium sealed nothing");
            }
        }
    }

    /// <summary>False: not authentic; `data` is wiped.</summary>
    public static bool Open(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> tag)
    {
        Check(key, nonce, tag);
        fixed (byte* d = data, k = key, n = nonce, t = tag)
        {
            if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(d, null, d, (ulong)data.Length, t, null, 0, n, k) == 0) return true;
        }

        CryptographicOperations.ZeroMemory(data);
        return false;
    }

    private static void Check(ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> tag)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(tag.Length, TagBytes);
    }

    [LibraryImport(Library)]
    private static partial int sodium_init();

    [LibraryImport(Library)]
    private static partial nuint crypto_aead_chacha20poly1305_ietf_keybytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_aead_chacha20poly1305_ietf_npubbytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_aead_chacha20poly1305_ietf_abytes();

    [LibraryImport(Library)]
    private static partial int crypto_aead_chacha20poly1305_ietf_encrypt_detached(byte* c, byte* mac, ulong* maclen, byte* m, ulong mlen, byte* ad, ulong adlen, byte* nsec, byte* npub, byte* k);

    [LibraryImport(Library)]
    private static partial int crypto_aead_chacha20poly1305_ietf_decrypt_detached(byte* m, byte* nsec, byte* c, ulong clen, byte* mac, byte* ad, ulong adlen, byte* npub, byte* k);
}
