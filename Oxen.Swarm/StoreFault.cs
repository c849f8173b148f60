namespace Oxen.Swarm;

/// <summary>Why a message is not stored. The number is the status code of the storage API.</summary>
public enum StoreFault
{
    None = 0,

    /// <summary>More data than a message may have.</summary>
    TooLarge = 400,

    /// <summary>The time between timestamp and expiry is too short, too long for the namespace, or negative.</summary>
    Lifetime = 403,

    /// <summary>The timestamp lies in the future or the expiry in the past: the sender's clock is wrong.</summary>
    Clock = 406,
}
