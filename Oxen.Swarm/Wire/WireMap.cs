using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Oxen.Swarm.Wire;

/// <summary>A dictionary of the wire: keys in byte order, as bt encoding demands and as JSON gets them too.</summary>
/// <remarks>
/// Nearly all have a few keys, which lie side by side in an array, and come in order. Many that come in any order, which only a
/// hostile sender has, go into a tree, so that they cost no more than they should.
/// </remarks>
internal sealed class WireMap : IReadOnlyDictionary<string, object>
{
    private const int Few = 64;

    private KeyValuePair<string, object>[] _items = [];
    private SortedDictionary<string, object>? _many;
    private int _count;

    public int Count => _many?.Count ?? _count;

    public IEnumerable<string> Keys => this.Select(item => item.Key);

    public IEnumerable<object> Values => this.Select(item => item.Value);

    public object this[string key]
    {
        get => TryGetValue(key, out object? value) ? value : throw new KeyNotFoundException($"there is no {key}");
        set => Set(key, value, replace: true);
    }

    /// <exception cref="ArgumentException">The key is there.</exception>
    public void Add(string key, object value) => Set(key, value, replace: false);

    public bool ContainsKey(string key) => TryGetValue(key, out _);

    public object? GetValueOrDefault(string key) => TryGetValue(key, out object? value) ? value : null;

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out object value)
    {
        if (_many is not null) return _many.TryGetValue(key, out value);
        int at = Find(key);
        value = at >= 0 ? _items[at].Value : null;
        return at >= 0;
    }

    public bool Remove(string key)
    {
        if (_many is not null) return _many.Remove(key);
        int at = Find(key);
        if (at < 0) return false;
        _count--;
        _items.AsSpan(at + 1, _count - at).CopyTo(_items.AsSpan(at));
        _items[_count] = default;
        return true;
    }

    public IEnumerator<KeyValuePair<string, object>> GetEnumerator() => _many?.GetEnumerator() ?? ((IEnumerable<KeyValuePair<string, object>>)new ArraySegment<KeyValuePair<string, object>>(_items, 0, _count)).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private void Set(string key, object value, bool replace)
    {
        int at = _many is null ? Find(key) : -1;
        if (_many is null && at < 0 && ~at < _count && _count >= Few)
        {
            _many = new SortedDictionary<string, object>(StringComparer.Ordinal);
            foreach ((string old, object item) in _items.AsSpan(0, _count)) _many.Add(old, item);
            _items = [];
            _count = 0;
        }

        if (_many is not null)
        {
            if (replace) _many[key] = value;
            else _many.Add(key, value);
            return;
        }

        if (at >= 0)
        {
            if (!replace) throw new ArgumentException($"there is a {key} already", nameof(key));
            _items[at] = new(key, value);
            return;
        }

        at = ~at;
        if (_count == _items.Length) Array.Resize(ref _items, Math.Max(8, 2 * _count));
        _items.AsSpan(at, _count - at).CopyTo(_items.AsSpan(at + 1));
        _items[at] = new(key, value);
        _count++;
    }

    // Its place, or the complement of where it belongs.
    private int Find(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        int low = 0, high = _count - 1;
        if (_count > 0 && string.CompareOrdinal(_items[high].Key, key) < 0) return ~_count; // they mostly come in order
        while (low <= high)
        {
            int middle = (low + high) / 2, order = string.CompareOrdinal(_items[middle].Key, key);
            if (order == 0) return middle;
            if (order < 0) low = middle + 1;
            else high = middle - 1;
        }

        return ~low;
    }
}
