using Oxen.Ons.Ledger;

namespace Oxen.Ons.Sequencing;

// Without it the second operation of an account would get the number of the first one for as long as that is on its way. Only what
// comes in the right order counts, and a refusal takes back what came after it as well: a signer confuses nobody but itself.

/// <summary>Which numbers of signers' operations are used by some that are not in the state yet. Any thread.</summary>
internal sealed class PendingNumbers
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Bytes32, ulong> _next = [];
    private readonly Dictionary<Bytes32, (ulong Next, ulong Height)> _taken = []; // in blocks up to a height that we do not have

    /// <summary>An operation is on its way; `known`: the number that the state expects.</summary>
    public void Sent(Operation operation, ulong known)
    {
        lock (_gate)
        {
            ulong next = Math.Max(known, _next.GetValueOrDefault(operation.Signer));
            if (operation.Nonce == next) _next[operation.Signer] = next + 1;
        }
    }

    /// <summary>It is in a block of this height.</summary>
    public void Taken(Operation operation, ulong height)
    {
        lock (_gate)
        {
            (ulong next, ulong at) = _taken.GetValueOrDefault(operation.Signer);
            _taken[operation.Signer] = (Math.Max(next, operation.Nonce + 1), Math.Max(at, height));
        }
    }

    /// <summary>It is in none, or nobody knows.</summary>
    public void Refused(Operation operation)
    {
        lock (_gate)
        {
            if (_next.GetValueOrDefault(operation.Signer) > operation.Nonce) _next.Remove(operation.Signer);
        }
    }

    /// <summary>The number of the account's next operation.</summary>
    public ulong Next(Bytes32 account, LedgerState state)
    {
        ulong known = state.Account(account).Nonce;
        lock (_gate) return Math.Max(known, Math.Max(_next.GetValueOrDefault(account), _taken.GetValueOrDefault(account).Next));
    }

    /// <summary>A block with these operations is in the state.</summary>
    public void Included(IEnumerable<Operation> operations)
    {
        lock (_gate)
        {
            foreach (Operation operation in operations)
            {
                if (_next.GetValueOrDefault(operation.Signer) == operation.Nonce + 1) _next.Remove(operation.Signer);
            }
        }
    }

    /// <summary>The state is this by now.</summary>
    public void Reached(LedgerState state)
    {
        lock (_gate)
        {
            foreach ((Bytes32 signer, ulong next) in _next)
            {
                if (next <= state.Account(signer).Nonce) _next.Remove(signer);
            }

            foreach ((Bytes32 signer, (_, ulong height)) in _taken)
            {
                if (height <= state.Height) _taken.Remove(signer);
            }
        }
    }

    /// <summary>The state went back.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            _next.Clear();
            _taken.Clear();
        }
    }
}
