using System.Text;
using Oxen.Ons.Zones;

namespace Oxen.Ons.Ledger;

/// <summary>What an operation does; the numbers stand on the wire.</summary>
internal enum OperationKind : byte
{
    Transfer = 1,
    Burn = 2,
    Name = 10,
    ZoneCommit = 20,
    ZoneReveal = 21,
    ZoneUpdate = 22,
    ZoneRenew = 23,
    ZoneRecover = 24,
    Reverse = 25,
    NodeRegister = 30,
    NodeContribute = 31,
    NodeUnlock = 32,
    NodeCollect = 33,
    NodeProof = 34,
    NodeVerdict = 35,
    Equivocation = 36,
}

/// <summary>The inside of an operation. One value has one encoding. docs/protocol/ledger.md#operations</summary>
internal abstract record OperationBody
{
    public abstract OperationKind Kind { get; }

    public abstract void Write(LedgerWriter writer);

    /// <summary>Null for an unknown kind and for anything but exactly one body.</summary>
    public static OperationBody? Read(OperationKind kind, ReadOnlySpan<byte> bytes)
    {
        var reader = new LedgerReader(bytes);
        OperationBody? body = kind switch
        {
            OperationKind.Transfer => new TransferBody(reader.Bytes32(), reader.Varint()),
            OperationKind.Burn => new BurnBody(reader.Varint(), Ascii(ref reader, BurnBody.MaxMemoBytes)),
            OperationKind.Name => NameBody.ReadBody(ref reader),
            OperationKind.ZoneCommit => new ZoneCommitBody(reader.Bytes32(), reader.Varint()),
            OperationKind.ZoneReveal => ZoneRevealBody.ReadBody(ref reader),
            OperationKind.ZoneUpdate => ZoneUpdateBody.ReadBody(ref reader),
            OperationKind.ZoneRenew => new ZoneRenewBody(reader.Bytes32(), reader.U8(), reader.Varint()),
            OperationKind.ZoneRecover => ZoneRecoverBody.ReadBody(ref reader),
            OperationKind.Reverse => new ReverseBody(reader.Bytes32(), Ascii(ref reader, ReverseEntry.MaxNameBytes), reader.Bytes(LedgerSignature.Bytes).ToArray()),
            OperationKind.NodeRegister => NodeRegisterBody.ReadBody(ref reader),
            OperationKind.NodeContribute => new NodeContributeBody(reader.Bytes32(), reader.Varint()),
            OperationKind.NodeUnlock => new NodeUnlockBody(reader.Bytes32()),
            OperationKind.NodeCollect => new NodeCollectBody(reader.Bytes32()),
            OperationKind.NodeProof => new NodeProofBody(NodeFacts.Read(ref reader)),
            OperationKind.NodeVerdict => NodeVerdictBody.ReadBody(ref reader),
            OperationKind.Equivocation => EquivocationBody.ReadBody(ref reader),
            _ => null,
        };
        return body is not null && reader.Done ? body : null;
    }

    // Visible ASCII and spaces; anything else reads as wrong.
    private static string Ascii(ref LedgerReader reader, int most)
    {
        byte[] bytes = reader.Blob(most);
        foreach (byte b in bytes)
        {
            if (b is < 0x20 or > 0x7E) reader.Fail();
        }

        return Encoding.ASCII.GetString(bytes);
    }
}

/// <summary>Moves money. Atomic units.</summary>
internal sealed record TransferBody(Bytes32 To, ulong Amount) : OperationBody
{
    public override OperationKind Kind => OperationKind.Transfer;

    public override void Write(LedgerWriter writer) => writer.Bytes(To).Varint(Amount);
}

/// <summary>Destroys money, with a note why: the infrastructure fund's buy-and-burn entries.</summary>
internal sealed record BurnBody(ulong Amount, string Memo) : OperationBody
{
    public const int MaxMemoBytes = 96;

    public override OperationKind Kind => OperationKind.Burn;

    public override void Write(LedgerWriter writer) => writer.Varint(Amount).Blob(Encoding.ASCII.GetBytes(Memo));
}

/// <summary>A compatible buy, update or renewal, and what it burns.</summary>
internal sealed record NameBody(ulong Burn, NamePayload Payload) : OperationBody
{
    public override OperationKind Kind => OperationKind.Name;

    public static NameBody? ReadBody(ref LedgerReader reader)
    {
        ulong burn = reader.Varint();
        NamePayload? payload = NamePayload.Read(reader.Bytes(reader.Left));
        return payload is null ? null : new NameBody(burn, payload);
    }

