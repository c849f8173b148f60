using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Oxen.Router.Core.Carrier.Kernels;

// AES-GCM of SP 800-38D with 12-byte nonces and 16-byte tags, on an expanded key:
//  0              176 or 240          + 256
//  +--------------+-------------------+
//  | round keys   | powers of H       |      H as POLYVAL wants it: mulX(reverse(AES(0))), RFC 8452 appendix A
//  +--------------+-------------------+

/// <summary>AES-128-GCM.</summary>
internal static class AesGcm128
{
    public const int KeyBytes = 16, NonceBytes = 12, TagBytes = 16;
    public const int ExpandedBytes = AesBlock.Expanded128Bytes + Gf128.PowersBytes;

    public static void Expand(ReadOnlySpan<byte> key, Span<byte> expanded)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(expanded.Length, ExpandedBytes);
        AesGcmCore.Expand(key, expanded);
    }

    /// <summary>Encrypts in place and writes the tag.</summary>
    public static void Seal(Span<byte> data, ReadOnlySpan<byte> expanded, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(expanded.Length, ExpandedBytes);
        AesGcmCore.Seal(data, expanded, nonce, associated, tag);
    }

    /// <summary>Checks the tag, then decrypts in place. False: `data` is unchanged.</summary>
    public static bool Open(Span<byte> data, ReadOnlySpan<byte> expanded, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(expanded.Length, ExpandedBytes);
        return AesGcmCore.Open(data, expanded, nonce, associated, tag);
    }
}

/// <summary>AES-256-GCM.</summary>
internal static class AesGcm256
{
    public const int KeyBytes = 32, NonceBytes = 12, TagBytes = 16;
    public const int ExpandedBytes = AesBlock.Expanded256Bytes + Gf128.PowersBytes;

    public static void Expand(ReadOnlySpan<byte> key, Span<byte> expanded)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(expanded.Length, ExpandedBytes);
        AesGcmCore.Expand(key, expanded);
    }

    /// <summary>Encrypts in place and writes the tag.</summary>
    public static void Seal(Span<byte> data, ReadOnlySpan<byte> expanded, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(expanded.Length, ExpandedBytes);
        AesGcmCore.Seal(data, expanded, nonce, associated, tag);
    }

    /// <summary>Checks the tag, then decrypts in place. False: `data` is unchanged.</summary>
    public static bool Open(Span<byte> data, ReadOnlySpan<byte> expanded, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(expanded.Length, ExpandedBytes);
        return AesGcmCore.Open(data, expanded, nonce, associated, tag);
    }
}

internal static class AesGcmCore
{
    public static void Expand(ReadOnlySpan<byte> key, Span<byte> expanded)
    {
        Span<byte> roundKeys = expanded[..^Gf128.PowersBytes];
        AesBlock.Expand(key, roundKeys);
        Span<byte> h = stackalloc byte[16];
        h.Clear();
        AesBlock.EncryptBlock(roundKeys, h, h);
        h.Reverse();
        TimesX(h);
        Gf128.ExpandPowers(h, expanded[^Gf128.PowersBytes..]);
        CryptographicOperations.ZeroMemory(h);
    }

    public static void Seal(Span<byte> data, ReadOnlySpan<byte> expanded, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(tag.Length, 16);
        Span<byte> counter = stackalloc byte[16];
        Start(nonce, counter);
        AesCtr.Xor(data, expanded[..^Gf128.PowersBytes], counter);
        Tag(data, expanded, counter, associated, tag);
    }

    public static bool Open(Span<byte> data, ReadOnlySpan<byte> expanded, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        Span<byte> counter = stackalloc byte[16];
        Start(nonce, counter);
        Span<byte> expected = stackalloc byte[16];
        Tag(data, expanded, counter, associated, expected);
        if (!CryptographicOperations.FixedTimeEquals(expected, tag)) return false;
        counter[15] = 2;
        AesCtr.Xor(data, expanded[..^Gf128.PowersBytes], counter);
        return true;
    }

    private static void Start(ReadOnlySpan<byte> nonce, Span<byte> counter)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, 12);
        nonce.CopyTo(counter);
        counter[12] = counter[13] = counter[14] = 0;
        counter[15] = 2;
    }

    private static void Tag(ReadOnlySpan<byte> data, ReadOnlySpan<byte> expanded, Span<byte> counter, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        ReadOnlySpan<byte> powers = expanded[^Gf128.PowersBytes..];
        Span<byte> sum = stackalloc byte[16], lengths = stackalloc byte[16];
        sum.Clear();
        AbsorbPadded(associated, powers, sum);
        AbsorbPadded(data, powers, sum);
        BinaryPrimitives.WriteUInt64BigEndian(lengths, (ulong)associated.Length * 8);
        BinaryPrimitives.WriteUInt64BigEndian(lengths[8..], (ulong)data.Length * 8);
        Gf128.Absorb<Gf128.Reversed>(lengths, powers, sum);
        sum.Reverse();
        counter[15] = 1;
        AesBlock.EncryptBlock(expanded[..^Gf128.PowersBytes], counter, lengths);
        for (int i = 0; i < 16; i++) tag[i] = (byte)(sum[i] ^ lengths[i]);
    }

    private static void AbsorbPadded(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> powers, Span<byte> sum)
    {
        int whole = bytes.Length & ~15;
        if (whole > 0) Gf128.Absorb<Gf128.Reversed>(bytes[..whole], powers, sum);
        if (whole == bytes.Length) return;
        Span<byte> last = stackalloc byte[16];
        last.Clear();
        bytes[whole..].CopyTo(last);
        Gf128.Absorb<Gf128.Reversed>(last, powers, sum);
    }

    // RFC 8452 appendix A: multiplication by x in POLYVAL's field, constant time.
    private static void TimesX(Span<byte> h)
    {
        ulong low = BinaryPrimitives.ReadUInt64LittleEndian(h), high = BinaryPrimitives.ReadUInt64LittleEndian(h[8..]);
        ulong carry = 0 - (high >> 63);
        high = (high << 1) | (low >> 63);
        low <<= 1;
        BinaryPrimitives.WriteUInt64LittleEndian(h, low ^ (carry & 1));
        BinaryPrimitives.WriteUInt64LittleEndian(h[8..], high ^ (carry & 0xC200000000000000));
    }
}
