using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;

namespace Oxen.Router.Core.Sessions;

/// <summary>What the sessions tell their owner, on the session thread. Spans are loans until the call returns.</summary>
internal interface ISessionEvents
{
    /// <summary>A stream of a session's QUIC connection was opened by the peer, can be read or written, was reset, or the connection ended.</summary>
    void OnQuic(in QuicEvent happened, Instant now);

    /// <summary>A UDP record arrived. `owner` is the client's group or the terminal's session number.</summary>
    void OnUdp(long owner, ReadOnlySpan<byte> record, Instant now);
}

/// <summary>What only a client's sessions tell.</summary>
internal interface IClientSessionEvents : ISessionEvents
{
    /// <summary>Streams may be opened on the group now.</summary>
    void OnGroupReady(ClientGroup group, Instant now);

    /// <summary>The group's session and all its paths are given up, its streams with it; another exit will serve it.</summary>
    void OnGroupLost(ClientGroup group, string reason, Instant now);

    /// <summary>The exit leased inner addresses: IP packets pass from now on.</summary>
    void OnTunnelReady(ClientGroup group, Instant now);

    /// <summary>A path is dead; the control thread is to close it and build another.</summary>
    /// <param name="suspect">The nearest hop that did not answer; -1: not known.</param>
    void OnPathFailed(PathRef path, string reason, int suspect, Instant now);

    /// <summary>What a path showed of its relays lately.</summary>
    void OnPathMeasured(in PathMeasurement measured, Instant now);

    /// <summary>Traffic moved to another path.</summary>
    void OnPathSwitched(ClientGroup group, ClientPathState from, ClientPathState to, TimeSpan sinceLastHeard, Instant now);
}

/// <summary>What only a terminal's sessions tell.</summary>
internal interface IExitSessionEvents : ISessionEvents
{
    /// <summary>The session ended; sockets that belong to it are to be closed.</summary>
    void OnSessionClosed(long session, Instant now);
}
