namespace Oxen.Ons.Ledger;

/// <summary>Why an operation is refused. The words on the wire are these names in small letters with underscores.</summary>
internal enum OperationFault : byte
{
    Malformed = 1,
    Expired,
    Replayed,
    NonceGap,
    BadSignature,
    NotEnoughMoney,
    ZeroAmount,
    UnknownType,
    TypeNotAllowed,
    WrongShape,
    OwnersEqual,
    OwnerKind,
    ForbiddenHash,
    ValueLength,
    Taken,
    TwinTaken,
    WrongBurn,
    OncePerBlock,
    NotRegistered,
    NameExpired,
    NothingChanges,
    NotOwner,
    NotSignedByOwner,
    StalePrevious,
    BadYears,
    TooFarAhead,
    NoCommitment,
    CommitmentExists,
    TooEarly,
    TooLate,
    DepositTooSmall,
    WrongSequence,
    RecoveryPending,
    NoRecovery,
    NoBackup,
    BadName,
    UnknownNode,
    NodeExists,
    BadStage,
    BadFee,
    ContributionTooSmall,
    ContributionTooLarge,
    TooManyContributors,
    NotContributor,
    AlreadyUnlocking,
    Locked,
    ProofTooSoon,
    ClockOff,
    BadVotes,
    BadEvidence,
    BlockFull,
}

/// <summary>A refusal: the reason, and for people what was found and what was expected.</summary>
internal sealed record Refusal(OperationFault Fault, string Detail)
{
    /// <summary>The fault as a word of the interface: `wrong_burn`.</summary>
    public string Word => string.Concat(Fault.ToString().Select((c, i) => char.IsAsciiLetterUpper(c) ? (i == 0 ? "" : "_") + (char)(c | 0x20) : c.ToString()));

    public override string ToString() => $"{Word}: {Detail}";
}
