using System.Buffers.Binary;

namespace Oxen.Router.Core.Hidden;

// A datagram between client and service: a record of type 3 inside a joint (docs/protocol/hidden-service.md#packets).
//
//   0             2        4                     at most 1332
//   +-------------+--------+----------+
//   | association | port   | datagram |      both ways the same: the client's number for its socket, the service's port
//   +-------------+--------+----------+
//
// Port 0: to or from the outside, at a service that is an exit. Then a destination stands before the datagram, as in the UDP record of
// docs/protocol/proxy.md.

/// <summary>Codec of UDP records inside a joint.</summary>
internal static class ServiceUdp
{
    public const int HeadBytes = 4;

    /// <summary>The port of what goes to the outside.</summary>
    public const ushort Outside = 0;

    public const int MaxPayloadBytes = JointSeal.MaxRecordBytes - HeadBytes;

    /// <summary>Returns the record's length. The payload has at most <see cref="MaxPayloadBytes"/>.</summary>
    public static int Write(ushort association, ushort port, ReadOnlySpan<byte> payload, Span<byte> record)
    {
        BinaryPrimitives.WriteUInt16BigEndian(record, association);
        BinaryPrimitives.WriteUInt16BigEndian(record[2..], port);
        payload.CopyTo(record[HeadBytes..]);
        return HeadBytes + payload.Length;
    }

    public static bool TryRead(ReadOnlySpan<byte> record, out ushort association, out ushort port, out ReadOnlySpan<byte> payload)
    {
        association = port = 0;
        payload = default;
        if (record.Length < HeadBytes) return false;
        association = BinaryPrimitives.ReadUInt16BigEndian(record);
        port = BinaryPrimitives.ReadUInt16BigEndian(record[2..]);
        payload = record[HeadBytes..];
        return true;
    }
}
