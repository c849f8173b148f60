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

    /// <summary>With an interval of zero: an empty block when none has come for so long, so that the newest proofs are never old; zero: none.</summary>
    public TimeSpan Heartbeat { get; init; }

    /// <summary>In a store that others write too: so often what they wrote is read while nothing is written here.</summary>
    public TimeSpan FollowEvery { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Most operations that wait at once; more are refused to the caller.</summary>
    public int QueueLimit { get; init; } = 65_536;

    /// <summary>So many blocks back the state is kept for rollbacks and proofs.</summary>
    public int KeptStates { get; init; } = 128;

    /// <summary>So many headers are kept in memory; older ones are read from the store.</summary>
    public int KeptHeaders { get; init; } = 8192;

    /// <summary>Makes no blocks: they come by <see cref="LedgerHost.AdoptAsync"/>, and operations go here.</summary>
    public Func<Operation, CancellationToken, Task<Receipt>>? Forward { get; init; }

    /// <summary>With <see cref="Forward"/>: the newest state that is known there, whether anybody stands for it or not. Only numbers of operations are taken from it.</summary>
    public Func<LedgerState?>? Ahead { get; init; }

    /// <summary>Where publications of names below zones go on to, beside being kept here; null: nowhere.</summary>
    public Func<byte[], CancellationToken, Task<Zones.SubnameRefusal>>? ForwardSubname { get; init; }

    /// <summary>Where votes of the committee's members come together; null: here.</summary>
    public Func<NodeVerdictBody, Bytes32, byte[], CancellationToken, Task<(NodeVerdictBody Body, int Quorum)?>>? ForwardVote { get; init; }

    /// <summary>Where names below zones are kept; null: in memory.</summary>
    public string? SubnameDirectory { get; init; }

    /// <summary>Where the state is written down now and then, so that a start need not replay everything; null: nowhere.</summary>
    public string? SnapshotFile { get; init; }

    /// <summary>Blocks between two snapshots.</summary>
    public ulong SnapshotEvery { get; init; } = 4096;
}

// One process's copy of the ledger. Operations wait in a queue; one loop takes what is there, builds a block, has the sequencer
// make it the one of its height (that is when the operations are durable, and their senders told), and puts the new state in place.
// If another process took the height, its block is read and ours is built anew. Readers take State, which never changes.

/// <summary>A ledger that lives: state, queue and store.</summary>
internal sealed partial class LedgerHost : IAsyncDisposable
{
    private readonly IBlockSequencer _sequencer;
    private readonly LedgerHostOptions _options;
    private readonly TimeProvider _time;
    private readonly Channel<(Operation Operation, TaskCompletionSource<Receipt> Done)> _queue;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<ulong, BlockHeader> _headers = [];
    private readonly LinkedList<LedgerState> _states = [];
    private readonly Dictionary<ulong, HeaderSignatures> _signatures = [];
    private readonly Dictionary<Bytes32, Committee> _committees;
    private readonly VoteBox _votes;
    private readonly PendingNumbers _pending = new();
    private readonly Lock _gate = new();
    private volatile LedgerState _state;
    private volatile NameTable _names;
    private volatile string _trouble = "";
    private ulong _lastSigned; // nothing older needs to be looked at for the newest signed state
    private ulong _snapshotHeight;
    private Task _loop = Task.CompletedTask, _snapshot = Task.CompletedTask;
    private volatile bool _ended;

    private LedgerHost(IBlockSequencer sequencer, LedgerState begin, BlockHeader header, IEnumerable<Committee> committees, LedgerHostOptions options, TimeProvider time)
    {
        (_sequencer, _options, _time) = (sequencer, options, time);
        _queue = Channel.CreateBounded<(Operation, TaskCompletionSource<Receipt>)>(new BoundedChannelOptions(options.QueueLimit) { SingleReader = true });
        _committees = committees.DistinctBy(c => c.Hash).ToDictionary(c => c.Hash);
        _state = begin;
        _names = NameTable.Of(begin.Tree);
        _snapshotHeight = begin.Height;
        Keep(begin, header);
        Subnames = new Zones.SubnameStore(options.SubnameDirectory, () => _state, time);
        _votes = new VoteBox(this, sequencer);
    }

