using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Router.Core.Hidden;

/// <summary>
/// IP packets between a client and a service that takes them (docs/protocol/hidden-service.md#ip-packets). Neither end learns an
/// address of the other: between them the client is always <see cref="Client"/> and the service <see cref="Service"/>, and each end
/// puts its own in their place.
/// </summary>
internal static class ServicePackets
{
    // 192.0.0.0/29 is for such inner uses (RFC 7335); fd6f:7865:6e00::/48 is our own unique local prefix.
    public static readonly InnerAddresses
        Service = new(0xC0000001, new UInt128(0xFD6F_7865_6E00_0000, 1)),
        Client = new(0xC0000002, new UInt128(0xFD6F_7865_6E00_0000, 2));

    /// <summary>Reads one packet, from either side, that anybody may have written; `packet` is what of the bytes is the packet.</summary>
    public static DropReason Read(Span<byte> bytes, out IpPacket p, out Span<byte> packet)
    {
        packet = default;
        DropReason reason = IpClassifier.Read(bytes, out p);
        if (reason == DropReason.None) reason = IcmpRules.Check(in p);
        if (reason == DropReason.None && p.Length > TunnelConstants.InnerMtu) reason = DropReason.TooLarge;
        if (reason == DropReason.None) packet = bytes[..p.Length];
        return reason;
    }

    /// <summary>The address of the packet's family; 0 where there is none.</summary>
    public static UInt128 Of(in InnerAddresses addresses, in IpPacket p) => p.Version == 4 ? addresses.IPv4 : addresses.IPv6;

    /// <summary>Puts other addresses in, with all checksums. False: the new ones have none of this family.</summary>
    public static bool TryRewrite(Span<byte> packet, ref IpPacket p, in InnerAddresses source, in InnerAddresses destination)
    {
        UInt128 from = Of(source, in p), to = Of(destination, in p);
        if (from == 0 || to == 0) return false;
        AddressTranslation.RewriteSource(packet, ref p, from, partialChecksum: false);
        AddressTranslation.RewriteDestination(packet, ref p, to, partialChecksum: false);
        return true;
    }
}

/// <summary>
/// The service's end: each session has a leased address of its own on the service's interface, so that programs behind it tell
/// clients apart. Sans-IO; the session thread brings packets in and sessions' ends, the interface's thread takes packets out.
/// </summary>
/// <param name="own">The interface's own addresses; packets go to and come from these alone.</param>
/// <param name="first">Of those that are leased.</param>
/// <param name="count">Sessions that can have addresses at one time.</param>
internal sealed class ServicePacketGate(InnerAddresses own, InnerAddresses first, int count)
{
    private const long Nobody = -1;

    private readonly TunnelLeases _leases = new(first, count);
    private readonly Dictionary<long, (int Number, InnerAddresses Addresses)> _bySession = [];
    private readonly long[] _byLease = Filled(count);

    /// <summary>Sessions that have addresses.</summary>
    public int Leased => _bySession.Count;

    /// <summary>A client's record for the interface, its addresses changed in place. Session thread.</summary>
    public DropReason Inward(long session, Span<byte> record, out Span<byte> packet)
    {
        DropReason reason = ServicePackets.Read(record, out IpPacket p, out packet);
        if (reason != DropReason.None) return reason;
        if (p.Length != record.Length) return DropReason.BadIpHeader;
        if (p.Source != ServicePackets.Of(ServicePackets.Client, in p) || p.Destination != ServicePackets.Of(ServicePackets.Service, in p)) return DropReason.TunnelAddress;
        if (!_bySession.TryGetValue(session, out (int Number, InnerAddresses Addresses) lease))
        {
            if (!_leases.TryTake(out int number, out InnerAddresses addresses)) return DropReason.NoTunnel;
            _bySession.Add(session, lease = (number, addresses));
            Volatile.Write(ref _byLease[number], session);
        }

        return ServicePackets.TryRewrite(packet, ref p, lease.Addresses, own) ? DropReason.None : DropReason.TunnelAddress;
    }

    /// <summary>What the system sent into the interface, for the client that it is for. The interface's thread.</summary>
    public DropReason Outward(Span<byte> bytes, out Span<byte> packet, out long session)
    {
        session = Nobody;
        DropReason reason = ServicePackets.Read(bytes, out IpPacket p, out packet);
        if (reason != DropReason.None) return reason;
        UInt128 lease = p.Destination - ServicePackets.Of(first, in p);
        if (p.Source != ServicePackets.Of(own, in p) || lease >= (UInt128)_byLease.Length) return DropReason.TunnelAddress;
        session = Volatile.Read(ref _byLease[(int)lease]);
        if (session == Nobody) return DropReason.UnknownSession;
        return ServicePackets.TryRewrite(packet, ref p, ServicePackets.Service, ServicePackets.Client) ? DropReason.None : DropReason.TunnelAddress;
    }

    /// <summary>The session is over; its address waits behind all others. Session thread.</summary>
    public void Gone(long session)
    {
        if (!_bySession.Remove(session, out (int Number, InnerAddresses Addresses) lease)) return;
        Volatile.Write(ref _byLease[lease.Number], Nobody);
        _leases.Release(lease.Number);
    }

    private static long[] Filled(int count)
    {
        long[] numbers = new long[count];
        numbers.AsSpan().Fill(Nobody);
        return numbers;
    }
}
