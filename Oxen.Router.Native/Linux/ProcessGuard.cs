namespace Oxen.Router.Native.Linux;

/// <summary>Keeps the process's memory from others of the same user.</summary>
internal static class ProcessGuard
{
    /// <summary>
    /// No core dump, and no other process of this user may read the memory (PR_SET_DUMPABLE 0). False where that cannot be had.
    /// </summary>
    public static bool TryForbidDumps() => OperatingSystem.IsLinux() && LibC.prctl(LibC.PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;

    /// <summary>Whether a dump may be taken; null where the system does not say.</summary>
    public static bool? IsDumpable => !OperatingSystem.IsLinux() ? null : LibC.prctl(LibC.PR_GET_DUMPABLE, 0, 0, 0, 0) switch
    {
        0 => false,
        1 or 2 => true,
        _ => null,
    };
}
