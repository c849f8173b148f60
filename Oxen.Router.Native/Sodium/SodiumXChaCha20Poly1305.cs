using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Sodium;

/// <summary>XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) from libsodium, on spans: for keys that live for one request. A box: ciphertext, then tag 16.</summary>
internal static unsafe partial class SodiumXChaCha20Poly1305
{
    private const string Library = "libsodium";

    static SodiumXChaCha20Poly1305()
    {
        if (sodium_init() < 0) throw new InvalidOperationException("libsodium did not start");
        if (crypto_aead_xchacha20poly1305_ietf_keybytes() != 32 || crypto_aead_xchacha20poly1305_ietf_npubbytes() != 24 || crypto_aead_xchacha20poly1305_ietf_abytes() != 16)
            throw new InvalidOperationException("libsodium's XChaCha20-Poly1305 has other sizes than the draft");
    }

    /// <summary>The caller has checked the lengths: key 32, nonce 24, `box` 16 longer than `content`.</summary>
    public static void Seal(ReadOnlySpan<byte> content, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> box)
    {
        fixed (byte* m = content, k = key, n = nonce, c = box)
        {
            if (crypto_aead_xchacha20poly1305_ietf_encrypt(c, null, m, (ulong)content.Length, null, 0, null, n, k) != 0) throw new InvalidOperationException("libsodium sealed nothing");
        }
    }

    /// <summary>The caller has checked the lengths, as for <see cref="Seal"/>. False: not authentic.</summary>
    public static bool Open(ReadOnlySpan<byte> box, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> content)
    {
        fixed (byte* c = box, k = key, n = nonce, m = content) return crypto_aead_xchacha20poly1305_ietf_decrypt(m, null, null, c, (ulong)box.Length, null, 0, n, k) == 0;
    }

    [LibraryImport(Library)]
    private static partial int sodium_init();

    [LibraryImport(Library)]
    private static partial nuint crypto_aead_xchacha20poly1305_ietf_keybytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_aead_xchacha20poly1305_ietf_npubbytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_aead_xchacha20poly1305_ietf_abytes();

    [LibraryImport(Library)]
    private static partial int crypto_aead_xchacha20poly1305_ietf_encrypt(byte* c, ulong* clen, byte* m, ulong mlen, byte* ad, ulong adlen, byte* nsec, byte* npub, byte* k);

    [LibraryImport(Library)]
    private static partial int crypto_aead_xchacha20poly1305_ietf_decrypt(byte* m, ulong* mlen, byte* nsec, byte* c, ulong clen, byte* ad, ulong adlen, byte* npub, byte* k);
}
