using Oxen.Router.Core;

namespace Oxen.Testing;

/// <summary>Something attached to a <see cref="SimNetwork"/>: it is called, and sends by <see cref="SimNetwork.Send"/>.</summary>
internal interface ISimNode
{
    /// <summary>When <see cref="OnTimer"/> wants to be called; read after every call into the node.</summary>
    Instant NextDeadline { get; }

    /// <summary>The bytes are the node's for the time of the call: it may work in place.</summary>
    void OnDatagram(Span<byte> datagram, in UdpAddress from, in UdpAddress to, Instant now);

    void OnTimer(Instant now);
}