    public override void Write(LedgerWriter writer)
    {
        writer.Varint(Burn);
        Payload.Write(writer);
    }
}

/// <summary>A hidden claim to a zone. The deposit pays for it when it is revealed.</summary>
internal sealed record ZoneCommitBody(Bytes32 Commitment, ulong Deposit) : OperationBody
{
    public override OperationKind Kind => OperationKind.ZoneCommit;

    public override void Write(LedgerWriter writer) => writer.Bytes(Commitment).Varint(Deposit);
}

/// <summary>Opens a commitment: the zone is bought.</summary>
internal sealed record ZoneRevealBody(NameType Type, byte LengthClass, byte Years, Bytes32 Blind, Bytes32 Owner, Bytes32? Backup, byte[] Value, Bytes32 Salt) : OperationBody
{
    public override OperationKind Kind => OperationKind.ZoneReveal;

    public static ZoneRevealBody? ReadBody(ref LedgerReader reader)
    {
        byte type = reader.U8(), lengthClass = reader.U8(), years = reader.U8();
        Bytes32 blind = reader.Bytes32(), owner = reader.Bytes32();
        Bytes32? backup = reader.Flag() ? reader.Bytes32() : null;
        var body = new ZoneRevealBody((NameType)type, lengthClass, years, blind, owner, backup, reader.Blob(ZoneEntry.MaxValueBytes), reader.Bytes32());
        return type > (byte)NameType.Lokinet || lengthClass > ZoneIndex.LongestClass ? null : body;
    }

    public override void Write(LedgerWriter writer)
    {
        writer.U8((byte)Type).U8(LengthClass).U8(Years).Bytes(Blind).Bytes(Owner).Flag(Backup is not null);
        if (Backup is { } backup) writer.Bytes(backup);
        writer.Blob(Value).Bytes(Salt);
    }

    /// <summary>What <see cref="ZoneCommitBody"/> hides; it names the payer, so that nobody else can use it.</summary>
    public Bytes32 Commitment(Bytes32 payer, Bytes32 network)
    {
        var writer = new LedgerWriter();
        writer.Bytes(network).Bytes(payer);
        Write(writer);
        return LedgerHash.Of("oxen-ons-v2-commit"u8, writer.Written);
    }
}

/// <summary>Changes a zone, by the signature of its owner. Anybody may pay for it.</summary>
internal sealed record ZoneUpdateBody(Bytes32 Index, Bytes32 Previous, ulong Sequence, ZoneFields Fields, Bytes32 Owner, Bytes32 Backup, byte[] Value, byte[] Signature) : OperationBody
{
    public override OperationKind Kind => OperationKind.ZoneUpdate;

    public static ZoneUpdateBody? ReadBody(ref LedgerReader reader)
    {
        Bytes32 index = reader.Bytes32(), previous = reader.Bytes32();
        ulong sequence = reader.Varint();
        var fields = (ZoneFields)reader.U8();
        if (fields == ZoneFields.None || (fields & ~ZoneFields.All) != 0 || (fields & (ZoneFields.Backup | ZoneFields.NoBackup)) == (ZoneFields.Backup | ZoneFields.NoBackup)) return null;
        Bytes32 owner = fields.HasFlag(ZoneFields.Owner) ? reader.Bytes32() : default;
        Bytes32 backup = fields.HasFlag(ZoneFields.Backup) ? reader.Bytes32() : default;
        byte[] value = fields.HasFlag(ZoneFields.Value) ? reader.Blob(ZoneEntry.MaxValueBytes) : [];
        return new ZoneUpdateBody(index, previous, sequence, fields, owner, backup, value, reader.Bytes(LedgerSignature.Bytes).ToArray());
    }

    public override void Write(LedgerWriter writer)
    {
        WriteUnsigned(writer);
        writer.Bytes(Signature);
    }

    /// <summary>Covers the network, the type and index of the zone, what came before, the number, and each field under its flag.</summary>
    public Bytes32 Message(NameType type, Bytes32 network)
    {
        var writer = new LedgerWriter();
        writer.Bytes(network).U8((byte)type);
        WriteUnsigned(writer);
        return LedgerHash.Of("oxen-ons-v2-update"u8, writer.Written);
    }

    public ZoneUpdateBody SignedBy(LedgerKey owner, NameType type, Bytes32 network) => this with { Signature = owner.Sign("oxen-ons-v2-update"u8, Message(type, network)) };

    public bool IsSignedBy(Bytes32 owner, NameType type, Bytes32 network) => LedgerSignature.Verify(owner, "oxen-ons-v2-update"u8, Message(type, network), Signature);

