using Oxen.Ons.Ledger;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Nodes;

/// <summary>
/// Sends the proofs of uptime of one service node, in time and never more often than they are taken: half of their validity after the
/// last one, and at once for a node that is out because it missed some. A node that the ledger does not know waits to be registered.
/// </summary>
internal sealed class NodeProver : IAsyncDisposable
{
    private readonly LedgerHost _host;
    private readonly LedgerKey _node;
    private readonly Func<NodeFacts?> _facts;
    private readonly TimeProvider _time;
    private readonly LedgerWatch _watch;
    private ulong _taken; // a copy may not have the block of the last proof yet

    /// <summary>`facts`: what the node says of itself at this moment; null: it does not do its work, and sends no proof.</summary>
    public NodeProver(LedgerHost host, LedgerKey node, Func<NodeFacts?> facts, TimeProvider time)
    {
        (_host, _node, _facts, _time) = (host, node, facts, time);
        _watch = new LedgerWatch(host, cancel => host.State.Height >= _taken && IsDue(host.State, node.Id) ? SendAsync(cancel) : Task.CompletedTask);
    }

    /// <summary>Proofs that were taken.</summary>
    public long Sent { get; private set; }

    /// <summary>In words, why the last proof was not taken; empty: it was.</summary>
    public string Trouble { get; private set; } = "";

    public void Start() => _watch.Start();

    /// <summary>Whether a proof is due for the block after this state.</summary>
    public static bool IsDue(LedgerState state, Bytes32 id)
    {
        if (state.Node(id) is not { } node) return false;
        ulong next = state.Height + 1;
        LedgerRules rules = state.Rules;
        return node.Stage switch
        {
            NodeStage.Active => next >= node.LastProofHeight + Math.Max(rules.ProofGapBlocks, rules.ProofValidityBlocks / 2),
            NodeStage.Decommissioned => next >= node.LastProofHeight + rules.ProofGapBlocks,
            _ => false,
        };
    }

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    private async Task SendAsync(CancellationToken cancel)
    {
        try
        {
            LedgerState state = _host.State;
            if (_facts() is not { } now)
            {
                Trouble = "the node's storage does not work";
                return;
            }

            NodeFacts facts = now with { UnixSeconds = (ulong)_time.GetUtcNow().ToUnixTimeSeconds() };
            Receipt receipt = await _host.SubmitAsync(Operation.Create(new NodeProofBody(facts), _node, state.Account(_node.Id).Nonce, state.Network), cancel).ConfigureAwait(false);
            if (receipt.Refusal is null)
            {
                Sent++;
                _taken = receipt.Height;
            }

            Trouble = receipt.Refusal?.ToString() ?? "";
        }
        catch (Exception e) when (e is OxendException or IOException || (e is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            Trouble = e.Message;
        }
    }
}
