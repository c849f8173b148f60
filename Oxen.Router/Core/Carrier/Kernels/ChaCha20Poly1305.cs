using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Oxen.Router.Core.Carrier.Kernels;

/// <summary>The AEAD of RFC 8439 section 2.8, in place.</summary>
internal static class ChaCha20Poly1305
{
    public const int KeyBytes = 32, NonceBytes = 12, TagBytes = 16;

    /// <summary>Encrypts in place and writes the tag.</summary>
    public static void Seal(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(tag.Length, TagBytes);
        ChaCha20.Xor(data, key, nonce, 1);
        Tag(data, key, nonce, associated, tag);
    }

    /// <summary>Checks the tag in constant time, then decrypts in place. False: `data` is unchanged.</summary>
    public static bool Open(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        Span<byte> expected = stackalloc byte[TagBytes];
        Tag(data, key, nonce, associated, expected);
        if (!CryptographicOperations.FixedTimeEquals(expected, tag)) return false;
        ChaCha20.Xor(data, key, nonce, 1);
        return true;
    }

    private static void Tag(ReadOnlySpan<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        // RFC 8439 section 2.6: the one-time key is the first half of keystream block 0.
        Span<byte> oneTime = stackalloc byte[Poly1305.KeyBytes];
        oneTime.Clear();
        ChaCha20.Xor(oneTime, key, nonce, 0);
        Poly1305 mac = new(oneTime);
        mac.AbsorbPadded(associated);
        mac.AbsorbPadded(data);
        Span<byte> lengths = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(lengths, (ulong)associated.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(lengths[8..], (ulong)data.Length);
        mac.AbsorbPadded(lengths);
        mac.Finish(tag);
        CryptographicOperations.ZeroMemory(oneTime);
    }
}
