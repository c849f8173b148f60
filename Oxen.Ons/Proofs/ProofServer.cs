using Oxen.Ons.Ledger;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Proofs;

/// <summary>Gives light clients what they believe: answers from the newest signed state, and the way from their committee to its.</summary>
internal sealed class ProofServer(LedgerHost host)
{
    private const int MaxSteps = 64;

    /// <summary>A proven answer about a key, or null while no kept header has a quorum.</summary>
    public async Task<ProvenAnswer?> AnswerAsync(Bytes32 key, CancellationToken cancel = default)
        => await host.LatestSignedAsync(cancel).ConfigureAwait(false) is { } signed ? new ProvenAnswer(signed.Header, signed.Signatures, signed.State.Tree.Prove(key)) : null;

    /// <summary>
    /// Steps from a client's height forward, as few as the committees' overlaps allow: the farthest header first that the client's own
    /// committee signed, or enough of it. At most 64 at once; the client asks again from where it then stands.
    /// </summary>
    public async Task<IReadOnlyList<HandOver>> WayAsync(ulong from, Committee known, CancellationToken cancel = default)
    {
        var steps = new List<HandOver>();
        ulong at = from;
        ulong epoch = host.State.Rules.EpochBlocks;
        while (steps.Count < MaxSteps && at < host.State.Height)
        {
            HandOver? found = null;

            // The tip, then the ends of epochs backwards: only there a committee changes.
            ulong tip = host.State.Height;
            for (ulong candidate = tip; candidate > at; candidate = candidate == tip ? Last(tip, epoch) : candidate - Math.Min(epoch, candidate))
            {
                if (await StepAsync(candidate, known, cancel).ConfigureAwait(false) is not { } step) continue;
                found = step;
                break;
            }

            if (found is null) break;
            steps.Add(found);
            at = found.Header.Height;
            known = found.Next ?? found.Signers ?? known;
        }

        return steps;
    }

    // The last block of an epoch that lies before this height.
    private static ulong Last(ulong height, ulong epoch) => height < epoch ? 0 : height / epoch * epoch - 1;

    private async Task<HandOver?> StepAsync(ulong height, Committee known, CancellationToken cancel)
    {
        if (await host.FindHeaderAsync(height, cancel).ConfigureAwait(false) is not { } header || host.CommitteeOf(header.Committee) is not { } signers) return null;
        HeaderSignatures signatures = await host.SignaturesAtAsync(height, cancel).ConfigureAwait(false);
        bool same = signers.Hash == known.Hash;

        // Counting is cheap, checking is not: so in this order.
        if (!same && signatures.ByMember.Keys.Count(m => m < signers.Members.Length && known.IndexOf(signers.Members[m]) >= 0) < known.Quorum) return null;
        if (!signatures.IsQuorum(header, signers, host.State.Network)) return null;
        Committee? next = header.NextCommittee == header.Committee ? null : host.CommitteeOf(header.NextCommittee);
        if (next is null && header.NextCommittee != header.Committee) return null;
        return new HandOver(header, same ? signatures.Least(signers.Quorum) : signatures, same ? null : signers, next);
    }
}
