using System.Collections.Concurrent;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Resolving;

/// <summary>
/// Keeps another source's answers for as long as each may be kept, a "no" as well. Who asks for a name that is being looked up already
/// waits for that look-up.
/// </summary>
internal sealed class NameCache(INameSource inner, TimeProvider time, int most = 10_000) : INameSource
{
    private readonly ConcurrentDictionary<string, Kept> _kept = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Lazy<Task<NameAnswer>>> _running = new(StringComparer.Ordinal);

    private readonly record struct Kept(NameAnswer Answer, DateTimeOffset Until);

    /// <summary>Answers that are kept.</summary>
    public int Count => _kept.Count;

    public ValueTask<NameAnswer> ResolveAsync(string name, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(name);
        DateTimeOffset now = time.GetUtcNow();
        if (_kept.TryGetValue(name, out Kept kept))
        {
            if (kept.Until > now) return new ValueTask<NameAnswer>(Left(kept, now));
            _kept.TryRemove(name, out _);
        }

        // The look-up is everybody's who waits for it: nobody's giving up ends it.
        Lazy<Task<NameAnswer>> running = _running.GetOrAdd(name, n => new Lazy<Task<NameAnswer>>(() => LookUpAsync(n)));
        return new ValueTask<NameAnswer>(running.Value.WaitAsync(cancel));
    }

    private static NameAnswer Left(Kept kept, DateTimeOffset now) => new(kept.Answer.Outcome, kept.Answer.Address, kept.Until - now, kept.Answer.Reason);

    private async Task<NameAnswer> LookUpAsync(string name)
    {
        await Task.Yield(); // the entry of _running is there before it is taken away
        try
        {
            NameAnswer answer = await inner.ResolveAsync(name, CancellationToken.None).ConfigureAwait(false);
            if (answer.Lifetime > TimeSpan.Zero)
            {
                if (_kept.Count >= most) MakeRoom();
                _kept[name] = new Kept(answer, time.GetUtcNow() + answer.Lifetime);
            }

            return answer;
        }
        finally
        {
            _running.TryRemove(name, out _);
        }
    }

    // What is over first, then a tenth of the rest in no order: a stranger's flood of names costs look-ups, not memory.
    private void MakeRoom()
    {
        DateTimeOffset now = time.GetUtcNow();
        foreach ((string name, Kept kept) in _kept)
        {
            if (kept.Until <= now) _kept.TryRemove(name, out _);
        }

        if (_kept.Count < most) return;
        foreach (string name in _kept.Keys.Take(Math.Max(1, most / 10))) _kept.TryRemove(name, out _);
    }
}
