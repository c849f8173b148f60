using System.Buffers.Binary;

namespace Oxen.Router.Core.Sessions;

// One of two parts of a record of another type (docs/protocol/session.md#fragments). Whole, with the record's own header:
//
//  0           1          3           4      6        7
//  +-----------+----------+-----------+------+--------+-------------------
//  | type 1: 5 | length 2 | of type 1 | id 2 | part 1 | bytes of the part
//  +-----------+----------+-----------+------+--------+-------------------
//
// The id counts up by one for each record that is split, for each path, direction and `of type` by itself: the shard that
// splits IP packets and the session thread that splits the others need not agree, and a terminal learns nothing from it
// about the client's other paths.

/// <summary>What a fragment says of itself.</summary>
internal readonly record struct RecordFragment(RecordType Of, ushort Id, byte Part)
{
    public const byte First = 0, Last = 1;

    /// <summary>In front of the part's bytes, inside the record.</summary>
    public const int HeaderBytes = 4;

    /// <summary>In front of the part's bytes, the record's own header included.</summary>
    public const int RecordBytes = RecordLayout.HeaderBytes + HeaderBytes;

    /// <summary>The type of the record that the bytes of a fragment are part of; End when there are none.</summary>
    public static RecordType TypeOf(ReadOnlySpan<byte> bytes) => bytes.IsEmpty ? RecordType.End : (RecordType)bytes[0];

    /// <summary>Reads the bytes of a record of type 5. False: malformed. `Session` messages are short and never split.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out RecordFragment fragment, out ReadOnlySpan<byte> part)
    {
        fragment = default;
        part = default;
        if (bytes.Length <= HeaderBytes || bytes[3] > Last || (RecordType)bytes[0] is not (RecordType.Ip or RecordType.Quic or RecordType.Udp)) return false;
        fragment = new RecordFragment((RecordType)bytes[0], BinaryPrimitives.ReadUInt16BigEndian(bytes[1..]), bytes[3]);
        part = bytes[HeaderBytes..];
        return true;
    }

    /// <summary>Writes the 7 bytes in front of a part of `length` bytes.</summary>
    public void Write(Span<byte> record, int length)
    {
        RecordLayout.WriteHeader(record, RecordType.Fragment, HeaderBytes + length);
        record[3] = (byte)Of;
        BinaryPrimitives.WriteUInt16BigEndian(record[4..], Id);
        record[6] = Part;
    }
}
