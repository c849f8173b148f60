namespace Oxen.Router.Core.Quic.Streams;

/// <summary>
/// Sorted, disjoint, non-touching half-open ranges of 62-bit numbers in one array that grows and never shrinks.
/// Stream offsets, packet numbers: the everyday case (append to the last range, remove from the first) costs O(1).
/// </summary>
internal sealed class RangeSet
{
    private (long Start, long End)[] _ranges = new (long, long)[4];
    private int _first;

    public int Count { get; private set; }

    public bool IsEmpty => Count == 0;

    /// <summary>Ascending.</summary>
    public (long Start, long End) this[int index] => _ranges[_first + index];

    public (long Start, long End) First => _ranges[_first];

    public (long Start, long End) Last => _ranges[_first + Count - 1];

    public void Clear()
    {
        Count = 0;
        _first = 0;
    }

    /// <summary>Adds [start, end) and returns how many numbers were new.</summary>
    public long Add(long start, long end)
    {
        if (start >= end) return 0;
        if (Count == 0)
        {
            _first = 0;
            _ranges[0] = (start, end);
            Count = 1;
            return end - start;
        }

        ref (long Start, long End) last = ref _ranges[_first + Count - 1];
        if (start == last.End)
        {
            last.End = end;
            return end - start;
        }

        int from = LowerBound(start);        // first range whose End >= start
        int to = from;
        long low = start, high = end, known = 0;
        while (to < Count && this[to].Start <= end)
        {
            (long s, long e) = this[to];
            known += Math.Max(0, Math.Min(e, end) - Math.Max(s, start));
            low = Math.Min(low, s);
            high = Math.Max(high, e);
            to++;
        }

        if (to == from) Insert(from, (low, high));
        else
        {
            _ranges[_first + from] = (low, high);
            RemoveAt(from + 1, to - from - 1);
        }

        return end - start - known;
    }

    /// <summary>Takes [start, end) out.</summary>
    public void Remove(long start, long end)
    {
        if (start >= end) return;
        int at = LowerBound(start);
        while (at < Count)
        {
            (long s, long e) = this[at];
            if (s >= end) return;
            if (e <= start)
            {
                at++;
                continue;
            }

            if (s < start && e > end)
            {
                _ranges[_first + at] = (s, start);
                Insert(at + 1, (end, e));
                return;
            }

            if (s < start) _ranges[_first + at++] = (s, start);
            else if (e > end)
            {
                _ranges[_first + at] = (end, e);
                return;
            }
            else RemoveAt(at, 1);
        }
    }

    public void RemoveFirst() => RemoveAt(0, 1);

    public bool Contains(long value)
    {
        int at = LowerBound(value + 1);
        return at < Count && this[at].Start <= value;
    }

    /// <summary>Index of the first range with End &gt;= value.</summary>
    private int LowerBound(long value)
    {
        // Mostly the last one is meant.
        if (Count == 0 || this[Count - 1].End < value) return Count;
        if (Count == 1 || this[Count - 2].End < value) return Count - 1;
        int low = 0, high = Count - 1;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            if (this[middle].End < value) low = middle + 1;
            else high = middle;
        }

        return low;
    }

    private void Insert(int at, (long, long) range)
    {
        if (_first > 0 && at == 0)
        {
            _first--;
        }
        else
        {
            if (_first + Count == _ranges.Length)
            {
                if (_first > 0)
                {
                    Array.Copy(_ranges, _first, _ranges, 0, Count);
                    _first = 0;
                }
                else Array.Resize(ref _ranges, _ranges.Length * 2);
            }

            Array.Copy(_ranges, _first + at, _ranges, _first + at + 1, Count - at);
        }

        _ranges[_first + at] = range;
        Count++;
    }

    private void RemoveAt(int at, int count)
    {
        if (count == 0) return;
        if (at == 0) _first += count;
        else Array.Copy(_ranges, _first + at + count, _ranges, _first + at, Count - at - count);
        Count -= count;
        if (Count == 0) _first = 0;
    }
}
