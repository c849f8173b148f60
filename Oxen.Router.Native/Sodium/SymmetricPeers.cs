using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Sodium;

/// <summary>libsodium's AEGIS-128L and ChaCha20, called directly: what our own kernels are measured against.</summary>
internal static unsafe partial class SymmetricPeers
{
    /// <summary>libsodium knows AEGIS-128L with 32-byte tags only.</summary>
    public const int AegisTagBytes = 32;

    private const string Library = "libsodium";

    static SymmetricPeers()
    {
        if (sodium_init() < 0) throw new InvalidOperationException("libsodium did not start");
    }

    public static void AegisSeal(Span<byte> data, ReadOnlySpan<byte> key16, ReadOnlySpan<byte> nonce16, ReadOnlySpan<byte> associated, Span<byte> tag32)
    {
        fixed (byte* d = data, k = key16, n = nonce16, a = associated, t = tag32)
            _ = crypto_aead_aegis128l_encrypt_detached(d, t, null, d, (ulong)data.Length, a, (ulong)associated.Length, null, n, k);
    }

    public static bool AegisOpen(Span<byte> data, ReadOnlySpan<byte> key16, ReadOnlySpan<byte> nonce16, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag32)
    {
        fixed (byte* d = data, k = key16, n = nonce16, a = associated, t = tag32)
            return crypto_aead_aegis128l_decrypt_detached(d, null, d, (ulong)data.Length, t, a, (ulong)associated.Length, n, k) == 0;
    }

    public static void ChaCha20Xor(Span<byte> data, ReadOnlySpan<byte> key32, ReadOnlySpan<byte> nonce12, uint counter)
    {
        fixed (byte* d = data, k = key32, n = nonce12)
            _ = crypto_stream_chacha20_ietf_xor_ic(d, d, (ulong)data.Length, n, counter, k);
    }

    [LibraryImport(Library)]
    private static partial int sodium_init();

    [LibraryImport(Library)]
    private static partial int crypto_aead_aegis128l_encrypt_detached(byte* c, byte* mac, ulong* maclen, byte* m, ulong mlen, byte* ad, ulong adlen, byte* nsec, byte* npub, byte* k);

    [LibraryImport(Library)]
    private static partial int crypto_aead_aegis128l_decrypt_detached(byte* m, byte* nsec, byte* c, ulong clen, byte* mac, byte* ad, ulong adlen, byte* npub, byte* k);

    [LibraryImport(Library)]
    private static partial int crypto_stream_chacha20_ietf_xor_ic(byte* c, byte* m, ulong mlen, byte* n, uint ic, byte* k);
}
