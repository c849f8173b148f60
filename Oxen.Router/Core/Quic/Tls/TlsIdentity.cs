using System.Security.Cryptography;
using NSec.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

/// <summary>Who we are on a link: an Ed25519 key pair. The private half lives in libsodium's guarded memory until Dispose.</summary>
internal sealed class TlsIdentity : IDisposable
{
    public const int KeyBytes = 32;
    public const int SignatureBytes = 64;

    private readonly Key _key;
    private readonly byte[] _publicKey;

    /// <summary>Takes the key over; Dispose wipes it.</summary>
    public TlsIdentity(Key key)
    {
        if (key.Algorithm is not Ed25519) throw new ArgumentException("an identity is an Ed25519 key", nameof(key));
        _key = key;
        _publicKey = key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
    }

    public ReadOnlySpan<byte> PublicKey => _publicKey;

    public static TlsIdentity FromSeed(ReadOnlySpan<byte> seed)
    {
        if (seed.Length != KeyBytes) throw new ArgumentException("an Ed25519 seed has 32 bytes", nameof(seed));
        return new TlsIdentity(Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey));
    }

    public static TlsIdentity Create(IEntropy entropy)
    {
        Span<byte> seed = stackalloc byte[KeyBytes];
        entropy.FillSecret(seed);
        TlsIdentity identity = FromSeed(seed);
        CryptographicOperations.ZeroMemory(seed);
        return identity;
    }

    public void Sign(ReadOnlySpan<byte> data, Span<byte> signature) => SignatureAlgorithm.Ed25519.Sign(_key, data, signature);

    public void Dispose() => _key.Dispose();
}
