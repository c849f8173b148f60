using System.Buffers.Binary;
using System.Text;

namespace Oxen.Router.Core.Wire;

/// <summary>First byte of every stream inside a path.</summary>
internal enum StreamKind : byte
{
    Connect = 0x01,
    Request = 0x02,
}

// What travels between a client and its exit about proxied traffic (docs/protocol/proxy.md):
//
//   stream header   kind 1 = 0x01 | destination | then raw bytes
//                   kind 1 = 0x02 | a request (docs/protocol/requests.md)
//   reply           status 1 | bound address as a destination (never a name) | then raw bytes
//   UDP record      association 2 | destination | bytes to the end                  (at most 1353 in all)
//
//   destination     type 1 = 1 | IPv4 4            | port 2
//                   type 1 = 3 | length 1 | name n | port 2      the numbers are those of RFC 1928 section 5
//                   type 1 = 4 | IPv6 16           | port 2
//
// Integers are big-endian. All of it is bounded, so a reader that has MaxHeaderBytes and still hears `Incomplete` cannot exist.
internal static class ProxyWire
{
    public const byte TypeIPv4 = 1, TypeName = 3, TypeIPv6 = 4;

    public const int MaxDestinationBytes = 1 + 1 + ProxyDestination.MaxNameBytes + 2;
    public const int MaxHeaderBytes = 1 + MaxDestinationBytes;

    /// <summary>Room for one UDP record: a record's content (1356) less type 1 and length 2.</summary>
    public const int MaxRecordBytes = 1353;

    /// <summary>Splits a destination without judging it: shared with SOCKS5, whose form this is.</summary>
    public static WireResult SplitDestination(ReadOnlySpan<byte> source, out byte type, out ReadOnlySpan<byte> host, out ushort port, out int consumed)
    {
        host = default;
        port = 0;
        consumed = 0;
        type = 0;
        if (source.IsEmpty) return WireResult.Incomplete;
        type = source[0];
        int start = 1;
        int length;
        switch (type)
        {
            case TypeIPv4: length = 4; break;
            case TypeIPv6: length = 16; break;
            case TypeName:
                if (source.Length < 2) return WireResult.Incomplete;
                start = 2;
                length = source[1];
                if (length == 0) return WireResult.Malformed;
                break;
            default: return WireResult.Malformed;
        }

        if (source.Length < start + length + 2) return WireResult.Incomplete;
        host = source.Slice(start, length);
        port = BinaryPrimitives.ReadUInt16BigEndian(source[(start + length)..]);
        consumed = start + length + 2;
        return WireResult.Complete;
    }

    public static WireResult ReadDestination(ReadOnlySpan<byte> source, out ProxyDestination destination, out int consumed)
    {
        destination = default;
        WireResult result = SplitDestination(source, out byte type, out ReadOnlySpan<byte> host, out ushort port, out consumed);
        if (result != WireResult.Complete) return result;
        if (type == TypeName) return ProxyDestination.TryFromName(host, port, out destination) ? WireResult.Complete : WireResult.Malformed;
        destination = ProxyDestination.FromAddress(UdpAddress.FromBytes(host, port));
        return WireResult.Complete;
    }

    /// <summary>Writes at most <see cref="MaxDestinationBytes"/>; returns how many.</summary>
    public static int WriteDestination(in ProxyDestination source, Span<byte> destination)
    {
        if (source.IsNone) throw new ArgumentException("a destination names something", nameof(source));
        int length;
        if (source.IsName)
        {
            destination[0] = TypeName;
            length = Encoding.ASCII.GetBytes(source.Name, destination[2..]);
            destination[1] = (byte)length;
            length += 2;
        }
        else
        {
            destination[0] = source.Address.Family == UdpFamily.IPv4 ? TypeIPv4 : TypeIPv6;
            length = 1 + source.Address.WriteAddress(destination[1..]);
        }

        BinaryPrimitives.WriteUInt16BigEndian(destination[length..], source.Port);
        return length + 2;
    }

    /// <summary>Reads the head of a stream. A request has no destination; its own framing follows.</summary>
    public static WireResult ReadStreamHeader(ReadOnlySpan<byte> source, out StreamKind kind, out ProxyDestination destination, out int consumed)
    {
        destination = default;
        kind = default;
        consumed = 0;
        if (source.IsEmpty) return WireResult.Incomplete;
        kind = (StreamKind)source[0];
        if (kind == StreamKind.Request)
        {
            consumed = 1;
            return WireResult.Complete;
        }

        if (kind != StreamKind.Connect) return WireResult.Malformed;
        WireResult result = ReadDestination(source[1..], out destination, out int used);
        if (result != WireResult.Complete) return result;
        if (destination.Port == 0) return WireResult.Malformed;
        consumed = 1 + used;
        return WireResult.Complete;
    }

    public static int WriteConnectHeader(in ProxyDestination target, Span<byte> destination)
    {
        destination[0] = (byte)StreamKind.Connect;
        return 1 + WriteDestination(target, destination[1..]);
    }

    public static WireResult ReadReply(ReadOnlySpan<byte> source, out ProxyStatus status, out ProxyDestination bound, out int consumed)
    {
        bound = default;
        status = default;
        consumed = 0;
        if (source.IsEmpty) return WireResult.Incomplete;
        status = (ProxyStatus)source[0];
        if (status > ProxyStatus.NotAdmitted) return WireResult.Malformed;
        if (source.Length > 1 && source[1] == TypeName) return WireResult.Malformed;
        WireResult result = ReadDestination(source[1..], out bound, out int used);
        if (result == WireResult.Complete) consumed = 1 + used;
        return result;
    }

    /// <param name="bound">The exit's own end; `default` writes 0.0.0.0:0.</param>
    public static int WriteReply(ProxyStatus status, in ProxyDestination bound, Span<byte> destination)
    {
        destination[0] = (byte)status;
        return 1 + WriteDestination(bound.IsNone || bound.IsName ? ProxyDestination.FromIPv4(0, 0) : bound, destination[1..]);
    }

    public static bool TryReadRecord(ReadOnlySpan<byte> record, out ushort association, out ProxyDestination destination, out ReadOnlySpan<byte> payload)
    {
        association = 0;
        destination = default;
        payload = default;
        if (record.Length is < 2 or > MaxRecordBytes) return false;
        association = BinaryPrimitives.ReadUInt16BigEndian(record);
        if (ReadDestination(record[2..], out destination, out int used) != WireResult.Complete) return false;
        payload = record[(2 + used)..];
        return true;
    }

    /// <summary>Returns the record's length, or 0 if it does not fit <see cref="MaxRecordBytes"/> (a counted drop).</summary>
    /// <param name="record">At least <see cref="MaxRecordBytes"/> of room.</param>
    public static int WriteRecord(ushort association, in ProxyDestination to, ReadOnlySpan<byte> payload, Span<byte> record)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(record.Length, MaxRecordBytes);
        BinaryPrimitives.WriteUInt16BigEndian(record, association);
        int head = 2 + WriteDestination(to, record[2..]);
        if (payload.Length > MaxRecordBytes - head) return 0;
        payload.CopyTo(record[head..]);
        return head + payload.Length;
    }
}
