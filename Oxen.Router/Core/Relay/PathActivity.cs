using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Relay;

/// <summary>IP packets of one path: when the last ones passed, and how many onion packets carried them since its row was first used.</summary>
internal readonly record struct PathTraffic(Instant Sent, Instant Heard, long Up, long Down)
{
    public static PathTraffic None { get; } = new(new Instant(long.MinValue / 2), new Instant(long.MinValue / 2), 0, 0);
}

/// <summary>
/// What a shard sent and heard of IP packets on each of its paths: they pass the session thread by, which watches the paths'
/// health. Written by shards, read by the session thread; a value that is a moment old does no harm.
/// </summary>
internal sealed class PathActivity(int paths)
{
    private readonly Row[] _rows = Fresh(paths);

    private struct Row
    {
        public long Sent, Heard, Up, Down;
    }

    public PathTraffic Of(PathNumber path)
    {
        ref Row row = ref _rows[path.Row];
        return new PathTraffic(new Instant(Volatile.Read(ref row.Sent)), new Instant(Volatile.Read(ref row.Heard)), Volatile.Read(ref row.Up), Volatile.Read(ref row.Down));
    }

    /// <summary>Returns when it was before.</summary>
    public Instant OnSent(int path, Instant now)
    {
        ref Row row = ref _rows[path];
        var before = new Instant(row.Sent);
        Volatile.Write(ref row.Sent, now.Nanoseconds);
        Volatile.Write(ref row.Up, row.Up + 1);
        return before;
    }

    public void OnHeard(int path, Instant now)
    {
        ref Row row = ref _rows[path];
        Volatile.Write(ref row.Heard, now.Nanoseconds);
        Volatile.Write(ref row.Down, row.Down + 1);
    }

    private static Row[] Fresh(int paths)
    {
        var rows = new Row[paths];
        foreach (ref Row row in rows.AsSpan()) row.Sent = row.Heard = PathTraffic.None.Sent.Nanoseconds;
        return rows;
    }
}
