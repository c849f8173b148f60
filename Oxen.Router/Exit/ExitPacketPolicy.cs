using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Router.Exit;

// What the exit's policy (ExitPolicy) says of one IP packet:
//
//   TCP, UDP            destination and port, as of a stream or a datagram
//   ICMP echo request   destination, by the rules that speak of ICMP or of everything
//   ICMP error          the flow that it is about: its embedded packet came from there, and must be allowed to go there
//   later fragment      shows no port: some port of the destination must be allowed. Its first fragment is judged by its port,
//                       and without that one the kernel's NAT (or the destination) puts nothing together
//   anything else       refused
//
// Rules are walked once for a flow; the answer is kept in a table that the next flow of the same place overwrites.

/// <summary>The exit policy for raw packets. One for each shard.</summary>
internal sealed class ExitPacketPolicy : IPacketPolicy
{
    private const int Places = 1024;

    private readonly ExitPolicy _policy;
    private readonly (UInt128 Begin, UInt128 Mask) _pool4, _pool6;
    private readonly bool _hasPool6;
    private readonly Verdict[] _known = new Verdict[Places];
    private int _version;

    /// <param name="pool4">The inner addresses of this exit's own clients: never a destination, not even by an exception.</param>
    public ExitPacketPolicy(ExitPolicy policy, IPNetwork pool4, IPNetwork? pool6)
    {
        ArgumentNullException.ThrowIfNull(policy);
        _policy = policy;
        _pool4 = Range(pool4);
        _hasPool6 = pool6 is not null;
        if (pool6 is { } six) _pool6 = Range(six);
        _version = policy.Version;
    }

    public DropReason Check(in IpPacket packet, ReadOnlySpan<byte> bytes)
    {
        ExitProtocol protocol = packet.Protocol switch
        {
            IpProtocol.Tcp => ExitProtocol.Tcp,
            IpProtocol.Udp => ExitProtocol.Udp,
            IpProtocol.Icmp when packet.Version == 4 => ExitProtocol.Icmp,
            IpProtocol.IcmpV6 when packet.Version == 6 => ExitProtocol.Icmp,
            _ => 0,
        };
        if (protocol == 0) return DropReason.ExitPolicy;
        ushort port = packet.DestinationPort;
        bool anyPort = false;
        if (!packet.HasTransport)
        {
            if (!packet.IsFragment) return DropReason.ExitPolicy;
            (port, anyPort) = (0, true);
        }
        else if (protocol == ExitProtocol.Icmp)
        {
            port = 0;
            if (IcmpRules.IsError(packet))
            {
                if (!TryEmbedded(packet, bytes, out protocol, out port)) return DropReason.ExitPolicy;
            }
            else if (packet.IcmpType != (packet.Version == 4 ? IcmpRules.EchoRequest4 : IcmpRules.EchoRequest6))
            {
                return DropReason.ExitPolicy;
            }
        }

        return Known(packet, protocol, port, anyPort) ? DropReason.None : DropReason.ExitPolicy;
    }

    private bool Known(in IpPacket packet, ExitProtocol protocol, ushort port, bool anyPort)
    {
        int version = _policy.Version;
        if (version != _version)
        {
            Array.Clear(_known);
            _version = version;
        }

        uint flow = (uint)(port << 16 | packet.Version << 8 | (byte)protocol << 1 | (anyPort ? 1 : 0));
        UInt128 address = packet.Destination;
        ulong mixed = ((ulong)address ^ (ulong)(address >> 64) * 0x9E3779B97F4A7C15 ^ flow) * 0xD6E8FEB86659FD93;
        ref Verdict verdict = ref _known[(int)(mixed >> 54)];
        if (verdict.Flow == flow && verdict.Address == address) return verdict.Allowed;
        verdict = new Verdict(address, flow, Judge(packet, protocol, port, anyPort));
        return verdict.Allowed;
    }

    private bool Judge(in IpPacket packet, ExitProtocol protocol, ushort port, bool anyPort)
    {
        UInt128 address = packet.Version == 4 ? packet.Destination << 96 : packet.Destination;
        if (packet.Version == 4 ? (address & _pool4.Mask) == _pool4.Begin : _hasPool6 && (address & _pool6.Mask) == _pool6.Begin) return false;
        Span<byte> wire = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(wire, address);
        UdpAddress destination = UdpAddress.FromBytes(wire[..(packet.Version == 4 ? 4 : 16)], port);
        return anyPort ? _policy.AllowsSomePort(destination, protocol) : _policy.Allows(destination, protocol);
    }

    // An error goes back to where the packet that it is about came from. What stands in it is that packet's beginning, at
    // least 8 bytes of its transport (RFC 792), which hold the ports.
    private static bool TryEmbedded(in IpPacket packet, ReadOnlySpan<byte> bytes, out ExitProtocol protocol, out ushort port)
    {
        (protocol, port) = (0, 0);
        int begin = packet.HeaderBytes + 8;
        if (bytes.Length < packet.Length || packet.Length < begin + (packet.Version == 4 ? 28 : 48)) return false;
        ReadOnlySpan<byte> inner = bytes[begin..packet.Length];
        if (inner[0] >> 4 != packet.Version) return false;
        UInt128 source;
        int transport;
        byte number;
        if (packet.Version == 4)
        {
            transport = (inner[0] & 15) * 4;
            number = inner[9];
            source = BinaryPrimitives.ReadUInt32BigEndian(inner[12..]);
            if (transport < 20 || inner.Length < transport + 8 || (BinaryPrimitives.ReadUInt16BigEndian(inner[6..]) & 0x1FFF) != 0) return false;
        }
        else
        {
            transport = 40; // behind extension headers there are no ports for us
            number = inner[6];
            source = BinaryPrimitives.ReadUInt128BigEndian(inner[8..]);
        }

        if (source != packet.Destination) return false;
        protocol = number switch { IpProtocol.Tcp => ExitProtocol.Tcp, IpProtocol.Udp => ExitProtocol.Udp, IpProtocol.Icmp or IpProtocol.IcmpV6 => ExitProtocol.Icmp, _ => 0 };
        if (protocol is ExitProtocol.Tcp or ExitProtocol.Udp) port = BinaryPrimitives.ReadUInt16BigEndian(inner[transport..]);
        return protocol != 0;
    }

    private static (UInt128, UInt128) Range(IPNetwork network)
    {
        byte[] address = network.BaseAddress.GetAddressBytes();
        UInt128 begin = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? (UInt128)BinaryPrimitives.ReadUInt32BigEndian(address) << 96 : BinaryPrimitives.ReadUInt128BigEndian(address);
        return (begin, network.PrefixLength == 0 ? 0 : UInt128.MaxValue << (128 - network.PrefixLength));
    }

    private readonly record struct Verdict(UInt128 Address, uint Flow, bool Allowed);
}