    private void WriteUnsigned(LedgerWriter writer)
    {
        writer.Bytes(Index).Bytes(Previous).Varint(Sequence).U8((byte)Fields);
        if (Fields.HasFlag(ZoneFields.Owner)) writer.Bytes(Owner);
        if (Fields.HasFlag(ZoneFields.Backup)) writer.Bytes(Backup);
        if (Fields.HasFlag(ZoneFields.Value)) writer.Blob(Value);
    }
}

/// <summary>What an update changes.</summary>
[Flags]
internal enum ZoneFields : byte
{
    None = 0,
    Owner = 1,
    Backup = 2,
    NoBackup = 4,
    Value = 8,
    All = 15,
}

/// <summary>Pays for more years of a zone. Anybody may, also in the time of grace.</summary>
internal sealed record ZoneRenewBody(Bytes32 Index, byte Years, ulong Burn) : OperationBody
{
    public override OperationKind Kind => OperationKind.ZoneRenew;

    public override void Write(LedgerWriter writer) => writer.Bytes(Index).U8(Years).Varint(Burn);
}

/// <summary>The three steps of a recovery.</summary>
internal enum RecoveryStep : byte
{
    /// <summary>By the backup owner: names the new owner, starts the delay.</summary>
    Start = 0,

    /// <summary>By the owner, within the delay.</summary>
    Cancel = 1,

    /// <summary>By the backup owner, after the delay.</summary>
    Finish = 2,
}

/// <summary>The backup owner's way to a zone whose owner key was lost.</summary>
internal sealed record ZoneRecoverBody(Bytes32 Index, Bytes32 Previous, RecoveryStep Step, Bytes32 NewOwner, byte[] Signature) : OperationBody
{
    public override OperationKind Kind => OperationKind.ZoneRecover;

    public static ZoneRecoverBody? ReadBody(ref LedgerReader reader)
    {
        Bytes32 index = reader.Bytes32(), previous = reader.Bytes32();
        byte step = reader.U8();
        if (step > (byte)RecoveryStep.Finish) return null;
        Bytes32 owner = step == (byte)RecoveryStep.Start ? reader.Bytes32() : default;
        return new ZoneRecoverBody(index, previous, (RecoveryStep)step, owner, reader.Bytes(LedgerSignature.Bytes).ToArray());
    }

    public override void Write(LedgerWriter writer)
    {
        WriteUnsigned(writer);
        writer.Bytes(Signature);
    }

    public ZoneRecoverBody SignedBy(LedgerKey key, NameType type, Bytes32 network) => this with { Signature = key.Sign("oxen-ons-v2-recover"u8, Message(type, network)) };

    public bool IsSignedBy(Bytes32 key, NameType type, Bytes32 network) => LedgerSignature.Verify(key, "oxen-ons-v2-recover"u8, Message(type, network), Signature);

    private Bytes32 Message(NameType type, Bytes32 network)
    {
        var writer = new LedgerWriter();
        writer.Bytes(network).U8((byte)type);
        WriteUnsigned(writer);
        return LedgerHash.Of("oxen-ons-v2-recover"u8, writer.Written);
    }

    private void WriteUnsigned(LedgerWriter writer)
    {
        writer.Bytes(Index).Bytes(Previous).U8((byte)Step);
        if (Step == RecoveryStep.Start) writer.Bytes(NewOwner);
    }
}

/// <summary>Opt-in reverse look-up of an address; an empty name takes it back. Signed by the address's own key, for one signer's one nonce.</summary>
internal sealed record ReverseBody(Bytes32 Address, string Name, byte[] Signature) : OperationBody
{
    public override OperationKind Kind => OperationKind.Reverse;

    public override void Write(LedgerWriter writer) => writer.Bytes(Address).Blob(Encoding.ASCII.GetBytes(Name)).Bytes(Signature);

    public ReverseBody SignedBy(LedgerKey address, Bytes32 payer, ulong nonce, Bytes32 network) => this with { Signature = address.Sign("oxen-ons-v2-reverse"u8, Message(payer, nonce, network)) };

    public bool IsSigned(Bytes32 payer, ulong nonce, Bytes32 network) => LedgerSignature.Verify(Address, "oxen-ons-v2-reverse"u8, Message(payer, nonce, network), Signature);

    // Payer and nonce: an old wish cannot be sent again later.
    private Bytes32 Message(Bytes32 payer, ulong nonce, Bytes32 network)
        => LedgerHash.Of("oxen-ons-v2-reverse"u8, new LedgerWriter().Bytes(network).Bytes(payer).U64(nonce).Bytes(Address).Blob(Encoding.ASCII.GetBytes(Name)).Written);
}
