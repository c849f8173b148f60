using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Oxen.Router.Mapped;

/// <summary>Tells a program on this machine that its datagram went nowhere, as a router would (RFC 792, RFC 4443): its socket hears of it.</summary>
internal static class Unreachable
{
    private const int Icmp = 8, Udp = 8;

    /// <param name="open">Makes a socket.</param>
    /// <param name="from">The program's address and port.</param>
    /// <param name="to">Where it sent to.</param>
    public static void Tell(Func<AddressFamily, SocketType, ProtocolType, Socket> open, IPEndPoint from, IPEndPoint to)
    {
        bool four = from.AddressFamily == AddressFamily.InterNetwork;
        byte[] message = four ? Four(from, to) : Six(from, to);
        try
        {
            using Socket socket = open(from.AddressFamily, SocketType.Raw, four ? ProtocolType.Icmp : ProtocolType.IcmpV6);
            socket.SendTo(message, new IPEndPoint(from.Address, 0));
        }
        catch (SocketException)
        {
            // CAP_NET_RAW is missing: the program waits as for any lost datagram.
        }
    }

    // type 3, code 3 (port: the kernel keeps host unreachable from sockets), checksum, 4 unused | IPv4 header without options | UDP header
    private static byte[] Four(IPEndPoint from, IPEndPoint to)
    {
        byte[] message = new byte[Icmp + 20 + Udp];
        (message[0], message[1]) = (3, 3);
        Span<byte> ip = message.AsSpan(Icmp);
        ip[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(ip[2..], 20 + Udp);
        (ip[8], ip[9]) = (64, 17);
        from.Address.TryWriteBytes(ip[12..], out _);
        to.Address.TryWriteBytes(ip[16..], out _);
        BinaryPrimitives.WriteUInt16BigEndian(ip[10..], Checksum(ip[..20]));
        Ports(ip[20..], from, to);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), Checksum(message));
        return message;
    }

    // type 1, code 4, checksum (the kernel writes it), 4 unused | IPv6 header | UDP header
    private static byte[] Six(IPEndPoint from, IPEndPoint to)
    {
        byte[] message = new byte[Icmp + 40 + Udp];
        (message[0], message[1]) = (1, 4);
        Span<byte> ip = message.AsSpan(Icmp);
        ip[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(ip[4..], Udp);
        (ip[6], ip[7]) = (17, 64);
        from.Address.TryWriteBytes(ip[8..], out _);
        to.Address.TryWriteBytes(ip[24..], out _);
        Ports(ip[40..], from, to);
        return message;
    }

    private static void Ports(Span<byte> udp, IPEndPoint from, IPEndPoint to)
    {
        BinaryPrimitives.WriteUInt16BigEndian(udp, (ushort)from.Port);
        BinaryPrimitives.WriteUInt16BigEndian(udp[2..], (ushort)to.Port);
        BinaryPrimitives.WriteUInt16BigEndian(udp[4..], Udp);
    }

    private static ushort Checksum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 0;
        for (int i = 0; i + 1 < bytes.Length; i += 2) sum += BinaryPrimitives.ReadUInt16BigEndian(bytes[i..]);
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)~((sum & 0xFFFF) + (sum >> 16));
    }
}
