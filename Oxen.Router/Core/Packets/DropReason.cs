namespace Oxen.Router.Core.Packets;

/// <summary>Text of a drop reason for people: what happened, as the metrics page and `oxen status` show it.</summary>
[AttributeUsage(AttributeTargets.Field)]
internal sealed class DropTextAttribute(string text) : Attribute
{
    public string Text { get; } = text;
}

/// <summary>
/// Why a packet was dropped: the one list for the enum, the counter's name (snake case of the member) and its text.
/// A new drop needs a new reason here.
/// </summary>
internal enum DropReason : byte
{
    [DropText("not dropped")] None = 0,

    // Demultiplexer
    [DropText("shorter than any packet of its kind")] Runt,
    [DropText("first byte belongs to no protocol of ours")] UnknownKind,
    [DropText("the control plane's inbox is full")] ControlQueueFull,

    // Sealed datagram (docs/protocol/link.md)
    [DropText("length is no declared packet size")] BadLength,
    [DropText("reserved bits or bytes are not zero")] ReservedNotZero,
    [DropText("receiver index names no link")] UnknownIndex,
    [DropText("came from another address than the link's")] WrongAddress,
    [DropText("link epoch is not acceptable now")] WrongLinkEpoch,
    [DropText("link counter was seen before or is too old")] LinkReplay,
    [DropText("link authentication failed")] LinkAuthentication,
    [DropText("link or path reached its packet limit")] LinkKeyExhausted,

    // Paths (docs/protocol/onion.md)
    [DropText("path handle's slot is empty")] UnknownPath,
    [DropText("path handle's generation is over")] StaleHandle,
    [DropText("path handle belongs to another link")] WrongLink,
    [DropText("size class is not the path's")] WrongClass,
    [DropText("path epoch is not acceptable now")] WrongEpoch,
    [DropText("path's lifetime is over")] PathExpired,
    [DropText("seen before at an end of the path")] PathReplay,
    [DropText("seen before by the relay's replay filter (a small false rate is part of the design)")] ReplayFilter,
    [DropText("addressed to no hop: tampered with or damaged")] NotRecognised,
    [DropText("command is not one that this hop accepts")] BadCommand,
    [DropText("an answer that nobody asked for")] UnexpectedAnswer,
    [DropText("answers on this path are rate-limited")] AnswerLimit,
    [DropText("path is over its share while the relay is busy")] PathShare,
    [DropText("path was closed after repeated tampering")] PathClosed,

    // Leaving
    [DropText("the link to the next hop is gone")] NoEgressLink,
    [DropText("the socket would not take it")] SendQueueFull,
    [DropText("the socket refused it")] SendFailed,
    [DropText("the inbox of the sessions is full")] DeliveryQueueFull,
    [DropText("the queue of packets to originate is full")] OriginationQueueFull,
    [DropText("the kernel dropped it before us (receive buffer full)")] KernelReceiveQueue,

    // Inside the path (docs/protocol/session.md)
    [DropText("record is malformed")] BadRecord,
    [DropText("record names no session")] UnknownSession,
    [DropText("the session showed no token that this exit asks for")] NotAdmitted,
    [DropText("the other part of a split record did not come in time")] FragmentTimeout,
    [DropText("too many split records wait for their other part: the oldest made room")] FragmentTableFull,
    [DropText("larger than one packet can carry")] TooLarge,
    [DropText("the exit policy refuses its destination")] ExitPolicy,
    [DropText("the session's UDP associations are used up")] AssociationLimit,
    [DropText("name could not be resolved")] NameNotResolved,
    [DropText("the destination's socket refused it")] DestinationRefused,
    [DropText("no path to carry it at the moment")] NoPath,
    [DropText("reader is too slow")] SlowReader,
    [DropText("a session's connection was ended: what it does not read held memory that others need")] StalledSession,

    // IP packets of the tunnel (docs/protocol/tunnel.md)
    [DropText("IP header is malformed or its checksum is wrong")] BadIpHeader,
    [DropText("IP protocol or extension header that the tunnel does not know")] UnknownIpProtocol,
    [DropText("IP option or header bound to addresses: source route, recorded route, AH, mobility, HIP, shim6")] AddressBoundHeader,
    [DropText("IP fragment is malformed")] BadFragment,
    [DropText("transport header is cut off or malformed")] BadTransportHeader,
    [DropText("ICMP message of a kind that the tunnel does not carry")] IcmpType,
    [DropText("the system's virtio header does not fit its packet")] BadVirtioHeader,
    [DropText("the system would not take it from the tunnel's interface")] TunRefused,
    [DropText("source or destination is not the leased address, or none that a path carries")] TunnelAddress,
    [DropText("an IP packet on a path that is bound to no tunnel")] NoTunnel,
    [DropText("more IP packets came at once than the tunnel's interface is handed in a turn")] TunnelQueueFull,

    // Hidden services (docs/protocol/hidden-service.md)
    [DropText("message to or from an introduction or rendezvous relay is malformed")] BadMeeting,
    [DropText("came for a rendezvous that has no other side")] NotJoined,
    [DropText("seen before between client and service")] JointReplay,
    [DropText("not authentic between client and service")] JointAuthentication,
    [DropText("introduction is malformed or not sealed for this service")] BadIntroduction,
    [DropText("introduction is for a seed that is over")] IntroductionSeed,
    [DropText("introduction was taken before")] IntroductionReplay,
    [DropText("introduction claims an effort that it does not show")] IntroductionEffort,
    [DropText("introductions with more effort fill the queue")] IntroductionQueueFull,
    [DropText("introduction waited longer than its client does")] IntroductionTooLate,
}
