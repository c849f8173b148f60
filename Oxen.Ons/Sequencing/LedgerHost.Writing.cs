using System.Net.Sockets;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Sequencing;

// The writer. A store that fails is tried again, slower and slower, and meanwhile everybody waits: whether the last block became
// durable is not known, so what the store has is read first, and operations that are in it are acknowledged.
internal sealed partial class LedgerHost
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100), LongestPause = TimeSpan.FromSeconds(5);
    private const int ManyOperations = 256;
    private static readonly TimeSpan GatherPause = TimeSpan.FromMilliseconds(1);
    private const int Crowd = 16, Enough = 1024, MostPauses = 20;
    private bool _silent; // the store, when it was last read

    private async Task WriteAsync()
    {
        var waiting = new List<(Operation Operation, TaskCompletionSource<Receipt> Done)>();
        try
        {
            while (true)
            {
                bool due = true;
                // The pace of a network whose blocks come by the clock.
                if (_options.Interval > TimeSpan.Zero) await Task.Delay(_options.Interval, _time, _stop.Token).ConfigureAwait(false);
                else if (await WaitAsync().ConfigureAwait(false) is { } came) due = !came;
                else return;
                TakeWaiting(waiting);
                if (_options.Interval == TimeSpan.Zero) await GatherAsync(waiting).ConfigureAwait(false);
                await AppendPatientlyAsync(waiting, due).ConfigureAwait(false);
                SnapshotNowAndThen();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            // Not the store: what it holds breaks a rule, or we do. Whoever waits is told, and nobody is served any more.
            Trouble = e.Message;
            _ended = true;
            _queue.Writer.TryComplete(e);
            foreach ((_, TaskCompletionSource<Receipt> done) in waiting) done.TrySetException(e);
        }
        finally
        {
            while (_queue.Reader.TryRead(out (Operation Operation, TaskCompletionSource<Receipt> Done) left)) waiting.Add(left);
            foreach ((_, TaskCompletionSource<Receipt> done) in waiting) done.TrySetCanceled();
        }
    }

    private void TakeWaiting(List<(Operation Operation, TaskCompletionSource<Receipt> Done)> waiting)
    {
        while (waiting.Count < Block.MaxOperations && _queue.Reader.TryRead(out (Operation, TaskCompletionSource<Receipt>) next)) waiting.Add(next);
    }

    // The more a block takes, the less each costs: they share the upper part of the tree and the commit. So who comes with a crowd is waited for,
    // as long as it keeps coming; who comes with a few waits for nobody.
    private async Task GatherAsync(List<(Operation Operation, TaskCompletionSource<Receipt> Done)> waiting)
    {
        int before = 0;
        for (int pauses = 0; pauses < MostPauses && waiting.Count - before >= Crowd && waiting.Count < Enough; pauses++)
        {
            before = waiting.Count;
            await Task.Delay(GatherPause, _time, _stop.Token).ConfigureAwait(false);
            TakeWaiting(waiting);
        }
    }

    // True: operations are there. False: no block came for a heartbeat. Null: no operation will come any more.
    private async Task<bool?> WaitAsync()
    {
        long begun = _time.GetTimestamp();
        while (true)
        {
            TimeSpan limit = Timeout.InfiniteTimeSpan;
            if (_options.Heartbeat > TimeSpan.Zero && (limit = _options.Heartbeat - _time.GetElapsedTime(begun)) <= TimeSpan.Zero) return false;
            if (_sequencer.IsShared && (limit == Timeout.InfiniteTimeSpan || limit > _options.FollowEvery)) limit = _options.FollowEvery;
            using var beat = new CancellationTokenSource(limit, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(beat.Token, _stop.Token);
            try
            {
                return await _queue.Reader.WaitToReadAsync(either.Token).ConfigureAwait(false) ? true : null;
            }
            catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
            {
                if (_sequencer.IsShared && await FollowIdlyAsync().ConfigureAwait(false)) begun = _time.GetTimestamp();
            }
        }
    }

    // Who writes nothing would else never see what others wrote. True: there was something.
    private async Task<bool> FollowIdlyAsync()
    {
        await _writing.WaitAsync(_stop.Token).ConfigureAwait(false);
        try
        {
            ulong before = _state.Height;
            await FollowAsync(null, _stop.Token).ConfigureAwait(false);
            if (_silent) Trouble = "";
            _silent = false;
            return _state.Height != before;
        }
        catch (Exception e) when (IsOfStore(e) && !_stop.IsCancellationRequested)
        {
            Trouble = Silence(e);
            _silent = true;
            return false;
        }
        finally
        {
            _writing.Release();
        }
    }

    private string Silence(Exception e) => $"{_sequencer.Name} does not answer: {e.Message}. It is asked again by itself, and what waits is kept. {_sequencer.Remedy}".TrimEnd();

    // `due`: a block, also if it is empty.
    private async Task AppendPatientlyAsync(List<(Operation Operation, TaskCompletionSource<Receipt> Done)> waiting, bool due)
    {
        TimeSpan pause = FirstPause;
        while (true)
        {
            await _writing.WaitAsync(_stop.Token).ConfigureAwait(false);
            try
            {
                if (Trouble.Length > 0) await FollowAsync(waiting, _stop.Token).ConfigureAwait(false);
                await AppendAsync(waiting, due).ConfigureAwait(false);
                Trouble = "";
                return;
            }
            catch (Exception e) when (IsOfStore(e) && !_stop.IsCancellationRequested)
            {
                Trouble = Silence(e);
            }
            finally
            {
                _writing.Release();
            }

            // Back-off: the store is asked again, and nobody tells when it answers.
            await Task.Delay(pause, _time, _stop.Token).ConfigureAwait(false);
            pause = pause + pause < LongestPause ? pause + pause : LongestPause;
        }
    }

    // InvalidDataException is an IOException's sibling, not its child: garbled contents are no reason to try again.
    internal static bool IsOfStore(Exception e) => e is IOException or HttpRequestException or System.Data.Common.DbException or SocketException or TimeoutException or OperationCanceledException or System.Text.Json.JsonException;

    // Until every waiting operation is in a block or refused; at most one block more than others got in between.
    private async Task AppendAsync(List<(Operation Operation, TaskCompletionSource<Receipt> Done)> waiting, bool due)
    {
        do
        {
            var refused = new Dictionary<Operation, Refusal>();
            LedgerState before = _state;
            (Block block, LedgerState next) = StateMachine.Build(before, waiting.Select(w => w.Operation), (ulong)_time.GetUtcNow().ToUnixTimeMilliseconds(), (o, r) => { if (r is not null) refused[o] = r; });
            if (block.Operations.Length > 0 || due)
            {
                if (!await _sequencer.AppendAsync(next.Height, block.ToBytes(), _stop.Token).ConfigureAwait(false))
                {
                    await FollowAsync(waiting, _stop.Token).ConfigureAwait(false);
                    if (_state.Height == before.Height) throw new IOException($"it refuses block {next.Height} and has none of that height");
                    continue;
                }

                // Before anybody is told: who has a receipt is not shown a trouble that is over.
                Trouble = "";
                Keep(next, block.Header);
                _pending.Included(block.Operations);
                Changed?.Invoke();
            }

            else if (_sequencer.IsShared && refused.Values.Any(r => r.Fault != OperationFault.BlockFull))
            {
                // Others may have written what it follows on; who took a height knows that nobody has.
                await FollowAsync(waiting, _stop.Token).ConfigureAwait(false);
                if (_state.Height != before.Height) continue;
            }

            // What the full block left out waits for the next one.
            foreach ((Operation operation, TaskCompletionSource<Receipt> done) in waiting)
            {
                Refusal? refusal = refused.GetValueOrDefault(operation);
                if (refusal?.Fault == OperationFault.BlockFull) continue;
                if (refusal is not null) _pending.Refused(operation);
                done.TrySetResult(new Receipt(operation.Id, refusal is null ? next.Height : 0, refusal));
            }

            waiting.RemoveAll(w => w.Done.Task.IsCompleted);
        }
        while (waiting.Count > 0);
    }

    // Signatures of operations are not looked at twice where only this machine writes, nor below a header that the committee of the last
    // state that is sure stands for: the header ties everything before it. Everything else is a stranger's word, and members who sign
    // what is here would give it theirs.
    private async Task FollowAsync(List<(Operation Operation, TaskCompletionSource<Receipt> Done)>? waiting, CancellationToken cancel)
    {
        const int Page = 64;
        bool changed = false;
        while (true)
        {
            IReadOnlyList<byte[]> read = await _sequencer.ReadAsync(_state.Height + 1, Page, cancel).ConfigureAwait(false);
            Block[] blocks = new Block[read.Count];
            for (int i = 0; i < blocks.Length; i++) blocks[i] = Block.Read(read[i], _state.Network) ?? throw new InvalidDataException($"block {_state.Height + 1 + (ulong)i} of the store is garbled");
            int sure = _sequencer.IsShared ? 0 : blocks.Length;

            // A few signatures are checked sooner than somebody else's are fetched; and who lost a height must not be slow, or loses the next.
            bool many = blocks.Sum(b => b.Operations.Length) > ManyOperations;
            Bytes32 asked = default;
            for (int i = 0; i < blocks.Length; i++)
            {
                // Once for each committee: what it does not vouch for now, the next one may.
                if (many && i >= sure && asked != _state.NextCommittee.Hash)
                {
                    asked = _state.NextCommittee.Hash;
                    sure = await CountVouchedAsync(blocks, i, cancel).ConfigureAwait(false);
                }

                LedgerState next = StateMachine.Apply(_state, blocks[i], out string reason, trusted: i < sure) ?? throw new InvalidDataException($"block {_state.Height + 1} of the store breaks a rule: {reason}");
                Keep(next, blocks[i].Header);
                _pending.Included(blocks[i].Operations);
                if (waiting is { Count: > 0 })
                {
                    Trouble = "";
                    Acknowledge(waiting, blocks[i]);
                }

                changed = true;
            }

            if (blocks.Length < Page) break;
        }

        if (changed) Changed?.Invoke();
    }

    // Up to which block the committee that signs the next one stands for all. The headers must be a chain that begins at our last block.
    private async Task<int> CountVouchedAsync(Block[] blocks, int from, CancellationToken cancel)
    {
        Committee committee = _state.NextCommittee;
        Bytes32 previous = _state.BlockHash;
        int chained = from;
        for (; chained < blocks.Length && blocks[chained].Header is var header && header.Previous == previous && header.Height == _state.Height + 1 + (ulong)(chained - from) && header.Committee == committee.Hash; chained++)
        {
            previous = header.Hash(_state.Network);
        }

        for (int i = chained - 1; i >= from; i--)
        {
            byte[]? stored = await _sequencer.GetSignaturesAsync(blocks[i].Header.Height, cancel).ConfigureAwait(false);
            if (stored is not null && ReadSignatures(stored) is { } signatures && signatures.IsQuorum(blocks[i].Header, committee, _state.Network)) return i + 1;
        }

        return from;
    }

    // An operation that got in by another way is in: by our own append whose answer was lost, or by another process.
    private static void Acknowledge(List<(Operation Operation, TaskCompletionSource<Receipt> Done)> waiting, Block block)
    {
        HashSet<Bytes32> inside = [.. block.Operations.Select(o => o.Id)];
        foreach ((Operation operation, TaskCompletionSource<Receipt> done) in waiting)
        {
            if (inside.Contains(operation.Id)) done.TrySetResult(new Receipt(operation.Id, block.Header.Height, null));
        }

        waiting.RemoveAll(w => w.Done.Task.IsCompleted);
    }
}
