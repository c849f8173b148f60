using System.Security.Cryptography;

namespace Oxen.Router.Core.Onion;

/// <summary>The chain of epoch secrets of one hop and direction (docs/protocol/onion.md#keys).</summary>
/// <remarks>
/// Both steps are HKDF-Expand of RFC 5869 with SHA-256; the chain value is already uniform and serves as the
/// pseudorandom key. The caller erases chain[e] as soon as chain[e + 1] and the keys of e exist.
/// </remarks>
internal static class EpochChain
{
    public const int ChainBytes = 32;

    private static ReadOnlySpan<byte> ChainInfo => "oxen onion v1 chain\u0001"u8;

    private static ReadOnlySpan<byte> KeysInfo => "oxen onion v1 layer keys"u8;

    /// <summary>chain[e + 1] from chain[e]; `next` may be `chain`.</summary>
    public static void Next(ReadOnlySpan<byte> chain, Span<byte> next)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(chain.Length, ChainBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(next.Length, ChainBytes);
        HMACSHA256.HashData(chain, ChainInfo, next);   // the last byte of ChainInfo is HKDF's block number
    }

    /// <summary>The raw layer keys of epoch e (64 bytes) from chain[e].</summary>
    public static void LayerKeys(ReadOnlySpan<byte> chain, Span<byte> raw)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(chain.Length, ChainBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(raw.Length, Onion.LayerKeys.RawBytes);
        // T(1) = HMAC(info || 1), T(2) = HMAC(T(1) || info || 2)
        Span<byte> input = stackalloc byte[32 + KeysInfo.Length + 1];
        KeysInfo.CopyTo(input[32..]);
        input[^1] = 1;
        HMACSHA256.HashData(chain, input[32..], raw[..32]);
        raw[..32].CopyTo(input);
        input[^1] = 2;
        HMACSHA256.HashData(chain, input, raw[32..]);
        CryptographicOperations.ZeroMemory(input);
    }
}
