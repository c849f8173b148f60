using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Rpc;
using Oxen.Ons.Zones;

namespace Oxen.Ons.Sequencing;

// A copy of somebody else's ledger that trusts nobody: every block is applied with its signatures, and taken only once a quorum of its
// committee stands for it or for a later one. A member of the committee signs the newest block that follows the rules, once a height,
// and tells the ledger that it follows.
//
//   ledger_blocks -> apply -> sign the tip (ledger_sign) -> adopt up to the newest header with a quorum

/// <summary>Keeps a <see cref="LedgerHost"/> with the ledger behind a JSON-RPC address.</summary>
internal sealed class LedgerFollower : IAsyncDisposable
{
    private const int MostPending = 4096;
    private const int Haste = 10;
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30), ShowPatience = TimeSpan.FromSeconds(5);

    private readonly OxendClient _server;
    private readonly IReadOnlyList<LedgerKey> _keys;
    private readonly SigningJournal _journal;
    private readonly TimeSpan _every;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _wake = new(0);
    private readonly List<AdoptedBlock> _pending = []; // applied to State and to each other; no quorum yet
    private LedgerHost? _host;
    private Task _loop = Task.CompletedTask;
    private ulong _told, _subnameAt, _awaited;
    private uint _subnameRun;
    private volatile string _trouble = "";
    private volatile LedgerState? _ahead;

    public LedgerFollower(OxendClient server, IReadOnlyList<LedgerKey> keys, SigningJournal journal, TimeSpan every, TimeProvider time)
    {
        (_server, _keys, _journal, _every, _time) = (server, keys, journal, every, time);
    }

    /// <summary>In words, why the last look brought nothing; empty: it did.</summary>
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

    /// <summary>The newest state there that follows the rules; null: none that this copy does not have. For <see cref="LedgerHostOptions.Ahead"/>.</summary>
    public LedgerState? Ahead => _ahead;

    /// <summary>Raised when <see cref="Trouble"/> changes.</summary>
    public event Action? TroubleChanged;

    /// <summary>Sends an operation on to the ledger that is followed: for <see cref="LedgerHostOptions.Forward"/>.</summary>
    public async Task<Receipt> ForwardAsync(Operation operation, CancellationToken cancel)
    {
        try
        {
            JsonElement answer = await _server.CallAsync("ledger_submit", new { operation = Convert.ToBase64String(operation.Encoded) }, cancel).ConfigureAwait(false);
            if (answer.GetProperty("accepted").GetBoolean())
            {
                ulong height = answer.GetProperty("height").GetUInt64();
                if (_host is { } host) await UntilHasAsync(host, height, cancel).ConfigureAwait(false);
                return new Receipt(operation.Id, height, null);
            }

            OperationFault fault = Enum.TryParse(answer.GetProperty("fault").GetString()?.Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out OperationFault read) && Enum.IsDefined(read) ? read : OperationFault.Malformed;
            return new Receipt(operation.Id, 0, new Refusal(fault, answer.TryGetProperty("detail", out JsonElement detail) ? detail.ToString() : ""));
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new OxendException($"{_server.Server} answered ledger_submit with something that is no answer", e);
        }
    }

    /// <summary>Sends a name below a zone on to the ledger that is followed: for <see cref="LedgerHostOptions.ForwardSubname"/>.</summary>
    public async Task<SubnameRefusal> ForwardSubnameAsync(byte[] publication, CancellationToken cancel)
    {
        try
        {
            JsonElement answer = await _server.CallAsync("ledger_subname_publish", new { publication = Convert.ToBase64String(publication) }, cancel).ConfigureAwait(false);
            if (answer.GetProperty("accepted").GetBoolean()) return SubnameRefusal.None;
            return Enum.TryParse(answer.GetProperty("fault").GetString()?.Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out SubnameRefusal read) && Enum.IsDefined(read) && read != SubnameRefusal.None ? read : SubnameRefusal.Malformed;
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException)
        {
            throw new OxendException($"{_server.Server} answered ledger_subname_publish with something that is no answer", e);
        }
    }

    /// <summary>Hands a member's vote to the ledger that is followed: for <see cref="LedgerHostOptions.ForwardVote"/>.</summary>
    public async Task<(NodeVerdictBody Body, int Quorum)?> ForwardVoteAsync(NodeVerdictBody body, Bytes32 member, byte[] signature, CancellationToken cancel)
    {
        try
        {
            JsonElement answer = await _server.CallAsync("ledger_vote", new { node = body.Node.ToString(), height = body.Height, verdict = (int)body.Verdict, reasons = (int)body.Reasons, member = member.ToString(), signature = Convert.ToBase64String(signature) }, cancel).ConfigureAwait(false);
            var reader = new LedgerReader(answer.GetProperty("verdict").GetBytesFromBase64());
            NodeVerdictBody? votes = NodeVerdictBody.ReadBody(ref reader);
            return votes is not null && reader.Done ? (votes, answer.GetProperty("quorum").GetInt32()) : throw new FormatException("the votes are garbled");
        }
        catch (OxendException e) when (e.Code == RpcRefusal.BadParameters)
        {
            return null;
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new OxendException($"{_server.Server} answered ledger_vote with something that is no answer", e);
        }
    }

    /// <summary>Looks at once, and then again and again.</summary>
    public void Start(LedgerHost host)
    {
        _host = host;
        _loop = Task.Run(LoopAsync);
    }

    /// <summary>Looks once. False: nothing came, and <see cref="Trouble"/> says why.</summary>
    public async Task<bool> LookAsync(LedgerHost host, CancellationToken cancel)
    {
        try
        {
            // From the first block that is not ours: its signatures may have come by now. Then page after page.
            for (int at = 0; at >= 0;) at = await FetchAsync(host, at, cancel).ConfigureAwait(false);

            _ahead = _pending.Count > 0 ? _pending[^1].After : null;
            await CopySubnamesAsync(host, cancel).ConfigureAwait(false);
            Trouble = "";
            return true;
        }
        catch (Exception e) when (e is OxendException or InvalidDataException or IOException or System.Data.Common.DbException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            Trouble = e is OxendException or InvalidDataException ? e.Message : $"{_server.Server} gave blocks that are none, or the store failed: {e.Message}";
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stop.Dispose();
        _wake.Dispose();
    }

    private async Task LoopAsync()
    {
        TimeSpan pause = _every;
        try
        {
            while (true)
            {
                bool came = await LookAsync(_host!, _stop.Token).ConfigureAwait(false);
                pause = came ? _every : pause + pause < LongestPause ? pause + pause : LongestPause;
                // Another ledger tells nobody of its blocks: it is asked, more seldom while it is silent, at once when somebody waits.
                await PauseAsync(came && Interlocked.Read(ref _awaited) > _host!.State.Height ? _every / Haste : pause).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The end.
        }
    }

    private async Task PauseAsync(TimeSpan pause)
    {
        using var end = new CancellationTokenSource(pause, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(end.Token, _stop.Token);
        try
        {
            await _wake.WaitAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            // the pause is over
        }
    }

    // Who sends an operation here looks here what became of it. If the committee takes longer to sign than anybody waits, the receipt goes out before.
    private async Task UntilHasAsync(LedgerHost host, ulong height, CancellationToken cancel)
    {
        var came = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Look()
        {
            if (host.State.Height >= height) came.TrySetResult();
        }

        host.Changed += Look;
        try
        {
            Look();
            if (came.Task.IsCompleted) return;
            InterlockedMax(ref _awaited, height);
            _wake.Release();
            await came.Task.WaitAsync(ShowPatience, _time, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or ObjectDisposedException)
        {
            // not here yet, or the end
        }
        finally
        {
            host.Changed -= Look;
        }
    }

    private static void InterlockedMax(ref ulong at, ulong value)
    {
        for (ulong seen = Interlocked.Read(ref at); seen < value && Interlocked.CompareExchange(ref at, value, seen) is var found && found != seen; seen = found)
        {
        }
    }

    // One page of blocks, from the one after `at` pending ones on. Where the next page begins; -1: there is none.
    private async Task<int> FetchAsync(LedgerHost host, int at, CancellationToken cancel)
    {
        if (_pending.Count > 0 && !ReferenceEquals(_pending[0].Before, host.State)) _pending.Clear();
        JsonElement answer = await _server.CallAsync("ledger_blocks", new { from = host.State.Height + 1 + (ulong)at, count = LedgerRpc.MaxBlocks }, cancel).ConfigureAwait(false);
        JsonElement[] blocks = [.. answer.GetProperty("blocks").EnumerateArray()], signatures = [.. answer.GetProperty("signatures").EnumerateArray()];
        ulong newest = answer.GetProperty("height").GetUInt64();
        if (blocks.Length != signatures.Length || blocks.Length > LedgerRpc.MaxBlocks) throw new InvalidDataException($"{_server.Server} gave blocks without signatures");
        for (int i = 0; i < blocks.Length; i++) Take(host, at + i, blocks[i].GetBytesFromBase64(), SignaturesOf(signatures[i].GetBytesFromBase64()));
        if (blocks.Length == 0 || _pending.Count == 0) return -1;
        if (_pending[^1].After.Height == newest) await SignTipAsync(cancel).ConfigureAwait(false);
        int whole = _pending.FindLastIndex(b => b.Signatures.IsQuorum(b.Header, b.After.Committee, host.State.Network)) + 1;
        if (whole > 0)
        {
            if (!await host.AdoptAsync(_pending[..whole], cancel).ConfigureAwait(false))
            {
                _pending.Clear();
                throw new InvalidDataException("this copy's store already has another block of that height");
            }

            _pending.RemoveRange(0, whole);
        }

        int next = at + blocks.Length - whole;
        return next >= 0 && next <= _pending.Count && next < MostPending && host.State.Height + (ulong)next < newest ? next : -1;
    }

    // Each is checked as if a stranger had published it here. One that this copy's ledger does not grant yet is waited for.
    // One look takes as many as a store may have: whoever gives more and more of them is asked again at the next look.
    private async Task CopySubnamesAsync(LedgerHost host, CancellationToken cancel)
    {
        for (int page = 0; page <= SubnameStore.MaxNames / SubnameStore.MaxPage; page++)
        {
            JsonElement answer;
            try
            {
                answer = await _server.CallAsync("ledger_subnames", new { after = _subnameAt }, cancel).ConfigureAwait(false);
            }
            catch (OxendException e) when (e.Code == RpcRefusal.UnknownMethod)
            {
                return; // it keeps none
            }

            uint run = answer.GetProperty("run").GetUInt32();
            if (run != _subnameRun)
            {
                bool again = _subnameAt != 0;
                (_subnameRun, _subnameAt) = (run, 0);
                if (again) continue;
            }

            int taken = 0;
            foreach (JsonElement one in answer.GetProperty("publications").EnumerateArray().Take(SubnameStore.MaxPage))
            {
                ulong number = one.GetProperty("number").GetUInt64();
                if (number <= _subnameAt) throw new InvalidDataException($"{_server.Server} gave names below zones out of order");
                if (host.Subnames.Put(one.GetProperty("publication").GetBytesFromBase64()) is SubnameRefusal.NoZone or SubnameRefusal.NotGranted) return;
                _subnameAt = number;
                taken++;
            }

            if (taken < SubnameStore.MaxPage) return;
        }
    }

    private void Take(LedgerHost host, int at, byte[] bytes, HeaderSignatures signatures)
    {
        if (at < _pending.Count && _pending[at].Bytes.AsSpan().SequenceEqual(bytes))
        {
            _pending[at] = _pending[at] with { Signatures = signatures };
            return;
        }

        if (at < _pending.Count) _pending.RemoveRange(at, _pending.Count - at);
        if (at > _pending.Count || _pending.Count >= MostPending) return;
        LedgerState before = at == 0 ? host.State : _pending[at - 1].After;
        Block block = Block.Read(bytes, before.Network) ?? throw new InvalidDataException($"block {before.Height + 1} of {_server.Server} is garbled");
        LedgerState after = StateMachine.Apply(before, block, out string reason) ?? throw new InvalidDataException($"block {before.Height + 1} of {_server.Server} breaks a rule: {reason}");
        _pending.Add(new AdoptedBlock(bytes, block.Header, before, after, signatures));
    }

    private async Task SignTipAsync(CancellationToken cancel)
    {
        AdoptedBlock tip = _pending[^1];
        LedgerKey[] members = [.. _keys.Where(k => tip.After.Committee.IndexOf(k.Id) >= 0)];
        if (members.Length == 0 || tip.After.Height <= _told || !_journal.MaySign(tip.After.Height, tip.After.BlockHash)) return;
        HeaderSignatures now = tip.Signatures;
        foreach (LedgerKey member in members)
        {
            byte[] signature = HeaderSignatures.Sign(tip.Header, member, tip.After.Network);
            await _server.CallAsync("ledger_sign", new { height = tip.After.Height, member = member.Id.ToString(), signature = Convert.ToBase64String(signature) }, cancel).ConfigureAwait(false);
            now = now.With((byte)tip.After.Committee.IndexOf(member.Id), signature);
        }

        _told = tip.After.Height;
        _pending[^1] = tip with { Signatures = now };
    }

    private static HeaderSignatures SignaturesOf(byte[] bytes)
    {
        if (bytes.Length == 0) return HeaderSignatures.None;
        var reader = new LedgerReader(bytes);
        return HeaderSignatures.Read(ref reader) is { } read && reader.Done ? read : HeaderSignatures.None;
    }
}
