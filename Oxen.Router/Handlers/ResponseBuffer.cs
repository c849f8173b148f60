using System.Buffers;

namespace Oxen.Router.Handlers;

/// <summary>A growing buffer with an end: what a handler writes, up to the limit. Writable only between Begin and End.</summary>
internal sealed class ResponseBuffer : IBufferWriter<byte>
{
    private byte[] _bytes = [];
    private int _written, _limit;
    private bool _open;

    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, _written);

    public void Begin(int limit)
    {
        _written = 0;
        _limit = limit;
        _open = true;
    }

    public void End() => _open = false;

    /// <summary>Forgets the answer and gives a large buffer back.</summary>
    public void Reset()
    {
        _open = false;
        _bytes.AsSpan(0, _written).Clear();
        _written = 0;
        if (_bytes.Length > 64 * 1024) _bytes = [];
    }

    public void Advance(int count)
    {
        CheckOpen();
        if ((uint)count > (uint)(_bytes.Length - _written)) throw new ArgumentOutOfRangeException(nameof(count), "more than the buffer that was given");
        if (count > _limit - _written) throw new ResponseTooLargeException();
        _written += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsMemory(_written);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsSpan(_written);
    }

    private void Grow(int sizeHint)
    {
        CheckOpen();
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        int needed = Math.Max(sizeHint, 1);
        if (needed <= _bytes.Length - _written) return;
        // One byte of slack: a writer at its limit may ask for room, it only must not use it.
        if (sizeHint > _limit - _written) throw new ResponseTooLargeException();
        Array.Resize(ref _bytes, Math.Max(_written + needed, Math.Min(Math.Max(256, _bytes.Length * 2), _limit + 1)));
    }

    private void CheckOpen()
    {
        if (!_open) throw new InvalidOperationException("this request is over: its response can no longer be written");
    }
}

/// <summary>A handler wrote more than an answer may hold.</summary>
internal sealed class ResponseTooLargeException() : Exception("the answer is larger than allowed");
