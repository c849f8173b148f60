using System.Net;

namespace Oxen.Router.Exit;

/// <summary>
/// Names of UDP destinations: a datagram cannot wait for a look-up each time. Answers, empty ones too, live for a short
/// while; while a look-up runs, a few callers may wait for it. Bounded: when full, it is emptied of what is old.
/// </summary>
internal sealed class NameCache(IExitResolver resolver, ExitLimits limits, TimeProvider time, CancellationToken stop)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    private sealed class Entry
    {
        public IPAddress[]? Addresses;
        public long Since;
        public List<Action<IPAddress[]>> Waiting = [];
    }

    /// <summary>True if an answer is at hand.</summary>
    public bool TryGet(string name, out IPAddress[]? addresses)
    {
        lock (_lock)
        {
            addresses = null;
            if (!_entries.TryGetValue(name, out Entry? entry) || entry.Addresses is null) return false;
            if (time.GetElapsedTime(entry.Since) >= limits.NameLifetime)
            {
                _entries.Remove(name);
                return false;
            }

            addresses = entry.Addresses;
            return true;
        }
    }

    /// <summary>Calls `found` on a pool thread when the name is looked up. False: too many wait already.</summary>
    public bool Resolve(string name, Action<IPAddress[]> found)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue(name, out Entry? entry) && entry.Addresses is null)
            {
                if (entry.Waiting.Count >= limits.WaitingPerName) return false;
                entry.Waiting.Add(found);
                return true;
            }

            if (_entries.Count >= limits.NamesCached && !Prune()) return false;
            entry = new Entry { Since = time.GetTimestamp() };
            entry.Waiting.Add(found);
            _entries[name] = entry;
            _ = LookUpAsync(name, entry);
            return true;
        }
    }

    private async Task LookUpAsync(string name, Entry entry)
    {
        IPAddress[] addresses = [];
        try
        {
            await Task.Yield();
            using var limit = new CancellationTokenSource(limits.ResolveTime, time);
            using var linked = CancellationTokenSource.CreateLinkedTokenSource(stop, limit.Token);
            addresses = await resolver.ResolveAsync(name, linked.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // As if there were none.
        }

        List<Action<IPAddress[]>> waiting;
        lock (_lock)
        {
            entry.Addresses = addresses;
            entry.Since = time.GetTimestamp();
            waiting = entry.Waiting;
            entry.Waiting = [];
        }

        foreach (Action<IPAddress[]> found in waiting) found(addresses);
    }

    private bool Prune()
    {
        foreach (string name in _entries.Where(e => e.Value.Addresses is not null && time.GetElapsedTime(e.Value.Since) >= limits.NameLifetime / 2).Select(e => e.Key).ToArray()) _entries.Remove(name);
        return _entries.Count < limits.NamesCached;
    }
}
