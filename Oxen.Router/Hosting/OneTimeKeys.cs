using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Hosting;

/// <summary>
/// X25519 (RFC 7748) and XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) on spans, for keys that live for one request. A key object of a
/// library costs such a request several memory mappings, which take longer than the curve. The caller wipes its keys. Any thread.
/// </summary>
public static class OneTimeKeys
{
    /// <summary>Length of an X25519 key, public or secret, of what two agree on, and of a cipher's key.</summary>
    public const int KeyBytes = 32;

    /// <summary>Length of a nonce.</summary>
    public const int NonceBytes = 24;

    /// <summary>How much longer a box is than what is in it.</summary>
    public const int TagBytes = 16;

    /// <summary>The X25519 public key of a secret one; any 32 random bytes are a secret key.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A length is not <see cref="KeyBytes"/>.</exception>
    public static void PublicKey(ReadOnlySpan<byte> secretKey, Span<byte> publicKey) => X25519.PublicKey(secretKey, publicKey);

    /// <summary>What two key holders share. False for a peer's key of small order; `shared` is zero then and must not be used.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A length is not <see cref="KeyBytes"/>.</exception>
    public static bool TryAgree(ReadOnlySpan<byte> peerPublicKey, ReadOnlySpan<byte> secretKey, Span<byte> shared) => X25519.TryAgree(peerPublicKey, secretKey, shared);

    /// <summary>Encrypts `content` into `box`, which is <see cref="TagBytes"/> longer. A nonce must never be used twice with a key.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A length is wrong.</exception>
    public static void Seal(ReadOnlySpan<byte> content, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> box)
    {
        Check(content, key, nonce, box);
        SodiumXChaCha20Poly1305.Seal(content, key, nonce, box);
    }

    /// <summary>Decrypts `box` into `content`. False: not sealed with this key and nonce; `content` is wiped.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A length is wrong.</exception>
    public static bool TryOpen(ReadOnlySpan<byte> box, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> content)
    {
        Check(content, key, nonce, box);
        if (SodiumXChaCha20Poly1305.Open(box, key, nonce, content)) return true;
        content.Clear();
        return false;
    }

    private static void Check(ReadOnlySpan<byte> content, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> box)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(box.Length, content.Length + TagBytes);
    }
}
