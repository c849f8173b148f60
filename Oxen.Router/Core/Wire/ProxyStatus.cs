namespace Oxen.Router.Core.Wire;

/// <summary>The exit's answer to a stream header (docs/protocol/proxy.md#reply). Values are on the wire.</summary>
internal enum ProxyStatus : byte
{
    Connected = 0,

    /// <summary>The exit's policy refuses this destination.</summary>
    PolicyRefused = 1,
    NameNotResolved = 2,
    ConnectionRefused = 3,
    NetworkUnreachable = 4,
    HostUnreachable = 5,
    TimedOut = 6,

    /// <summary>The session or the exit has as many streams open as it allows.</summary>
    Limit = 7,
    Malformed = 8,

    /// <summary>The exit knows this kind of stream but does not serve it.</summary>
    NotOffered = 9,

    /// <summary>Something broke at the exit.</summary>
    Failed = 10,

    /// <summary>The exit serves only who shows a token, and this session showed none that it knows.</summary>
    NotAdmitted = 11,
}
