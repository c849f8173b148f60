using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Paths;

// Key derivation of a path build, the same code on both sides (docs/protocol/path-build.md#keys):
//
//   relay context = SHA-256("oxen path relay v1"  || relay id || onion key id || X25519 public || ML-KEM public)
//   record hash   = SHA-256("oxen path record v1" || relay context || share || ciphertext)
//   seal keys     = HKDF(salt "oxen path seal v1",  ikm ss_static || ss_kem,                 info record hash, 96)
//                 = seal key 32 || request layer 64
//   transcript    = SHA-256("oxen path transcript v1" || record hash || SHA-256(record) || relay's share)
//   final keys    = HKDF(salt "oxen path final v1", ikm ss_static || ss_kem || ss_ephemeral, info transcript, 192)
//                 = chain upstream 32 || chain downstream 32 || session secret 32 || reply key 32 || reply layer 64
//
// HKDF is RFC 5869 with SHA-256. It is written out here over HMAC one-shots, because the library's Expand allocates.
internal static class BuildKeys
{
    public const int ContextBytes = 32;
    public const int SealKeysBytes = KeyBytes + LayerKeys.RawBytes;
    public const int KeyBytes = 32;

    /// <summary>ss_static || ss_kem || ss_ephemeral.</summary>
    public const int SharedBytes = 96;
    public const int ReplyKeysBytes = KeyBytes + LayerKeys.RawBytes;

    private const int HashBytes = 32;

    /// <summary>The nonce is always zero: every key here seals exactly once.</summary>
    public static ReadOnlySpan<byte> Nonce => "\0\0\0\0\0\0\0\0\0\0\0\0"u8;

    public static void RelayContext(RouterId relay, ulong onionKeyId, ReadOnlySpan<byte> xPublic, ReadOnlySpan<byte> kemPublic, Span<byte> context)
    {
        ReadOnlySpan<byte> label = "oxen path relay v1"u8;
        Span<byte> input = stackalloc byte[label.Length + RouterId.Bytes + 8 + X25519.PublicKeyBytes + MlKem768.PublicKeyBytes];
        label.CopyTo(input);
        Span<byte> rest = input[label.Length..];
        relay.CopyTo(rest);
        BinaryPrimitives.WriteUInt64BigEndian(rest[RouterId.Bytes..], onionKeyId);
        xPublic.CopyTo(rest[(RouterId.Bytes + 8)..]);
        kemPublic.CopyTo(rest[(RouterId.Bytes + 8 + X25519.PublicKeyBytes)..]);
        SHA256.HashData(input, context);
    }

    public static void RecordHash(ReadOnlySpan<byte> record, ReadOnlySpan<byte> relayContext, Span<byte> hash)
    {
        ReadOnlySpan<byte> label = "oxen path record v1"u8;
        Span<byte> input = stackalloc byte[label.Length + ContextBytes + BuildFormat.KeyPartBytes];
        label.CopyTo(input);
        relayContext.CopyTo(input[label.Length..]);
        record[..BuildFormat.KeyPartBytes].CopyTo(input[(label.Length + ContextBytes)..]);
        SHA256.HashData(input, hash);
    }

    /// <summary>Seal key 32 || request layer 64, from ss_static || ss_kem.</summary>
    public static void SealKeys(ReadOnlySpan<byte> shared64, ReadOnlySpan<byte> recordHash, Span<byte> keys96)
        => Hkdf("oxen path seal v1"u8, shared64, recordHash, keys96);

    public static void Transcript(ReadOnlySpan<byte> record, ReadOnlySpan<byte> recordHash, ReadOnlySpan<byte> relayShare, Span<byte> transcript)
    {
        ReadOnlySpan<byte> label = "oxen path transcript v1"u8;
        Span<byte> input = stackalloc byte[label.Length + (3 * HashBytes)];
        label.CopyTo(input);
        recordHash.CopyTo(input[label.Length..]);
        SHA256.HashData(record, input.Slice(label.Length + HashBytes, HashBytes));
        relayShare.CopyTo(input[(label.Length + (2 * HashBytes))..]);
        SHA256.HashData(input, transcript);
    }

    /// <summary>The three path secrets, then reply key 32 || reply layer 64, from all three shared secrets.</summary>
    public static void FinalKeys(ReadOnlySpan<byte> shared96, ReadOnlySpan<byte> transcript, Span<byte> pathSecrets96, Span<byte> replyKeys96)
    {
        Span<byte> all = stackalloc byte[(3 * PathHopSecrets.PartBytes) + ReplyKeysBytes];
        Hkdf("oxen path final v1"u8, shared96, transcript, all);
        all[..pathSecrets96.Length].CopyTo(pathSecrets96);
        all[pathSecrets96.Length..].CopyTo(replyKeys96);
        CryptographicOperations.ZeroMemory(all);
    }

    // RFC 5869: PRK = HMAC(salt, ikm); T(i) = HMAC(PRK, T(i-1) || info || i). Whole blocks and a 32-byte info only.
    private static void Hkdf(ReadOnlySpan<byte> salt, ReadOnlySpan<byte> ikm, ReadOnlySpan<byte> info, Span<byte> output)
    {
        Span<byte> prk = stackalloc byte[HashBytes];
        HMACSHA256.HashData(salt, ikm, prk);
        Span<byte> block = stackalloc byte[(2 * HashBytes) + 1];
        info.CopyTo(block[HashBytes..]);
        block[^1] = 1;
        HMACSHA256.HashData(prk, block[HashBytes..], output[..HashBytes]);
        for (int at = HashBytes; at < output.Length; at += HashBytes)
        {
            output.Slice(at - HashBytes, HashBytes).CopyTo(block);
            block[^1]++;
            HMACSHA256.HashData(prk, block, output.Slice(at, HashBytes));
        }

        CryptographicOperations.ZeroMemory(prk);
        CryptographicOperations.ZeroMemory(block);
    }
}
