using Oxen.Router.Native.Linux;

namespace Oxen.Router.Hosting;

/// <summary>Keeps the memory of a process that holds keys from others.</summary>
internal static class MemoryGuard
{
    /// <summary>From now on: no core dump, and no other process of this user may look inside. False where that cannot be had.</summary>
    public static bool TryClose() => ProcessGuard.TryForbidDumps();
}
