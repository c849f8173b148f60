namespace Oxen.Router.Native.Linux;

/// <summary>Asks for 2 MiB pages under a large table that is read at random, and for all of them now.</summary>
/// <remarks>
/// A 64 MiB half of the replay filter is 16 384 small pages: each look misses the TLB, and a walk of the page tables of a virtual
/// machine costs more than the cache line that it leads to. Found on first use, a page can cost milliseconds while the system
/// makes room for it: better at the start than under traffic. A hint: the system may say no, and nothing else changes.
/// </remarks>
internal static unsafe class HugePages
{
    private const nuint PageBytes = 2 << 20;

    /// <summary>Tables below this size stay as they are: small pages keep their untouched parts out of memory.</summary>
    public const int LeastBytes = 16 << 20;

    /// <param name="memory">Memory that does not move. Pages that already hold something stay small until the system merges them.</param>
    /// <returns>Whether the system took the hint.</returns>
    public static bool Ask(Span<byte> memory)
    {
        if (!OperatingSystem.IsLinux() || memory.Length < LeastBytes) return false;
        fixed (byte* start = memory)
        {
            nuint first = ((nuint)start + PageBytes - 1) & ~(PageBytes - 1);
            nuint end = ((nuint)start + (nuint)memory.Length) & ~(PageBytes - 1);
            if (LibC.madvise((nint)first, end - first, LibC.MADV_HUGEPAGE) != 0) return false;
            LibC.madvise((nint)first, end - first, LibC.MADV_POPULATE_WRITE); // Linux 5.14; before that, on first use
            return true;
        }
    }
}
