using System.Collections.Immutable;

namespace Oxen.Ons.Ledger;

/// <summary>A service node's registration by its operator, who pays the first part of the stake. The node's key signs that it agrees.</summary>
internal sealed record NodeRegisterBody(Bytes32 Node, ushort Fee, ulong Amount, ImmutableArray<(Bytes32 Account, ulong Amount)> Reserved, byte[] Signature) : OperationBody
{
    public override OperationKind Kind => OperationKind.NodeRegister;

    public static NodeRegisterBody? ReadBody(ref LedgerReader reader)
    {
        Bytes32 node = reader.Bytes32();
        ushort fee = reader.U16();
        ulong amount = reader.Varint();
        int count = reader.Count(NodeEntry.MaxContributors);
        ImmutableArray<(Bytes32, ulong)>.Builder reserved = ImmutableArray.CreateBuilder<(Bytes32, ulong)>(count);
        for (int i = 0; i < count; i++) reserved.Add((reader.Bytes32(), reader.Varint()));
        return new NodeRegisterBody(node, fee, amount, reserved.MoveToImmutable(), reader.Bytes(LedgerSignature.Bytes).ToArray());
    }

    public override void Write(LedgerWriter writer)
    {
        WriteUnsigned(writer);
        writer.Bytes(Signature);
    }

    /// <summary>Operator and nonce: a node's word is good for one registration.</summary>
    public NodeRegisterBody SignedBy(LedgerKey node, Bytes32 operatorAccount, ulong nonce, Bytes32 network)
        => this with { Signature = node.Sign("oxen-ledger-register-1"u8, Message(operatorAccount, nonce, network)) };

    public bool IsSigned(Bytes32 operatorAccount, ulong nonce, Bytes32 network)
        => LedgerSignature.Verify(Node, "oxen-ledger-register-1"u8, Message(operatorAccount, nonce, network), Signature);

    private Bytes32 Message(Bytes32 operatorAccount, ulong nonce, Bytes32 network)
    {
        var writer = new LedgerWriter();
        writer.Bytes(network).Bytes(operatorAccount).U64(nonce);
        WriteUnsigned(writer);
        return LedgerHash.Of("oxen-ledger-register-1"u8, writer.Written);
    }

    private void WriteUnsigned(LedgerWriter writer)
    {
        writer.Bytes(Node).U16(Fee).Varint(Amount).Varint((ulong)Reserved.Length);
        foreach ((Bytes32 account, ulong amount) in Reserved) writer.Bytes(account).Varint(amount);
    }
}

/// <summary>Adds to a node's stake.</summary>
internal sealed record NodeContributeBody(Bytes32 Node, ulong Amount) : OperationBody
{
    public override OperationKind Kind => OperationKind.NodeContribute;

    public override void Write(LedgerWriter writer) => writer.Bytes(Node).Varint(Amount);
}

/// <summary>A contributor wants its stake back.</summary>
internal sealed record NodeUnlockBody(Bytes32 Node) : OperationBody
{
    public override OperationKind Kind => OperationKind.NodeUnlock;

    public override void Write(LedgerWriter writer) => writer.Bytes(Node);
}

/// <summary>A contributor has a node's rewards paid out, to everybody who has a part of them.</summary>
internal sealed record NodeCollectBody(Bytes32 Node) : OperationBody
{
    public override OperationKind Kind => OperationKind.NodeCollect;

    public override void Write(LedgerWriter writer) => writer.Bytes(Node);
}

/// <summary>A node, by its own signature, is up. Costs nothing.</summary>
internal sealed record NodeProofBody(NodeFacts Facts) : OperationBody
{
    public override OperationKind Kind => OperationKind.NodeProof;

    public override void Write(LedgerWriter writer) => Facts.Write(writer);
}

/// <summary>What a committee decides about a node.</summary>
internal enum Verdict : byte
{
    /// <summary>It fails: decommission if it has credit, else deregister.</summary>
    Failing = 0,

    /// <summary>It works again.</summary>
    Recommission = 1,
}

/// <summary>A quorum of the committee judges a node, by signatures over network, height, node, verdict and reasons.</summary>
internal sealed record NodeVerdictBody(Bytes32 Node, ulong Height, Verdict Verdict, NodeReasons Reasons, ImmutableArray<(byte Member, byte[] Signature)> Votes) : OperationBody
{
    public override OperationKind Kind => OperationKind.NodeVerdict;

    public static NodeVerdictBody? ReadBody(ref LedgerReader reader)
    {
        Bytes32 node = reader.Bytes32();
        ulong height = reader.Varint();
        byte verdict = reader.U8();
        ushort reasons = reader.U16();
        int count = reader.Count(Proofs.Committee.MaxMembers);
        ImmutableArray<(byte, byte[])>.Builder votes = ImmutableArray.CreateBuilder<(byte, byte[])>(count);
        int last = -1;
        for (int i = 0; i < count; i++)
        {
            byte member = reader.U8();
            if (member <= last) return null;
            last = member;
            votes.Add((member, reader.Bytes(LedgerSignature.Bytes).ToArray()));
        }

        return verdict > (byte)Verdict.Recommission || reasons > (ushort)NodeReasons.All ? null : new NodeVerdictBody(node, height, (Verdict)verdict, (NodeReasons)reasons, votes.MoveToImmutable());
    }

    public override void Write(LedgerWriter writer)
    {
        writer.Bytes(Node).Varint(Height).U8((byte)Verdict).U16((ushort)Reasons).Varint((ulong)Votes.Length);
        foreach ((byte member, byte[] signature) in Votes) writer.U8(member).Bytes(signature);
    }

    public Bytes32 Message(Bytes32 network)
        => LedgerHash.Of("oxen-ledger-verdict-1"u8, new LedgerWriter().Bytes(network).Bytes(Node).U64(Height).U8((byte)Verdict).U16((ushort)Reasons).Written);

    public byte[] VoteOf(LedgerKey member, Bytes32 network) => member.Sign("oxen-ledger-verdict-1"u8, Message(network));

    public bool IsVote(Bytes32 member, byte[] signature, Bytes32 network) => LedgerSignature.Verify(member, "oxen-ledger-verdict-1"u8, Message(network), signature);
}

/// <summary>One member signed two blocks of one height: the two headers and its signatures. The node loses its stake.</summary>
internal sealed record EquivocationBody(Bytes32 Member, BlockHeader First, byte[] FirstSignature, BlockHeader Second, byte[] SecondSignature) : OperationBody
{
    public override OperationKind Kind => OperationKind.Equivocation;

    public static EquivocationBody? ReadBody(ref LedgerReader reader)
    {
        Bytes32 member = reader.Bytes32();
        BlockHeader? first = BlockHeader.Read(ref reader);
        byte[] firstSignature = reader.Bytes(LedgerSignature.Bytes).ToArray();
        BlockHeader? second = BlockHeader.Read(ref reader);
        byte[] secondSignature = reader.Bytes(LedgerSignature.Bytes).ToArray();
        return first is null || second is null ? null : new EquivocationBody(member, first, firstSignature, second, secondSignature);
    }

    public override void Write(LedgerWriter writer)
    {
        writer.Bytes(Member);
        First.Write(writer);
        writer.Bytes(FirstSignature);
        Second.Write(writer);
        writer.Bytes(SecondSignature);
    }
}
