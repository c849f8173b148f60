using System.Security.Cryptography;
using NSec.Cryptography;
using Oxen.Router.Hosting;

namespace Oxen.Swarm.Nodes;

/// <summary>
/// A node's keys: Ed25519 for signatures and its name, and the X25519 key that belongs to it, for onion requests and for
/// talking to other nodes. The second is derived as libsodium's `crypto_sign_ed25519_sk_to_curve25519` does.
/// </summary>
public sealed class SwarmIdentity : IDisposable
{
    /// <summary>Length of the secret seed in bytes.</summary>
    public const int SeedBytes = 32;

    private readonly Key _signing;
    private readonly byte[] _ed25519, _x25519;
    private readonly byte[] _seed = GC.AllocateArray<byte>(SeedBytes, pinned: true), _agreement = GC.AllocateArray<byte>(OneTimeKeys.KeyBytes, pinned: true);

    /// <summary>Takes the keys from an Ed25519 seed of 32 bytes.</summary>
    /// <exception cref="ArgumentException">Not 32 bytes.</exception>
    public SwarmIdentity(ReadOnlySpan<byte> seed)
    {
        if (seed.Length != SeedBytes) throw new ArgumentException("a seed has 32 bytes", nameof(seed));
        _signing = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        seed.CopyTo(_seed);
        Span<byte> hash = stackalloc byte[64];
        SHA512.HashData(seed, hash);
        hash[0] &= 248;
        hash[31] = (byte)((hash[31] & 127) | 64);
        hash[..OneTimeKeys.KeyBytes].CopyTo(_agreement);
        CryptographicOperations.ZeroMemory(hash);
        _ed25519 = _signing.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        _x25519 = new byte[OneTimeKeys.KeyBytes];
        OneTimeKeys.PublicKey(_agreement, _x25519);
    }

    /// <summary>The node's id: its Ed25519 public key, 32 bytes.</summary>
    public ReadOnlyMemory<byte> Ed25519 => _ed25519;

    /// <summary>The X25519 public key, 32 bytes.</summary>
    public ReadOnlyMemory<byte> X25519 => _x25519;

    /// <summary>For the QUIC door, whose TLS signs with the same key.</summary>
    internal ReadOnlySpan<byte> Seed => _seed;

    internal byte[] Sign(ReadOnlySpan<byte> text) => SignatureAlgorithm.Ed25519.Sign(_signing, text);

    /// <summary>The 32 bytes shared with the owner of an X25519 key; false for keys of low order.</summary>
    internal bool TryAgree(ReadOnlySpan<byte> publicKey, Span<byte> shared) => publicKey.Length == OneTimeKeys.KeyBytes && OneTimeKeys.TryAgree(publicKey, _agreement, shared);

    /// <summary>Wipes the keys.</summary>
    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_seed);
        _signing.Dispose();
        CryptographicOperations.ZeroMemory(_agreement);
    }
}
