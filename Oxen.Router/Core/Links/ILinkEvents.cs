using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Links;

/// <summary>What <see cref="LinkManager"/> tells its owner, on the control thread. Spans are loans until the call returns.</summary>
internal interface ILinkEvents
{
    void OnLinkUp(Link link, Instant now);

    /// <summary>All requests on it have failed already.</summary>
    void OnLinkDown(Link link, Instant now);

    void OnRequest(Link link, LinkRequest request, ReadOnlySpan<byte> message, Instant now);

    void OnReply(Link link, LinkRequest request, ReadOnlySpan<byte> message, Instant now);

    /// <summary>An outgoing request will get no reply.</summary>
    void OnRequestFailed(Link link, LinkRequest request, Instant now);

    /// <summary>The neighbour closed the path whose packets it sent to us under `handle`.</summary>
    void OnPathClose(Link link, PathHandle handle, PathCloseReason reason, Instant now);

    /// <summary>A peer's clock, measured at a handshake: positive when the peer is ahead.</summary>
    void OnPeerClock(Link link, TimeSpan ahead, Instant now);
}
