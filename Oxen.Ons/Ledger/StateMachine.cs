using System.Collections.Immutable;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Ledger;

// One block after another, each a function of the state before it and nothing else: no clock, no dice.
//
//   1 due events of this height      2 rewards accrue to payable nodes     3 operations, in their order
//   4 swarms, if the set of active nodes changed      5 at an epoch's last block: the next committee
//   6 totals, and the check that no money was made or lost
//
// docs/protocol/ledger.md#a-block

/// <summary>The ledger's rules.</summary>
internal static class StateMachine
{
    private const int FewOperations = 8;

    /// <summary>Builds the block after a state out of what fits; the others come back with their reasons.</summary>
    public static (Block Block, LedgerState State) Build(LedgerState state, IEnumerable<Operation> candidates, ulong unixMilliseconds, Action<Operation, Refusal?>? told = null)
    {
        var editor = new BlockEditor(state, Math.Max(unixMilliseconds, state.UnixMilliseconds));
        ImmutableArray<Operation>.Builder taken = ImmutableArray.CreateBuilder<Operation>();
        int bytes = BlockHeader.Bytes + 5;
        foreach (Operation operation in candidates)
        {
            int length = operation.Encoded.Length + 3;
            Refusal? refusal = taken.Count == Block.MaxOperations || bytes + length > Block.MaxBytes ? new Refusal(OperationFault.BlockFull, "this block is full; the next may take it") : editor.Apply(operation);
            if (refusal is null)
            {
                taken.Add(operation);
                bytes += length;
            }

            told?.Invoke(operation, refusal);
        }

        ImmutableArray<Operation> operations = taken.ToImmutable();
        (BlockHeader header, LedgerState next) = editor.Finish(Block.RootOf(operations));
        return (new Block(header, operations), next);
    }

    /// <summary>Applies somebody's block. Null and the reason if it breaks a rule.</summary>
    /// <param name="trusted">The block comes from our own store, where only checked ones are: its signatures are not looked at again.</param>
    public static LedgerState? Apply(LedgerState state, Block block, out string reason, bool trusted = false)
    {
        BlockHeader header = block.Header;
        reason = header.Height != state.Height + 1 ? $"its height is {header.Height}, expected {state.Height + 1}"
            : header.Previous != state.BlockHash ? "it does not follow our last block"
            : header.UnixMilliseconds < state.UnixMilliseconds ? "its time is before that of the block before it"
            : header.OperationsRoot != Block.RootOf(block.Operations) ? "its operations are not those of its head" : "";
        if (reason.Length > 0) return null;
        if (trusted) foreach (Operation operation in block.Operations) operation.SignatureChecked = true;
        else CheckSignatures(block);
        var editor = new BlockEditor(state, header.UnixMilliseconds);
        foreach (Operation operation in block.Operations)
        {
            if (editor.Apply(operation) is not { } refusal) continue;
            reason = $"its operation {operation.Id} is refused: {refusal}";
            return null;
        }

        (BlockHeader made, LedgerState next) = editor.Finish(header.OperationsRoot);
        if (made == header) return next;
        reason = made.StateRoot != header.StateRoot ? "its state root is another than its operations lead to" : "its committees are not those of the rules";
        return null;
    }

    // All processors, since nothing hangs on their order; what is wrong is found again, with its reason, when the operation is applied.
    private static void CheckSignatures(Block block)
    {
        if (block.Operations.Length < FewOperations) return;
        Parallel.ForEach(block.Operations, static operation =>
        {
            if (!operation.SignatureChecked) operation.VerifySignature();
        });
    }
}
