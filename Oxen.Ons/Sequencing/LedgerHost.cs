using System.Threading.Channels;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Sequencing;

/// <summary>What became of a submitted operation: durable at a height, or refused.</summary>
internal sealed record Receipt(Bytes32 Id, ulong Height, Refusal? Refusal);

/// <summary>How a ledger is run.</summary>
internal sealed record LedgerHostOptions
{
    /// <summary>Blocks come at this pace, also empty ones; zero: a block whenever there are operations.</summary>
    public TimeSpan Interval { get; init; }

    /// <summary>Most operations that wait at once; more are refused to the caller.</summary>
    public int QueueLimit { get; init; } = 65_536;

    /// <summary>So many blocks back the state is kept for rollbacks and proofs.</summary>
    public int KeptStates { get; init; } = 128;
}

// One process's copy of the ledger. Operations wait in a queue; one loop takes what is there, builds a block, has the sequencer
// make it the one of its height (that is when the operations are durable, and their senders told), and puts the new state in place.
// If another process took the height, its block is read and ours is built anew. Readers take State, which never changes.

/// <summary>A ledger that lives: state, queue and store.</summary>
internal sealed class LedgerHost : IAsyncDisposable
{
    private readonly IBlockSequencer _sequencer;
    private readonly LedgerHostOptions _options;
    private readonly TimeProvider _time;
    private readonly Channel<(Operation Operation, TaskCompletionSource<Receipt> Done)> _queue;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private readonly List<BlockHeader> _headers = [];
    private readonly LinkedList<LedgerState> _states = [];
    private readonly Dictionary<ulong, HeaderSignatures> _signatures = [];
    private readonly Dictionary<Bytes32, Committee> _committees = [];
    private readonly Lock _gate = new();
    private volatile LedgerState _state;
    private ulong _lastSigned; // nothing older needs to be looked at for the newest signed state
    private Task _loop = Task.CompletedTask;

    private LedgerHost(IBlockSequencer sequencer, Genesis genesis, LedgerHostOptions options, TimeProvider time)
    {
        (_sequencer, _options, _time) = (sequencer, options, time);
        _queue = Channel.CreateBounded<(Operation, TaskCompletionSource<Receipt>)>(new BoundedChannelOptions(options.QueueLimit) { SingleReader = true });
        _state = LedgerState.Of(genesis);
        Keep(_state, HeaderOf(_state));
    }

    /// <summary>Raised after <see cref="State"/> was replaced, on the writer's thread; handlers return at once.</summary>
    public event Action? Changed;

    public LedgerState State => _state;

    public string Engine => _sequencer.Name;

    /// <summary>
    /// Opens a ledger: replays what the store has. An empty store begins with `genesis`; with a full one it must be the same, or null.
    /// </summary>
    /// <exception cref="InvalidDataException">What the store has is no ledger, or another one.</exception>
    public static async Task<LedgerHost> OpenAsync(IBlockSequencer sequencer, Genesis? genesis, LedgerHostOptions? options = null, TimeProvider? time = null, CancellationToken cancel = default)
    {
        IReadOnlyList<byte[]> first = await sequencer.ReadAsync(0, 1, cancel).ConfigureAwait(false);
        if (first.Count == 0)
        {
            if (genesis is null) throw new InvalidDataException("the store is empty, and there is no genesis to begin with");
            if (!await sequencer.AppendAsync(0, genesis.Encoded, cancel).ConfigureAwait(false)) first = await sequencer.ReadAsync(0, 1, cancel).ConfigureAwait(false);
        }

        Genesis stored = first.Count == 0 ? genesis! : Genesis.Read(first[0]) ?? throw new InvalidDataException("block 0 of the store is no genesis");
        if (genesis is not null && stored.Network != genesis.Network) throw new InvalidDataException($"the store has the network {stored.Network}, not {genesis.Network}");
        var host = new LedgerHost(sequencer, stored, options ?? new LedgerHostOptions(), time ?? TimeProvider.System);
        await host.CatchUpAsync(cancel).ConfigureAwait(false);
        host._loop = Task.Run(host.WriteAsync, CancellationToken.None);
        return host;
    }

