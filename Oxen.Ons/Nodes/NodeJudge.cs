using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Nodes;

/// <summary>What somebody finds out about a node by looking; none: it works.</summary>
internal delegate Task<NodeReasons> NodeTest(NodeEntry node, CancellationToken cancel);

/// <summary>How a member of the committee judges.</summary>
internal sealed record NodeJudgeOptions
{
    /// <summary>Each node is looked at once in so much time, by the blocks' clock.</summary>
    public TimeSpan Round { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>So many rounds in a row a node fails before its judge votes against it.</summary>
    public int Failures { get; init; } = 3;

    /// <summary>One that gave no sign within this time failed.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Nodes that are looked at together.</summary>
    public int AtOnce { get; init; } = 8;
}

// Each member of the committee looks for itself and votes for itself; a node is out, or back, when a quorum has seen the same. Votes
// of one verdict must name one height, so all that is common to the members is the blocks' clock: a round begins with the first block
// whose time is in it, and that block's height is the votes'. Who sees a node fail later than the others votes again next round, as
// they do. A judge to whom most of the network looks dead looks at its own cable first.

/// <summary>Judges the service nodes for the committee's members whose keys are in this process, and votes.</summary>
internal sealed class NodeJudge : IAsyncDisposable
{
    private readonly LedgerHost _host;
    private readonly IReadOnlyList<LedgerKey> _members;
    private readonly NodeTest _test;
    private readonly NodeJudgeOptions _options;
    private readonly Dictionary<Bytes32, int> _failed = [];
    private readonly LedgerWatch _watch;
    private ulong _round;

    public NodeJudge(LedgerHost host, IReadOnlyList<LedgerKey> members, NodeTest test, NodeJudgeOptions options)
    {
        (_host, _members, _test, _options) = (host, members, test, options);
        _round = RoundOf(host.State.UnixMilliseconds);
        _watch = new LedgerWatch(host, JudgeAsync);
    }

    /// <summary>Votes that were taken.</summary>
    public long Votes { get; private set; }

    /// <summary>In words, what the last round could not do; empty: it went well.</summary>
    public string Trouble { get; private set; } = "";

    public void Start() => _watch.Start();

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    /// <summary>Looks at every node if a new round has begun and a key of ours is in the committee, and votes about those that changed.</summary>
    public async Task JudgeAsync(CancellationToken cancel)
    {
        LedgerState state = _host.State;
        ulong round = RoundOf(state.UnixMilliseconds);
        if (round == _round) return;
        _round = round;
        LedgerKey[] members = [.. _members.Where(m => state.NextCommittee.IndexOf(m.Id) >= 0)];
        if (members.Length == 0 || BeginOf(round, state.Height) is not { } height)
        {
            _failed.Clear(); // what was seen in an earlier term is not seen now
            return;
        }

        NodeEntry[] nodes = [.. state.Nodes.Values.Where(n => IsJudged(n) && !_members.Any(m => m.Id == n.Id))];
        var seen = new NodeReasons[nodes.Length];
        await Parallel.ForAsync(0, nodes.Length, new ParallelOptions { MaxDegreeOfParallelism = _options.AtOnce, CancellationToken = cancel }, async (i, stop) => seen[i] = await TestAsync(nodes[i], stop).ConfigureAwait(false)).ConfigureAwait(false);
        Trouble = "";
        if (nodes.Length > 2 && 2 * seen.Count(s => s != NodeReasons.None) > nodes.Length)
        {
            Trouble = "most nodes look dead from here: nobody is voted against, for it is rather this machine";
            return;
        }

        foreach (Bytes32 gone in _failed.Keys.Except(nodes.Select(n => n.Id)).ToArray()) _failed.Remove(gone);
        for (int i = 0; i < nodes.Length; i++)
        {
            _failed[nodes[i].Id] = seen[i] == NodeReasons.None ? 0 : _failed.GetValueOrDefault(nodes[i].Id) + 1;
            NodeVerdictBody? verdict = nodes[i].Stage switch
            {
                NodeStage.Active when _failed[nodes[i].Id] >= _options.Failures => new NodeVerdictBody(nodes[i].Id, height, Verdict.Failing, seen[i], []),
                NodeStage.Decommissioned when seen[i] == NodeReasons.None => new NodeVerdictBody(nodes[i].Id, height, Verdict.Recommission, NodeReasons.None, []),
                _ => null,
            };

            // Votes about a time before the node entered its stage are refused.
            if (verdict is null || height < nodes[i].StageHeight) continue;
            foreach (LedgerKey member in members) await VoteAsync(verdict, member, cancel).ConfigureAwait(false);
        }
    }

    // Who is out for missed proofs comes back by a proof.
    private static bool IsJudged(NodeEntry node) => node.Stage == NodeStage.Active || (node.Stage == NodeStage.Decommissioned && node.Reasons != NodeReasons.MissedUptimeProof);

    private ulong RoundOf(ulong unixMilliseconds) => unixMilliseconds / (ulong)Math.Max(1, _options.Round.TotalMilliseconds);

    // The first block of this round; null if it lies further back than headers are kept.
    private ulong? BeginOf(ulong round, ulong height)
    {
        while (height > 0 && _host.HeaderAt(height - 1) is { } before)
        {
            if (RoundOf(before.UnixMilliseconds) != round) return height;
            height--;
        }

        return null;
    }

    private async Task<NodeReasons> TestAsync(NodeEntry node, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(_options.Patience);
        try
        {
            return await _test(node, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return NodeReasons.LokinetUnreachable;
        }
    }

    // The vote that completes a quorum puts the verdict on the ledger; who comes later is told that the node is in that stage already.
    private async Task VoteAsync(NodeVerdictBody verdict, LedgerKey member, CancellationToken cancel)
    {
        try
        {
            Bytes32 network = _host.State.Network;
            if (await _host.VoteAsync(verdict, member.Id, verdict.VoteOf(member, network), cancel).ConfigureAwait(false) is not { } all)
            {
                Trouble = "a vote was not taken: the ledger has another committee by now";
                return;
            }

            Votes++;
            if (all.Body.Votes.Length < all.Quorum) return;
            for (int tries = 0; tries < 2; tries++)
            {
                Receipt receipt = await _host.SubmitAsync(Operation.Create(all.Body, member, _host.State.Account(member.Id).Nonce, network), cancel).ConfigureAwait(false);
                if (receipt.Refusal?.Fault is not (OperationFault.Replayed or OperationFault.NonceGap)) return; // else the node's own proof took the number
            }
        }
        catch (Exception e) when (e is OxendException or IOException or HttpRequestException)
        {
            Trouble = e.Message;
        }
    }
}
