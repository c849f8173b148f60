using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Oxen.Router.Native;

/// <summary>Asks the processor for a cache line ahead of its use. A hint: it changes nothing and cannot fail.</summary>
internal static unsafe class Prefetch
{
    /// <param name="at">A place in memory; it is not read.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line<T>(ref readonly T at)
    {
        // The address may be stale after a move of the collector: a prefetch of any address is harmless.
        if (Sse.IsSupported) Sse.Prefetch0(Unsafe.AsPointer(ref Unsafe.AsRef(in at)));
    }

    /// <summary>Several lines in a row, from the one that holds `at`.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Lines(ref readonly byte at, int lines)
    {
        if (!Sse.IsSupported) return;
        byte* line = (byte*)Unsafe.AsPointer(ref Unsafe.AsRef(in at));
        for (int i = 0; i < lines; i++) Sse.Prefetch0(line + i * 64);
    }
}
