using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Testing;

/// <summary>Both ends of a tunnel in memory, and packets to send through it.</summary>
internal static class SimTunnel
{
    /// <summary>10.98.0.2 and fd6f:7865:6e00:2::2: what a client's interface has.</summary>
    public static InnerAddresses ClientOwn { get; } = new(0x0A620002, new UInt128(0xFD6F_7865_6E00_0002, 2));

    /// <summary>Somewhere in the world: 192.0.2.7 and 2001:db8::7.</summary>
    public static InnerAddresses Target { get; } = new(0xC0000207, new UInt128(0x2001_0DB8_0000_0000, 7));

    public static TunnelOptions Client(int reads = 4) => new() { IsClient = true, Own = ClientOwn, ReadSlots = reads };

    /// <param name="number">Makes the pools of several exits distinct.</param>
    public static TunnelOptions Exit(int number = 0, int leases = 64, Func<IPacketPolicy>? policy = null) => new()
    {
        IsClient = false,
        Own = new InnerAddresses(0x0A610001 + ((uint)number << 8), new UInt128(0xFD6F_7865_6E00_0001, ((ulong)number << 32) + 1)),
        First = new InnerAddresses(0x0A610002 + ((uint)number << 8), new UInt128(0xFD6F_7865_6E00_0001, ((ulong)number << 32) + 2)),
        Peers = leases,
        ReadSlots = 4,
        Policy = policy ?? (() => AllowAll.Instance),
    };

    /// <summary>A UDP packet with right checksums.</summary>
    public static byte[] Udp(UInt128 source, UInt128 destination, int version, ReadOnlySpan<byte> payload, ushort from = 4000, ushort to = 7, bool dontFragment = true)
    {
        int header = version == 4 ? 20 : 40;
        byte[] packet = new byte[header + 8 + payload.Length];
        if (version == 4)
        {
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
            if (dontFragment) packet[6] = 0x40;
            packet[8] = 64;
            packet[9] = 17;
            BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(12), (uint)source);
            BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(16), (uint)destination);
            InternetChecksum.WriteHeader4(packet);
        }
        else
        {
            packet[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)(8 + payload.Length));
            packet[6] = 17;
            packet[7] = 64;
            BinaryPrimitives.WriteUInt128BigEndian(packet.AsSpan(8), source);
            BinaryPrimitives.WriteUInt128BigEndian(packet.AsSpan(24), destination);
        }

        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(header), from);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(header + 2), to);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(header + 4), (ushort)(8 + payload.Length));
        payload.CopyTo(packet.AsSpan(header + 8));
        if (IpClassifier.Read(packet, out IpPacket ip) == DropReason.None) InternetChecksum.WriteTransport(packet, ip);
        return packet;
    }

    /// <summary>A TCP super-packet as the system hands it over: one set of headers, the checksum begun only.</summary>
    public static (byte[] Packet, VirtioHeader Header) TcpSuper(UInt128 source, UInt128 destination, int version, ReadOnlySpan<byte> payload, int segment, uint sequence = 1)
    {
        int header = version == 4 ? 20 : 40;
        byte[] packet = new byte[header + 20 + payload.Length];
        if (version == 4)
        {
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
            packet[6] = 0x40;
            packet[8] = 64;
            packet[9] = 6;
            BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(12), (uint)source);
            BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(16), (uint)destination);
            InternetChecksum.WriteHeader4(packet);
        }
        else
        {
            packet[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)(20 + payload.Length));
            packet[6] = 6;
            packet[7] = 64;
            BinaryPrimitives.WriteUInt128BigEndian(packet.AsSpan(8), source);
            BinaryPrimitives.WriteUInt128BigEndian(packet.AsSpan(24), destination);
        }

        Span<byte> tcp = packet.AsSpan(header);
        BinaryPrimitives.WriteUInt16BigEndian(tcp, 4000);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[2..], 80);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], sequence);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[8..], 77);
        tcp[12] = 5 << 4;
        tcp[13] = 0x10;
        BinaryPrimitives.WriteUInt16BigEndian(tcp[14..], 1000);
        payload.CopyTo(tcp[20..]);
        if (IpClassifier.Read(packet, out IpPacket ip) != DropReason.None) throw new InvalidOperationException("a packet of our own is refused");
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], InternetChecksum.Fold(InternetChecksum.PseudoHeader(ip, 20 + payload.Length)));
        return (packet, new VirtioHeader
        {
            Flags = VirtioHeader.NeedsChecksum,
            Segmentation = version == 4 ? VirtioHeader.Tcp4 : VirtioHeader.Tcp6,
            HeaderBytes = (ushort)(header + 20),
            SegmentBytes = (ushort)segment,
            ChecksumStart = (ushort)header,
            ChecksumOffset = 16,
        });
    }

    private sealed class AllowAll : IPacketPolicy
    {
        public static AllowAll Instance { get; } = new();

        public DropReason Check(in IpPacket packet, ReadOnlySpan<byte> bytes) => DropReason.None;
    }
}
