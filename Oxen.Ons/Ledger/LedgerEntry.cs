namespace Oxen.Ons.Ledger;

/// <summary>What a leaf of the state is. The numbers are part of keys and encodings.</summary>
internal enum EntryKind : byte
{
    Account = 1,
    Name = 2,
    Zone = 3,
    Commitment = 4,
    Node = 5,
    Reverse = 6,
    Totals = 7,
    Committee = 8,
}

/// <summary>One leaf of the state. Its key in the tree is BLAKE2b-256(tag, kind, id); its bytes begin with the kind.</summary>
internal abstract record LedgerEntry
{
    [ThreadStatic]
    private static LedgerWriter? t_writer;

    public abstract EntryKind Kind { get; }

    /// <summary>Appends everything after the kind.</summary>
    protected abstract void WriteBody(LedgerWriter writer);

    public void Write(LedgerWriter writer)
    {
        writer.U8((byte)Kind);
        WriteBody(writer);
    }

    public byte[] ToBytes()
    {
        var writer = new LedgerWriter(192);
        Write(writer);
        return writer.ToArray();
    }

    /// <summary>BLAKE2b-256 of the bytes: what a leaf's hash covers beside its key.</summary>
    public Bytes32 ValueHash()
    {
        LedgerWriter writer = t_writer ??= new LedgerWriter(1024);
        writer.Clear();
        Write(writer);
        return LedgerHash.Bare(writer.Written);
    }

    public static Bytes32 KeyOf(EntryKind kind, ReadOnlySpan<byte> id) => LedgerHash.Of("oxen-ledger-key-1"u8, [(byte)kind], id);

    public static Bytes32 KeyOf(EntryKind kind, Bytes32 id)
    {
        Span<byte> bytes = stackalloc byte[Bytes32.Length];
        id.CopyTo(bytes);
        return KeyOf(kind, bytes);
    }
}

/// <summary>An account: an Ed25519 key with a balance in atomic units and the number of the next operation that it signs.</summary>
internal sealed record AccountEntry(Bytes32 Id, ulong Balance, ulong Nonce) : LedgerEntry
{
    public override EntryKind Kind => EntryKind.Account;

    public static Bytes32 Key(Bytes32 id) => KeyOf(EntryKind.Account, id);

    public static AccountEntry? Read(ref LedgerReader reader)
    {
        var entry = new AccountEntry(reader.Bytes32(), reader.Varint(), reader.Varint());
        return reader.Failed ? null : entry;
    }

    protected override void WriteBody(LedgerWriter writer) => writer.Bytes(Id).Varint(Balance).Varint(Nonce);
}

/// <summary>A compatible name: what a real oxend keeps of one, and no more.</summary>
internal sealed record NameEntry(NameType Type, NameHash Hash, NameOwner Owner, NameOwner? Backup, byte[] Value, Bytes32 LastOperation, ulong UpdateHeight, ulong ExpirationHeight) : LedgerEntry
{
    public override EntryKind Kind => EntryKind.Name;

    /// <summary>0 never expires; else the last height at which it is active.</summary>
    public bool IsActive(ulong height) => ExpirationHeight == 0 || height <= ExpirationHeight;

    public static Bytes32 Key(NameType type, NameHash hash)
    {
        Span<byte> id = stackalloc byte[1 + NameHash.Bytes];
        id[0] = (byte)type;
        hash.CopyTo(id[1..]);
        return KeyOf(EntryKind.Name, id);
    }

    public static NameEntry? Read(ref LedgerReader reader)
    {
        byte type = reader.U8();
        NameHash hash = reader.Bytes32().ToNameHash();
        NameOwner? owner = NameOwner.Read(ref reader);
        NameOwner? backup = reader.Flag() ? NameOwner.Read(ref reader) : null;
        var entry = new NameEntry((NameType)type, hash, owner ?? NameOwner.Of(default), backup, reader.Blob(NamePayload.MaxValueBytes), reader.Bytes32(), reader.Varint(), reader.Varint());
        return reader.Failed || owner is null || type > (byte)NameType.Lokinet ? null : entry;
    }

    protected override void WriteBody(LedgerWriter writer)
    {
        writer.U8((byte)Type).Bytes(Bytes32.Of(Hash));
        Owner.Write(writer);
        writer.Flag(Backup is not null);
        Backup?.Write(writer);
        writer.Blob(Value).Bytes(LastOperation).Varint(UpdateHeight).Varint(ExpirationHeight);
    }

    public bool Equals(NameEntry? other) => other is not null && ToBytes().AsSpan().SequenceEqual(other.ToBytes());

    public override int GetHashCode() => HashCode.Combine(Type, Hash, UpdateHeight);
}

