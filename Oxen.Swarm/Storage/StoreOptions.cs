namespace Oxen.Swarm.Storage;

/// <summary>How large a store may grow and how it writes.</summary>
internal sealed record StoreOptions
{
    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>The most bytes of the database. Stores are refused from nineteen twentieths on, so that deletions always find room.</summary>
    public long MaxBytes { get; init; } = 10L << 30;

    /// <summary>The most message bytes of one account; 0: a sixteenth of <see cref="MaxBytes"/>.</summary>
    public long MaxAccountBytes { get; init; }

    /// <summary>When more than three quarters are used, an account may have this many times the average.</summary>
    public int FairShare { get; init; } = 4;

    /// <summary>Fewest bytes an account is allowed under pressure, whatever the average.</summary>
    public long SmallAccountBytes { get; init; } = 1 << 20;

    /// <summary>False only for simulated disks in tests: a commit then does not wait for the disk.</summary>
    public bool Durable { get; init; } = true;

    /// <summary>The most hints for one node; beyond it the node finds out by comparing.</summary>
    public int MaxHints { get; init; } = 50_000;

    public long AccountBytes => MaxAccountBytes > 0 ? MaxAccountBytes : MaxBytes / 16;
}
