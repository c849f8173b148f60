using System.Runtime.InteropServices;

namespace Oxen.Router.Native;

/// <summary>
/// A block of memory outside the garbage collector's heap, 64-byte aligned and zeroed at the start. It never moves, so
/// its offsets may be handed to the kernel.
/// </summary>
/// <remarks>Not for secrets: those live in a locked, undumpable block.</remarks>
internal sealed unsafe class PinnedBlock : IDisposable
{
    private byte* _start;

    public PinnedBlock(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        Length = bytes;
        _start = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 64);
        NativeMemory.Clear(_start, (nuint)bytes);
    }

    ~PinnedBlock() => Free();

    public int Length { get; }

    internal byte* Start => _start;

    public Span<byte> Span => _start is null ? throw new ObjectDisposedException(nameof(PinnedBlock)) : new Span<byte>(_start, Length);

    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the block.</exception>
    public Span<byte> Slice(int offset, int length)
    {
        if ((uint)offset > (uint)Length || (uint)length > (uint)(Length - offset)) throw new ArgumentOutOfRangeException(nameof(offset));
        return new Span<byte>(_start + offset, length);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_start is null) return;
        NativeMemory.AlignedFree(_start);
        _start = null;
    }
}
