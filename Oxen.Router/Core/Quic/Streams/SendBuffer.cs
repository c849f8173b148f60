namespace Oxen.Router.Core.Quic.Streams;

/// <summary>
/// The sending half's bytes: kept from Write until acknowledged, sent in order, lost ranges first.
/// <code>
///   0 … Acked            Sent                 Written
///   |  gone  | kept, in flight | kept, never sent |
///             `_lost`: to send again; `_acked`: acknowledged out of order
/// </code>
/// </summary>
internal sealed class SendBuffer
{
    private readonly RangeSet _acked = new();
    private readonly RangeSet _lost = new();
    private ByteRing _ring;

    /// <summary>All below is acknowledged.</summary>
    public long Acked { get; private set; }

    /// <summary>All below was sent at least once.</summary>
    public long Sent { get; private set; }

    public long Written { get; private set; }

    public long Buffered => Written - Acked;

    public bool HasLost => !_lost.IsEmpty;

    public bool HasUnsent => Sent < Written;

    public void Write(ReadOnlySpan<byte> data)
    {
        _ring.Ensure(Acked, Written, Written + data.Length);
        _ring.Write(Written, data);
        Written += data.Length;
    }

    /// <summary>The next piece to send: a lost one if there is any, else fresh bytes below <paramref name="limit"/>. Zero length: nothing.</summary>
    public int Next(long limit, int most, out long offset)
    {
        if (!_lost.IsEmpty)
        {
            (long start, long end) = _lost.First;
            offset = start;
            return (int)Math.Min(most, end - start);
        }

        offset = Sent;
        return (int)Math.Max(0, Math.Min(most, Math.Min(limit, Written) - Sent));
    }

    /// <summary>Copies a piece that <see cref="Next"/> named and marks it sent.</summary>
    public void Take(long offset, Span<byte> into)
    {
        _ring.Read(offset, into);
        if (offset < Sent) _lost.Remove(offset, offset + into.Length);
        else Sent = offset + into.Length;
    }

    /// <summary>Returns how many bytes became free.</summary>
    public long OnAcked(long offset, long length)
    {
        long before = Acked;
        if (!_lost.IsEmpty) _lost.Remove(offset, offset + length);
        if (offset <= Acked)
        {
            Acked = Math.Max(Acked, offset + length);
            if (!_acked.IsEmpty)
            {
                while (!_acked.IsEmpty && _acked.First.Start <= Acked)
                {
                    Acked = Math.Max(Acked, _acked.First.End);
                    _acked.RemoveFirst();
                }
            }
        }
        else _acked.Add(offset, offset + length);
        return Acked - before;
    }

    public void OnLost(long offset, long length)
    {
        long start = Math.Max(offset, Acked);
        long end = offset + length;
        if (start >= end) return;
        _lost.Add(start, end);
        for (int i = 0; i < _acked.Count; i++)
        {
            (long s, long e) = _acked[i];
            if (s >= end) break;
            _lost.Remove(s, e);
        }
    }

    /// <summary>Everything not acknowledged is to be sent again (a Retry, a new path).</summary>
    public void LoseAll() => OnLost(Acked, Sent - Acked);

    public void Release()
    {
        _ring.Release();
        _acked.Clear();
        _lost.Clear();
        Acked = Sent = Written = 0;
    }
}
