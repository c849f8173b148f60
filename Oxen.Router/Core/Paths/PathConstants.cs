namespace Oxen.Router.Core.Paths;

/// <summary>Numbers of paths that every router must share (docs/protocol/path-build.md), and some that are ours to choose.</summary>
internal static class PathConstants
{
    // ---- specification: no other value may appear in two builds, or it would tell them apart ----

    public const int DefaultHops = 4;
    public const int MinHops = 2;
    public const int MaxHops = 8;

    /// <summary>Life of a path, from the moment that a hop installs it.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(20);

    // ---- ours ----

    /// <summary>A client builds a successor this long before the end, minus a random part so that successors do not come in step.</summary>
    public static readonly TimeSpan RenewBefore = TimeSpan.FromMinutes(4);

    public static readonly TimeSpan RenewJitter = TimeSpan.FromMinutes(3);

    /// <summary>A relay waits this long for the rest of the path to answer.</summary>
    public static readonly TimeSpan BuildTimeout = TimeSpan.FromSeconds(10);
}
