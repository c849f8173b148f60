using Oxen.Ons.Ledger;

namespace Oxen.Ons.Sequencing;

/// <summary>
/// Agrees on which block has which height, and keeps them. It looks into none: whether a block is good is the state machine's affair,
/// whether a store may be believed is the committee's. Any thread may call; implementations: SQLite, etcd, PostgreSQL, memory.
/// </summary>
internal interface IBlockSequencer : IAsyncDisposable
{
    /// <summary>Short name for people: `sqlite`.</summary>
    string Name { get; }

    /// <summary>One sentence: what somebody looks at when it does not answer; may be empty.</summary>
    string Remedy { get; }

    /// <summary>Others may write it: what comes from it is checked to the last signature. False: only checked blocks were ever put in, by this machine.</summary>
    bool IsShared { get; }

    /// <summary>
    /// Makes a block the one of its height. True: it is, and will be after a crash of everything. False: another has the height already,
    /// or the one before it is missing. An exception: it is not known; <see cref="ReadAsync"/> tells.
    /// </summary>
    Task<bool> AppendAsync(ulong height, ReadOnlyMemory<byte> block, CancellationToken cancel);

    /// <summary>Blocks from a height on, in order and without a gap; at most `count`.</summary>
    Task<IReadOnlyList<byte[]>> ReadAsync(ulong from, int count, CancellationToken cancel);

    /// <summary>Forgets the blocks from a height on, and their signatures: for reorganisations by an operator.</summary>
    Task TruncateAsync(ulong from, CancellationToken cancel);

    /// <summary>Keeps the signatures under a block's header; what was kept before is replaced.</summary>
    Task PutSignaturesAsync(ulong height, ReadOnlyMemory<byte> signatures, CancellationToken cancel);

    /// <summary>The signatures under a header, or null.</summary>
    Task<byte[]?> GetSignaturesAsync(ulong height, CancellationToken cancel);

    /// <summary>
    /// Keeps a vote and gives all about the same, so that votes come together whichever process took them. Votes of heights below
    /// `forget` go. Nothing is looked into: the caller checks what it gets.
    /// </summary>
    Task<IReadOnlyList<StoredVote>> ShareVoteAsync(StoredVote vote, ulong forget, CancellationToken cancel);
}

/// <summary>One member's vote about something of a height.</summary>
/// <param name="Height">The height that the vote names.</param>
/// <param name="About">What it says, hashed.</param>
/// <param name="Member">Who says it.</param>
/// <param name="Signature">Its signature.</param>
internal readonly record struct StoredVote(ulong Height, Bytes32 About, Bytes32 Member, byte[] Signature)
{
    /// <summary>Most votes about one thing that are read.</summary>
    public const int Most = Proofs.Committee.MaxMembers;
}
