using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Oxen.Router.Native.Sodium;

// X25519 (RFC 7748) from libsodium, on spans: a path build makes an ephemeral key that lives for microseconds, and an
// NSec Key would cost it four memory mappings.

/// <summary>Diffie-Hellman on Curve25519. The library clamps secret keys itself, so any 32 random bytes are one.</summary>
internal static unsafe partial class X25519
{
    public const int SecretKeyBytes = 32;
    public const int PublicKeyBytes = 32;
    public const int SharedSecretBytes = 32;

    private const string Library = "libsodium";

    static X25519()
    {
        if (sodium_init() < 0) throw new InvalidOperationException("libsodium did not start");
        if (crypto_scalarmult_bytes() != PublicKeyBytes || crypto_scalarmult_scalarbytes() != SecretKeyBytes)
        {
            throw new InvalidOperationException("libsodium's X25519 has other sizes than RFC 7748");
        }
    }

    public static void PublicKey(ReadOnlySpan<byte> secretKey, Span<byte> publicKey)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(secretKey.Length, SecretKeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(publicKey.Length, PublicKeyBytes);
        fixed (byte* n = secretKey, q = publicKey)
        {
            if (crypto_scalarmult_base(q, n) != 0) throw new InvalidOperationException("libsodium made no X25519 key");
        }
    }

    /// <summary>
    /// False when the result is all zeros: the peer's key is a point of small order (RFC 7748 section 6.1). The
    /// destination is zeroed then and must not be used.
    /// </summary>
    public static bool TryAgree(ReadOnlySpan<byte> peerPublicKey, ReadOnlySpan<byte> secretKey, Span<byte> sharedSecret)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(peerPublicKey.Length, PublicKeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(secretKey.Length, SecretKeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sharedSecret.Length, SharedSecretBytes);
        fixed (byte* p = peerPublicKey, n = secretKey, q = sharedSecret)
        {
            if (crypto_scalarmult(q, n, p) == 0) return true;
        }

        CryptographicOperations.ZeroMemory(sharedSecret);
        return false;
    }

    [LibraryImport(Library)]
    private static partial int sodium_init();

    [LibraryImport(Library)]
    private static partial nuint crypto_scalarmult_bytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_scalarmult_scalarbytes();

    [LibraryImport(Library)]
    private static partial int crypto_scalarmult_base(byte* q, byte* n);

    [LibraryImport(Library)]
    private static partial int crypto_scalarmult(byte* q, byte* n, byte* p);
}
