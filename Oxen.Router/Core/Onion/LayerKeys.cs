using System.Security.Cryptography;
using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Router.Core.Onion.Kernels;

namespace Oxen.Router.Core.Onion;

//  0            176          352        368    384                  640
//  +------------+------------+----------+------+--------------------+
//  | k1 rounds  | k3 rounds  | k4       | zero | k2^16 … k2^1       |    ten cache lines
//  +------------+------------+----------+------+--------------------+

/// <summary>The four keys of a layer (one hop, direction and epoch), expanded once so that a packet pays nothing for them.</summary>
/// <remarks>Raw: k1 || k2 || k3 || k4, sixteen bytes each. The place of an expanded key should be aligned to 64 bytes.</remarks>
internal static class LayerKeys
{
    public const int RawBytes = 64;
    public const int ExpandedBytes = 640;

    internal const int LeftKey = 0, StreamKey = AesBlock.Expanded128Bytes, VectorKey = 352, HashKey = 384;

    public static void Expand(ReadOnlySpan<byte> raw, Span<byte> expanded)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(raw.Length, RawBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(expanded.Length, ExpandedBytes);
        AesBlock.Expand(raw[..16], expanded.Slice(LeftKey, AesBlock.Expanded128Bytes));
        AesBlock.Expand(raw.Slice(32, 16), expanded.Slice(StreamKey, AesBlock.Expanded128Bytes));
        raw.Slice(48, 16).CopyTo(expanded[VectorKey..]);
        expanded.Slice(VectorKey + 16, 16).Clear();
        Polyval.Expand(raw.Slice(16, 16), expanded.Slice(HashKey, Polyval.ExpandedBytes));
    }

    /// <summary>Wipes an expanded key.</summary>
    public static void Wipe(Span<byte> expanded) => CryptographicOperations.ZeroMemory(expanded);
}
