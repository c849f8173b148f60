using System.Security.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

/// <summary>Says whether a client with this Ed25519 key may come in.</summary>
internal delegate bool TlsKeyCheck(ReadOnlySpan<byte> publicKey);

/// <summary>What a server accepts. Shared by all its sessions.</summary>
internal sealed class TlsServerOptions
{
    /// <summary>Our key, shown as a raw public key. The options' owner disposes it.</summary>
    public required TlsIdentity Identity { get; init; }

    /// <summary>Ask the client for its raw public key.</summary>
    public bool RequestClientKey { get; init; }

    /// <summary>Turn away clients without a key. Implies <see cref="RequestClientKey"/>.</summary>
    public bool RequireClientKey { get; init; }

    /// <summary>Asked about every client key, before its signature is checked.</summary>
    public TlsKeyCheck? AcceptClientKey { get; init; }

    /// <summary>Protocols in order of preference; at least one.</summary>
    public required byte[][] Alpn { get; init; }

    /// <summary>In order of preference: the first that the client offers too is taken.</summary>
    public TlsCipherSuite[] Suites { get; init; } = [TlsCipherSuite.Aes128GcmSha256, TlsCipherSuite.Aes256GcmSha384, TlsCipherSuite.ChaCha20Poly1305Sha256];

    /// <summary>In order of preference, among those with a key share; a HelloRetryRequest only if there is none.</summary>
    public ushort[] Groups { get; init; } = [TlsGroup.X25519MlKem768, TlsGroup.X25519];

    /// <summary>DER certificates, the leaf first, for clients that do not speak raw public keys. Null or empty: turn those away.</summary>
    public byte[][]? CertificateChain { get; init; }

    /// <summary>The leaf's P-256 key. Null: the leaf holds the key of <see cref="Identity"/>.</summary>
    public ECDsa? CertificateKey { get; init; }

    internal bool AsksForClientKey => RequestClientKey || RequireClientKey;

    internal void Check() => CheckLists(Alpn, Suites, Groups);

    internal static void CheckLists(byte[][] alpn, TlsCipherSuite[] suites, ushort[] groups)
    {
        if (alpn.Length == 0) throw new ArgumentException("QUIC needs an application protocol");
        foreach (byte[] name in alpn)
        {
            if (name.Length is 0 or > 255) throw new ArgumentException("a protocol's name has 1 to 255 bytes");
        }

        if (suites.Length == 0 || suites.Distinct().Count() != suites.Length || !suites.All(TlsCipherSuites.IsKnown))
            throw new ArgumentException("cipher suites: known ones, each once");
        if (groups.Length == 0 || groups.Distinct().Count() != groups.Length || !groups.All(g => g is TlsGroup.X25519 or TlsGroup.X25519MlKem768))
            throw new ArgumentException("groups: known ones, each once");
    }
}
