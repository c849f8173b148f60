using System.Text.Json;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>What the client's process logs (JSON lines): path builds for the figures, the last lines for the screen.</summary>
internal sealed class TunLog
{
    private const int Kept = 6;
    private const int PathBuilt = 1200; // RouterLog

    private readonly Lock _lock = new();
    private readonly Queue<string> _lines = new();
    private readonly List<double> _builds = [];

    /// <summary>Milliseconds of each path build.</summary>
    public double[] BuildMilliseconds
    {
        get
        {
            lock (_lock) return [.. _builds];
        }
    }

    public string[] Lines
    {
        get
        {
            lock (_lock) return [.. _lines];
        }
    }

    public void Add(string line)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(line);
            int id = json.RootElement.GetProperty("EventId").GetInt32();
            string text = json.RootElement.GetProperty("Message").GetString() ?? "";
            double? build = id == PathBuilt ? json.RootElement.GetProperty("State").GetProperty("Milliseconds").GetDouble() : null;
            if (id / 100 == 11) return; // links come and go
            lock (_lock)
            {
                if (build is { } time) _builds.Add(time);
                _lines.Enqueue($"{DateTime.Now:HH:mm:ss}  client: {text}");
                while (_lines.Count > Kept) _lines.Dequeue();
            }
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // Not a line of the log: an error that ends the process, which is told elsewhere.
        }
    }
}
