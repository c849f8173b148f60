using System.Security.Cryptography;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

/// <summary>A service's secret key of one period; signs.</summary>
internal sealed class BlindedKey : IDisposable
{
    private readonly byte[] _secret = GC.AllocateArray<byte>(64, pinned: true); // a' 32 || RH' 32
    private readonly byte[] _public = new byte[KeyBlinding.KeyBytes];

    /// <param name="expanded">a 32 || RH 32.</param>
    /// <param name="factor">h, clamped.</param>
    internal BlindedKey(ReadOnlySpan<byte> expanded, ReadOnlySpan<byte> factor, ulong period)
    {
        Period = period;
        Ed25519Group.Multiply(factor, expanded[..32], _secret.AsSpan(0, 32));
        if (!Ed25519Group.TryMultiplyBase(_secret.AsSpan(0, 32), _public)) throw new InvalidOperationException("libsodium made no blinded key");
        ReadOnlySpan<byte> label = "oxen hidden nonce v1"u8;
        Span<byte> input = stackalloc byte[label.Length + 64];
        label.CopyTo(input);
        expanded[32..].CopyTo(input[label.Length..]);
        _public.CopyTo(input[(label.Length + 32)..]);
        Span<byte> hash = stackalloc byte[64];
        SHA512.HashData(input, hash);
        hash[..32].CopyTo(_secret.AsSpan(32));
        CryptographicOperations.ZeroMemory(input);
        CryptographicOperations.ZeroMemory(hash);
    }

    public ulong Period { get; }

    public ReadOnlySpan<byte> PublicKey => _public;

    /// <summary>a', for vectors.</summary>
    internal ReadOnlySpan<byte> Scalar => _secret.AsSpan(0, 32);

    public void Sign(ReadOnlySpan<byte> data, Span<byte> signature)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(signature.Length, KeyBlinding.SignatureBytes);
        Span<byte> hash = stackalloc byte[64];
        Span<byte> r = stackalloc byte[32];
        Span<byte> product = stackalloc byte[32];
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA512);
        sha.AppendData(_secret.AsSpan(32));
        sha.AppendData(data);
        sha.GetHashAndReset(hash);
        Ed25519Group.Reduce(hash, r);
        if (!Ed25519Group.TryMultiplyBase(r, signature[..32])) throw new InvalidOperationException("libsodium made no signature");
        sha.AppendData(signature[..32]);
        sha.AppendData(_public);
        sha.AppendData(data);
        sha.GetHashAndReset(hash);
        Ed25519Group.Reduce(hash, product);
        Ed25519Group.Multiply(product, _secret.AsSpan(0, 32), product);
        Ed25519Group.Add(product, r, signature[32..]);
        CryptographicOperations.ZeroMemory(hash);
        CryptographicOperations.ZeroMemory(r);
        CryptographicOperations.ZeroMemory(product);
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_secret);
}
