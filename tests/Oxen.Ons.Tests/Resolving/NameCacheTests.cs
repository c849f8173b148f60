using Oxen.Ons.Resolving;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Tests.Resolving;

public class NameCacheTests
{
    private readonly Clock _clock = new();

    [Fact]
    public async Task An_answer_is_kept_for_its_lifetime_and_then_asked_for_again()
    {
        var inner = new Counting(TimeSpan.FromMinutes(10));
        var cache = new NameCache(inner, _clock);
        for (int i = 0; i < 3; i++) Assert.Equal(NameOutcome.NotFound, (await cache.ResolveAsync("a", CancellationToken.None)).Outcome);
        Assert.Equal(1, inner.Asked);
        _clock.Now += TimeSpan.FromMinutes(4);
        Assert.Equal(TimeSpan.FromMinutes(6), (await cache.ResolveAsync("a", CancellationToken.None)).Lifetime);
        _clock.Now += TimeSpan.FromMinutes(7);
        await cache.ResolveAsync("a", CancellationToken.None);
        Assert.Equal(2, inner.Asked);
    }

    [Fact]
    public async Task Many_who_ask_at_once_cost_one_look_up_and_one_who_gives_up_ends_nobody_elses()
    {
        var inner = new Counting(TimeSpan.FromMinutes(1)) { Wait = new TaskCompletionSource() };
        var cache = new NameCache(inner, _clock);
        using var impatient = new CancellationTokenSource();
        Task<NameAnswer> first = cache.ResolveAsync("a", impatient.Token).AsTask();
        Task<NameAnswer>[] others = [.. Enumerable.Range(0, 20).Select(_ => cache.ResolveAsync("a", CancellationToken.None).AsTask())];
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        inner.Wait.SetResult();
        await Task.WhenAll(others);
        Assert.Equal(1, inner.Asked);
    }

    [Fact]
    public async Task A_flood_of_names_is_not_kept_beyond_the_limit()
    {
        var cache = new NameCache(new Counting(TimeSpan.FromMinutes(10)), _clock, most: 50);
        for (int i = 0; i < 1000; i++)
        {
            await cache.ResolveAsync($"n{i}", CancellationToken.None);
            Assert.InRange(cache.Count, 1, 50);
        }
    }

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch.AddYears(50);

        public override DateTimeOffset GetUtcNow() => Now;
    }

    private sealed class Counting(TimeSpan lifetime) : INameSource
    {
        private int _asked;

        public int Asked => _asked;

        public TaskCompletionSource? Wait { get; init; }

        public async ValueTask<NameAnswer> ResolveAsync(string name, CancellationToken cancel)
        {
            Interlocked.Increment(ref _asked);
            if (Wait is not null) await Wait.Task;
            return new NameAnswer(NameOutcome.NotFound, default, lifetime);
        }
    }
}
