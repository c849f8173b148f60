using System.Buffers.Binary;

namespace Oxen.Router.Core.Carrier.Kernels;

/// <summary>The AES block cipher, FIPS 197: key expansion and single blocks, for keys of 16 and 32 bytes.</summary>
/// <remarks>
/// An expanded key is its 11 or 15 round keys in order, 176 or 240 bytes; its length tells the variant. Decryption works
/// from the same round keys. With AES instructions (AesBlock.Vector.cs) or by <see cref="AesSoft"/>; both constant time.
/// </remarks>
internal static partial class AesBlock
{
    public const int Bytes = 16;
    public const int Expanded128Bytes = 176;
    public const int Expanded256Bytes = 240;

    /// <summary>Expands a key of 16 or 32 bytes into 176 or 240.</summary>
    public static void Expand(ReadOnlySpan<byte> key, Span<byte> expandedKey)
    {
        if (key.Length is not (16 or 32)) throw new ArgumentException("An AES key has 16 or 32 bytes here.", nameof(key));
        ArgumentOutOfRangeException.ThrowIfNotEqual(expandedKey.Length, key.Length == 16 ? Expanded128Bytes : Expanded256Bytes);
        if (IsAccelerated) ExpandVector(key, expandedKey);
        else ExpandScalar(key, expandedKey);
    }

    /// <summary>One block; `output` may be `input`.</summary>
    public static void EncryptBlock(ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> input, Span<byte> output)
    {
        Check(expandedKey, input, output);
        if (IsAccelerated) EncryptVector(expandedKey, input, output);
        else EncryptScalar(expandedKey, input, output);
    }

    /// <summary>The inverse of <see cref="EncryptBlock"/> under the same expanded key.</summary>
    public static void DecryptBlock(ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> input, Span<byte> output)
    {
        Check(expandedKey, input, output);
        if (IsAccelerated) DecryptVector(expandedKey, input, output);
        else DecryptScalar(expandedKey, input, output);
    }

    internal static void ExpandScalar(ReadOnlySpan<byte> key, Span<byte> expandedKey)
    {
        // FIPS 197 section 5.2; words are read little-endian, so RotWord is a rotation to the right.
        int words = key.Length / 4;
        key.CopyTo(expandedKey);
        uint previous = BinaryPrimitives.ReadUInt32LittleEndian(key[^4..]);
        uint constant = 1;
        for (int i = words; i < expandedKey.Length / 4; i++)
        {
            if (i % words == 0)
            {
                previous = AesSoft.SubWord(uint.RotateRight(previous, 8)) ^ constant;
                constant = (constant << 1) ^ ((constant >> 7) * 0x11B);
            }
            else if (words == 8 && i % 8 == 4)
            {
                previous = AesSoft.SubWord(previous);
            }

            previous ^= BinaryPrimitives.ReadUInt32LittleEndian(expandedKey[(4 * (i - words))..]);
            BinaryPrimitives.WriteUInt32LittleEndian(expandedKey[(4 * i)..], previous);
        }
    }

    internal static void EncryptScalar(ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> input, Span<byte> output)
    {
        input[..Bytes].CopyTo(output);
        AesSoft.EncryptBlocks(expandedKey, output[..Bytes]);
    }

    internal static void DecryptScalar(ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> input, Span<byte> output)
    {
        input[..Bytes].CopyTo(output);
        AesSoft.DecryptBlock(expandedKey, output[..Bytes]);
    }

    private static void Check(ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> input, Span<byte> output)
    {
        if (expandedKey.Length is not (Expanded128Bytes or Expanded256Bytes)) throw new ArgumentException("Not an expanded AES key.", nameof(expandedKey));
        ArgumentOutOfRangeException.ThrowIfLessThan(input.Length, Bytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(output.Length, Bytes);
    }
}