    /// <summary>Asks for an operation to be put into a block; the answer comes when it is durable, or refused.</summary>
    public Task<Receipt> SubmitAsync(Operation operation, CancellationToken cancel = default)
    {
        // Cheap looks first; the signature on the caller's thread, so that many callers use many cores.
        AccountEntry signer = _state.Account(operation.Signer);
        if (operation.Nonce < signer.Nonce) return Refuse(operation, OperationFault.Replayed, $"its nonce is {operation.Nonce}, and the signer's next is {signer.Nonce}: this number was used");
        if (!operation.VerifySignature()) return Refuse(operation, OperationFault.BadSignature, "the signature is not the signer's");
        var done = new TaskCompletionSource<Receipt>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_queue.Writer.TryWrite((operation, done))) return done.Task.WaitAsync(cancel);
        return Refuse(operation, OperationFault.BlockFull, _loop.IsCompleted ? "the ledger has stopped: its store failed" : "too many operations wait; try again later");
    }

    /// <summary>Reads what others appended. The store is trusted for form and signatures of operations, not for state: every root is made anew.</summary>
    public async Task CatchUpAsync(CancellationToken cancel)
    {
        await _writing.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            await FollowAsync(cancel).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Goes back to a kept height and forgets what came after, in the store as well.</summary>
    /// <exception cref="ArgumentOutOfRangeException">That state is not kept any more.</exception>
    public async Task RollbackAsync(ulong height, CancellationToken cancel)
    {
        await _writing.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            LedgerState state = StateAt(height) ?? throw new ArgumentOutOfRangeException(nameof(height), height, "the state of that height is not kept");
            await _sequencer.TruncateAsync(height + 1, cancel).ConfigureAwait(false);
            lock (_gate)
            {
                while (_states.Last!.Value.Height > height) _states.RemoveLast();
                _headers.RemoveRange((int)height + 1, _headers.Count - (int)height - 1);
                foreach (ulong above in _signatures.Keys.Where(h => h > height).ToArray()) _signatures.Remove(above);
            }

            _state = state;
            _lastSigned = 0;
        }
        finally
        {
            _writing.Release();
        }

        Changed?.Invoke();
    }

    /// <summary>A recent state, or null if it is not kept.</summary>
    public LedgerState? StateAt(ulong height)
    {
        lock (_gate) return _states.FirstOrDefault(s => s.Height == height);
    }

    public BlockHeader? HeaderAt(ulong height)
    {
        lock (_gate) return height < (ulong)_headers.Count ? _headers[(int)height] : null;
    }

    /// <summary>The members behind a header's hash of a committee.</summary>
    public Committee? CommitteeOf(Bytes32 hash)
    {
        lock (_gate) return _committees.GetValueOrDefault(hash);
    }

    public async Task<Block?> BlockAtAsync(ulong height, CancellationToken cancel)
    {
        if (height == 0) return null;
        IReadOnlyList<byte[]> read = await _sequencer.ReadAsync(height, 1, cancel).ConfigureAwait(false);
        return read.Count == 1 ? Block.Read(read[0], _state.Network) : null;
    }

    /// <summary>Adds a committee member's signature under a header. False if it is none, or the state is not kept any more.</summary>
    public async Task<bool> SignAsync(ulong height, Bytes32 member, byte[] signature, CancellationToken cancel = default)
    {
        if (HeaderAt(height) is not { } header || StateAt(height) is not { } state) return false;
        int index = state.Committee.IndexOf(member);
        if (index < 0 || !HeaderSignatures.IsSigned(header, member, signature, state.Network)) return false;
        HeaderSignatures now;
        lock (_gate) now = _signatures[height] = _signatures.GetValueOrDefault(height, HeaderSignatures.None).With((byte)index, signature);
        var writer = new LedgerWriter(1024);
        now.Write(writer);
        await _sequencer.PutSignaturesAsync(height, writer.ToArray(), cancel).ConfigureAwait(false);
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
        lock (_gate) _signatures.TryAdd(height, read);
        return read;
    }

    /// <summary>The newest kept state whose header a quorum has signed, with the signatures; null if there is none.</summary>
    public async Task<(LedgerState State, BlockHeader Header, HeaderSignatures Signatures)?> LatestSignedAsync(CancellationToken cancel = default)
    {
        LedgerState[] kept;
        ulong known;
        lock (_gate)
        {
            kept = [.. _states.Reverse()];
            known = Math.Min(_lastSigned, _state.Height);
        }

        foreach (LedgerState state in kept)
        {
            if (state.Height < known) break;
            HeaderSignatures signatures = await SignaturesAtAsync(state.Height, cancel).ConfigureAwait(false);
            if (signatures.ByMember.Count < state.Committee.Quorum || HeaderAt(state.Height) is not { } header) continue;
            _lastSigned = state.Height;
            return (state, header, signatures.Least(state.Committee.Quorum));
        }

        return null;
    }

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        await _sequencer.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
        _writing.Dispose();
    }

    private static HeaderSignatures? ReadSignatures(byte[] stored)
    {
        var reader = new LedgerReader(stored);
        HeaderSignatures? read = HeaderSignatures.Read(ref reader);
        return read is not null && reader.Done ? read : null;
    }

    private static Task<Receipt> Refuse(Operation operation, OperationFault fault, string detail) => Task.FromResult(new Receipt(operation.Id, 0, new Refusal(fault, detail)));

    private static BlockHeader HeaderOf(LedgerState genesis) => new(0, genesis.UnixMilliseconds, default, genesis.Network, genesis.Root, genesis.Committee.Hash, genesis.NextCommittee.Hash);

    private async Task WriteAsync()
    {
        var waiting = new List<(Operation Operation, TaskCompletionSource<Receipt> Done)>();
        try
        {
            while (true)
            {
                if (_options.Interval > TimeSpan.Zero) await Task.Delay(_options.Interval, _time, _stop.Token).ConfigureAwait(false);
                else if (!await _queue.Reader.WaitToReadAsync(_stop.Token).ConfigureAwait(false)) return;
                while (waiting.Count < Block.MaxOperations && _queue.Reader.TryRead(out (Operation, TaskCompletionSource<Receipt>) next)) waiting.Add(next);
                await _writing.WaitAsync(_stop.Token).ConfigureAwait(false);
                try
                {
                    await AppendAsync(waiting).ConfigureAwait(false);
                }
                finally
                {
                    _writing.Release();
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            // The store is broken: whoever waits is told, and nobody is served any more.
            foreach ((_, TaskCompletionSource<Receipt> done) in waiting) done.TrySetException(e);
            _queue.Writer.TryComplete(e);
        }
        finally
        {
            while (_queue.Reader.TryRead(out (Operation Operation, TaskCompletionSource<Receipt> Done) left)) waiting.Add(left);
            foreach ((_, TaskCompletionSource<Receipt> done) in waiting) done.TrySetCanceled();
        }
    }

    // Until every waiting operation is in a block or refused; at most one block more than others got in between.
    private async Task AppendAsync(List<(Operation Operation, TaskCompletionSource<Receipt> Done)> waiting)
    {
        do
        {
            var refused = new Dictionary<Operation, Refusal>();
            LedgerState before = _state;
            (Block block, LedgerState next) = StateMachine.Build(before, waiting.Select(w => w.Operation), (ulong)_time.GetUtcNow().ToUnixTimeMilliseconds(), (o, r) => { if (r is not null) refused[o] = r; });
            if (block.Operations.Length > 0 || _options.Interval > TimeSpan.Zero)
            {
                if (!await _sequencer.AppendAsync(next.Height, block.ToBytes(), _stop.Token).ConfigureAwait(false))
                {
                    await FollowAsync(_stop.Token).ConfigureAwait(false);
                    if (_state.Height == before.Height) throw new IOException($"{_sequencer.Name} refuses block {next.Height} and has none of that height");
                    continue;
                }

                Keep(next, block.Header);
                Changed?.Invoke();
            }

            // What the full block left out waits for the next one.
            foreach ((Operation operation, TaskCompletionSource<Receipt> done) in waiting)
            {
                Refusal? refusal = refused.GetValueOrDefault(operation);
                if (refusal?.Fault != OperationFault.BlockFull) done.TrySetResult(new Receipt(operation.Id, refusal is null ? next.Height : 0, refusal));
            }

            waiting.RemoveAll(w => w.Done.Task.IsCompleted);
        }
        while (waiting.Count > 0);
    }

    private async Task FollowAsync(CancellationToken cancel)
    {
        const int Page = 64;
        bool changed = false;
        while (true)
        {
            IReadOnlyList<byte[]> blocks = await _sequencer.ReadAsync(_state.Height + 1, Page, cancel).ConfigureAwait(false);
            foreach (byte[] bytes in blocks)
            {
                ulong height = _state.Height + 1;
                Block block = Block.Read(bytes, _state.Network) ?? throw new InvalidDataException($"block {height} of the store is garbled");
                LedgerState next = StateMachine.Apply(_state, block, out string reason, trusted: true) ?? throw new InvalidDataException($"block {height} of the store breaks a rule: {reason}");
                Keep(next, block.Header);
                changed = true;
            }

            if (blocks.Count < Page) break;
        }

        if (changed) Changed?.Invoke();
    }

    private void Keep(LedgerState state, BlockHeader header)
    {
        lock (_gate)
        {
            _headers.Add(header);
            _states.AddLast(state);
            _committees[state.Committee.Hash] = state.Committee;
            _committees[state.NextCommittee.Hash] = state.NextCommittee;
            if (_states.Count > _options.KeptStates) _states.RemoveFirst();
            if (state.Height >= (ulong)_options.KeptStates) _signatures.Remove(state.Height - (ulong)_options.KeptStates);
        }

        _state = state;
    }
}
