namespace Oxen.Router.Core.Quic.Tls;

// The numbers of RFC 8446 (appendix B), RFC 7250 and RFC 9001 that this code speaks.

/// <summary>Alert descriptions. On the wire of QUIC they are error codes 0x100 + alert (RFC 9001 section 4.8).</summary>
internal static class TlsAlert
{
    public const byte None = 0;             // close_notify, which QUIC does not use
    public const byte UnexpectedMessage = 10;
    public const byte HandshakeFailure = 40;
    public const byte BadCertificate = 42;
    public const byte UnsupportedCertificate = 43;
    public const byte CertificateUnknown = 46;
    public const byte IllegalParameter = 47;
    public const byte AccessDenied = 49;
    public const byte DecodeError = 50;
    public const byte DecryptError = 51;
    public const byte ProtocolVersion = 70;
    public const byte MissingExtension = 109;
    public const byte UnsupportedExtension = 110;
    public const byte CertificateRequired = 116;
    public const byte NoApplicationProtocol = 120;
}

internal static class TlsMessageType
{
    public const byte ClientHello = 1;
    public const byte ServerHello = 2;
    public const byte NewSessionTicket = 4;
    public const byte EncryptedExtensions = 8;
    public const byte Certificate = 11;
    public const byte CertificateRequest = 13;
    public const byte CertificateVerify = 15;
    public const byte Finished = 20;
    public const byte MessageHash = 254;
}

internal static class TlsExtension
{
    public const ushort ServerName = 0;
    public const ushort SupportedGroups = 10;
    public const ushort SignatureAlgorithms = 13;
    public const ushort Alpn = 16;
    public const ushort ClientCertificateType = 19;     // RFC 7250
    public const ushort ServerCertificateType = 20;     // RFC 7250
    public const ushort PreSharedKey = 41;
    public const ushort EarlyData = 42;
    public const ushort SupportedVersions = 43;
    public const ushort Cookie = 44;
    public const ushort SignatureAlgorithmsCert = 50;
    public const ushort KeyShare = 51;
    public const ushort QuicTransportParameters = 57;   // RFC 9001 section 8.2
}

internal static class TlsGroup
{
    public const ushort X25519 = 0x001D;
    public const ushort X25519MlKem768 = 0x11EC;
}

internal static class TlsSignatureScheme
{
    public const ushort EcdsaP256Sha256 = 0x0403;
    public const ushort RsaPssRsaeSha256 = 0x0804;
    public const ushort Ed25519 = 0x0807;
}

internal static class TlsCertificateType
{
    public const byte X509 = 0;
    public const byte RawPublicKey = 2;
}
