namespace Oxen.Router.Native.Linux;

/// <summary>What the kernel knows of the calling thread. Elsewhere than on Linux everything reads 0.</summary>
internal static unsafe class LinuxThread
{
    /// <summary>Keeps the calling thread on one CPU. False if the kernel refuses.</summary>
    public static bool PinTo(int cpu)
    {
        if (!OperatingSystem.IsLinux() || (uint)cpu >= 1024) return false;
        ulong* mask = stackalloc ulong[16];
        for (int i = 0; i < 16; i++) mask[i] = 0;
        mask[cpu / 64] = 1UL << (cpu % 64);
        return LibC.sched_setaffinity(0, 16 * sizeof(ulong), mask) == 0;
    }

    /// <summary>Sets the nice value of the calling thread alone (setpriority(2): on Linux it is each thread's own). False if the kernel refuses: below 0 it takes CAP_SYS_NICE.</summary>
    public static bool TrySetNice(int nice) => OperatingSystem.IsLinux() && LibC.setpriority(0, 0, nice) == 0;

    /// <summary>CPU time of the calling thread, user and system, in nanoseconds.</summary>
    public static long CpuNanoseconds => Read(LibC.CLOCK_THREAD_CPUTIME_ID);

    /// <summary>CPU time of the whole process, in nanoseconds.</summary>
    public static long ProcessCpuNanoseconds => Read(LibC.CLOCK_PROCESS_CPUTIME_ID);

    /// <summary>How often the calling thread slept, and how often it was put aside.</summary>
    public static (long Voluntary, long Involuntary) ContextSwitches
    {
        get
        {
            rusage usage;
            return OperatingSystem.IsLinux() && LibC.getrusage(LibC.RUSAGE_THREAD, &usage) == 0 ? (usage.ru_nvcsw, usage.ru_nivcsw) : (0, 0);
        }
    }

    private static long Read(int clock)
    {
        timespec t;
        return OperatingSystem.IsLinux() && LibC.clock_gettime(clock, &t) == 0 ? t.tv_sec * 1_000_000_000 + t.tv_nsec : 0;
    }
}
