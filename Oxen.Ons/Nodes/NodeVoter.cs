using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Nodes;

// What this process's storage node sees of the others, as votes of the committee's members that it has the keys of:
//
//   unreachable at every test for half the life of a proof (an hour by default), and at three tests at least     ->  failing
//   decommissioned for that alone, and reached at two tests in a row since                                        ->  works again
//
// All votes of a verdict name one height: the newest multiple of ten. Members see things at different times; whoever still sees it in
// the next ten blocks votes again. Somebody who reaches less than half of the others is cut off itself, and says nothing.

/// <summary>Turns reports about the reachability of storage nodes into votes on the ledger. Any thread.</summary>
internal sealed class NodeVoter : IAsyncDisposable
{
    private const int FailuresToVote = 3, AnswersToVote = 2;
    private const ulong Step = 10;

    private readonly LedgerHost _host;
    private readonly IReadOnlyList<LedgerKey> _keys;
    private readonly LedgerCall _call;
    private readonly Lock _gate = new();
    private readonly Dictionary<Bytes32, Seen> _seen = [];
    private readonly HashSet<(Bytes32 Member, Bytes32 Node, ulong Height, Verdict Verdict)> _voted = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _look = new(0, 1);
    private Task _loop = Task.CompletedTask;

    /// <param name="host">The ledger, or a copy of it.</param>
    /// <param name="keys">Keys that may sit in a committee.</param>
    /// <param name="call">The ledger where votes come together.</param>
    public NodeVoter(LedgerHost host, IReadOnlyList<LedgerKey> keys, LedgerCall call) => (_host, _keys, _call) = (host, keys, call);

    private readonly record struct Seen(bool Reached, ulong Since, int Tests);

    /// <summary>Verdicts that this process put on the ledger.</summary>
    public long Verdicts { get; private set; }

    /// <summary>In words, why the last vote was not taken; empty: it was.</summary>
    public string Trouble { get; private set; } = "";

    public void Start()
    {
        _host.Changed += Look;
        _loop = Task.Run(LoopAsync);
    }

    /// <summary>A test of a node's storage has ended.</summary>
    public void Note(Bytes32 node, bool reached)
    {
        LedgerState state = _host.State;
        ulong stage = state.Node(node)?.StageHeight ?? 0; // what was seen in another stage counts no longer
        lock (_gate)
        {
            _seen[node] = _seen.TryGetValue(node, out Seen old) && old.Reached == reached && old.Since >= stage ? old with { Tests = old.Tests + 1 } : new Seen(reached, state.Height, 1);
        }
    }

    /// <summary>What is to be voted for after this state; without votes.</summary>
    public IReadOnlyList<NodeVerdictBody> Due(LedgerState state)
    {
        ulong height = state.Height / Step * Step, patience = state.Rules.ProofValidityBlocks / 2;
        var due = new List<NodeVerdictBody>();
        lock (_gate)
        {
            foreach (Bytes32 gone in _seen.Keys.Where(n => state.Node(n) is null).ToArray()) _seen.Remove(gone);
            if (_seen.Values.Count(s => !s.Reached) * 2 > _seen.Count) return due; // it is us
            foreach ((Bytes32 id, Seen seen) in _seen)
            {
                NodeEntry node = state.Node(id)!;
                if (height < node.StageHeight) continue;
                if (node.Stage == NodeStage.Active && !seen.Reached && seen.Tests >= FailuresToVote && seen.Since >= node.StageHeight && state.Height >= seen.Since + patience)
                    due.Add(new NodeVerdictBody(id, height, Verdict.Failing, NodeReasons.StorageUnreachable, []));
                else if (node is { Stage: NodeStage.Decommissioned, Reasons: NodeReasons.StorageUnreachable } && seen.Reached && seen.Tests >= AnswersToVote && seen.Since >= node.StageHeight)
                    due.Add(new NodeVerdictBody(id, height, Verdict.Recommission, NodeReasons.None, []));
            }
        }

        return due;
    }

    public async ValueTask DisposeAsync()
    {
        _host.Changed -= Look;
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stop.Dispose();
        _look.Dispose();
    }

    private void Look()
    {
        try
        {
            if (_look.CurrentCount == 0) _look.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // Somebody was faster, or it is over.
        }
    }

    private async Task LoopAsync()
    {
        try
        {
            while (true)
            {
                await _look.WaitAsync(_stop.Token).ConfigureAwait(false);
                await VoteAsync(_host.State, _stop.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The end.
        }
    }

    private async Task VoteAsync(LedgerState state, CancellationToken cancel)
    {
        _voted.RemoveWhere(v => v.Height + (2 * Step) < state.Height);
        foreach (NodeVerdictBody body in Due(state))
        {
            foreach (LedgerKey key in _keys.Where(k => state.NextCommittee.IndexOf(k.Id) >= 0))
            {
                if (!_voted.Add((key.Id, body.Node, body.Height, body.Verdict))) continue;
                try
                {
                    await CastAsync(body, key, state, cancel).ConfigureAwait(false);
                }
                catch (Exception e) when (e is OxendException or IOException or JsonException or KeyNotFoundException or InvalidOperationException or FormatException || (e is OperationCanceledException && !cancel.IsCancellationRequested))
                {
                    Trouble = e.Message;
                }
            }
        }
    }

    private async Task CastAsync(NodeVerdictBody body, LedgerKey key, LedgerState state, CancellationToken cancel)
    {
        JsonElement answer = await _call(
            "ledger_vote",
            new { node = body.Node.ToString(), height = body.Height, verdict = (int)body.Verdict, reasons = (int)body.Reasons, member = key.Id.ToString(), signature = Convert.ToBase64String(body.VoteOf(key, state.Network)) },
            cancel).ConfigureAwait(false);
        Trouble = "";
        if (answer.GetProperty("votes").GetInt32() < answer.GetProperty("quorum").GetInt32()) return;
        var reader = new LedgerReader(answer.GetProperty("verdict").GetBytesFromBase64());
        if (NodeVerdictBody.ReadBody(ref reader) is not { } verdict || !reader.Done) throw new InvalidOperationException("the ledger gave votes that are none");
        Receipt receipt = await _host.SubmitAsync(Operation.Create(verdict, key, _host.State.Account(key.Id).Nonce, state.Network), cancel).ConfigureAwait(false);
        if (receipt.Refusal is null) Verdicts++;
        else if (receipt.Refusal.Fault != OperationFault.BadStage) Trouble = receipt.Refusal.ToString(); // another member was faster
    }
}
