namespace Oxen.Router.Core.Quic.Tls;

// ServerHello, and HelloRetryRequest, which is one with a fixed random (RFC 8446 section 4.1.3):
//
//   legacy_version 2 | random 32 | session_id_echo <0..32> | cipher_suite 2 | compression 1 | extensions <6..>

/// <summary>What a client reads in a ServerHello, checked for form and for being TLS 1.3.</summary>
internal ref struct ServerHello
{
    public bool IsRetry;
    public TlsCipherSuite Suite;

    /// <summary>0: no key_share extension.</summary>
    public ushort Group;

    /// <summary>The server's share; empty in a HelloRetryRequest.</summary>
    public ReadOnlySpan<byte> Share;

    /// <summary>Empty: none.</summary>
    public ReadOnlySpan<byte> Cookie;

    /// <summary>SHA-256 of "HelloRetryRequest".</summary>
    public static ReadOnlySpan<byte> RetryRandom =>
    [
        0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
        0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
    ];

    public static byte TryParse(ReadOnlySpan<byte> body, out ServerHello hello, out string reason)
    {
        hello = default;
        reason = "malformed ServerHello";
        TlsReader reader = new(body);
        if (!reader.TryU16(out ushort legacyVersion) || !reader.TryTake(32, out ReadOnlySpan<byte> random) || !reader.TryVector8(0, out ReadOnlySpan<byte> sessionId) || sessionId.Length > 32
            || !reader.TryU16(out ushort suite) || !reader.TryU8(out byte compression))
        {
            return TlsAlert.DecodeError;
        }

        ReadOnlySpan<byte> block = default;
        if (!reader.IsEmpty && (!reader.TryVector16(0, out block) || !reader.IsEmpty)) return TlsAlert.DecodeError;
        hello.Suite = (TlsCipherSuite)suite;
        hello.IsRetry = random.SequenceEqual(RetryRandom);

        ushort version = 0;
        Span<ulong> seen = stackalloc ulong[TlsExtensionReader.SeenWords];
        seen.Clear();
        TlsExtensionReader extensions = new(block);
        while (extensions.TryNext(seen, out ushort type, out ReadOnlySpan<byte> content))
        {
            TlsReader inner = new(content);
            bool wellFormed;
            switch (type)
            {
                case TlsExtension.SupportedVersions:
                    wellFormed = inner.TryU16(out version) && inner.IsEmpty;
                    break;
                case TlsExtension.KeyShare:
                    wellFormed = inner.TryU16(out hello.Group) && (hello.IsRetry || inner.TryVector16(1, out hello.Share)) && inner.IsEmpty;
                    if (wellFormed && hello.Group == 0)
                    {
                        reason = "key_share of group 0";
                        return TlsAlert.IllegalParameter;
                    }

                    break;
                case TlsExtension.Cookie when hello.IsRetry:
                    wellFormed = inner.TryVector16(1, out hello.Cookie) && inner.IsEmpty;
                    break;
                default:
                    // All we offer is answered in EncryptedExtensions: here it is out of place; what we did not offer is unsupported.
                    reason = $"extension {type} in ServerHello";
                    return type is TlsExtension.SupportedGroups or TlsExtension.SignatureAlgorithms or TlsExtension.Alpn or TlsExtension.QuicTransportParameters
                        ? TlsAlert.IllegalParameter
                        : TlsAlert.UnsupportedExtension;
            }

            if (!wellFormed)
            {
                reason = $"malformed extension {type} in ServerHello";
                return TlsAlert.DecodeError;
            }
        }

        if (extensions.Alert != 0)
        {
            reason = extensions.Alert == TlsAlert.DecodeError ? reason : "an extension comes twice in ServerHello";
            return extensions.Alert;
        }

        if (version == 0)
        {
            reason = "the server does not speak TLS 1.3";
            return TlsAlert.ProtocolVersion;
        }

        if (version != 0x0304 || legacyVersion != 0x0303 || !sessionId.IsEmpty || compression != 0)
        {
            reason = "ServerHello with another version, a session id or compression";
            return TlsAlert.IllegalParameter;
        }

        return TlsAlert.None;
    }
}