    /// <summary>Raised after <see cref="State"/> was replaced, on the writer's thread; handlers return at once.</summary>
    public event Action? Changed;

    /// <summary>Raised when <see cref="Trouble"/> changes.</summary>
    public event Action? TroubleChanged;

    public LedgerState State => _state;

    /// <summary>Names below zones: off the ledger, kept beside it.</summary>
    public Zones.SubnameStore Subnames { get; }

    public string Engine => _sequencer.Name;

    /// <summary>Takes a publication of a name below a zone; a copy hands it on to the ledger that it follows first.</summary>
    public async Task<Zones.SubnameRefusal> PublishSubnameAsync(byte[] publication, CancellationToken cancel)
    {
        if (_options.ForwardSubname is { } forward && await forward(publication, cancel).ConfigureAwait(false) is not Zones.SubnameRefusal.None and var refusal) return refusal;
        return Subnames.Put(publication);
    }

    /// <summary>Takes a vote of a committee's member about a node; gives all votes for the same verdict so far, and how many it takes. Null: it is no vote.</summary>
    public async Task<(NodeVerdictBody Body, int Quorum)?> VoteAsync(NodeVerdictBody body, Bytes32 member, byte[] signature, CancellationToken cancel)
        => _options.ForwardVote is { } forward ? await forward(body, member, signature, cancel).ConfigureAwait(false) : await _votes.TakeAsync(body, member, signature, cancel).ConfigureAwait(false);

    /// <summary>In words, why blocks do not become durable now; empty: they do. It tries on.</summary>
    public string Trouble
    {
        get => _trouble;
        private set
        {
            if (_trouble == value) return;
            _trouble = value;
            TroubleChanged?.Invoke();
        }
    }

    /// <summary>The height that the start began to replay from: 0 without a snapshot.</summary>
    public ulong StartedFrom { get; private set; }

    /// <summary>
    /// Opens a ledger: replays what the store has, from a snapshot on if there is a good one. An empty store begins with `genesis`; with
    /// a full one it must be the same, or null. What goes wrong leaves the store to the caller.
    /// </summary>
    /// <exception cref="InvalidDataException">What the store has is no ledger, or another one.</exception>
    public static async Task<LedgerHost> OpenAsync(IBlockSequencer sequencer, Genesis? genesis, LedgerHostOptions? options = null, TimeProvider? time = null, CancellationToken cancel = default)
    {
        options ??= new LedgerHostOptions();
        IReadOnlyList<byte[]> first = await sequencer.ReadAsync(0, 1, cancel).ConfigureAwait(false);
        if (first.Count == 0)
        {
            if (genesis is null) throw new InvalidDataException("the store is empty, and there is no genesis to begin with");
            if (!await sequencer.AppendAsync(0, genesis.Encoded, cancel).ConfigureAwait(false)) first = await sequencer.ReadAsync(0, 1, cancel).ConfigureAwait(false);
        }

        Genesis stored = first.Count == 0 ? genesis! : Genesis.Read(first[0]) ?? throw new InvalidDataException("block 0 of the store is no genesis");
        if (genesis is not null && stored.Network != genesis.Network) throw new InvalidDataException($"the store has the network {stored.Network}, not {genesis.Network}");
        LedgerState begin = LedgerState.Of(stored);
        BlockHeader header = BlockHeader.OfGenesis(begin);
        IEnumerable<Committee> committees = [stored.Committee];
        if (options.SnapshotFile is { } file && LedgerSnapshot.Read(file, stored) is { } snapshot && await HeaderInAsync(sequencer, snapshot.State.Height, cancel).ConfigureAwait(false) is { } found && snapshot.IsOf(found))
        {
            (begin, header, committees) = (snapshot.State, found, snapshot.Committees);
        }

        var host = new LedgerHost(sequencer, begin, header, committees, options, time ?? TimeProvider.System) { StartedFrom = begin.Height };
        await host.CatchUpAsync(cancel).ConfigureAwait(false);
        if (options.Forward is null) host._loop = Task.Run(host.WriteAsync, CancellationToken.None);
        return host;
    }

