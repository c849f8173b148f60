namespace Oxen.Router.Core.Directory;

/// <summary>Why a router contact, or a list of them, is not accepted.</summary>
internal enum ContactFault : byte
{
    None = 0,

    /// <summary>Shorter than its fields say, or bytes are left over.</summary>
    Truncated,
    TooLarge,
    UnknownVersion,

    /// <summary>A field has a value that this version does not have, or is not in its one canonical form.</summary>
    Malformed,

    /// <summary>The onion key's id is not the hash of the keys.</summary>
    WrongKeyId,

    /// <summary>An onion key to which nothing can be sealed.</summary>
    UnusableKey,
    WrongSignature,
    NotYetValid,
    Expired,

    /// <summary>Valid for longer than the network allows.</summary>
    ValidTooLong,

    /// <summary>Two contacts of one router in a list, or the list is not in the order of ids.</summary>
    DuplicateOrUnordered,

    /// <summary>The list is of another network.</summary>
    WrongNetwork,

    /// <summary>Not on the list: nothing else is looked at.</summary>
    UnknownRouter,
}
