namespace Oxen.Router.Core.Quic.Tls;

/// <summary>Which keys protect a piece of the handshake (RFC 9001 section 2.1; there is no 0-RTT here).</summary>
internal enum EncryptionLevel : byte
{
    Initial = 0,
    Handshake = 1,
    Application = 2,
}
