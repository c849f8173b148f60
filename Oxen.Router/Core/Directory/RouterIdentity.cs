using System.Security.Cryptography;
using NSec.Cryptography;

namespace Oxen.Router.Core.Directory;

/// <summary>
/// Who a router is: an Ed25519 key. The same 32-byte seed makes the key that it shows on links (RFC 7250 raw public
/// key), so the router id is what peers pin.
/// </summary>
internal sealed class RouterIdentity : IDisposable
{
    public const int SeedBytes = 32;
    public const int SignatureBytes = 64;

    private readonly byte[] _seed = GC.AllocateArray<byte>(SeedBytes, pinned: true);
    private readonly Key _key;

    public RouterIdentity(ReadOnlySpan<byte> seed)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, SeedBytes);
        seed.CopyTo(_seed);
        _key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        Id = new RouterId(_key.PublicKey.Export(KeyBlobFormat.RawPublicKey));
    }

    public static RouterIdentity Create(IEntropy entropy)
    {
        Span<byte> seed = stackalloc byte[SeedBytes];
        entropy.FillSecret(seed);
        var identity = new RouterIdentity(seed);
        CryptographicOperations.ZeroMemory(seed);
        return identity;
    }

    public RouterId Id { get; }

    /// <summary>The secret seed, for the key file and the link's TLS identity. Do not keep a copy.</summary>
    public ReadOnlySpan<byte> Seed => _seed;

    public void Sign(ReadOnlySpan<byte> data, Span<byte> signature) => SignatureAlgorithm.Ed25519.Sign(_key, data, signature);

    /// <summary>False for a wrong signature, and for an id that is no public key.</summary>
    public static bool Verify(ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature, RouterId id)
    {
        Span<byte> key = stackalloc byte[RouterId.Bytes];
        id.CopyTo(key);
        return PublicKey.TryImport(SignatureAlgorithm.Ed25519, key, KeyBlobFormat.RawPublicKey, out PublicKey? publicKey)
            && SignatureAlgorithm.Ed25519.Verify(publicKey!, data, signature);
    }

    public void Dispose()
    {
        _key.Dispose();
        CryptographicOperations.ZeroMemory(_seed);
    }
}
