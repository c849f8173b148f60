using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo;

/// <summary>Keeps what the routers of the demo reported: for the figures, and the last lines for the screen.</summary>
internal sealed class DemoJournal
{
    private const int Kept = 6;

    private readonly Lock _lock = new();
    private readonly Queue<string> _lines = new();
    private readonly List<double> _builds = [];
    private readonly List<double> _switches = [];

    /// <summary>Milliseconds of each path build of the client.</summary>
    public double[] BuildMilliseconds
    {
        get
        {
            lock (_lock) return [.. _builds];
        }
    }

    /// <summary>For each move to a spare: milliseconds since the path before was last heard from.</summary>
    public double[] SwitchMilliseconds
    {
        get
        {
            lock (_lock) return [.. _switches];
        }
    }

    public int Faults { get; private set; }

    public string[] Lines
    {
        get
        {
            lock (_lock) return [.. _lines];
        }
    }

    public void Add(RouterNotice notice)
    {
        lock (_lock)
        {
            if (notice.Kind == RouterNoticeKind.PathReady) _builds.Add(notice.Time.TotalMilliseconds);
            if (notice.Kind == RouterNoticeKind.PathSwitched) _switches.Add(notice.Time.TotalMilliseconds);
            if (notice.Kind == RouterNoticeKind.Fault) Faults++;
            if (notice.Kind is RouterNoticeKind.LinkUp or RouterNoticeKind.LinkDown) return;
            _lines.Enqueue($"{DateTime.Now:HH:mm:ss}  {notice.Router}: {notice.Text}{(notice.Time > TimeSpan.Zero ? $" ({notice.Time.TotalMilliseconds:F0} ms)" : "")}");
            while (_lines.Count > Kept) _lines.Dequeue();
        }
    }
}
