using NSec.Cryptography;

namespace Oxen.Ons.Ledger;

/// <summary>Ed25519 (RFC 8032) for the ledger. What is signed is always a tag and hashes, never bare user bytes.</summary>
internal static class LedgerSignature
{
    public const int Bytes = 64;
    public const int SeedBytes = 32;

    private static readonly SignatureAlgorithm Ed25519 = SignatureAlgorithm.Ed25519;

    /// <summary>False as well for a key that is none.</summary>
    public static bool Verify(Bytes32 publicKey, ReadOnlySpan<byte> message, ReadOnlySpan<byte> signature)
    {
        Span<byte> key = stackalloc byte[Bytes32.Length];
        publicKey.CopyTo(key);
        return signature.Length == Bytes && PublicKey.TryImport(Ed25519, key, KeyBlobFormat.RawPublicKey, out PublicKey? imported) && Ed25519.Verify(imported!, message, signature);
    }

    public static bool Verify(Bytes32 publicKey, ReadOnlySpan<byte> tag, Bytes32 digest, ReadOnlySpan<byte> signature)
        => Verify(publicKey, Message(tag, digest), signature);

    internal static byte[] Message(ReadOnlySpan<byte> tag, Bytes32 digest)
    {
        byte[] message = new byte[tag.Length + 1 + Bytes32.Length];
        tag.CopyTo(message);
        digest.CopyTo(message.AsSpan(tag.Length + 1));
        return message;
    }
}
