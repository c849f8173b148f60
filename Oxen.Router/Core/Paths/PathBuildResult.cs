using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Paths;

/// <summary>How a build ended for the client.</summary>
internal enum PathBuildEnd : byte
{
    Built,

    /// <summary>A hop answered, and said no.</summary>
    Refused,

    /// <summary>No authentic answer from that hop: it could not open its record, or somebody touched a message.</summary>
    NotAuthentic,
}

/// <summary>The client's result. When built, whoever takes it owns the secrets of every hop, nearest first.</summary>
internal sealed class PathBuildResult : IDisposable
{
    private PathBuildResult(PathBuildEnd end, PathHopSecrets[] hops) => (End, Hops) = (end, hops);

    public PathBuildEnd End { get; }

    public bool IsBuilt => End == PathBuildEnd.Built;

    /// <summary>Empty unless built.</summary>
    public IReadOnlyList<PathHopSecrets> Hops { get; }

    /// <summary>Index of the hop that refused or gave no authentic answer; -1 when built.</summary>
    public int FailedHop { get; private init; } = -1;

    /// <summary>That hop's word, when it is authentic.</summary>
    public BuildStatus Status { get; private init; }

    /// <summary>The refusing hop's epoch: with WrongEpoch, how far our clock is off.</summary>
    public uint RelayEpoch { get; private init; }

    /// <summary>With EffortTooLow: the bits to bring next time.</summary>
    public int RequiredEffortBits { get; private init; }

    internal static PathBuildResult Built(PathHopSecrets[] hops) => new(PathBuildEnd.Built, hops);

    internal static PathBuildResult Refused(int hop, BuildStatus status, uint relayEpoch, int effortBits) => new(PathBuildEnd.Refused, [])
    {
        FailedHop = hop,
        Status = status,
        RelayEpoch = relayEpoch,
        RequiredEffortBits = effortBits,
    };

    internal static PathBuildResult NotAuthentic(int hop) => new(PathBuildEnd.NotAuthentic, []) { FailedHop = hop };

    public void Dispose()
    {
        foreach (PathHopSecrets hop in Hops) hop.Dispose();
    }
}
