using System.Buffers;

namespace Oxen.Router.Core.Quic.Streams;

/// <summary>
/// Bytes of a stream by absolute offset, in a ring whose size is a power of two: the byte at offset `o` stands at
/// `o mod size`. Grows by doubling out of the shared pool; the caller bounds [low, high).
/// </summary>
internal struct ByteRing
{
    private const int SmallestSize = 4096;
    private byte[]? _bytes;
    private int _size;

    public readonly int Size => _size;

    /// <summary>Makes room for [low, high), keeping what stands in [low, kept).</summary>
    public void Ensure(long low, long kept, long high)
    {
        long need = high - low;
        if (need <= _size) return;
        int size = Math.Max(_size, SmallestSize);
        while (size < need) size *= 2;
        byte[] larger = ArrayPool<byte>.Shared.Rent(size);
        if (_bytes is not null)
        {
            for (long at = low; at < kept;)
            {
                int from = (int)(at & (_size - 1)), to = (int)(at & (size - 1));
                int n = (int)Math.Min(kept - at, Math.Min(_size - from, size - to));
                Buffer.BlockCopy(_bytes, from, larger, to, n);
                at += n;
            }

            ArrayPool<byte>.Shared.Return(_bytes);
        }

        _bytes = larger;
        _size = size;
    }

    public readonly void Write(long offset, ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            int at = (int)(offset & (_size - 1));
            int n = Math.Min(data.Length, _size - at);
            data[..n].CopyTo(_bytes.AsSpan(at));
            data = data[n..];
            offset += n;
        }
    }

    public readonly void Read(long offset, Span<byte> into)
    {
        while (!into.IsEmpty)
        {
            int at = (int)(offset & (_size - 1));
            int n = Math.Min(into.Length, _size - at);
            _bytes.AsSpan(at, n).CopyTo(into);
            into = into[n..];
            offset += n;
        }
    }

    /// <summary>The bytes from <paramref name="offset"/> that stand in one piece, at most <paramref name="length"/>.</summary>
    public readonly ReadOnlySpan<byte> Peek(long offset, long length)
    {
        if (_bytes is null || length <= 0) return default;
        int at = (int)(offset & (_size - 1));
        return _bytes.AsSpan(at, (int)Math.Min(length, _size - at));
    }

    /// <summary>Gives the bytes back to the pool, wiped: they may be somebody's plaintext.</summary>
    public void Release()
    {
        if (_bytes is not null) ArrayPool<byte>.Shared.Return(_bytes, clearArray: true);
        _bytes = null;
        _size = 0;
    }
}
