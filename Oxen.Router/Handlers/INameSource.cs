namespace Oxen.Router.Handlers;

/// <summary>What became of a look-up.</summary>
public enum NameOutcome
{
    /// <summary>The name stands for <see cref="NameAnswer.Address"/>.</summary>
    Found = 0,

    /// <summary>There is no such name; the source is sure.</summary>
    NotFound = 1,

    /// <summary>The source could not tell: it was not reached, or what it said could not be believed.</summary>
    Unavailable = 2,
}

/// <summary>What a name stands for.</summary>
/// <param name="outcome">Only <see cref="NameOutcome.Found"/> has an address.</param>
/// <param name="address">The service's Ed25519 public key, 32 bytes; else empty.</param>
/// <param name="lifetime">How long the answer, a "no" too, may be kept.</param>
/// <param name="reason">In words, for whoever asked: what could not be reached or believed. Empty when all is well.</param>
public sealed class NameAnswer(NameOutcome outcome, ReadOnlyMemory<byte> address, TimeSpan lifetime, string reason = "")
{
    /// <summary>Found, not there, or not known.</summary>
    public NameOutcome Outcome { get; } = outcome;

    /// <summary>The service's Ed25519 public key, 32 bytes; else empty.</summary>
    public ReadOnlyMemory<byte> Address { get; } = address;

    /// <summary>How long the answer may be kept.</summary>
    public TimeSpan Lifetime { get; } = lifetime;

    /// <summary>In words: what could not be reached or believed.</summary>
    public string Reason { get; } = reason;
}

/// <summary>Says which `.loki` address a short name stands for: a ledger, a table of the configuration. Any thread may ask.</summary>
public interface INameSource
{
    /// <summary>Looks a name up.</summary>
    /// <param name="name">Lower case, without the final `.loki`: `hello`, or `www.hello` where the source has names below names.</param>
    /// <param name="cancel">Ends the waiting.</param>
    ValueTask<NameAnswer> ResolveAsync(string name, CancellationToken cancel);
}
