using System.Security.Cryptography;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

/// <summary>The secret half of a service's key: a seed of 32 bytes, as RFC 8032 has it. In memory that never moves, wiped at the end.</summary>
internal sealed class ServiceKey : IDisposable
{
    public const int SeedBytes = 32;

    private readonly byte[] _secret = GC.AllocateArray<byte>(64, pinned: true); // a, clamped 32 || RH 32

    public ServiceKey(ReadOnlySpan<byte> seed)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, SeedBytes);
        SHA512.HashData(seed, _secret);
        KeyBlinding.Clamp(_secret.AsSpan(0, 32));
        Span<byte> point = stackalloc byte[KeyBlinding.KeyBytes];
        if (!Ed25519Group.TryMultiplyBase(_secret.AsSpan(0, 32), point) || !ServiceAddress.TryFrom(point, out ServiceAddress address))
            throw new InvalidOperationException("libsodium made no Ed25519 key");
        Address = address;
    }

    public ServiceAddress Address { get; }

    /// <summary>The key of one period.</summary>
    public BlindedKey Blind(ulong period, ReadOnlySpan<byte> randomness)
    {
        Span<byte> factor = stackalloc byte[KeyBlinding.KeyBytes];
        KeyBlinding.Factor(Address, period, randomness, factor);
        return new BlindedKey(_secret, factor, period);
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_secret);
}
