using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core;

/// <summary>
/// XSalsa20-Poly1305 as NaCl's secretbox: 16 bytes of tag, then the ciphertext. For plug-ins that read values of older
/// systems; what we send ourselves uses other ciphers.
/// </summary>
public static class SecretBox
{
    /// <summary>Length of the key.</summary>
    public const int KeyBytes = 32;

    /// <summary>Length of the nonce.</summary>
    public const int NonceBytes = 24;

    /// <summary>How much longer a box is than its content.</summary>
    public const int TagBytes = 16;

    /// <summary>Opens a box into `content`, which is 16 bytes shorter. False: another key or nonce, or changed bytes; then `content` is all zeros.</summary>
    public static bool Open(ReadOnlySpan<byte> box, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, Span<byte> content)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(box.Length, TagBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(content.Length, box.Length - TagBytes);
        if (SodiumSecretBox.Open(box, key, nonce, content)) return true;
        content.Clear();
        return false;
    }
}
