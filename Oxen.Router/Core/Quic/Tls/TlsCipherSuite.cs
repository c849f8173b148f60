using System.Security.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

/// <summary>RFC 8446 appendix B.4. The CCM suites are not ours.</summary>
internal enum TlsCipherSuite : ushort
{
    None = 0,
    Aes128GcmSha256 = 0x1301,
    Aes256GcmSha384 = 0x1302,
    ChaCha20Poly1305Sha256 = 0x1303,
}

internal static class TlsCipherSuites
{
    /// <summary>The hash of the suite's key schedule and transcript.</summary>
    public static HashAlgorithmName Hash(this TlsCipherSuite suite) =>
        suite == TlsCipherSuite.Aes256GcmSha384 ? HashAlgorithmName.SHA384 : HashAlgorithmName.SHA256;

    public static bool IsKnown(this TlsCipherSuite suite) =>
        suite is TlsCipherSuite.Aes128GcmSha256 or TlsCipherSuite.Aes256GcmSha384 or TlsCipherSuite.ChaCha20Poly1305Sha256;
}
