using System.Diagnostics.CodeAnalysis;

namespace Oxen.Router.Dns;

/// <summary>What an answer depends on: the name in any case, the type, and the two bits that change what a resolver says.</summary>
internal readonly record struct CacheKey(DnsName Name, ushort Type, bool DnssecOk, bool CheckingDisabled)
{
    public static CacheKey Of(DnsQuery query)
    {
        ArgumentNullException.ThrowIfNull(query);
        return new CacheKey(query.Name, query.Type, query.DnssecOk, query.CheckingDisabled);
    }
}

/// <summary>Answers of other resolvers, "no" too, for as long as they say. Bounded in number and bytes; what was used longest ago goes first.</summary>
internal sealed class AnswerCache
{
    // Roughly what an entry costs beside its bytes.
    private const int OverheadBytes = 256;

    private readonly Lock _lock = new();
    private readonly Dictionary<CacheKey, LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _byUse = [];
    private readonly int _maxEntries;
    private readonly long _maxBytes;
    private readonly TimeProvider _time;
    private long _bytes;

    private sealed record Entry(CacheKey Key, ForwardedAnswer Answer, long Since)
    {
        public int Bytes => Answer.Bytes + OverheadBytes;
    }

    public AnswerCache(int maxEntries, long maxBytes, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxEntries);
        ArgumentOutOfRangeException.ThrowIfNegative(maxBytes);
        ArgumentNullException.ThrowIfNull(time);
        _maxEntries = maxEntries;
        _maxBytes = maxBytes;
        _time = time;
    }

    public int Count
    {
        get
        {
            lock (_lock) return _entries.Count;
        }
    }

    public long Bytes
    {
        get
        {
            lock (_lock) return _bytes;
        }
    }

    /// <param name="age">Whole seconds since the answer came.</param>
    public bool TryGet(in CacheKey key, [NotNullWhen(true)] out ForwardedAnswer? answer, out uint age)
    {
        answer = null;
        age = 0;
        lock (_lock)
        {
            if (!_entries.TryGetValue(key, out LinkedListNode<Entry>? node)) return false;
            TimeSpan old = _time.GetElapsedTime(node.Value.Since);
            if (old.TotalSeconds >= node.Value.Answer.Seconds)
            {
                Remove(node);
                return false;
            }

            _byUse.Remove(node);
            _byUse.AddLast(node);
            answer = node.Value.Answer;
            age = (uint)old.TotalSeconds;
            return true;
        }
    }

    public void Add(in CacheKey key, ForwardedAnswer answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        var entry = new Entry(key, answer, _time.GetTimestamp());
        if (answer.Seconds <= 0 || _maxEntries == 0 || entry.Bytes > _maxBytes) return;
        lock (_lock)
        {
            if (_entries.TryGetValue(key, out LinkedListNode<Entry>? old)) Remove(old);
            while (_entries.Count >= _maxEntries || _bytes + entry.Bytes > _maxBytes) Remove(_byUse.First!);
            _entries.Add(key, _byUse.AddLast(entry));
            _bytes += entry.Bytes;
        }
    }

    private void Remove(LinkedListNode<Entry> node)
    {
        _entries.Remove(node.Value.Key);
        _byUse.Remove(node);
        _bytes -= node.Value.Bytes;
    }
}
