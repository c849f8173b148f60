using System.Globalization;
using System.Text;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Exit;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo.Tunnel;

// What a demo has made on this machine, so that the next one of its name can take it away if it was killed. Two files in
// /run/oxen for each prefix: one that is locked as long as the demo lives (the kernel lets go of it when it dies), and this
// one, written before anything is made:
//
//   oxen demo undo 1
//   boot <id of the boot>           of another boot: nothing of it is there any more
//   owner <process>
//   space <name>                    a network namespace
//   directory <path>                the private files
//   process <id> <start>            a child; `start` in ticks, since process numbers are given again

/// <summary>A demo's claim on its prefix, and the list of what it made. Disposing gives up both.</summary>
internal sealed class LabClaim : IDisposable
{
    private const string Head = "oxen demo undo 1";

    private readonly string _file, _lockFile;
    private readonly FileStream _lock;
    private readonly Lock _guard = new();
    private readonly List<string> _lines = [];

    private LabClaim(string file, string lockFile, FileStream held)
    {
        (_file, _lockFile, _lock) = (file, lockFile, held);
        LeftOver = LeftOvers.Read(file);
    }

    /// <summary>What a killed demo of this prefix left; null: nothing.</summary>
    public LeftOvers? LeftOver { get; }

    /// <exception cref="UserException">A demo of this prefix lives, or the directory cannot be written.</exception>
    public static LabClaim Take(string prefix, string directory = ExitNatOptions.DefaultJournal)
    {
        string file = Path.Combine(directory, $"demo-{prefix}.undo"), lockFile = Path.Combine(directory, $"demo-{prefix}.lock");
        try
        {
            if (!Directory.Exists(directory)) Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            return new LabClaim(file, lockFile, new FileStream(lockFile, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }));
        }
        catch (IOException e) when (e.HResult is 11 or 35) // EWOULDBLOCK: somebody has it
        {
            string who = LeftOvers.Read(file) is { } there ? string.Create(CultureInfo.InvariantCulture, $" (process {there.Owner})") : "";
            throw new UserException(ExitCode.Environment, "OXN3021", $"a demo with the namespaces {prefix}-… runs already{who}", $"Stop it with Ctrl-C there, or give this one another name: --netns {prefix}2.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(directory, e.Message, e);
        }
    }

    /// <summary>On the disk before it returns.</summary>
    public void Note(params IEnumerable<string> lines)
    {
        lock (_guard)
        {
            _lines.AddRange(lines);
            Write();
        }
    }

    /// <summary>A child is as good as noted twice: it ends by itself when we do, and the next start looks.</summary>
    public void NoteProcess(int process)
    {
        if (UndoJournal.Owner.StartOf(process) is { } start) Note([string.Create(CultureInfo.InvariantCulture, $"process {process} {start}")]);
    }

    /// <summary>All that was noted is gone.</summary>
    public void Clear()
    {
        lock (_guard) _lines.Clear();
        File.Delete(_file);
    }

    public void Dispose()
    {
        if (!File.Exists(_file)) File.Delete(_lockFile); // while it is ours
        _lock.Dispose();
    }

    private void Write()
    {
        var text = new StringBuilder().Append(Head).Append('\n').Append("boot ").Append(UndoJournal.Boot()).Append('\n');
        text.Append(CultureInfo.InvariantCulture, $"owner {Environment.ProcessId}\n");
        foreach (string line in _lines) text.Append(line).Append('\n');
        try
        {
            string next = _file + ".new";
            using (var file = new FileStream(next, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            {
                file.Write(Encoding.UTF8.GetBytes(text.ToString()));
            }

            File.Move(next, _file, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(_file, e.Message, e);
        }
    }

    /// <summary>What a demo noted.</summary>
    internal sealed record LeftOvers(int Owner, IReadOnlyList<string> Spaces, IReadOnlyList<string> Directories, IReadOnlyList<(int Process, long Start)> Processes)
    {
        public static LeftOvers? Read(string file)
        {
            string[] lines;
            try
            {
                lines = File.ReadAllLines(file);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }

            if (lines.Length < 3 || lines[0] != Head || lines[1] != "boot " + UndoJournal.Boot() || !lines[2].StartsWith("owner ", StringComparison.Ordinal) || !int.TryParse(lines[2].AsSpan(6), NumberStyles.None, CultureInfo.InvariantCulture, out int owner)) return null;
            List<string> spaces = [], directories = [];
            List<(int, long)> processes = [];
            foreach (string line in lines.AsSpan(3))
            {
                string[] words = line.Split(' ');
                if (words is ["space", var space]) spaces.Add(space);
                else if (words[0] == "directory") directories.Add(line[10..]);
                else if (words is ["process", var id, var start] && int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out int process) && long.TryParse(start, NumberStyles.None, CultureInfo.InvariantCulture, out long ticks)) processes.Add((process, ticks));
            }

            return new LeftOvers(owner, spaces, directories, processes);
        }
    }
}
