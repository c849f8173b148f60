namespace Oxen.Router.Core.Quic.Streams;

/// <summary>
/// The receiving half's bytes: placed by offset as they come, read in order. The caller has checked the flow-control
/// window, which bounds the ring; the number of gaps is bounded here.
/// </summary>
internal sealed class ReceiveBuffer
{
    private readonly RangeSet _received = new();   // only what lies beyond the contiguous part
    private ByteRing _ring;

    /// <summary>Read by the application.</summary>
    public long Consumed { get; private set; }

    /// <summary>Readable up to here.</summary>
    public long Contiguous { get; private set; }

    /// <summary>One beyond the highest byte that came.</summary>
    public long Highest { get; private set; }

    public long Readable => Contiguous - Consumed;

    /// <summary>False: too many gaps (nothing stored).</summary>
    public bool Insert(long offset, ReadOnlySpan<byte> data, int maxGaps)
    {
        long end = offset + data.Length;
        if (end <= Contiguous) return true;
        if (offset < Contiguous)
        {
            data = data[(int)(Contiguous - offset)..];
            offset = Contiguous;
        }

        _ring.Ensure(Consumed, Highest, end);
        if (offset == Contiguous)
        {
            _ring.Write(offset, data);
            Contiguous = end;
            while (!_received.IsEmpty && _received.First.Start <= Contiguous)
            {
                Contiguous = Math.Max(Contiguous, _received.First.End);
                _received.RemoveFirst();
            }
        }
        else
        {
            if (_received.Count >= maxGaps) return false;
            _ring.Write(offset, data);
            _received.Add(offset, end);
        }

        Highest = Math.Max(Highest, end);
        return true;
    }

    public int Read(Span<byte> into)
    {
        int n = (int)Math.Min(into.Length, Readable);
        _ring.Read(Consumed, into[..n]);
        Consumed += n;
        return n;
    }

    public ReadOnlySpan<byte> Peek() => _ring.Peek(Consumed, Readable);

    public void Advance(int bytes) => Consumed += bytes;

    public void Release()
    {
        _ring.Release();
        _received.Clear();
        Consumed = Contiguous = Highest = 0;
    }
}
