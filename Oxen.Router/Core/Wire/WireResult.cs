namespace Oxen.Router.Core.Wire;

/// <summary>What a parser says about the bytes it was shown. Strangers' bytes never throw.</summary>
internal enum WireResult : byte
{
    /// <summary>A whole message was read.</summary>
    Complete,

    /// <summary>Everything so far is in order, but the message is longer than the bytes at hand.</summary>
    Incomplete,

    /// <summary>No further bytes can make this a message.</summary>
    Malformed,
}