/// <summary>A name of the second version (a zone), docs/protocol/zones.md.</summary>
internal sealed record ZoneEntry(
    NameType Type, byte LengthClass, Bytes32 Index, Bytes32 Owner, Bytes32? Backup, byte[] Value, ulong Sequence, uint Epoch, ulong ExpirationHeight, Bytes32 LastOperation, ulong UpdateHeight, PendingRecovery? Recovery) : LedgerEntry
{
    public const int MaxValueBytes = 1024;

    public override EntryKind Kind => EntryKind.Zone;

    public bool IsActive(ulong height) => height <= ExpirationHeight;

    /// <summary>Active, or expired for no longer than the owner's time of grace.</summary>
    public bool IsHeld(ulong height, ulong graceBlocks) => height <= ExpirationHeight + graceBlocks;

    public static Bytes32 Key(Bytes32 index) => KeyOf(EntryKind.Zone, index);

    public static ZoneEntry? Read(ref LedgerReader reader)
    {
        byte type = reader.U8(), lengthClass = reader.U8();
        Bytes32 index = reader.Bytes32(), owner = reader.Bytes32();
        Bytes32? backup = reader.Flag() ? reader.Bytes32() : null;
        byte[] value = reader.Blob(MaxValueBytes);
        ulong sequence = reader.Varint();
        uint epoch = reader.U32();
        ulong expiration = reader.Varint();
        Bytes32 last = reader.Bytes32();
        ulong updated = reader.Varint();
        PendingRecovery? recovery = reader.Flag() ? new PendingRecovery(reader.Bytes32(), reader.Varint()) : null;
        return reader.Failed || type > (byte)NameType.Lokinet ? null : new ZoneEntry((NameType)type, lengthClass, index, owner, backup, value, sequence, epoch, expiration, last, updated, recovery);
    }

    protected override void WriteBody(LedgerWriter writer)
    {
        writer.U8((byte)Type).U8(LengthClass).Bytes(Index).Bytes(Owner).Flag(Backup is not null);
        if (Backup is { } backup) writer.Bytes(backup);
        writer.Blob(Value).Varint(Sequence).U32(Epoch).Varint(ExpirationHeight).Bytes(LastOperation).Varint(UpdateHeight).Flag(Recovery is not null);
        if (Recovery is { } recovery) writer.Bytes(recovery.NewOwner).Varint(recovery.ReadyHeight);
    }

    public bool Equals(ZoneEntry? other) => other is not null && ToBytes().AsSpan().SequenceEqual(other.ToBytes());

    public override int GetHashCode() => HashCode.Combine(Index, Sequence);
}

/// <summary>The backup owner's claim: `NewOwner` may take the zone from `ReadyHeight` on, unless the owner says no before.</summary>
internal sealed record PendingRecovery(Bytes32 NewOwner, ulong ReadyHeight);

/// <summary>A hidden claim to a zone, with the money that it will cost.</summary>
internal sealed record CommitmentEntry(Bytes32 Commitment, Bytes32 Payer, ulong Deposit, ulong Height) : LedgerEntry
{
    public override EntryKind Kind => EntryKind.Commitment;

    public static Bytes32 Key(Bytes32 commitment) => KeyOf(EntryKind.Commitment, commitment);

    public static CommitmentEntry? Read(ref LedgerReader reader)
    {
        var entry = new CommitmentEntry(reader.Bytes32(), reader.Bytes32(), reader.Varint(), reader.Varint());
        return reader.Failed ? null : entry;
    }

    protected override void WriteBody(LedgerWriter writer) => writer.Bytes(Commitment).Bytes(Payer).Varint(Deposit).Varint(Height);
}

/// <summary>A name that the key of an address wants to be known by. Worth nothing until the name itself points back.</summary>
internal sealed record ReverseEntry(Bytes32 Address, string Name) : LedgerEntry
{
    public const int MaxNameBytes = 68;

    public override EntryKind Kind => EntryKind.Reverse;

    public static Bytes32 Key(Bytes32 address) => KeyOf(EntryKind.Reverse, address);

    public static ReverseEntry? Read(ref LedgerReader reader)
    {
        Bytes32 address = reader.Bytes32();
        byte[] name = reader.Blob(MaxNameBytes);
        return reader.Failed ? null : new ReverseEntry(address, System.Text.Encoding.ASCII.GetString(name));
    }

    protected override void WriteBody(LedgerWriter writer) => writer.Bytes(Address).Blob(System.Text.Encoding.ASCII.GetBytes(Name));
}

/// <summary>All money, by where it is. Issued - burned = balances + staked + deposits + rewards not yet collected.</summary>
internal sealed record TotalsEntry(ulong Issued, ulong Burned, ulong Balances, ulong Staked, ulong Deposits, ulong Rewards, ulong RewardIndex) : LedgerEntry
{
    public override EntryKind Kind => EntryKind.Totals;

    public static Bytes32 Key { get; } = KeyOf(EntryKind.Totals, ReadOnlySpan<byte>.Empty);

    public bool Balanced => (UInt128)Issued - Burned == (UInt128)Balances + Staked + Deposits + Rewards;

    public static TotalsEntry? Read(ref LedgerReader reader)
    {
        var entry = new TotalsEntry(reader.Varint(), reader.Varint(), reader.Varint(), reader.Varint(), reader.Varint(), reader.Varint(), reader.Varint());
        return reader.Failed ? null : entry;
    }

    protected override void WriteBody(LedgerWriter writer) => writer.Varint(Issued).Varint(Burned).Varint(Balances).Varint(Staked).Varint(Deposits).Varint(Rewards).Varint(RewardIndex);
}
