using System.Buffers.Binary;

namespace Oxen.Router.Core.Quic.Packets;

internal enum PacketKind : byte
{
    Initial = 0,
    ZeroRtt = 1,
    Handshake = 2,
    Retry = 3,
    OneRtt,
    VersionNegotiation,
    UnknownVersion,
}

/// <summary>
/// The part of a packet's header that is readable without keys.
/// <code>
///  long   0       1          5        6          6+d      7+d        7+d+s
///         +-------+----------+--------+----------+--------+----------+------------------------------------------+
///         | flags | version  | d      | dest. id | s      | src. id  | Initial: token length, token; then all:  |
///         |       |          |        | (d)      |        | (s)      | length (varint), packet number, payload  |
///         +-------+----------+--------+----------+--------+----------+------------------------------------------+
///  short  0       1                   9
///         +-------+-------------------+---------------+---------+
///         | flags | destination id    | packet number | payload |      the ids that this engine issues have 8 bytes
///         +-------+-------------------+---------------+---------+
/// </code>
/// RFC 9000 section 17, RFC 8999.
/// </summary>
internal readonly ref struct PacketHeader
{
    /// <summary>Length of every connection id that this engine issues.</summary>
    public const int LocalIdBytes = 8;
    public const uint Version1 = 1;

    public PacketKind Kind { get; private init; }

    public uint Version { get; private init; }

    public ReadOnlySpan<byte> Destination { get; private init; }

    public ReadOnlySpan<byte> Source { get; private init; }

    public ReadOnlySpan<byte> Token { get; private init; }

    /// <summary>Where the packet number stands.</summary>
    public int NumberOffset { get; private init; }

    /// <summary>Bytes of this packet inside the datagram.</summary>
    public int PacketLength { get; private init; }

    /// <summary>Reads the header of the packet at the front of <paramref name="datagram"/>. False: malformed, the rest of the datagram is useless.</summary>
    public static bool TryRead(ReadOnlySpan<byte> datagram, out PacketHeader header)
    {
        header = default;
        if (datagram.IsEmpty) return false;
        if ((datagram[0] & 0x80) == 0)
        {
            // The fixed bit must be set. RFC 9000 section 17.3.1
            if ((datagram[0] & 0x40) == 0 || datagram.Length < 1 + LocalIdBytes) return false;
            header = new PacketHeader
            {
                Kind = PacketKind.OneRtt,
                Version = Version1,
                Destination = datagram.Slice(1, LocalIdBytes),
                NumberOffset = 1 + LocalIdBytes,
                PacketLength = datagram.Length,
            };
            return true;
        }

        if (datagram.Length < 7) return false;
        uint version = BinaryPrimitives.ReadUInt32BigEndian(datagram[1..]);
        ReadOnlySpan<byte> rest = datagram[5..];
        int length = rest[0];
        if (rest.Length < length + 2) return false;
        ReadOnlySpan<byte> destination = rest.Slice(1, length);
        rest = rest[(1 + length)..];
        length = rest[0];
        if (rest.Length < length + 1) return false;
        ReadOnlySpan<byte> source = rest.Slice(1, length);
        rest = rest[(1 + length)..];

        if (version != Version1)
        {
            header = new PacketHeader
            {
                Kind = version == 0 ? PacketKind.VersionNegotiation : PacketKind.UnknownVersion,
                Version = version,
                Destination = destination,
                Source = source,
                NumberOffset = datagram.Length - rest.Length,
                PacketLength = datagram.Length,
            };
            return true;
        }

        if ((datagram[0] & 0x40) == 0 || destination.Length > ConnectionId.MaxBytes || source.Length > ConnectionId.MaxBytes) return false;
        var kind = (PacketKind)((datagram[0] >> 4) & 3);
        ReadOnlySpan<byte> token = default;
        if (kind == PacketKind.Retry)
        {
            if (rest.Length < 16) return false;
            header = new PacketHeader
            {
                Kind = kind, Version = version, Destination = destination, Source = source,
                Token = rest[..^16], NumberOffset = datagram.Length, PacketLength = datagram.Length,
            };
            return true;
        }

        if (kind == PacketKind.Initial)
        {
            if (!Varint.TryRead(ref rest, out ulong tokenLength) || tokenLength > (ulong)rest.Length) return false;
            token = rest[..(int)tokenLength];
            rest = rest[(int)tokenLength..];
        }

        if (!Varint.TryRead(ref rest, out ulong payload) || payload > (ulong)rest.Length) return false;
        int numberOffset = datagram.Length - rest.Length;
        header = new PacketHeader
        {
            Kind = kind, Version = version, Destination = destination, Source = source,
            Token = token, NumberOffset = numberOffset, PacketLength = numberOffset + (int)payload,
        };
        return true;
    }
}
