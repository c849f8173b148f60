using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Relay;

/// <summary>
/// When a shard last sent and heard IP packets on each of its paths: they pass the session thread by, which watches the paths'
/// health. Written by shards, read by the session thread; a value that is a moment old does no harm.
/// </summary>
internal sealed class PathActivity(int paths)
{
    private readonly long[] _sent = Never(paths);
    private readonly long[] _heard = Never(paths);

    public Instant Sent(PathNumber path) => new(Volatile.Read(ref _sent[path.Row]));

    public Instant Heard(PathNumber path) => new(Volatile.Read(ref _heard[path.Row]));

    /// <summary>Returns when it was before.</summary>
    public Instant OnSent(int row, Instant now)
    {
        var before = new Instant(_sent[row]);
        Volatile.Write(ref _sent[row], now.Nanoseconds);
        return before;
    }

    public void OnHeard(int row, Instant now) => Volatile.Write(ref _heard[row], now.Nanoseconds);

    private static long[] Never(int paths)
    {
        long[] times = new long[paths];
        times.AsSpan().Fill(long.MinValue / 2);
        return times;
    }
}
