using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Sodium;

// XSalsa20-Poly1305 (crypto_secretbox) from libsodium, the binary that NSec brings. A box: tag 16, then the ciphertext.

/// <summary>Opens NaCl's secret boxes; key 32, nonce 24.</summary>
internal static unsafe partial class SodiumSecretBox
{
    private const string Library = "libsodium";

    static SodiumSecretBox()
    {
        if (sodium_init() < 0) throw new InvalidOperationException("libsodium did not start");
        if (crypto_secretbox_keybytes() != 32 || crypto_secretbox_noncebytes() != 24 || crypto_secretbox_macbytes() != 16)
            throw new InvalidOperationException("libsodium's secretbox has other sizes than NaCl's");
    }

    /// <summary>The caller has checked the lengths: key 32, nonce 24, `content` 16 shorter than `box`.</summary>
    public static bool Open(ReadOnlySpan<byte> box, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> content)
    {
        fixed (byte* b = box, k = key, n = nonce, c = content) return crypto_secretbox_open_easy(c, b, (ulong)box.Length, n, k) == 0;
    }

    [LibraryImport(Library)]
    private static partial int sodium_init();

    [LibraryImport(Library)]
    private static partial nuint crypto_secretbox_keybytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_secretbox_noncebytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_secretbox_macbytes();

    [LibraryImport(Library)]
    private static partial int crypto_secretbox_open_easy(byte* m, byte* c, ulong clen, byte* n, byte* k);
}
