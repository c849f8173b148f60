namespace Oxen.Router.Core.Quic;

/// <summary>Transport error codes. RFC 9000 section 20.1; RFC 9001 section 4.8 for <see cref="CryptoBase"/>.</summary>
internal static class QuicError
{
    public const ulong NoError = 0x00;
    public const ulong InternalError = 0x01;
    public const ulong ConnectionRefused = 0x02;
    public const ulong FlowControl = 0x03;
    public const ulong StreamLimit = 0x04;
    public const ulong StreamState = 0x05;
    public const ulong FinalSize = 0x06;
    public const ulong FrameEncoding = 0x07;
    public const ulong TransportParameter = 0x08;
    public const ulong ConnectionIdLimit = 0x09;
    public const ulong ProtocolViolation = 0x0A;
    public const ulong InvalidToken = 0x0B;
    public const ulong Application = 0x0C;
    public const ulong CryptoBufferExceeded = 0x0D;
    public const ulong KeyUpdate = 0x0E;
    public const ulong AeadLimitReached = 0x0F;
    public const ulong NoViablePath = 0x10;

    /// <summary>A TLS alert `a` is reported as 0x0100 + a.</summary>
    public const ulong CryptoBase = 0x0100;
}

/// <summary>Why a connection ended.</summary>
internal enum QuicCloseReason : byte
{
    None = 0,

    /// <summary>This side closed it by <see cref="QuicConnection.Close(ulong, ReadOnlySpan{byte}, Instant)"/>.</summary>
    Local,

    /// <summary>This side found the peer (or itself) in error.</summary>
    LocalError,

    /// <summary>The peer closed it with an application error code.</summary>
    Peer,

    /// <summary>The peer closed it with a transport error code.</summary>
    PeerError,
    IdleTimeout,
    HandshakeTimeout,
    StatelessReset,

    /// <summary>The server speaks no version 1.</summary>
    VersionNegotiation,
}
