namespace Oxen.Router.Handlers;

/// <summary>How a request ended. Values are on the wire (docs/protocol/requests.md).</summary>
public enum ResponseCode : byte
{
    /// <summary>Done; the body is the answer.</summary>
    Ok = 0,

    /// <summary>The request is not understood.</summary>
    BadRequest = 1,

    /// <summary>No plug-in answers this method.</summary>
    UnknownMethod = 2,

    /// <summary>What was asked for is not here.</summary>
    NotFound = 3,

    /// <summary>The requester may not do this.</summary>
    Denied = 4,

    /// <summary>The request or its answer is larger than allowed.</summary>
    TooLarge = 5,

    /// <summary>Too much at the moment; later may work.</summary>
    Busy = 6,

    /// <summary>The handler failed.</summary>
    InternalError = 7,

    /// <summary>The handler did not finish in time.</summary>
    TimedOut = 8,
}

/// <summary>Where a request came from. Never an address: a handler cannot leak what it is not given.</summary>
public enum RequestOrigin : byte
{
    /// <summary>A router at the other end of a link.</summary>
    Link = 0,

    /// <summary>Somebody at the other end of an onion path.</summary>
    Path = 1,
}
