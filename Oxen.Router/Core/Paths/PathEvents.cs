using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;

namespace Oxen.Router.Core.Paths;

/// <summary>A path of this router: the shard that carries it and its number there.</summary>
internal readonly record struct PathRef(int Shard, PathNumber Number);

/// <summary>Which end of a path we are.</summary>
internal enum PathEnd : byte
{
    Client,
    Terminal,
}

/// <summary>Whose a client's path is, on the session thread.</summary>
internal enum PathPurpose : byte
{
    /// <summary>A session with the terminal: <see cref="Sessions.ClientSessions"/>.</summary>
    Session,

    /// <summary>Introductions and rendezvous: <see cref="Hidden.HiddenPaths"/>.</summary>
    Hidden,
}

/// <summary>From the control thread to the session thread: a path that ends here can carry packets.</summary>
internal sealed class PathReady
{
    public required PathRef Path { get; init; }

    public required PathEnd End { get; init; }

    /// <summary>Of its packets, both ways.</summary>
    public required SizeClass Class { get; init; }

    /// <summary>Client: the isolation group that it was built for.</summary>
    public int Group { get; init; }

    /// <summary>Client: who takes it.</summary>
    public PathPurpose Purpose { get; init; }

    public required byte[] SessionSecret { get; init; }

    public required byte[] Transcript { get; init; }

    public required Instant Expires { get; init; }

    /// <summary>Client: how long the build took, a first guess at the round trip.</summary>
    public TimeSpan BuildTime { get; init; }

    /// <summary>Client: the relays, nearest first.</summary>
    public RouterId[] Hops { get; init; } = [];
}

/// <summary>From the control thread to the session thread: a path is no more.</summary>
internal sealed record PathGone(PathRef Path, string Reason, PathPurpose Purpose = PathPurpose.Session);
