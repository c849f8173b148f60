using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Sequencing;

// Votes lie in the store: several ledgers on one store take votes for one quorum, and a start forgets none. A member may have so many
// open ones, else one of bad will fills the store; it costs nobody else a vote.

/// <summary>Where the committee's votes about service nodes come together until there are enough for a verdict. Any thread.</summary>
internal sealed class VoteBox(LedgerHost host, IBlockSequencer store)
{
    private const int MostOpen = 4096; // of one member

    private readonly Lock _gate = new();
    private readonly Dictionary<Bytes32, HashSet<(ulong Height, Bytes32 About)>> _open = [];

    /// <summary>Takes one member's vote: `body` says about what, and has no votes itself. Gives all votes so far; null if it is no vote.</summary>
    public async Task<(NodeVerdictBody Body, int Quorum)?> TakeAsync(NodeVerdictBody body, Bytes32 member, byte[] signature, CancellationToken cancel)
    {
        LedgerState state = host.State;
        Committee committee = state.NextCommittee;
        if (committee.IndexOf(member) < 0 || body.Height > state.Height || body.Height + state.Rules.EpochBlocks < state.Height || !body.IsVote(member, signature, state.Network)) return null;
        ulong forget = state.Height - Math.Min(state.Height, state.Rules.EpochBlocks);
        Bytes32 about = body.Message(state.Network);
        if (!IsAllowed(committee, member, (body.Height, about), forget)) return null;
        IReadOnlyList<StoredVote> votes = await store.ShareVoteAsync(new StoredVote(body.Height, about, member, signature), forget, cancel).ConfigureAwait(false);

        // Indexes are those of the committee of now. The store is anybody's who can write it: what it says is looked at.
        IEnumerable<(byte Member, byte[] Signature)> good = votes
            .Select(v => (Index: committee.IndexOf(v.Member), v.Member, v.Signature))
            .Where(v => v.Index >= 0 && body.IsVote(v.Member, v.Signature, state.Network))
            .DistinctBy(v => v.Index).OrderBy(v => v.Index)
            .Select(v => ((byte)v.Index, v.Signature));
        return (body with { Votes = [.. good] }, committee.Quorum);
    }

    private bool IsAllowed(Committee committee, Bytes32 member, (ulong Height, Bytes32 About) vote, ulong forget)
    {
        lock (_gate)
        {
            foreach (Bytes32 gone in _open.Keys.Where(m => committee.IndexOf(m) < 0).ToArray()) _open.Remove(gone);
            if (!_open.TryGetValue(member, out HashSet<(ulong Height, Bytes32 About)>? open)) _open[member] = open = [];
            open.RemoveWhere(v => v.Height < forget);
            return open.Contains(vote) || (open.Count < MostOpen && open.Add(vote));
        }
    }
}
