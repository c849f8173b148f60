using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;

namespace Oxen.Router.Exit;

// What exits of this machine have changed in one network namespace, so that the last one, or the next after a crash, puts it
// back. One file for a namespace, replaced as a whole before anything is changed:
//
//   oxen exit undo 1
//   boot <id of the boot>                       of another boot: nothing of it holds
//   namespace <inode> <cookie>                  inodes are given again, cookies are not
//   owner <tun> <family> <process> <start>      one line for each exit; `start` in ticks, since process numbers are given again
//   set <name below /proc/sys/net> <old> <new>  in the order of the change; without <new> what the kernel changed of its own accord
//
// Whoever holds the lock file may read and write. The kernel lets go of it when its holder dies.

/// <summary>The journal of one namespace, locked until it is disposed.</summary>
[SupportedOSPlatform("linux")]
internal sealed class UndoJournal : IDisposable
{
    private const string Head = "oxen exit undo 1";
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(15); // longer than nft may take

    private readonly string _file;
    private readonly FileStream _lock;

    private UndoJournal(string file, FileStream held)
    {
        _file = file;
        _lock = held;
    }

    public List<Owner> Owners { get; } = [];

    /// <summary>In the order of the change.</summary>
    public List<KernelSetting> Settings { get; } = [];

    /// <summary>Nothing to undo, nobody there.</summary>
    public bool IsEmpty => Owners.Count == 0 && Settings.Count == 0;

    /// <summary>Opens the journal of the calling thread's namespace: where one is, else in the first directory that can be written.</summary>
    /// <param name="mustExist">Null if there is none.</param>
    /// <exception cref="ExitNatException">No directory can be written, or another process keeps the lock.</exception>
    public static UndoJournal? Open(IReadOnlyList<string> directories, bool mustExist = false)
    {
        (string inode, string cookie) = Namespace();
        string name = FileOf(inode);
        string? there = directories.FirstOrDefault(d => File.Exists(Path.Combine(d, name)));
        if (there is null && mustExist) return null;
        Exception? trouble = null;
        foreach (string directory in there is null ? directories : [there])
        {
            try
            {
                if (!Directory.Exists(directory)) Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                var journal = new UndoJournal(Path.Combine(directory, name), Lock(Path.Combine(directory, "exit.lock")));
                journal.Read(inode, cookie);
                return journal;
            }
            catch (Exception e) when (e is IOException and not ExitNatException or UnauthorizedAccessException)
            {
                trouble = e;
            }
        }

        throw new ExitNatException(
            trouble is UnauthorizedAccessException ? ExitNatFault.NotPermitted : ExitNatFault.NoJournal,
            $"what is changed cannot be written down in {string.Join(" or ", directories)}: {trouble?.Message}",
            trouble);
    }

    /// <summary>On the disk before it returns.</summary>
    /// <exception cref="ExitNatException">It cannot be written; the old one is whole.</exception>
    public void Write()
    {
        if (IsEmpty)
        {
            File.Delete(_file);
            return;
        }

        (string inode, string cookie) = Namespace();
        var text = new StringBuilder();
        text.Append(Head).Append('\n').Append("boot ").Append(Boot()).Append('\n').Append($"namespace {inode} {cookie}\n");
        foreach (Owner owner in Owners) text.Append(CultureInfo.InvariantCulture, $"owner {owner.Tun} {owner.Family} {owner.Process} {owner.Start}\n");
        foreach (KernelSetting setting in Settings) text.Append($"set {setting.Path} {setting.Old} {setting.New}".TrimEnd()).Append('\n');
        try
        {
            string next = _file + ".new";
            using (var file = new FileStream(next, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            {
                file.Write(Encoding.UTF8.GetBytes(text.ToString()));
                file.Flush(flushToDisk: true);
            }

            File.Move(next, _file, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExitNatException(ExitNatFault.NoJournal, $"what is changed cannot be written down: {e.Message}", e);
        }
    }

    public void Dispose() => _lock.Dispose();

    private void Read(string inode, string cookie)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(_file);
        }
        catch (FileNotFoundException)
        {
            return;
        }

        if (lines.Length < 3 || lines[0] != Head || lines[1] != "boot " + Boot() || lines[2] != $"namespace {inode} {cookie}") return;
        foreach (string line in lines.AsSpan(3))
        {
            string[] words = line.Split(' ');
            if (words is ["owner", var tun, "ip" or "inet", var process, var start]
                && int.TryParse(process, NumberStyles.None, CultureInfo.InvariantCulture, out int id) && long.TryParse(start, NumberStyles.None, CultureInfo.InvariantCulture, out long ticks)) Owners.Add(new Owner(tun, words[2], id, ticks));
            else if (words is ["set", var path, var old] && KernelSetting.IsKnown(path)) Settings.Add(new KernelSetting(path, old, ""));
            else if (words is ["set", var other, var was, var now] && KernelSetting.IsKnown(other)) Settings.Add(new KernelSetting(other, was, now));
        }
    }

    private static FileStream Lock(string file)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return new FileStream(file, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
            }
            catch (IOException e) when (e.HResult is 11 or 35 && watch.Elapsed < LockPatience) // EWOULDBLOCK: somebody has it
            {
                Thread.Sleep(20); // .NET has no wait for a file lock; once at the start and the end of an exit
            }
        }
    }

    /// <summary>The journal of a namespace that is gone: with it went all that it speaks of.</summary>
    /// <param name="inode">As digits.</param>
    public static void Forget(string inode, IReadOnlyList<string> directories)
    {
        foreach (string directory in directories.Where(Directory.Exists)) File.Delete(Path.Combine(directory, FileOf(inode)));
    }

    public static string Boot() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    /// <summary>Of the calling thread's namespace.</summary>
    public static string Inode() => string.Concat((new FileInfo("/proc/thread-self/ns/net").LinkTarget ?? "net:[0]").Where(char.IsAsciiDigit));

    private static string FileOf(string inode) => $"exit-{inode}.undo";

    // SO_NETNS_COOKIE (Linux 5.14): a number that no namespace after this one gets.
    private static (string Inode, string Cookie) Namespace()
    {
        string inode = Inode();
        Span<byte> cookie = stackalloc byte[8];
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.GetRawSocketOption(1, 71, cookie);
        }
        catch (SocketException)
        {
            return (inode, "0");
        }

        return (inode, BitConverter.ToUInt64(cookie).ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>An exit that set something up.</summary>
    internal readonly record struct Owner(string Tun, string Family, int Process, long Start)
    {
        public static Owner Ourselves(string tun, bool six) => new(tun, NatRules.Family(six), Environment.ProcessId, StartOf(Environment.ProcessId) ?? 0);

        public bool IsAlive => StartOf(Process) == Start;

        /// <summary>When a process started, in ticks; null if it is gone. A zombie has let go of all.</summary>
        // Field 22 of /proc/<id>/stat (proc(5)), counted behind the name, which may hold anything.
        public static long? StartOf(int process)
        {
            try
            {
                string text = File.ReadAllText($"/proc/{process}/stat");
                string[] fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
                return fields[0] is "Z" or "X" ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }
}
