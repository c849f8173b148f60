using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Sequencing;

/// <summary>Where the committee's votes about service nodes come together until there are enough for a verdict. Any thread.</summary>
internal sealed class VoteBox(LedgerHost host)
{
    private const int MostOpen = 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<(Bytes32 Node, ulong Height, Verdict Verdict, NodeReasons Reasons), NodeVerdictBody> _open = [];

    /// <summary>Takes one member's vote: `body` says about what, and has no votes itself. Gives all votes so far; null if it is no vote.</summary>
    public (NodeVerdictBody Body, int Quorum)? Take(NodeVerdictBody body, Bytes32 member, byte[] signature)
    {
        LedgerState state = host.State;
        Committee committee = state.NextCommittee;
        int index = committee.IndexOf(member);
        if (index < 0 || body.Height > state.Height || body.Height + state.Rules.EpochBlocks < state.Height || !body.IsVote(member, signature, state.Network)) return null;
        lock (_gate)
        {
            foreach ((Bytes32, ulong Height, Verdict, NodeReasons) old in _open.Keys.Where(k => k.Item2 + state.Rules.EpochBlocks < state.Height).ToArray()) _open.Remove(old);
            var key = (body.Node, body.Height, body.Verdict, body.Reasons);
            NodeVerdictBody now = _open.GetValueOrDefault(key, body);

            // Indexes are those of the committee of now; who is not in it any more, or sits elsewhere, votes again.
            IEnumerable<(byte Member, byte[] Signature)> good = now.Votes.Where(v => v.Member != index && v.Member < committee.Members.Length && body.IsVote(committee.Members[v.Member], v.Signature, state.Network));
            now = now with { Votes = [.. good.Append(((byte)index, signature)).OrderBy(v => v.Item1)] };
            if (_open.Count < MostOpen || _open.ContainsKey(key)) _open[key] = now;
            return (now, committee.Quorum);
        }
    }
}
