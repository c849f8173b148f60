using Oxen.Router.Core;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Hosting;

/// <summary>Round trips measured once: of each hop of a path in use, and of what is reached over it.</summary>
/// <param name="Hops">Router ids, nearest first.</param>
/// <param name="HopRtt">Null: that hop did not answer in time.</param>
/// <param name="HasEnd">Something behind the last hop was asked as well: a hidden service.</param>
/// <param name="End">Its round trip; null: no answer in time.</param>
internal sealed record PathMeasure(IReadOnlyList<string> Hops, IReadOnlyList<TimeSpan?> HopRtt, bool HasEnd, TimeSpan? End);

/// <summary>Sends one probe to each hop and waits for the answers.</summary>
internal static class PathProbe
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(10);

    /// <param name="probe">Sends the probes; on the session thread.</param>
    public static async Task<PathMeasure> RunAsync(SessionLoop sessions, TimeProvider time, IReadOnlyList<string> hops, PathHealth path, PathHealth? end, Action<Instant> probe, CancellationToken cancel)
    {
        Instant sent = await sessions.InvokeAsync(now =>
        {
            probe(now);
            return now;
        }).ConfigureAwait(false);
        long begin = time.GetTimestamp();
        while (true)
        {
            await Task.Delay(LookEvery, time, cancel).ConfigureAwait(false);
            PathMeasure measure = await sessions.InvokeAsync(_ => new PathMeasure(
                hops,
                [.. Enumerable.Range(0, hops.Count).Select(hop => path.AnsweredSince(hop, sent))],
                end is not null,
                end?.AnsweredSince(0, sent))).ConfigureAwait(false);
            bool all = !measure.HopRtt.Contains(null) && (end is null || measure.End is not null);
            if (all || time.GetElapsedTime(begin) >= Patience) return measure;
        }
    }
}
