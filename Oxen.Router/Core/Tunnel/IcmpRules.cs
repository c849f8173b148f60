using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Tunnel;

/// <summary>Which ICMP messages the tunnel carries: echo, and the errors that transports need. Nothing that speaks of a link (redirects, neighbours, routers, groups).</summary>
internal static class IcmpRules
{
    public const byte
        EchoReply4 = 0, Unreachable4 = 3, EchoRequest4 = 8, TimeExceeded4 = 11, ParameterProblem4 = 12,
        Unreachable6 = 1, PacketTooBig6 = 2, TimeExceeded6 = 3, ParameterProblem6 = 4, EchoRequest6 = 128, EchoReply6 = 129;

    /// <summary>None for what passes, and for what is not ICMP. A later fragment shows no type: its first one was judged.</summary>
    public static DropReason Check(in IpPacket packet)
    {
        if (!packet.IsIcmp || IsError(in packet)) return DropReason.None;
        return packet.Version == 4
            ? packet.IcmpType is EchoReply4 or EchoRequest4 ? DropReason.None : DropReason.IcmpType
            : packet.IcmpType is EchoRequest6 or EchoReply6 ? DropReason.None : DropReason.IcmpType;
    }

    /// <summary>A carried error message: the packet it is about begins 8 bytes behind the ICMP header's first.</summary>
    public static bool IsError(in IpPacket packet) => packet.IsIcmp && (packet.Version == 4
        ? packet.IcmpType is Unreachable4 or TimeExceeded4 or ParameterProblem4
        : packet.IcmpType is Unreachable6 or PacketTooBig6 or TimeExceeded6 or ParameterProblem6);
}
