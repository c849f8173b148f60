using System.Threading.Channels;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>What goes into one block: who comes with a few waits for nobody, who comes with a crowd is joined by those who follow.</summary>
public sealed class GatherTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Genesis _genesis = Genesis.Create("gather", 1_700_000_000_000, LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), [KeyValuePair.Create(Key("alice").Id, 10_000 * TestLedger.Oxen)]);
    private readonly TaskCompletionSource _gate = new();
    private readonly PauseClock _clock = new();
    private AwkwardStore _store = null!;
    private LedgerHost _host = null!;
    private ulong _next;

    public async ValueTask InitializeAsync()
    {
        _store = new AwkwardStore(new MemorySequencer());
        _host = await LedgerHost.OpenAsync(_store, _genesis, null, _clock);

        // The writer is kept with a first block, so that what comes then waits together.
        _store.Gate = _gate.Task;
        Send(1);
        await _store.Held.Task.WaitAsync(Patience);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task A_few_are_in_the_next_block_at_once()
    {
        Task<Receipt[]> few = Task.WhenAll(Send(15));
        _gate.SetResult();
        Assert.All(await few.WaitAsync(Patience), r => Assert.Equal((2UL, (Refusal?)null), (r.Height, r.Refusal)));
        Assert.False(_clock.Pauses.TryRead(out _), "it waited for more");
    }

    [Fact]
    public async Task A_crowd_is_joined_by_who_comes_after_it_until_nobody_does()
    {
        List<Task<Receipt>> crowd = [.. Send(20)];
        _gate.SetResult();
        foreach (int more in new[] { 20, 3 })
        {
            Action pause = await _clock.Pauses.ReadAsync().AsTask().WaitAsync(Patience);
            crowd.AddRange(Send(more));
            pause();
        }

        Assert.All(await Task.WhenAll(crowd).WaitAsync(Patience), r => Assert.Equal((2UL, (Refusal?)null), (r.Height, r.Refusal)));
        Assert.False(_clock.Pauses.TryRead(out _), "it waited after nobody came");
    }

    private Task<Receipt>[] Send(int count) => [.. Enumerable.Range(0, count).Select(_ => _host.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("alice"), _next++, _genesis.Network)))];

    // Pauses of a millisecond end when the test says so.
    private sealed class PauseClock : TimeProvider
    {
        private readonly Channel<Action> _pauses = Channel.CreateUnbounded<Action>();

        public ChannelReader<Action> Pauses => _pauses.Reader;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime != TimeSpan.FromMilliseconds(1)) return base.CreateTimer(callback, state, dueTime, period);
            _pauses.Writer.TryWrite(() => callback(state));
            return base.CreateTimer(static _ => { }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }
}
