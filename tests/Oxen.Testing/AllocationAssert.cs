namespace Oxen.Testing;

/// <summary>The promise of the hot path: nothing is allocated.</summary>
internal static class AllocationAssert
{
    /// <summary>Runs `work` until the JIT has settled, then `times` more, and returns the bytes that this thread allocated in those.</summary>
    public static long Measure(Action work, int times = 1000, int warmUp = 200)
    {
        ArgumentNullException.ThrowIfNull(work);
        for (int i = 0; i < warmUp; i++) work();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < times; i++) work();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
