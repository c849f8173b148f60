using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Sequencing;

// Signatures of committees under headers: taken, kept beside the blocks, and the newest state that a quorum stands for.
internal sealed partial class LedgerHost
{
    private readonly SemaphoreSlim _signing = new(1, 1); // or the store would keep what was whole last, not what is

    /// <summary>Raised when a header got another signature.</summary>
    public event Action<ulong>? Signed;

    /// <summary>Adds a committee member's signature under a header. False if it is none, or the state is not kept any more.</summary>
    public async Task<bool> SignAsync(ulong height, Bytes32 member, byte[] signature, CancellationToken cancel = default)
    {
        if (HeaderAt(height) is not { } header || StateAt(height) is not { } state) return false;
        int index = state.Committee.IndexOf(member);
        if (index < 0 || !HeaderSignatures.IsSigned(header, member, signature, state.Network)) return false;
        HeaderSignatures now = await SignaturesAtAsync(height, cancel).ConfigureAwait(false);
        if (now.ByMember.ContainsKey((byte)index)) return true;
        now = now.With((byte)index, signature);
        if (_sequencer.IsShared) now = await ShareAsync(header, state, now, member, signature, cancel).ConfigureAwait(false);
        await StoreAsync(height, now, cancel).ConfigureAwait(false);
        return true;
    }

    public async Task<HeaderSignatures> SignaturesAtAsync(ulong height, CancellationToken cancel = default)
    {
        lock (_gate)
        {
            if (_signatures.TryGetValue(height, out HeaderSignatures? known)) return known;
        }

        byte[]? stored = await _sequencer.GetSignaturesAsync(height, cancel).ConfigureAwait(false);
        if (stored is null) return HeaderSignatures.None;
        HeaderSignatures? read = ReadSignatures(stored);
        if (read is null) return HeaderSignatures.None;
        lock (_gate)
        {
            // Who looks into the past fills no memory.
            if (IsFinal(height, read)) _signatures.TryAdd(height, read);
        }

        return read;
    }

    /// <summary>The newest kept state whose header a quorum has signed, with the signatures; null if there is none.</summary>
    public async Task<(LedgerState State, BlockHeader Header, HeaderSignatures Signatures)?> LatestSignedAsync(CancellationToken cancel = default)
    {
        LedgerState[] kept;
        ulong known;
        lock (_gate)
        {
            known = Math.Min(_lastSigned, _state.Height);
            kept = [.. _states.Reverse().TakeWhile(s => s.Height >= known)];
        }

        foreach (LedgerState state in kept)
        {
            HeaderSignatures signatures = await SignaturesAtAsync(state.Height, cancel).ConfigureAwait(false);
            if (signatures.ByMember.Count < state.Committee.Quorum || HeaderAt(state.Height) is not { } header) continue;
            _lastSigned = state.Height;
            return (state, header, signatures.Least(state.Committee.Quorum));
        }

        return null;
    }

    private static HeaderSignatures? ReadSignatures(byte[] stored)
    {
        var reader = new LedgerReader(stored);
        HeaderSignatures? read = HeaderSignatures.Read(ref reader);
        return read is not null && reader.Done ? read : null;
    }

    // Other ledgers on a shared store take signatures as well: until there are enough, the store is asked each time.
    private bool IsFinal(ulong height, HeaderSignatures signatures) => StateAt(height) is { } state && (!_sequencer.IsShared || signatures.ByMember.Count >= state.Committee.Quorum);

    // Each signature lies in the store by itself, as votes do: who adds one sees those that others added, and none takes another's place.
    private async Task<HeaderSignatures> ShareAsync(BlockHeader header, LedgerState state, HeaderSignatures now, Bytes32 member, byte[] signature, CancellationToken cancel)
    {
        ulong newest = _state.Height;
        foreach (StoredVote vote in await _sequencer.ShareVoteAsync(new StoredVote(header.Height, header.Hash(state.Network), member, signature), newest - Math.Min(newest, state.Rules.EpochBlocks), cancel).ConfigureAwait(false))
        {
            int index = state.Committee.IndexOf(vote.Member);
            if (index >= 0 && HeaderSignatures.IsSigned(header, vote.Member, vote.Signature, state.Network)) now = now.With((byte)index, vote.Signature);
        }

        return now;
    }

    // What several say at once is put together, whatever the order.
    private async Task StoreAsync(ulong height, HeaderSignatures more, CancellationToken cancel)
    {
        await _signing.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            HeaderSignatures now;
            lock (_gate)
            {
                now = _signatures.GetValueOrDefault(height, HeaderSignatures.None);
                foreach ((byte member, byte[] signature) in more.ByMember) now = now.With(member, signature);
                if (IsFinal(height, now)) _signatures[height] = now;
            }

            var writer = new LedgerWriter(1024);
            now.Write(writer);
            await _sequencer.PutSignaturesAsync(height, writer.ToArray(), cancel).ConfigureAwait(false);
        }
        finally
        {
            _signing.Release();
        }

        Signed?.Invoke(height);
    }
}
