using System.Diagnostics;
using System.Security.Cryptography;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Quic.Tls;

// Shares and secrets on the wire:
//
//   X25519           client 32                          server 32                         secret 32
//   X25519MLKEM768   client ML-KEM key 1184 || X25519   server ciphertext 1088 || X25519  secret ML-KEM 32 || X25519 32
//
// The hybrid puts the lattice part first (draft-ietf-tls-ecdhe-mlkem). An all-zero X25519 result is refused
// (RFC 8446 section 7.4.2): the library returns nothing for it.

/// <summary>A client's half-open key exchange in one group.</summary>
internal sealed class TlsKeyShare : IDisposable
{
    public const int MaxSecretBytes = 64;

    private const int XBytes = X25519.PublicKeyBytes;

    private readonly byte[] _x = new byte[X25519.SecretKeyBytes];
    private readonly byte[]? _latticeSecret;

    public TlsKeyShare(ushort group, IEntropy entropy)
    {
        Group = group;
        int lattice = LatticeClientBytes(group);
        Public = new byte[lattice + XBytes];
        if (lattice != 0)
        {
            _latticeSecret = new byte[MlKem768.SecretKeyBytes];
            Span<byte> seed = stackalloc byte[MlKem768.SeedBytes];
            entropy.FillSecret(seed);
            MlKem768.GenerateKeyPair(seed, Public.AsSpan(0, lattice), _latticeSecret);
            CryptographicOperations.ZeroMemory(seed);
        }

        entropy.FillSecret(_x);
        X25519.PublicKey(_x, Public.AsSpan(lattice));
    }

    public ushort Group { get; }

    public byte[] Public { get; }

    /// <summary>The client's end of the exchange. False: the server's share is unusable.</summary>
    public bool TryFinish(ReadOnlySpan<byte> serverShare, Span<byte> secret, out int secretBytes)
    {
        int ciphertext = _latticeSecret is null ? 0 : MlKem768.CiphertextBytes;
        int lattice = _latticeSecret is null ? 0 : MlKem768.SharedSecretBytes;
        secretBytes = lattice + XBytes;
        if (serverShare.Length != ciphertext + XBytes) return false;
        if (_latticeSecret is not null && !MlKem768.Decapsulate(serverShare[..ciphertext], _latticeSecret, secret[..lattice])) return false;
        return X25519.TryAgree(serverShare[ciphertext..], _x, secret.Slice(lattice, XBytes));
    }

    /// <summary>The server's whole exchange in one step. False: the client's share is unusable.</summary>
    public static bool TryAnswer(ushort group, ReadOnlySpan<byte> clientShare, IEntropy entropy, out byte[] serverShare, Span<byte> secret, out int secretBytes)
    {
        int clientLattice = LatticeClientBytes(group);
        int ciphertext = clientLattice == 0 ? 0 : MlKem768.CiphertextBytes;
        int lattice = clientLattice == 0 ? 0 : MlKem768.SharedSecretBytes;
        secretBytes = lattice + XBytes;
        serverShare = new byte[ciphertext + XBytes];
        if (clientShare.Length != clientLattice + XBytes) return false;
        if (clientLattice != 0)
        {
            Span<byte> seed = stackalloc byte[MlKem768.EncapsulationSeedBytes];
            entropy.FillSecret(seed);
            bool valid = MlKem768.Encapsulate(clientShare[..clientLattice], serverShare.AsSpan(0, ciphertext), secret[..lattice], seed);
            CryptographicOperations.ZeroMemory(seed);
            if (!valid) return false;
        }

        Span<byte> x = stackalloc byte[X25519.SecretKeyBytes];
        entropy.FillSecret(x);
        X25519.PublicKey(x, serverShare.AsSpan(ciphertext));
        bool agreed = X25519.TryAgree(clientShare[clientLattice..], x, secret.Slice(lattice, XBytes));
        CryptographicOperations.ZeroMemory(x);
        return agreed;
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_x);
        CryptographicOperations.ZeroMemory(_latticeSecret);
    }

    private static int LatticeClientBytes(ushort group)
    {
        Debug.Assert(group is TlsGroup.X25519 or TlsGroup.X25519MlKem768);
        return group == TlsGroup.X25519MlKem768 ? MlKem768.PublicKeyBytes : 0;
    }
}
