using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Oxen.Router.Native.Linux;

//   | guard page (no access) | secret pages, locked, not in dumps, zero in a forked child | guard page (no access) |
// A walk off either end faults instead of reading a neighbour's key. On systems without these calls the block is plain
// unmanaged memory, and the flags say so.

/// <summary>
/// Memory for secrets: its own pages outside the garbage collector's heap, which never moves or copies them. Zeroed at the
/// start and at the end. Each protection that the system does not give shows as a flag that is false.
/// </summary>
internal sealed unsafe class SecretBlock : IDisposable
{
    private byte* _start;
    private nint _map;
    private nuint _mapBytes;
    private nuint _pageBytes;

    /// <param name="bytes">Usable bytes; rounded up to whole pages inside.</param>
    public SecretBlock(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        Length = bytes;
        if (!OperatingSystem.IsLinux() || !TryMap((nuint)bytes))
        {
            _start = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 64);
            NativeMemory.Clear(_start, (nuint)bytes);
        }
    }

    ~SecretBlock() => Free();

    public int Length { get; }

    /// <summary>The pages cannot go to swap. False when RLIMIT_MEMLOCK is used up or the system has no such thing.</summary>
    public bool IsLocked { get; private set; }

    /// <summary>The pages are left out of core dumps.</summary>
    public bool IsUndumpable { get; private set; }

    /// <summary>A forked child finds zeros.</summary>
    public bool IsWipedOnFork { get; private set; }

    /// <summary>Reading past an end faults.</summary>
    public bool IsGuarded { get; private set; }

    /// <summary>Bytes that this process may lock (RLIMIT_MEMLOCK); -1 for no limit, 0 where there is no locking.</summary>
    public static long LockableBytes
    {
        get
        {
            rlimit limit;
            if (!OperatingSystem.IsLinux() || LibC.getrlimit(LibC.RLIMIT_MEMLOCK, &limit) != 0) return 0;
            return limit.rlim_cur > long.MaxValue ? -1 : (long)limit.rlim_cur;
        }
    }

    /// <exception cref="ObjectDisposedException">The secrets are gone.</exception>
    public Span<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(_start is null, this);
            return new Span<byte>(_start, Length);
        }
    }

    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the block.</exception>
    /// <exception cref="ObjectDisposedException">The secrets are gone.</exception>
    public Span<byte> Slice(int offset, int length)
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        if ((uint)offset > (uint)Length || (uint)length > (uint)(Length - offset)) throw new ArgumentOutOfRangeException(nameof(offset));
        return new Span<byte>(_start + offset, length);
    }

    /// <summary>Zeroes everything and gives the pages back. Nobody may still hold a span.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private bool TryMap(nuint bytes)
    {
        nint page = LibC.sysconf(LibC.SC_PAGESIZE);
        if (page < 4096) return false;
        _pageBytes = (nuint)page;
        nuint usable = (bytes + _pageBytes - 1) / _pageBytes * _pageBytes;
        nuint all = usable + 2 * _pageBytes;
        nint map = LibC.mmap(0, all, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_PRIVATE | LibC.MAP_ANONYMOUS, -1, 0);
        if (map == -1) return false;
        _map = map;
        _mapBytes = all;
        nint start = map + (nint)_pageBytes;
        _start = (byte*)start;
        IsGuarded = LibC.mprotect(map, _pageBytes, LibC.PROT_NONE) == 0 & LibC.mprotect(start + (nint)usable, _pageBytes, LibC.PROT_NONE) == 0;
        HugePages.Ask(new Span<byte>(_start, (int)bytes));
        IsUndumpable = LibC.madvise(start, usable, LibC.MADV_DONTDUMP) == 0;
        IsWipedOnFork = LibC.madvise(start, usable, LibC.MADV_WIPEONFORK) == 0;
        IsLocked = LibC.mlock(start, usable) == 0;
        return true;
    }

    private void Free()
    {
        if (_start is null) return;
        CryptographicOperations.ZeroMemory(new Span<byte>(_start, Length));
        if (_map != 0)
        {
            if (IsLocked) LibC.munlock((nint)_start, _mapBytes - 2 * _pageBytes);
            LibC.munmap(_map, _mapBytes);
            _map = 0;
        }
        else
        {
            NativeMemory.AlignedFree(_start);
        }

        _start = null;
    }
}
