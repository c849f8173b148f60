using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Storage;

/// <summary>
/// One change that a client asked for, as every node of the swarm carries it out for itself.
/// </summary>
/// <param name="Account">Whose messages.</param>
/// <param name="Stamp">Logical time of this attempt.</param>
/// <param name="Prior">Stamp of the attempt before, 0 for the first: what that one did counts as done by this one.</param>
internal abstract record WriteOp(AccountId Account, long Stamp, long Prior);

internal sealed record StoreOp(AccountId Account, long Stamp, long Prior, MessageKey Key, short Space, long Timestamp, long Expiry, byte[] Data) : WriteOp(Account, Stamp, Prior);

internal sealed record DeleteOp(AccountId Account, long Stamp, long Prior, IReadOnlyList<MessageKey> Keys) : WriteOp(Account, Stamp, Prior);

/// <summary>Deletes a namespace or, for null, all of them; with `Before` only messages not younger than that.</summary>
internal sealed record DeleteRangeOp(AccountId Account, long Stamp, long Prior, short? Space, long? Before) : WriteOp(Account, Stamp, Prior);

/// <summary>Shortens every message that would live longer.</summary>
internal sealed record ExpireAllOp(AccountId Account, long Stamp, long Prior, short? Space, long Expiry) : WriteOp(Account, Stamp, Prior);

/// <summary>How <see cref="ExpireOp"/> may move an expiry.</summary>
internal enum ExpireMode
{
    Set = 0,
    Shorten = 1,
    Extend = 2,
}

/// <summary>One expiry for all keys, or one for each.</summary>
internal sealed record ExpireOp(AccountId Account, long Stamp, long Prior, IReadOnlyList<MessageKey> Keys, IReadOnlyList<long> Expiries, ExpireMode Mode)
    : WriteOp(Account, Stamp, Prior);

internal sealed record RevokeOp(AccountId Account, long Stamp, long Prior, IReadOnlyList<byte[]> Tokens, long Timestamp, bool Revoked) : WriteOp(Account, Stamp, Prior);

/// <summary>How a write ended at one node.</summary>
internal enum WriteStatus
{
    /// <summary>Done and on disk.</summary>
    Done = 0,

    /// <summary>Nothing was done: a record here is later than the operation's stamp. <see cref="WriteOutcome.Required"/> says how late.</summary>
    Stale = 1,

    /// <summary>No room: the store's cap, or the account's share of it.</summary>
    Full = 2,

    /// <summary>The store cannot write: the disk is full or failing, or the database is damaged.</summary>
    Unavailable = 3,
}

/// <summary>What a write did.</summary>
internal sealed class WriteOutcome
{
    public WriteStatus Status { get; init; }

    /// <summary>The latest stamp that stands in the way of a stale operation.</summary>
    public long Required { get; init; }

    /// <summary>Store: the message was there.</summary>
    public bool Already { get; init; }

    /// <summary>Store: the expiry that holds now.</summary>
    public long Expiry { get; init; }

    /// <summary>Store: the message is new here, and subscribers want to know.</summary>
    public bool Fresh { get; init; }

    /// <summary>Messages deleted or given another expiry.</summary>
    public IReadOnlyList<(short Space, MessageKey Key)> Affected { get; init; } = [];

    /// <summary>Expire: what was asked for and did not change, with the expiry it keeps.</summary>
    public IReadOnlyList<(MessageKey Key, long Expiry)> Unchanged { get; init; } = [];

    /// <summary>Expire: the expiries applied, beside <see cref="Affected"/>.</summary>
    public IReadOnlyList<long> Applied { get; init; } = [];

    /// <summary>Revocations: how many changed.</summary>
    public int Count { get; init; }

    /// <summary>All records that this operation wrote: what a node that missed it must be told.</summary>
    public IReadOnlyList<RecordEntry> Touched { get; init; } = [];
}
