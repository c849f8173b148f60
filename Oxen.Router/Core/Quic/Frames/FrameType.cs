namespace Oxen.Router.Core.Quic.Frames;

/// <summary>Frame types. RFC 9000 section 12.4, table 3.</summary>
internal static class FrameType
{
    public const byte Padding = 0x00;
    public const byte Ping = 0x01;
    public const byte Ack = 0x02;
    public const byte AckEcn = 0x03;
    public const byte ResetStream = 0x04;
    public const byte StopSending = 0x05;
    public const byte Crypto = 0x06;
    public const byte NewToken = 0x07;
    public const byte Stream = 0x08;         // 0x08..0x0f: | OFF 4 | LEN 2 | FIN 1
    public const byte StreamLast = 0x0F;
    public const byte MaxData = 0x10;
    public const byte MaxStreamData = 0x11;
    public const byte MaxStreamsBidi = 0x12;
    public const byte MaxStreamsUni = 0x13;
    public const byte DataBlocked = 0x14;
    public const byte StreamDataBlocked = 0x15;
    public const byte StreamsBlockedBidi = 0x16;
    public const byte StreamsBlockedUni = 0x17;
    public const byte NewConnectionId = 0x18;
    public const byte RetireConnectionId = 0x19;
    public const byte PathChallenge = 0x1A;
    public const byte PathResponse = 0x1B;
    public const byte ConnectionClose = 0x1C;
    public const byte ConnectionCloseApplication = 0x1D;
    public const byte HandshakeDone = 0x1E;

    /// <summary>Whether a frame may stand in Initial and Handshake packets.</summary>
    public static bool AllowedInHandshake(ulong type) => type is Padding or Ping or Ack or AckEcn or Crypto or ConnectionClose;

    /// <summary>Whether a packet with this frame asks for an ACK. RFC 9000 section 13.2.</summary>
    public static bool IsAckEliciting(ulong type) => type is not (Padding or Ack or AckEcn or ConnectionClose or ConnectionCloseApplication);
}
