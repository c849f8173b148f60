using System.Collections.Immutable;

namespace Oxen.Ons.Ledger;

/// <summary>Where a service node stands.</summary>
internal enum NodeStage : byte
{
    /// <summary>Registered; its stake is not complete.</summary>
    Collecting = 0,

    Active = 1,

    /// <summary>Failing, on credit: no rewards, no swarm, may come back.</summary>
    Decommissioned = 2,

    /// <summary>Out for failing; the stakes are locked until <see cref="NodeEntry.ReleaseHeight"/>.</summary>
    Deregistered = 3,
}

/// <summary>Why a node failed; the numbers are upstream's.</summary>
[Flags]
internal enum NodeReasons : ushort
{
    None = 0,
    MissedUptimeProof = 1,
    MissedCheckpoints = 2,
    MissedPulse = 4,
    StorageUnreachable = 8,
    TimestampUnreachable = 0x10,
    ClockOutOfSync = 0x20,
    LokinetUnreachable = 0x40,
    LayerTwoUnavailable = 0x80,
    All = 0xFF,
}

/// <summary>A part of a stake, in atomic units. `Amount` 0 and `Reserved` above it: a place kept for this account.</summary>
internal sealed record Contribution(Bytes32 Account, ulong Amount, ulong Reserved);

/// <summary>What a node says of itself in its uptime proof. Ports 0: not told.</summary>
internal sealed record NodeFacts(uint PublicIp, ushort QuorumPort, ushort StorageHttpsPort, ushort StorageOmqPort, ushort VersionMajor, ushort VersionMinor, ushort VersionPatch, ulong UnixSeconds)
{
    public void Write(LedgerWriter writer) => writer.U32(PublicIp).U16(QuorumPort).U16(StorageHttpsPort).U16(StorageOmqPort).U16(VersionMajor).U16(VersionMinor).U16(VersionPatch).U64(UnixSeconds);

    public static NodeFacts Read(ref LedgerReader reader) => new(reader.U32(), reader.U16(), reader.U16(), reader.U16(), reader.U16(), reader.U16(), reader.U16(), reader.U64());
}

/// <summary>A service node. `Id` is its Ed25519 key: its router id.</summary>
internal sealed record NodeEntry : LedgerEntry
{
    public const int MaxContributors = 16;
    public const ulong NoSwarm = ulong.MaxValue;

    public override EntryKind Kind => EntryKind.Node;

    public required Bytes32 Id { get; init; }

    /// <summary>The first contribution is the operator's.</summary>
    public required ImmutableArray<Contribution> Contributions { get; init; }

    /// <summary>The operator's cut of rewards, in 1/10000.</summary>
    public required ushort Fee { get; init; }

    public required ulong RegistrationHeight { get; init; }

    public NodeStage Stage { get; init; }

    /// <summary>Since when it is in its stage.</summary>
    public ulong StageHeight { get; init; }

    /// <summary>Takes part in rewards.</summary>
    public bool Payable { get; init; }

    /// <summary>The reward index up to which its rewards were paid out.</summary>
    public ulong RewardIndex { get; init; }

    /// <summary>When it leaves because a contributor asked; 0: nobody did.</summary>
    public ulong UnlockHeight { get; init; }

    /// <summary>When the locked stakes of a deregistered node come back; else 0.</summary>
    public ulong ReleaseHeight { get; init; }

    public ulong LastProofHeight { get; init; }

    /// <summary>Blocks that it may fail for, as they stood at <see cref="StageHeight"/>.</summary>
    public ulong Credit { get; init; }

    public uint DecommissionCount { get; init; }

    public NodeReasons Reasons { get; init; }

    public ulong SwarmId { get; init; } = NoSwarm;

    /// <summary>Since when it has been in its swarm without a break: a member that was away learns that it was replaced meanwhile.</summary>
    public ulong SwarmHeight { get; init; }

    public NodeFacts? Facts { get; init; }

    public Bytes32 Operator => Contributions[0].Account;

    public ulong Staked => Contributions.Aggregate(0UL, (sum, c) => sum + c.Amount);

    public ulong Reserved => Contributions.Aggregate(0UL, (sum, c) => sum + (c.Reserved > c.Amount ? c.Reserved - c.Amount : 0));

    public static Bytes32 Key(Bytes32 id) => KeyOf(EntryKind.Node, id);

    public static NodeEntry? Read(ref LedgerReader reader)
    {
        Bytes32 id = reader.Bytes32();
        int count = reader.Count(MaxContributors);
        if (reader.Failed || count == 0) return null;
        ImmutableArray<Contribution>.Builder contributions = ImmutableArray.CreateBuilder<Contribution>(count);
        for (int i = 0; i < count; i++) contributions.Add(new Contribution(reader.Bytes32(), reader.Varint(), reader.Varint()));
        var entry = new NodeEntry
        {
            Id = id,
            Contributions = contributions.MoveToImmutable(),
            Fee = reader.U16(),
            RegistrationHeight = reader.Varint(),
            Stage = (NodeStage)reader.Count((int)NodeStage.Deregistered),
            StageHeight = reader.Varint(),
            Payable = reader.Flag(),
            RewardIndex = reader.Varint(),
            UnlockHeight = reader.Varint(),
            ReleaseHeight = reader.Varint(),
            LastProofHeight = reader.Varint(),
            Credit = reader.Varint(),
            DecommissionCount = reader.U32(),
            Reasons = (NodeReasons)reader.U16(),
            SwarmId = reader.U64(),
            SwarmHeight = reader.Varint(),
            Facts = reader.Flag() ? NodeFacts.Read(ref reader) : null,
        };
        return reader.Failed ? null : entry;
    }

    protected override void WriteBody(LedgerWriter writer)
    {
        writer.Bytes(Id).Varint((ulong)Contributions.Length);
        foreach (Contribution c in Contributions) writer.Bytes(c.Account).Varint(c.Amount).Varint(c.Reserved);
        writer.U16(Fee).Varint(RegistrationHeight).U8((byte)Stage).Varint(StageHeight).Flag(Payable).Varint(RewardIndex).Varint(UnlockHeight).Varint(ReleaseHeight)
            .Varint(LastProofHeight).Varint(Credit).U32(DecommissionCount).U16((ushort)Reasons).U64(SwarmId).Varint(SwarmHeight).Flag(Facts is not null);
        Facts?.Write(writer);
    }

    public bool Equals(NodeEntry? other) => other is not null && ToBytes().AsSpan().SequenceEqual(other.ToBytes());

    public override int GetHashCode() => HashCode.Combine(Id, StageHeight);
}
