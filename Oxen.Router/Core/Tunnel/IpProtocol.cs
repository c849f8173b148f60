namespace Oxen.Router.Core.Tunnel;

/// <summary>Protocol numbers (IANA) that the tunnel knows; IPv6 extension headers share the number space.</summary>
internal static class IpProtocol
{
    public const byte
        HopByHop = 0,
        Icmp = 1,
        Tcp = 6,
        Udp = 17,
        Routing = 43,
        Fragment = 44,
        Esp = 50,
        Authentication = 51,
        IcmpV6 = 58,
        NoNextHeader = 59,
        DestinationOptions = 60,
        Sctp = 132,
        Mobility = 135,
        HostIdentity = 139,
        Shim6 = 140;
}
