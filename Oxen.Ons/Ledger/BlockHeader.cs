namespace Oxen.Ons.Ledger;

//   offset  bytes
//   0       1      version (1)
//   1       8      height
//   9       8      unix milliseconds
//   17      32     hash of the block before
//   49      32     root of the operations (docs/protocol/ledger.md#blocks)
//   81      32     state root after this block
//   113     32     hash of the committee that signs this block
//   145     32     hash of the committee that signs the next one
//   177            end

/// <summary>A block's head. Its hash is BLAKE2b-256 of its bytes under a tag and the network's id.</summary>
internal sealed record BlockHeader(ulong Height, ulong UnixMilliseconds, Bytes32 Previous, Bytes32 OperationsRoot, Bytes32 StateRoot, Bytes32 Committee, Bytes32 NextCommittee)
{
    public const int Bytes = 177;

    public static BlockHeader? Read(ref LedgerReader reader)
    {
        if (reader.U8() != 1) return null;
        var header = new BlockHeader(reader.U64(), reader.U64(), reader.Bytes32(), reader.Bytes32(), reader.Bytes32(), reader.Bytes32(), reader.Bytes32());
        return reader.Failed ? null : header;
    }

    /// <summary>What stands for a header at height 0: the operations' root is the network's id.</summary>
    public static BlockHeader OfGenesis(LedgerState genesis) => new(0, genesis.UnixMilliseconds, default, genesis.Network, genesis.Root, genesis.Committee.Hash, genesis.NextCommittee.Hash);

    public void Write(LedgerWriter writer) => writer.U8(1).U64(Height).U64(UnixMilliseconds).Bytes(Previous).Bytes(OperationsRoot).Bytes(StateRoot).Bytes(Committee).Bytes(NextCommittee);

    public Bytes32 Hash(Bytes32 network)
    {
        var writer = new LedgerWriter(Bytes + Bytes32.Length);
        writer.Bytes(network);
        Write(writer);
        return LedgerHash.Of("oxen-ledger-block-1"u8, writer.Written);
    }
}
