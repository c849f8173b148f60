namespace Oxen.Router.Core.Tunnel;

/// <summary>Constants of the tunnel's protocol (docs/protocol/tunnel.md), then those that we chose.</summary>
internal static class TunnelConstants
{
    /// <summary>The longest IP packet inside a path. Room for one record is 1356 bytes; the rest is kept for what may join it.</summary>
    public const int InnerMtu = 1320;

    /// <summary>What every link of IPv6 carries (RFC 8200 section 5); an ICMPv6 error of ours is never longer.</summary>
    public const int MinimumMtu = 1280;

    /// <summary>What every IPv4 host takes (RFC 791 section 3.2); an ICMP error of ours is never longer (RFC 1812 section 4.3.2.3).</summary>
    public const int MinimumReassembly = 576;

    /// <summary>The length field of IPv4 and the payload length of IPv6 have 16 bits; no super-packet is longer than this.</summary>
    public const int LongestPacket = 65535;

    public const int IPv4HeaderBytes = 20;
    public const int IPv4LongestHeader = 60;
    public const int IPv6HeaderBytes = 40;

    /// <summary>MSS that fits <see cref="InnerMtu"/> without options (RFC 9293 section 3.7.1).</summary>
    public const int Mss4 = InnerMtu - IPv4HeaderBytes - 20, Mss6 = InnerMtu - IPv6HeaderBytes - 20;

    /// <summary>Ours: extension headers of an IPv6 packet; real ones have at most three.</summary>
    public const int MostExtensions = 8;
}
