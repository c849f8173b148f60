using System.Security.Cryptography;
using NSec.Cryptography;
using Oxen.Router.Core.Wire;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

// Key blinding (docs/protocol/hidden-service.md#blinding), in the manner of Tor's rend-spec-v3 appendix A.2: a service's key
// (a, A = aB) becomes, in each period, (a' = ha, A' = hA). Who knows A and the period computes A'; who sees A' alone
// learns nothing of A and cannot tell two periods' keys of one service from those of two.
//
//   h    = SHA-256("oxen hidden blind v1" || A 32 || period 8 || period seconds 8 || randomness 32), clamped
//   RH'  = SHA-512("oxen hidden nonce v1" || RH 32 || A' 32), first 32 bytes
//   sign   r = SHA-512(RH' || M), R = rB, S = r + SHA-512(R || A' || M) a'        an ordinary Ed25519 signature by A'
//
// Unlike Tor's, RH' holds A': the same message signed in two periods must not share r, or the two would give away a.

/// <summary>What both sides compute of a blinded key.</summary>
internal static class KeyBlinding
{
    public const int KeyBytes = 32;
    public const int SignatureBytes = 64;

    /// <summary>h, clamped: a multiple of 8 below 2^255.</summary>
    public static void Factor(ServiceAddress address, ulong period, ReadOnlySpan<byte> randomness, Span<byte> factor)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(randomness.Length, ServicePeriod.RandomnessBytes);
        ReadOnlySpan<byte> label = "oxen hidden blind v1"u8;
        Span<byte> input = stackalloc byte[label.Length + KeyBytes + 16 + ServicePeriod.RandomnessBytes];
        var writer = new WireWriter(input);
        writer.Put(label);
        address.CopyTo(writer.Reserve(KeyBytes));
        writer.UInt64(period);
        writer.UInt64((ulong)ServicePeriod.Seconds);
        writer.Put(randomness);
        SHA256.HashData(input, factor);
        Clamp(factor);
    }

    /// <summary>A' = hA. False only for a key that is no point, which a <see cref="ServiceAddress"/> never holds.</summary>
    public static bool TryBlind(ServiceAddress address, ulong period, ReadOnlySpan<byte> randomness, Span<byte> blinded)
    {
        Span<byte> key = stackalloc byte[KeyBytes];
        Span<byte> factor = stackalloc byte[KeyBytes];
        address.CopyTo(key);
        Factor(address, period, randomness, factor);
        return Ed25519Group.TryMultiply(key, factor, blinded);
    }

    /// <summary>Checks a signature by a blinded key: RFC 8032, and the key must be a valid point of the prime-order group.</summary>
    public static bool Verify(ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature, ReadOnlySpan<byte> blinded)
    {
        if (signature.Length != SignatureBytes || blinded.Length != KeyBytes || !Ed25519Group.IsValidPoint(blinded)) return false;
        return PublicKey.TryImport(SignatureAlgorithm.Ed25519, blinded, KeyBlobFormat.RawPublicKey, out PublicKey? key)
            && SignatureAlgorithm.Ed25519.Verify(key!, data, signature);
    }

    internal static void Clamp(Span<byte> scalar)
    {
        scalar[0] &= 248;
        scalar[31] &= 63;
        scalar[31] |= 64;
    }
}
