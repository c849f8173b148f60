using System.Security.Cryptography;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Quic.Protection;

/// <summary>Keys of Initial packets, made of the client's first destination connection id: no secret at all. RFC 9001 section 5.2.</summary>
internal static class InitialSecrets
{
    public const TlsCipherSuite Suite = TlsCipherSuite.Aes128GcmSha256;

    private static readonly byte[] Salt = Convert.FromHexString("38762cf7f55934b34d179ae6a4c80cadccbb7f0a");

    public static void Derive(ReadOnlySpan<byte> destinationId, Span<byte> client32, Span<byte> server32)
    {
        Span<byte> secret = stackalloc byte[32];
        HKDF.Extract(HashAlgorithmName.SHA256, destinationId, Salt, secret);
        TlsKeySchedule.HkdfExpandLabel(HashAlgorithmName.SHA256, secret, "client in"u8, default, client32);
        TlsKeySchedule.HkdfExpandLabel(HashAlgorithmName.SHA256, secret, "server in"u8, default, server32);
    }
}
