namespace Oxen.Ons.Ledger;

/// <summary>
/// The published numbers of a network; they stand in its genesis, so another number is another network. Heights and times in blocks
/// unless the name says otherwise, amounts in atomic OXEN. Defaults: what the chain with OXEN had, at 720 blocks a day.
/// </summary>
internal sealed record LedgerRules
{
    public static LedgerRules Default { get; } = new();

    /// <summary>Short terms: whole lives fit into a test.</summary>
    public static LedgerRules Quick { get; } = new()
    {
        OperationFee = 1_000,
        TermBlocks1 = 2, TermBlocks2 = 4, TermBlocks5 = 10, TermBlocks10 = 20,
        ZoneYearBlocks = 10, GraceBlocks = 5, CommitMinBlocks = 2, CommitMaxBlocks = 8, RecoveryDelayBlocks = 6,
        StakeRequirement = 100 * OxenAmount.Oxen, BlockReward = OxenAmount.Oxen,
        UnlockBlocks = 12, SmallUnlockDelayBlocks = 8, DeregisterLockBlocks = 20, ProofValidityBlocks = 6, ProofGapBlocks = 2, PayableAfterBlocks = 3,
        CreditStart = 4, CreditLeast = 4, CreditMost = 12, CreditPerBlocks = 2, EpochBlocks = 10, CommitteeSize = 4,
    };

    public ulong OperationFee { get; init; } = 10_000_000;

    public byte HardFork { get; init; } = NamePrices.LatestHardFork;

    public ulong TermBlocks1 { get; init; } = 264_960;

    public ulong TermBlocks2 { get; init; } = 529_920;

    public ulong TermBlocks5 { get; init; } = 1_324_800;

    public ulong TermBlocks10 { get; init; } = 2_649_600;

    /// <summary>One year of a zone; prices of zones are a year's.</summary>
    public ulong ZoneYearBlocks { get; init; } = 264_960;

    public ulong ZonePriceShortest { get; init; } = 640 * OxenAmount.Oxen;

    public ulong ZonePriceShort { get; init; } = 160 * OxenAmount.Oxen;

    public ulong ZonePriceMiddle { get; init; } = 28 * OxenAmount.Oxen;

    public ulong ZonePriceLong { get; init; } = 7 * OxenAmount.Oxen;

    public ulong GraceBlocks { get; init; } = 21_600;

    public ulong CommitMinBlocks { get; init; } = 2;

    public ulong CommitMaxBlocks { get; init; } = 720;

    public ulong RecoveryDelayBlocks { get; init; } = 10_080;

    public ulong StakeRequirement { get; init; } = 15_000 * OxenAmount.Oxen;

    public byte OperatorPercent { get; init; } = 25;

    public byte MaxContributors { get; init; } = 10;

    /// <summary>To all payable nodes together, each block: 18.3333 OXEN less the 10 % that went to a foundation.</summary>
    public ulong BlockReward { get; init; } = 16_500_000_000;

    public ulong UnlockBlocks { get; init; } = 10_800;

    /// <summary>How long a contributor of less than a quarter cannot ask for its stake.</summary>
    public ulong SmallUnlockDelayBlocks { get; init; } = 21_600;

    public ulong DeregisterLockBlocks { get; init; } = 21_600;

    public ulong ProofValidityBlocks { get; init; } = 63;

    public ulong ProofGapBlocks { get; init; } = 15;

    public ulong ProofClockSeconds { get; init; } = 300;

    public ulong PayableAfterBlocks { get; init; } = 720;

    public ulong CreditStart { get; init; } = 60;

    public ulong CreditLeast { get; init; } = 60;

    public ulong CreditMost { get; init; } = 1_440;

    public ulong CreditPerBlocks { get; init; } = 30;

    public ulong EpochBlocks { get; init; } = 720;

    public byte CommitteeSize { get; init; } = 20;

    public ulong TermBlocks(int rawType) => rawType switch { 2 => TermBlocks1, 3 => TermBlocks2, 4 => TermBlocks5, 5 => TermBlocks10, _ => 0 };

    /// <summary>A zone's price for a year by its length class (0 shortest to 3 long).</summary>
    public ulong ZonePrice(int lengthClass) => lengthClass switch { 0 => ZonePriceShortest, 1 => ZonePriceShort, 2 => ZonePriceMiddle, _ => ZonePriceLong };

    public void Write(LedgerWriter writer)
    {
        writer.U8(HardFork).U8(OperatorPercent).U8(MaxContributors).U8(CommitteeSize);
        foreach (ulong number in Numbers()) writer.Varint(number);
    }

    /// <summary>Null for numbers that no network can have.</summary>
    public static LedgerRules? Read(ref LedgerReader reader)
    {
        byte fork = reader.U8(), percent = reader.U8(), contributors = reader.U8(), committee = reader.U8();
        Span<ulong> n = stackalloc ulong[28];
        foreach (ref ulong number in n)
        {
            number = reader.Varint();
            if (number > 1UL << 56) return null; // room to multiply and to add heights
        }

        if (reader.Failed || fork < 15 || percent is 0 or > 100 || contributors is 0 or > NodeEntry.MaxContributors || committee is 0 or > Proofs.Committee.MaxMembers) return null;
        var rules = new LedgerRules
        {
            HardFork = fork, OperatorPercent = percent, MaxContributors = contributors, CommitteeSize = committee,
            OperationFee = n[0], TermBlocks1 = n[1], TermBlocks2 = n[2], TermBlocks5 = n[3], TermBlocks10 = n[4],
            ZoneYearBlocks = n[5], ZonePriceShortest = n[6], ZonePriceShort = n[7], ZonePriceMiddle = n[8], ZonePriceLong = n[9],
            GraceBlocks = n[10], CommitMinBlocks = n[11], CommitMaxBlocks = n[12], RecoveryDelayBlocks = n[13],
            StakeRequirement = n[14], BlockReward = n[15], UnlockBlocks = n[16], SmallUnlockDelayBlocks = n[17], DeregisterLockBlocks = n[18],
            ProofValidityBlocks = n[19], ProofGapBlocks = n[20], ProofClockSeconds = n[21], PayableAfterBlocks = n[22],
            CreditStart = n[23], CreditLeast = n[24], CreditMost = n[25], CreditPerBlocks = n[26], EpochBlocks = n[27],
        };
        return rules.CreditPerBlocks == 0 || rules.EpochBlocks == 0 || rules.StakeRequirement == 0 || rules.CommitMaxBlocks < rules.CommitMinBlocks ? null : rules;
    }

    private ulong[] Numbers() =>
    [
        OperationFee, TermBlocks1, TermBlocks2, TermBlocks5, TermBlocks10, ZoneYearBlocks, ZonePriceShortest, ZonePriceShort, ZonePriceMiddle, ZonePriceLong,
        GraceBlocks, CommitMinBlocks, CommitMaxBlocks, RecoveryDelayBlocks, StakeRequirement, BlockReward, UnlockBlocks, SmallUnlockDelayBlocks, DeregisterLockBlocks,
        ProofValidityBlocks, ProofGapBlocks, ProofClockSeconds, PayableAfterBlocks, CreditStart, CreditLeast, CreditMost, CreditPerBlocks, EpochBlocks,
    ];
}
