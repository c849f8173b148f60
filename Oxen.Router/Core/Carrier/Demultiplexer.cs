namespace Oxen.Router.Core.Carrier;

/// <summary>What shares our UDP socket, told by the first byte.</summary>
internal enum DatagramKind : byte
{
    Unknown,
    Sealed,
    Quic,
}

/// <summary>
/// First byte of a datagram to its protocol (RFC 9443 section 3, figure 2, without what we do not speak):
/// 0x40-0x7F QUIC short header, 0x80-0xBF sealed datagrams, 0xC0-0xFF QUIC long header. Neither side may grease the
/// fixed bit of QUIC (RFC 9287), or the kinds would mix.
/// </summary>
internal static class Demultiplexer
{
    public static DatagramKind KindOf(byte first) => (first >> 6) switch
    {
        2 => DatagramKind.Sealed,
        1 or 3 => DatagramKind.Quic,
        _ => DatagramKind.Unknown,
    };
}
