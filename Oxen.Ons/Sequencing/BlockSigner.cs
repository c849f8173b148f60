using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Sequencing;

/// <summary>
/// Signs each new block of a ledger with the keys of the committee's members that live in this process. It signs one block of a height
/// and never a second one: two signatures there cost the stake.
/// </summary>
internal sealed class BlockSigner : IDisposable
{
    private readonly LedgerHost _host;
    private readonly IReadOnlyList<LedgerKey> _keys;
    private readonly SigningJournal _journal;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private ulong _signed;
    private volatile bool _stopped;

    public BlockSigner(LedgerHost host, IReadOnlyList<LedgerKey> keys, SigningJournal journal)
    {
        (_host, _keys, _journal) = (host, keys, journal);
        if (keys.Count == 0) return;
        host.Changed += Look;
        Look();
    }

    public void Dispose()
    {
        _stopped = true;
        if (_keys.Count > 0) _host.Changed -= Look;

        // Whoever signs just now ends before the keys do.
        _gate.Wait();
        _gate.Dispose();
    }

    private void Look() => _ = Task.Run(SignAsync);

    private async Task SignAsync()
    {
        try
        {
            await _gate.WaitAsync().ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            return;
        }

        try
        {
            ulong height = _host.State.Height;
            if (_stopped || height <= _signed || _host.HeaderAt(height) is not { } header || _host.StateAt(height) is not { } state) return;
            LedgerKey[] members = [.. _keys.Where(k => state.Committee.IndexOf(k.Id) >= 0)];
            _signed = height;
            if (members.Length == 0 || !_journal.MaySign(height, header.Hash(state.Network))) return;
            foreach (LedgerKey key in members) await _host.SignAsync(height, key.Id, HeaderSignatures.Sign(header, key, state.Network)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Data.Common.DbException or HttpRequestException or OperationCanceledException or ObjectDisposedException)
        {
            // The store failed: the block stays unsigned, and the next one is tried again.
        }
        finally
        {
            _gate.Release();
        }
    }
}
