using System.Security.Cryptography;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Directory;

// A relay's onion key: what a path build is sealed to (docs/protocol/path-build.md).
//
//   id           8   first bytes of SHA-256("oxen onion key v1" || X25519 public || ML-KEM public)
//   X25519      32   public
//   ML-KEM    1184   public
//
// The secret form on disk is a seed of 96 bytes: X25519 secret 32 || ML-KEM seed 64.

/// <summary>The secret half of a relay's onion key, in memory that never moves and is wiped at the end.</summary>
internal sealed class OnionKeyPair : IDisposable
{
    public const int SeedBytes = X25519.SecretKeyBytes + MlKem768.SeedBytes;
    public const int IdBytes = 8;

    private readonly byte[] _secret = GC.AllocateArray<byte>(X25519.SecretKeyBytes + MlKem768.SecretKeyBytes, pinned: true);
    private readonly byte[] _public = new byte[X25519.PublicKeyBytes + MlKem768.PublicKeyBytes];

    public OnionKeyPair(ReadOnlySpan<byte> seed)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, SeedBytes);
        seed[..X25519.SecretKeyBytes].CopyTo(_secret);
        X25519.PublicKey(XSecret, _public.AsSpan(0, X25519.PublicKeyBytes));
        MlKem768.GenerateKeyPair(seed[X25519.SecretKeyBytes..], _public.AsSpan(X25519.PublicKeyBytes), _secret.AsSpan(X25519.SecretKeyBytes));
        Id = ComputeId(XPublic, KemPublic);
    }

    public static OnionKeyPair Create(IEntropy entropy)
    {
        Span<byte> seed = stackalloc byte[SeedBytes];
        entropy.FillSecret(seed);
        var pair = new OnionKeyPair(seed);
        CryptographicOperations.ZeroMemory(seed);
        return pair;
    }

    public ulong Id { get; }

    public ReadOnlySpan<byte> XPublic => _public.AsSpan(0, X25519.PublicKeyBytes);

    public ReadOnlySpan<byte> KemPublic => _public.AsSpan(X25519.PublicKeyBytes);

    internal ReadOnlySpan<byte> XSecret => _secret.AsSpan(0, X25519.SecretKeyBytes);

    internal ReadOnlySpan<byte> KemSecret => _secret.AsSpan(X25519.SecretKeyBytes);

    public static ulong ComputeId(ReadOnlySpan<byte> xPublic, ReadOnlySpan<byte> kemPublic)
    {
        ReadOnlySpan<byte> label = "oxen onion key v1"u8;
        Span<byte> input = stackalloc byte[label.Length + X25519.PublicKeyBytes + MlKem768.PublicKeyBytes];
        label.CopyTo(input);
        xPublic.CopyTo(input[label.Length..]);
        kemPublic.CopyTo(input[(label.Length + X25519.PublicKeyBytes)..]);
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(input, hash);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(hash);
    }

    /// <summary>
    /// True when a build could be sealed to these keys: the ML-KEM key decodes (FIPS 203 section 7.2: every 12-bit
    /// coefficient below 3329) and the X25519 key is no point of small order.
    /// </summary>
    public static bool AreUsable(ReadOnlySpan<byte> xPublic, ReadOnlySpan<byte> kemPublic)
    {
        for (int i = 0; i < MlKem768.PublicKeyBytes - 32; i += 3)
        {
            int first = kemPublic[i] | ((kemPublic[i + 1] & 0x0F) << 8);
            int second = (kemPublic[i + 1] >> 4) | (kemPublic[i + 2] << 4);
            if (first >= 3329 || second >= 3329) return false;
        }

        // Any clamped scalar is a multiple of the cofactor, so small-order points go to zero under a fixed one.
        Span<byte> scalar = stackalloc byte[X25519.SecretKeyBytes];
        scalar.Fill(0x55);
        Span<byte> shared = stackalloc byte[X25519.SharedSecretBytes];
        return X25519.TryAgree(xPublic, scalar, shared);
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_secret);
}
