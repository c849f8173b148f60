using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

// The introduction: a client's first message to a service, by way of an introduction relay; and the service's answer, by way of
// the rendezvous (docs/protocol/hidden-service.md#handshake). Sizes are fixed.
//
// introduction                                    sealed part
//    0     8   id of the service's session key       0   32   rendezvous relay
//    8     8   first bytes of the effort seed       32   32   cookie
//   16     4   effort                               64    1   version (1)
//   20    16   proof of effort                      65    1   flags: 1 continue a session
//   36    32   client's X25519 share                66   16   session id, or zeros
//   68  1088   ML-KEM-768 ciphertext                82   32   proof of the session, or zeros
// 1156   128   sealed part                         114   14   zeros
// 1284    16   tag
//
// answer                                          sealed part
//    0    32   service's X25519 share                0   32   key of the QUIC server inside
//   32    64   sealed part                          32    1   flags: 1 the session goes on
//   96    16   tag                                  33   31   zeros

/// <summary>Sizes and offsets of introduction and answer.</summary>
internal static class IntroductionFormat
{
    public const int Bytes = TagAt + TagBytes;
    public const int KeyIdAt = 0;
    public const int SeedHeadAt = 8;
    public const int SeedHeadBytes = 8;
    public const int EffortAt = 16;
    public const int ProofAt = 20;
    public const int ProofBytes = 16;
    public const int ShareAt = 36;
    public const int CiphertextAt = ShareAt + X25519.PublicKeyBytes;
    public const int SealedAt = CiphertextAt + MlKem768.CiphertextBytes;
    public const int SealedBytes = 128;
    public const int TagAt = SealedAt + SealedBytes;
    public const int TagBytes = SodiumChaCha20Poly1305.TagBytes;

    public const byte Version = 1;
    public const int CookieBytes = 32;
    public const int CookieAt = RouterId.Bytes;
    public const int VersionAt = CookieAt + CookieBytes;
    public const int FlagsAt = VersionAt + 1;
    public const int SessionIdAt = FlagsAt + 1;
    public const int SessionIdBytes = 16;
    public const int SessionProofAt = SessionIdAt + SessionIdBytes;
    public const int SessionProofBytes = 32;
    public const int ReserveAt = SessionProofAt + SessionProofBytes;
    public const byte ContinueFlag = 1;

    public const int AnswerSealedAt = X25519.PublicKeyBytes;
    public const int AnswerSealedBytes = 64;
    public const int AnswerBytes = AnswerSealedAt + AnswerSealedBytes + TagBytes;
}

/// <summary>Key derivation of the end-to-end session, the same code on both sides (docs/protocol/hidden-service.md#keys).</summary>
internal static class HiddenKeys
{
    public const int SharedBytes = 32;

    /// <summary>answer key 32 || client to service 32 || service to client 32 || continuation secret 32 || session id 16.</summary>
    public const int FinalBytes = 4 * 32 + IntroductionFormat.SessionIdBytes;

    /// <summary>Zeros: every key that it is used with seals exactly once.</summary>
    public static ReadOnlySpan<byte> Nonce => "\0\0\0\0\0\0\0\0\0\0\0\0"u8;

    /// <summary>Hash over who is meant and the client's shares.</summary>
    public static void IntroductionHash(ReadOnlySpan<byte> introduction, ReadOnlySpan<byte> subcredential, ReadOnlySpan<byte> serviceX, ReadOnlySpan<byte> serviceKem, Span<byte> hash)
    {
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        sha.AppendData("oxen introduction v1"u8);
        sha.AppendData(subcredential);
        sha.AppendData(serviceX);
        sha.AppendData(serviceKem);
        sha.AppendData(introduction[IntroductionFormat.ShareAt..IntroductionFormat.SealedAt]);
        sha.GetHashAndReset(hash);
    }

    /// <summary>Seal key of the introduction, from static X25519 || ML-KEM.</summary>
    public static void SealKey(ReadOnlySpan<byte> shared64, ReadOnlySpan<byte> introductionHash, Span<byte> key) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, shared64, key, "oxen introduction seal v1"u8, introductionHash);

    /// <summary>All keys of the joint, from static X25519 || ML-KEM || ephemeral X25519.</summary>
    public static void Final(ReadOnlySpan<byte> shared96, ReadOnlySpan<byte> introduction, ReadOnlySpan<byte> introductionHash, ReadOnlySpan<byte> serviceShare, Span<byte> keys)
    {
        ReadOnlySpan<byte> label = "oxen hidden transcript v1"u8;
        Span<byte> input = stackalloc byte[label.Length + 96];
        label.CopyTo(input);
        introductionHash.CopyTo(input[label.Length..]);
        SHA256.HashData(introduction[IntroductionFormat.SealedAt..], input.Slice(label.Length + 32, 32));
        serviceShare.CopyTo(input[(label.Length + 64)..]);
        Span<byte> transcript = stackalloc byte[32];
        SHA256.HashData(input, transcript);
        HKDF.DeriveKey(HashAlgorithmName.SHA256, shared96, keys, "oxen hidden final v1"u8, transcript);
    }

    /// <summary>Proves that who introduces himself now held the session before: HMAC(continuation secret, label || introduction hash || rendezvous || cookie).</summary>
    public static void SessionProof(ReadOnlySpan<byte> secret, ReadOnlySpan<byte> introductionHash, ReadOnlySpan<byte> rendezvousAndCookie, Span<byte> proof)
    {
        ReadOnlySpan<byte> label = "oxen hidden continue v1"u8;
        Span<byte> input = stackalloc byte[label.Length + 32 + RouterId.Bytes + IntroductionFormat.CookieBytes];
        label.CopyTo(input);
        introductionHash.CopyTo(input[label.Length..]);
        rendezvousAndCookie.CopyTo(input[(label.Length + 32)..]);
        HMACSHA256.HashData(secret, input, proof);
    }
}
