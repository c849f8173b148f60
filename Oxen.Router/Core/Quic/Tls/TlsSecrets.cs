using System.Security.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

/// <summary>The two traffic secrets of one level. Whoever takes them wipes them.</summary>
internal sealed class TlsSecrets(EncryptionLevel level, TlsCipherSuite suite, byte[] clientSecret, byte[] serverSecret) : IDisposable
{
    public EncryptionLevel Level { get; } = level;

    public TlsCipherSuite Suite { get; } = suite;

    public byte[] ClientSecret { get; } = clientSecret;

    public byte[] ServerSecret { get; } = serverSecret;

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(ClientSecret);
        CryptographicOperations.ZeroMemory(ServerSecret);
    }
}
