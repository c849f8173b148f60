using System.Buffers.Binary;

namespace Oxen.Router.Core.Carrier.Kernels;

/// <summary>AES in counter mode, in place. The last four bytes of the counter block count, big-endian, modulo 2^32.</summary>
/// <remarks>SP 800-38A section 6.5 with the incrementing function inc32 of SP 800-38D. The caller keeps counters from meeting.</remarks>
internal static partial class AesCtr
{
    /// <summary>XORs the keystream that begins at `counter` (16 bytes) into `data`.</summary>
    public static void Xor(Span<byte> data, ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> counter)
    {
        if (expandedKey.Length is not (AesBlock.Expanded128Bytes or AesBlock.Expanded256Bytes)) throw new ArgumentException("Not an expanded AES key.", nameof(expandedKey));
        ArgumentOutOfRangeException.ThrowIfNotEqual(counter.Length, AesBlock.Bytes);
        if (AesBlock.IsAccelerated) XorVector(data, expandedKey, counter);
        else XorScalar(data, expandedKey, counter);
    }

    internal static void XorScalar(Span<byte> data, ReadOnlySpan<byte> expandedKey, ReadOnlySpan<byte> counter)
    {
        Span<byte> stream = stackalloc byte[AesSoft.BatchBytes];
        uint count = BinaryPrimitives.ReadUInt32BigEndian(counter[12..]);
        while (!data.IsEmpty)
        {
            for (int i = 0; i < stream.Length; i += 16)
            {
                counter[..12].CopyTo(stream[i..]);
                BinaryPrimitives.WriteUInt32BigEndian(stream[(i + 12)..], count++);
            }

            AesSoft.EncryptBlocks(expandedKey, stream);
            int n = Math.Min(stream.Length, data.Length);
            for (int i = 0; i < n; i++) data[i] ^= stream[i];
            data = data[n..];
        }

        stream.Clear();
    }
}
