using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using Oxen.Router.Core.Carrier.Kernels;

namespace Oxen.Router.Core.Onion;

// One layer of the onion: a tweakable permutation of the whole body, in the manner of UIV+ (docs/protocol/onion.md#permutation).
//
//  0          16                              body length
//  +----------+-------------------------------+
//  | X_L (16) | X_R (a multiple of 16)        |
//  +----------+-------------------------------+
//
//  forward   h   = POLYVAL(k2; T || X_R)
//            Y_L = AES(k1; X_L + h) + h
//            IV  = POLYVAL(k4; Y_L), low 7 bits of the last byte cleared
//            Y_R = X_R + AES-CTR(k3; IV)
//  inverse   the same from the bottom up
//
// Relays run forward whichever way a packet travels, clients invert.

/// <summary>One onion layer, in place.</summary>
internal static partial class OnionLayer
{
    public const int HeadBytes = 16, FullBodyBytes = 1376, ReducedBodyBytes = 1184;

    /// <summary>The counter has seven bits: a right half has at most 128 blocks.</summary>
    public const int MaxBodyBytes = HeadBytes + 128 * 16;

    public static int BodyBytes(SizeClass sizeClass) => sizeClass == SizeClass.Full ? FullBodyBytes : ReducedBodyBytes;

    /// <summary>What relays do, both ways.</summary>
    public static void Forward(Span<byte> body, ReadOnlySpan<byte> expandedKeys, in LayerTweak tweak)
    {
        Check(body, expandedKeys);
        if (AesBlock.IsAccelerated && Gf128.IsAccelerated) ForwardVector(body, expandedKeys, tweak);
        else ForwardScalar(body, expandedKeys, tweak);
    }

    /// <summary><see cref="Forward"/> on two bodies of any size and key: the second's work fills the waits of the first.</summary>
    public static void ForwardTwo(
        Span<byte> first, ReadOnlySpan<byte> firstKeys, in LayerTweak firstTweak, Span<byte> second, ReadOnlySpan<byte> secondKeys, in LayerTweak secondTweak)
    {
        Check(first, firstKeys);
        Check(second, secondKeys);
        if (AesBlock.IsAccelerated && Gf128.IsAccelerated)
        {
            ForwardTwoVector(first, firstKeys, firstTweak, second, secondKeys, secondTweak);
            return;
        }

        ForwardScalar(first, firstKeys, firstTweak);
        ForwardScalar(second, secondKeys, secondTweak);
    }

    /// <summary>What clients do: undoes <see cref="Forward"/>.</summary>
    public static void Inverse(Span<byte> body, ReadOnlySpan<byte> expandedKeys, in LayerTweak tweak)
    {
        Check(body, expandedKeys);
        if (AesBlock.IsAccelerated && Gf128.IsAccelerated) InverseVector(body, expandedKeys, tweak);
        else InverseScalar(body, expandedKeys, tweak);
    }

    internal static void ForwardScalar(Span<byte> body, ReadOnlySpan<byte> keys, in LayerTweak tweak)
    {
        Span<byte> h = stackalloc byte[HeadBytes];
        Span<byte> head = body[..HeadBytes], right = body[HeadBytes..];
        Hash(right, keys, tweak, h);
        Add(head, h);
        AesBlock.EncryptScalar(keys.Slice(LayerKeys.LeftKey, AesBlock.Expanded128Bytes), head, head);
        Add(head, h);
        Stream(right, head, keys);
        CryptographicOperations.ZeroMemory(h);
    }

    internal static void InverseScalar(Span<byte> body, ReadOnlySpan<byte> keys, in LayerTweak tweak)
    {
        Span<byte> h = stackalloc byte[HeadBytes];
        Span<byte> head = body[..HeadBytes], right = body[HeadBytes..];
        Stream(right, head, keys);
        Hash(right, keys, tweak, h);
        Add(head, h);
        AesBlock.DecryptScalar(keys.Slice(LayerKeys.LeftKey, AesBlock.Expanded128Bytes), head, head);
        Add(head, h);
        CryptographicOperations.ZeroMemory(h);
    }

    private static void Hash(ReadOnlySpan<byte> right, ReadOnlySpan<byte> keys, in LayerTweak tweak, Span<byte> h)
    {
        Span<byte> t = stackalloc byte[LayerTweak.Bytes];
        tweak.CopyTo(t);
        h.Clear();
        Gf128.AbsorbScalar<Gf128.AsIs>(t, keys.Slice(LayerKeys.HashKey, Gf128.PowersBytes), h);
        Gf128.AbsorbScalar<Gf128.AsIs>(right, keys.Slice(LayerKeys.HashKey, Gf128.PowersBytes), h);
    }

    private static void Stream(Span<byte> right, ReadOnlySpan<byte> head, ReadOnlySpan<byte> keys)
    {
        Span<byte> iv = stackalloc byte[HeadBytes];
        Gf128.MultiplyScalar(head, keys.Slice(LayerKeys.VectorKey, 16), iv);
        iv[15] &= 0x80;
        AesCtr.XorScalar(right, keys.Slice(LayerKeys.StreamKey, AesBlock.Expanded128Bytes), iv);
        CryptographicOperations.ZeroMemory(iv);
    }

    private static void Add(Span<byte> a, ReadOnlySpan<byte> b) => (Vector128.Create<byte>(a) ^ Vector128.Create(b)).CopyTo(a);

    private static void Check(Span<byte> body, ReadOnlySpan<byte> expandedKeys)
    {
        if (body.Length % 16 != 0 || body.Length < 2 * HeadBytes || body.Length > MaxBodyBytes)
            throw new ArgumentException("A body is 32 to 2064 bytes, a multiple of 16.", nameof(body));
        ArgumentOutOfRangeException.ThrowIfNotEqual(expandedKeys.Length, LayerKeys.ExpandedBytes);
    }
}
