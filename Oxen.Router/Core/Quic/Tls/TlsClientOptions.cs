namespace Oxen.Router.Core.Quic.Tls;

/// <summary>What a client offers and whom it accepts. Frozen once a session has begun.</summary>
internal sealed class TlsClientOptions
{
    /// <summary>Our key, shown only when the server asks for one. Null: stay anonymous. The options' owner disposes it.</summary>
    public TlsIdentity? Identity { get; init; }

    /// <summary>The server's Ed25519 key (32 bytes). Null accepts any key and is for tests and interoperation alone.</summary>
    public ReadOnlyMemory<byte>? PinnedServerKey { get; init; }

    /// <summary>True: raw public keys and nothing else. False: ordinary certificates, of which only the key is used, no chain is checked.</summary>
    public bool RawPublicKeys { get; init; } = true;

    /// <summary>Protocols in order of preference; at least one (RFC 9001 section 8.1).</summary>
    public required byte[][] Alpn { get; init; }

    /// <summary>Sent as server_name when given (ASCII host name).</summary>
    public string? ServerName { get; init; }

    public TlsCipherSuite[] Suites { get; init; } = [TlsCipherSuite.Aes128GcmSha256, TlsCipherSuite.Aes256GcmSha384, TlsCipherSuite.ChaCha20Poly1305Sha256];

    public ushort[] Groups { get; init; } = [TlsGroup.X25519MlKem768, TlsGroup.X25519];

    /// <summary>How many of the first groups get a key share in the first ClientHello; the others cost a HelloRetryRequest.</summary>
    public int KeyShares { get; init; } = 1;

    internal void Check()
    {
        TlsServerOptions.CheckLists(Alpn, Suites, Groups);
        if (PinnedServerKey is { Length: not TlsIdentity.KeyBytes }) throw new ArgumentException("a pinned key has 32 bytes");
        if (KeyShares < 1 || KeyShares > Groups.Length) throw new ArgumentException("key shares: from one to the number of groups");
        if (ServerName is { Length: 0 or > 255 }) throw new ArgumentException("a server name has 1 to 255 characters");
    }
}
