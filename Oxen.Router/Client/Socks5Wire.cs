using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

internal enum Socks5Command : byte
{
    Connect = 1,
    Bind = 2,
    UdpAssociate = 3,
}

/// <summary>RFC 1928 section 6.</summary>
internal enum Socks5Reply : byte
{
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    NetworkUnreachable = 3,
    HostUnreachable = 4,
    ConnectionRefused = 5,
    TtlExpired = 6,
    CommandNotSupported = 7,
    AddressTypeNotSupported = 8,
}

// The messages of SOCKS5 (RFC 1928, RFC 1929), read from the bytes at hand:
//
//   greeting   5 | count 1 | methods                    at most 257
//   password   1 | length 1 | user | length 1 | password at most 513
//   request    5 | command 1 | 0 | destination           at most 262
//   UDP        0 0 | fragment 1 | destination | datagram
//
// `host` and the like are slices of the source.
internal static class Socks5Wire
{
    public const byte Version = 5;
    public const byte NoAuthentication = 0x00, UserPassword = 0x02, NoAcceptableMethod = 0xFF;
    public const int MaxMessageBytes = 513;
    public const int MaxUdpHeadBytes = 3 + ProxyWire.MaxDestinationBytes;

    public static WireResult ReadGreeting(ReadOnlySpan<byte> source, out ReadOnlySpan<byte> methods, out int consumed)
    {
        methods = default;
        consumed = 0;
        if (source.IsEmpty) return WireResult.Incomplete;
        if (source[0] != Version) return WireResult.Malformed;
        if (source.Length < 2) return WireResult.Incomplete;
        int count = source[1];
        if (count == 0) return WireResult.Malformed;
        if (source.Length < 2 + count) return WireResult.Incomplete;
        methods = source.Slice(2, count);
        consumed = 2 + count;
        return WireResult.Complete;
    }

    // RFC 1929 section 2 gives both lengths as 1 to 255; empty ones are taken as well, clients send them.
    public static WireResult ReadPassword(ReadOnlySpan<byte> source, out ReadOnlySpan<byte> user, out ReadOnlySpan<byte> password, out int consumed)
    {
        user = default;
        password = default;
        consumed = 0;
        if (source.IsEmpty) return WireResult.Incomplete;
        if (source[0] != 1) return WireResult.Malformed;
        if (source.Length < 2) return WireResult.Incomplete;
        int userBytes = source[1];
        if (source.Length < 3 + userBytes) return WireResult.Incomplete;
        int passwordBytes = source[2 + userBytes];
        if (source.Length < 3 + userBytes + passwordBytes) return WireResult.Incomplete;
        user = source.Slice(2, userBytes);
        password = source.Slice(3 + userBytes, passwordBytes);
        consumed = 3 + userBytes + passwordBytes;
        return WireResult.Complete;
    }

    /// <summary>Malformed together with a `refusal` other than GeneralFailure means: understood, but not served.</summary>
    public static WireResult ReadRequest(ReadOnlySpan<byte> source, out Socks5Command command, out ProxyDestination destination, out Socks5Reply refusal, out int consumed)
    {
        command = default;
        destination = default;
        consumed = 0;
        refusal = Socks5Reply.GeneralFailure;
        if (source.IsEmpty) return WireResult.Incomplete;
        if (source[0] != Version) return WireResult.Malformed;
        if (source.Length < 4) return WireResult.Incomplete;
        command = (Socks5Command)source[1];
        if (command is not (Socks5Command.Connect or Socks5Command.UdpAssociate))
        {
            refusal = Socks5Reply.CommandNotSupported;
            return WireResult.Malformed;
        }

        if (source[3] is not (ProxyWire.TypeIPv4 or ProxyWire.TypeName or ProxyWire.TypeIPv6))
        {
            refusal = Socks5Reply.AddressTypeNotSupported;
            return WireResult.Malformed;
        }

        // The reserved byte source[2] is ignored: RFC 1928 asks senders for 0 and receivers for nothing.
        WireResult result = ReadDestination(source[3..], out destination, out int used);
        if (result == WireResult.Complete) consumed = 3 + used;
        return result;
    }

    /// <summary>False: not for us, drop it. Fragments are refused, as RFC 1928 section 7 allows.</summary>
    public static bool TryReadUdp(ReadOnlySpan<byte> datagram, out ProxyDestination destination, out ReadOnlySpan<byte> payload)
    {
        destination = default;
        payload = default;
        if (datagram.Length < 4 || datagram[0] != 0 || datagram[1] != 0 || datagram[2] != 0) return false;
        if (ReadDestination(datagram[3..], out destination, out int used) != WireResult.Complete || destination.Port == 0) return false;
        payload = datagram[(3 + used)..];
        return true;
    }

    public static int WriteUdpHead(in ProxyDestination from, Span<byte> destination)
    {
        destination[..3].Clear();
        return 3 + ProxyWire.WriteDestination(from, destination[3..]);
    }

    public static int WriteReply(Socks5Reply reply, in ProxyDestination bound, Span<byte> destination)
    {
        destination[0] = Version;
        destination[1] = (byte)reply;
        destination[2] = 0;
        return 3 + ProxyWire.WriteDestination(bound.IsNone ? ProxyDestination.FromIPv4(0, 0) : bound, destination[3..]);
    }

    public static Socks5Reply From(ProxyStatus status) => status switch
    {
        ProxyStatus.Connected => Socks5Reply.Succeeded,
        ProxyStatus.PolicyRefused or ProxyStatus.NotAdmitted => Socks5Reply.NotAllowed,
        ProxyStatus.NameNotResolved or ProxyStatus.HostUnreachable => Socks5Reply.HostUnreachable,
        ProxyStatus.ConnectionRefused => Socks5Reply.ConnectionRefused,
        ProxyStatus.NetworkUnreachable => Socks5Reply.NetworkUnreachable,
        ProxyStatus.TimedOut => Socks5Reply.TtlExpired,
        ProxyStatus.NotOffered => Socks5Reply.CommandNotSupported,
        _ => Socks5Reply.GeneralFailure,
    };

    // Clients put addresses into the name field ("127.0.0.1", "::1"): they are taken for what they are.
    private static WireResult ReadDestination(ReadOnlySpan<byte> source, out ProxyDestination destination, out int consumed)
    {
        destination = default;
        WireResult result = ProxyWire.SplitDestination(source, out byte type, out ReadOnlySpan<byte> host, out ushort port, out consumed);
        if (result != WireResult.Complete) return result;
        if (type != ProxyWire.TypeName) return ProxyWire.ReadDestination(source, out destination, out consumed);
        Span<char> text = stackalloc char[ProxyDestination.MaxNameBytes];
        System.Text.Encoding.Latin1.GetChars(host, text);
        return ProxyDestination.TryFromHost(text[..host.Length], port, out destination) ? WireResult.Complete : WireResult.Malformed;
    }
}
