using System.Globalization;
using System.Net;
using Oxen.Swarm.Nodes;

namespace Oxen.Swarm.Tests.Cluster.Processes;

/// <summary>
/// One storage node as a process: `node FOLDER NUMBER ADDR:PORT`. Its peers stand in FOLDER/roster, the error of its clock in
/// FOLDER/NUMBER.skew (seconds); both may change while it runs. It ends with its standard input, or is killed.
/// </summary>
internal static class NodeProcess
{
    public const string Verb = "node";
    public const string RosterFile = "roster";
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(50);

    public static byte[] SeedOf(int number) => [.. Enumerable.Repeat((byte)(number + 1), SwarmIdentity.SeedBytes)];

    /// <summary>A line of the roster.</summary>
    public static string Line(int number, ulong swarm, IPEndPoint at)
    {
        using var identity = new SwarmIdentity(SeedOf(number));
        return string.Create(CultureInfo.InvariantCulture, $"{Convert.ToHexStringLower(identity.Ed25519.Span)} {swarm} {at.Address} {at.Port}");
    }

    public static async Task<int> RunAsync(string[] args)
    {
        (string folder, string number, IPEndPoint listen) = (args[0], args[1], IPEndPoint.Parse(args[2]));
        using var identity = new SwarmIdentity(SeedOf(int.Parse(number, CultureInfo.InvariantCulture)));
        var roster = new FileRoster(Path.Combine(folder, RosterFile));
        var clock = new FileClock(Path.Combine(folder, number + ".skew"));
        var options = new SwarmNodeOptions
        {
            Identity = identity, Directory = roster, DatabasePath = Path.Combine(folder, number + ".db"), Listen = listen, ListenQuic = listen, Proxy = false, Time = clock, SyncInterval = TimeSpan.FromMilliseconds(200), RequestsPerSecond = 1e5,
        };
        await using SwarmNode node = await SwarmNode.StartAsync(options);
        Console.WriteLine("ready");
        using var end = new CancellationTokenSource();
        Task input = Task.Run(() =>
        {
            while (Console.In.ReadLine() is not null)
            {
                // whoever started this node says nothing; that the pipe ends is the message
            }

            end.Cancel();
        });
        while (!end.IsCancellationRequested)
        {
            roster.Look();
            clock.Look();
            await Task.WhenAny(input, Task.Delay(LookEvery));
        }

        return 0;
    }

    private sealed class FileRoster : ISwarmDirectory
    {
        private readonly string _file;
        private string _text = "";

        public FileRoster(string file)
        {
            _file = file;
            Look();
        }

        public event Action? Changed;

        public SwarmRoster Current { get; private set; } = new([], 0);

        public void Look()
        {
            string text = File.ReadAllText(_file); // it is replaced, never written to
            if (text == _text) return;
            _text = text;
            Current = new SwarmRoster(
            [
                .. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(' ')).Select(p => new SwarmMember(
                    Convert.FromHexString(p[0]), ulong.Parse(p[1], CultureInfo.InvariantCulture), IPAddress.Parse(p[2]), int.Parse(p[3], CultureInfo.InvariantCulture), int.Parse(p[3], CultureInfo.InvariantCulture))),
            ], 1);
            Changed?.Invoke();
        }
    }

    private sealed class FileClock(string file) : TimeProvider
    {
        private long _skewSeconds;

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + TimeSpan.FromSeconds(Volatile.Read(ref _skewSeconds));

        public void Look() => Volatile.Write(ref _skewSeconds, File.Exists(file) ? long.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture) : 0);
    }
}
