using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;

namespace Oxen.Router.Core.Sessions;

// Content of an onion packet between a client and the terminal of its path, command Records (docs/protocol/session.md):
//
//  0        1          3                         then the next record, or zeros to the end
//  +--------+----------+------------------+-----
//  | type 1 | length 2 | bytes            |
//  +--------+----------+------------------+-----

/// <summary>Type of a record.</summary>
internal enum RecordType : byte
{
    /// <summary>Padding: nothing follows.</summary>
    End = 0,

    /// <summary>An IP packet (the tunnel).</summary>
    Ip = 1,

    /// <summary>One datagram of the QUIC connection between client and terminal.</summary>
    Quic = 2,

    /// <summary>One UDP payload with association and remote address (docs/protocol/proxy.md).</summary>
    Udp = 3,

    /// <summary>A message of the exit session: <see cref="SessionMessage"/>.</summary>
    Session = 4,

    /// <summary>One of two parts of a record that no packet of the path's class holds: <see cref="RecordFragment"/>.</summary>
    Fragment = 5,

    /// <summary>Client to service, inside a joint: id 8. Asks for an <see cref="Answer"/>.</summary>
    Probe = 6,

    /// <summary>Service to client: the probe's id 8.</summary>
    Answer = 7,
}

/// <summary>
/// Commands of the path's two ends, in the first byte of an onion packet's content; those below
/// <see cref="Relay.OnionCommand.FirstOfEnds"/> are the hops' own.
/// </summary>
internal static class EndCommand
{
    /// <summary>Records follow.</summary>
    public const byte Records = Relay.OnionCommand.FirstOfEnds;

    /// <summary>A sealed packet between client and service: a rendezvous sends it on, and reads nothing of it (docs/protocol/hidden-service.md).</summary>
    public const byte Joined = Records + 1;

    /// <summary>One <see cref="Hidden.MeetingMessage"/>, for the introduction or rendezvous relay itself: never sent on.</summary>
    public const byte Meeting = Records + 2;
}

/// <summary>Sizes of records. The constants are those of the full class; nothing longer is ever sent, in whatever class.</summary>
internal static class RecordLayout
{
    public const int HeaderBytes = 3;

    /// <summary>Content of a full-class packet after the command byte: 1376 - 16 - 1.</summary>
    public const int ContentBytes = 1359;

    /// <summary>What one record alone in a full-class packet may hold.</summary>
    public const int MaxBytes = ContentBytes - HeaderBytes;

    /// <summary>Content of a packet of the class, after the command byte: 1359 or 1167.</summary>
    public static int ContentOf(SizeClass size) => SealedDatagram.ContentBytes(size);

    /// <summary>What one record alone in a packet of the class may hold: 1356 or 1164. A longer one travels as two fragments.</summary>
    public static int MaxOf(SizeClass size) => ContentOf(size) - HeaderBytes;

    public static void WriteHeader(Span<byte> record, RecordType type, int length)
    {
        record[0] = (byte)type;
        record[1] = (byte)(length >> 8);
        record[2] = (byte)length;
    }
}

/// <summary>Walks the records of a packet's content. Stops for good at the first one that is malformed.</summary>
internal ref struct RecordReader(Span<byte> content)
{
    private Span<byte> _rest = content;

    /// <summary>The content did not end in zeros or at its edge.</summary>
    public bool Malformed { get; private set; }

    public bool TryRead(out RecordType type, out Span<byte> bytes)
    {
        type = RecordType.End;
        bytes = default;
        if (_rest.Length < RecordLayout.HeaderBytes || _rest[0] == 0)
        {
            // What remains is padding; it must be zeros, so that nothing hides there.
            Malformed |= _rest.IndexOfAnyExcept((byte)0) >= 0;
            return false;
        }

        int length = (_rest[1] << 8) | _rest[2];
        if (length > _rest.Length - RecordLayout.HeaderBytes)
        {
            Malformed = true;
            return false;
        }

        type = (RecordType)_rest[0];
        bytes = _rest.Slice(RecordLayout.HeaderBytes, length);
        _rest = _rest[(RecordLayout.HeaderBytes + length)..];
        return true;
    }
}
