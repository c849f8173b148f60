using System.Text.Json;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Hosting.Files;

/// <summary>
/// A client's guards as a file of JSON, mode 0600: it tells which relays this machine talks to. A damaged file is put aside and said
/// so; the client then draws new guards.
/// </summary>
internal sealed class GuardFile(string path, Action<string> onTrouble) : IGuardStore
{
    private const int MaxBytes = 64 * 1024;
    private static readonly JsonSerializerOptions Form = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    private readonly Lock _writing = new();
    private GuardRecord[]? _latest;

    private sealed record Line(string Router, long Sampled, long Ends, long Confirmed, long UnlistedSince);

    public IReadOnlyList<GuardRecord> Load()
    {
        try
        {
            if (!File.Exists(path)) return [];
            if (new FileInfo(path).Length > MaxBytes) throw new JsonException($"larger than {MaxBytes / 1024} KiB");
            Line[] lines = JsonSerializer.Deserialize<Line[]>(File.ReadAllBytes(path), Form) ?? [];
            var guards = new List<GuardRecord>();
            foreach (Line line in lines)
            {
                if (line is null || !RouterId.TryParse(line.Router, out RouterId id)) throw new JsonException("a router id is not 64 hexadecimal digits");
                guards.Add(new GuardRecord(id, line.Sampled, line.Ends, line.Confirmed, line.UnlistedSince));
            }

            return guards;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            onTrouble($"the guards in {path} cannot be read ({e.Message}): new ones are drawn, and the file is kept as {path}.damaged");
            SetAside();
            return [];
        }
    }

    // The control thread does not wait for a disk; the latest state wins.
    public void Save(IReadOnlyList<GuardRecord> guards)
    {
        Volatile.Write(ref _latest, [.. guards]);
        ThreadPool.UnsafeQueueUserWorkItem(static file => file.Flush(), this, preferLocal: false);
    }

    /// <summary>Writes what is not written yet.</summary>
    public void Flush()
    {
        lock (_writing)
        {
            if (Interlocked.Exchange(ref _latest, null) is not { } guards) return;
            try
            {
                StateFiles.Write(path, JsonSerializer.SerializeToUtf8Bytes(guards.Select(g => new Line(g.Id.ToString(), g.Sampled, g.Ends, g.Confirmed, g.UnlistedSince)), Form));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                onTrouble($"the guards cannot be written to {path} ({e.Message}): after a restart other relays may be drawn");
            }
        }
    }

    private void SetAside()
    {
        try
        {
            File.Move(path, path + ".damaged", overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It stays where it is, and the next save replaces it.
        }
    }
}
