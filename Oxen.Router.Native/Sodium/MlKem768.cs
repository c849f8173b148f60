using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Sodium;

// ML-KEM-768 (FIPS 203) from libsodium 1.0.22, the binary that NSec brings.
//
//   seed          64   d (32) || z (32)
//   public key  1184   the encapsulation key
//   secret key  2400   the decapsulation key; holds the public key too
//   ciphertext  1088
//   shared        32
//
// The sizes are constants of FIPS 203; the library is asked once whether it agrees.

/// <summary>The key encapsulation ML-KEM-768. Randomness is always the caller's, so runs can repeat.</summary>
internal static unsafe partial class MlKem768
{
    public const int SeedBytes = 64;
    public const int PublicKeyBytes = 1184;
    public const int SecretKeyBytes = 2400;
    public const int CiphertextBytes = 1088;
    public const int SharedSecretBytes = 32;
    public const int EncapsulationSeedBytes = 32;

    private const string Library = "libsodium";

    // Runs before the first call. sodium_init answers 0, or 1 when somebody (NSec) was here before us; it is thread-safe.
    static MlKem768()
    {
        if (sodium_init() < 0) throw new InvalidOperationException("libsodium did not start");
        if (crypto_kem_mlkem768_seedbytes() != SeedBytes
            || crypto_kem_mlkem768_publickeybytes() != PublicKeyBytes
            || crypto_kem_mlkem768_secretkeybytes() != SecretKeyBytes
            || crypto_kem_mlkem768_ciphertextbytes() != CiphertextBytes
            || crypto_kem_mlkem768_sharedsecretbytes() != SharedSecretBytes)
        {
            throw new InvalidOperationException("libsodium's ML-KEM-768 has other sizes than FIPS 203");
        }
    }

    /// <summary>Makes a key pair from a 64-byte secret seed (d || z).</summary>
    public static void GenerateKeyPair(ReadOnlySpan<byte> seed, Span<byte> publicKey, Span<byte> secretKey)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, SeedBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(publicKey.Length, PublicKeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(secretKey.Length, SecretKeyBytes);
        fixed (byte* s = seed, pk = publicKey, sk = secretKey)
        {
            if (crypto_kem_mlkem768_seed_keypair(pk, sk, s) != 0) throw new InvalidOperationException("libsodium made no ML-KEM key");
        }
    }

    /// <summary>
    /// Wraps a fresh secret for the holder of `publicKey`; `seed` is 32 secret random bytes.
    /// False when the key is not a valid encoding (FIPS 203 section 7.2, modulus check): a stranger's bytes, not our bug.
    /// </summary>
    public static bool Encapsulate(ReadOnlySpan<byte> publicKey, Span<byte> ciphertext, Span<byte> sharedSecret, ReadOnlySpan<byte> seed)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(publicKey.Length, PublicKeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(ciphertext.Length, CiphertextBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sharedSecret.Length, SharedSecretBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, EncapsulationSeedBytes);
        fixed (byte* pk = publicKey, ct = ciphertext, ss = sharedSecret, s = seed)
        {
            return crypto_kem_mlkem768_enc_deterministic(ct, ss, pk, s) == 0;
        }
    }

    /// <summary>
    /// Unwraps. A ciphertext that was tampered with gives an unrelated secret, not an error (implicit rejection);
    /// false only when `secretKey` itself is broken.
    /// </summary>
    public static bool Decapsulate(ReadOnlySpan<byte> ciphertext, ReadOnlySpan<byte> secretKey, Span<byte> sharedSecret)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(ciphertext.Length, CiphertextBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(secretKey.Length, SecretKeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sharedSecret.Length, SharedSecretBytes);
        fixed (byte* ct = ciphertext, sk = secretKey, ss = sharedSecret)
        {
            return crypto_kem_mlkem768_dec(ss, ct, sk) == 0;
        }
    }

    [LibraryImport(Library)]
    private static partial int sodium_init();

    [LibraryImport(Library)]
    private static partial nuint crypto_kem_mlkem768_seedbytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_kem_mlkem768_publickeybytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_kem_mlkem768_secretkeybytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_kem_mlkem768_ciphertextbytes();

    [LibraryImport(Library)]
    private static partial nuint crypto_kem_mlkem768_sharedsecretbytes();

    [LibraryImport(Library)]
    private static partial int crypto_kem_mlkem768_seed_keypair(byte* pk, byte* sk, byte* seed);

    [LibraryImport(Library)]
    private static partial int crypto_kem_mlkem768_enc_deterministic(byte* ct, byte* ss, byte* pk, byte* seed);

    [LibraryImport(Library)]
    private static partial int crypto_kem_mlkem768_dec(byte* ss, byte* ct, byte* sk);
}