    /// <summary>Asks for an operation to be put into a block; the answer comes when it is durable, or refused.</summary>
    public Task<Receipt> SubmitAsync(Operation operation, CancellationToken cancel = default)
    {
        // Cheap looks first; the signature on the caller's thread, so that many callers use many cores.
        AccountEntry signer = _state.Account(operation.Signer);
        if (operation.Nonce < signer.Nonce) return Refuse(operation, OperationFault.Replayed, $"its nonce is {operation.Nonce}, and the signer's next is {signer.Nonce}: this number was used");
        if (!operation.VerifySignature()) return Refuse(operation, OperationFault.BadSignature, "the signature is not the signer's");
        _pending.Sent(operation, signer.Nonce);
        if (_options.Forward is { } forward) return ForwardAsync(forward, operation, cancel);
        var done = new TaskCompletionSource<Receipt>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_queue.Writer.TryWrite((operation, done))) return done.Task.WaitAsync(cancel);
        _pending.Refused(operation);
        return Refuse(operation, OperationFault.BlockFull, _ended ? $"the ledger has stopped: {(Trouble.Length > 0 ? Trouble : "this node is on its way out")}" : "too many operations wait; try again later");
    }

    /// <summary>The number of an account's next operation, those counted that wait here, or that were taken by the ledger that this copy follows and are not in it yet.</summary>
    public ulong NextNonce(Bytes32 account) => Math.Max(_pending.Next(account, _state), _options.Ahead?.Invoke()?.Account(account).Nonce ?? 0);

    /// <summary>Reads what others appended. Every root is made anew, and signatures of operations are checked unless only this machine writes the store, or a quorum of the committee stands for them.</summary>
    public async Task CatchUpAsync(CancellationToken cancel)
    {
        await _writing.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            await FollowAsync(null, cancel).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Takes blocks that the caller has applied, the first one to <see cref="State"/>, without trusting anybody. False: the state is another by now.</summary>
    public async Task<bool> AdoptAsync(IReadOnlyList<AdoptedBlock> blocks, CancellationToken cancel)
    {
        await _writing.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            foreach (AdoptedBlock block in blocks)
            {
                if (!ReferenceEquals(block.Before, _state) || !await _sequencer.AppendAsync(block.After.Height, block.Bytes, cancel).ConfigureAwait(false)) return false;
                Keep(block.After, block.Header);
                if (block.Signatures.ByMember.Count > 0) await StoreAsync(block.After.Height, block.Signatures, cancel).ConfigureAwait(false);
            }
        }
        finally
        {
            _writing.Release();
        }

        _pending.Reached(_state);
        Changed?.Invoke();
        SnapshotNowAndThen();
        return true;
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
                foreach (ulong above in _headers.Keys.Where(h => h > height).ToArray()) _headers.Remove(above);
                foreach (ulong above in _signatures.Keys.Where(h => h > height).ToArray()) _signatures.Remove(above);
            }

            _names = NameTable.Of(state.Tree);
            _state = state;
            _pending.Clear();
            _lastSigned = 0;
        }
        finally
        {
            _writing.Release();
        }

        Changed?.Invoke();
    }

    /// <summary>A name of the newest state that the next block may still use; null: there is none. Several times as quick as the state's own tree.</summary>
    public NameEntry? FindName(NameType type, NameHash hash) => _names.Find(type, hash) is { } name && name.IsActive(_state.Height + 1) ? name : null;

    /// <summary>A recent state, or null if it is not kept.</summary>
    public LedgerState? StateAt(ulong height)
    {
        lock (_gate)
        {
            for (LinkedListNode<LedgerState>? at = _states.Last; at is not null && at.Value.Height >= height; at = at.Previous)
            {
                if (at.Value.Height == height) return at.Value;
            }

            return null;
        }
    }

    /// <summary>A recent header, or null.</summary>
    public BlockHeader? HeaderAt(ulong height)
    {
        lock (_gate) return _headers.GetValueOrDefault(height);
    }

    /// <summary>Any header up to the newest one, or null.</summary>
    public async Task<BlockHeader?> FindHeaderAsync(ulong height, CancellationToken cancel = default)
        => HeaderAt(height) ?? (height > _state.Height ? null : height == 0 ? BlockHeader.OfGenesis(LedgerState.Of(_state.Genesis)) : await HeaderInAsync(_sequencer, height, cancel).ConfigureAwait(false));

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

    /// <summary>Blocks as they are stored, from a height (not 0) on.</summary>
    public async Task<IReadOnlyList<byte[]>> ReadBlocksAsync(ulong from, int count, CancellationToken cancel) =>
        from > _state.Height ? [] : await _sequencer.ReadAsync(from, (int)Math.Min((ulong)count, _state.Height - from + 1), cancel).ConfigureAwait(false);

    public async ValueTask DisposeAsync()
    {
        _ended = true;
        _queue.Writer.TryComplete();
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        await _snapshot.ConfigureAwait(false);
        if (_state.Height >= _snapshotHeight + _options.SnapshotEvery / 4) await SnapshotAsync().ConfigureAwait(false);
        await _sequencer.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
        _writing.Dispose();
        _signing.Dispose();
    }

    /// <summary>Writes the state down now. Does nothing without a file for it.</summary>
    public async Task SnapshotAsync()
    {
        if (_options.SnapshotFile is not { } file) return;
        LedgerState state = _state;
        Committee[] committees;
        lock (_gate) committees = [.. _committees.Values];
        try
        {
            await Task.Run(() => LedgerSnapshot.Write(file, state, committees)).ConfigureAwait(false);
            _snapshotHeight = state.Height;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A start without it takes longer, and nothing else; the next height tries again.
            Trouble = $"the snapshot cannot be written: {e.Message}";
        }
    }

    private async Task<Receipt> ForwardAsync(Func<Operation, CancellationToken, Task<Receipt>> forward, Operation operation, CancellationToken cancel)
    {
        try
        {
            Receipt receipt = await forward(operation, cancel).ConfigureAwait(false);
            if (receipt.Refusal is null) _pending.Taken(operation, receipt.Height);
            else _pending.Refused(operation);
            return receipt;
        }
        catch
        {
            // What became of it is not known; the next one asks anew.
            _pending.Refused(operation);
            throw;
        }
    }

    private static Task<Receipt> Refuse(Operation operation, OperationFault fault, string detail) => Task.FromResult(new Receipt(operation.Id, 0, new Refusal(fault, detail)));

    private static async Task<BlockHeader?> HeaderInAsync(IBlockSequencer sequencer, ulong height, CancellationToken cancel)
    {
        IReadOnlyList<byte[]> read = height == 0 ? [] : await sequencer.ReadAsync(height, 1, cancel).ConfigureAwait(false);
        if (read.Count == 0) return null;
        var reader = new LedgerReader(read[0]);
        return BlockHeader.Read(ref reader);
    }

    private void SnapshotNowAndThen()
    {
        if (_options.SnapshotFile is not null && _snapshot.IsCompleted && _state.Height >= _snapshotHeight + _options.SnapshotEvery) _snapshot = SnapshotAsync();
    }

    private void Keep(LedgerState state, BlockHeader header)
    {
        lock (_gate)
        {
            _headers[state.Height] = header;
            _states.AddLast(state);
            _committees[state.Committee.Hash] = state.Committee;
            _committees[state.NextCommittee.Hash] = state.NextCommittee;
            if (_states.Count > _options.KeptStates) _states.RemoveFirst();
            if (state.Height >= (ulong)_options.KeptStates) _signatures.Remove(state.Height - (ulong)_options.KeptStates);
            if (state.Height >= (ulong)_options.KeptHeaders) _headers.Remove(state.Height - (ulong)_options.KeptHeaders);
        }

        // First the names: who finds one that is a block too new sees what is durable already.
        foreach (NameEntry name in state.ChangedNames) _names.Set(name);
        _state = state;
    }
}

/// <summary>A block that was applied, between two states.</summary>
internal sealed record AdoptedBlock(byte[] Bytes, BlockHeader Header, LedgerState Before, LedgerState After, HeaderSignatures Signatures);
