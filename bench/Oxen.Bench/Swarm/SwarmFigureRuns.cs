using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Oxen.Swarm;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Bench.Swarm;

// What takes many messages: they are put into the stores directly, not by clients.
//
//   bootstrap    a member with an empty disk, 100 MB of messages of mixed sizes, wires of memory
//   partition    two of five cut off while the others take 2 000 messages; until all agree again
//   memory       one store with a million messages of 500 bytes

/// <summary>Figures of a swarm that need a filled store.</summary>
internal sealed class SwarmFigureRuns : ISwarmDirectory, IAsyncDisposable
{
    private const int Members = 5, Million = 1_000_000;
    private const long Day = 86_400_000;
    private readonly string _folder = Directory.CreateTempSubdirectory("oxen-bench-").FullName;
    private readonly SwarmIdentity[] _identities = [.. Enumerable.Range(1, Members).Select(i => new SwarmIdentity([.. Enumerable.Repeat((byte)i, 32)]))];
    private readonly SwarmNode?[] _nodes = new SwarmNode?[Members];
    private readonly HashSet<int> _cut = [];
    private long _sent;

    public event Action? Changed;

    public SwarmRoster Current { get; private set; } = new([], 0);

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    public static async Task RunAsync()
    {
        await using (var runs = new SwarmFigureRuns())
        {
            for (int i = 0; i < Members; i++) await runs.StartAsync(i);
            runs.Current = new SwarmRoster([.. runs._identities.Select(i => new SwarmMember(i.Ed25519, 0, IPAddress.Loopback, 1, 0))], 1);
            runs.Changed?.Invoke();
            await runs.UntilAsync(n => n.NotReady.Count == 0);
            await runs.BootstrapAsync();
            await runs.PartitionAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (SwarmNode? node in _nodes) if (node is not null) await node.DisposeAsync();
        foreach (SwarmIdentity identity in _identities) identity.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private sealed class Wire(SwarmFigureRuns runs, int self) : IPeerTransport
    {
        public async Task<byte[]?> CallAsync(SwarmMember peer, byte[] request, TimeSpan limit, CancellationToken cancel)
        {
            int other = Array.FindIndex(runs._identities, i => i.Ed25519.Span.SequenceEqual(peer.Ed25519.Span));
            lock (runs._cut) if (runs._cut.Contains(self) != runs._cut.Contains(other)) return null;
            if (runs._nodes[other] is not { } node) return null;
            byte[] id = runs._identities[self].Ed25519.ToArray();
            return await Task.Run(() => node.Peers.HandleAsync(id, request), cancel);
        }
    }

    private async Task StartAsync(int i)
    {
        string path = Path.Combine(_folder, $"{i}.db");
        _nodes[i] = await SwarmNode.StartAsync(new SwarmNodeOptions { Identity = _identities[i], Directory = this, DatabasePath = path, Proxy = false }, new Wire(this, i), new StoreOptions { Path = path });
    }

    private async Task UntilAsync(Func<SwarmNode, bool> condition)
    {
        while (_nodes.Any(n => n is null || !condition(n))) await Task.Delay(5);
    }

    // Most are texts, some carry a preview, few are as long as may be.
    private static int SizeOf(long i) => (i % 20) switch { 0 => 60_000, < 6 => 4_000, _ => 1_000 };

    private StoreOp Message(int bytes, long stamp)
    {
        byte[] key = new byte[32], data = RandomNumberGenerator.GetBytes(bytes);
        BitConverter.TryWriteBytes(key, ++_sent % 1000);
        if (!AccountId.TryRead([5, .. key], false, out AccountId account) || !MessageKey.TryParse(MessageHash.Of(data, account, 0), out MessageKey hash)) throw new InvalidOperationException("no account, or no hash");
        return new StoreOp(account, stamp, 0, hash, 0, Now, Now + Day, data);
    }

    private async Task PutAsync(IEnumerable<int> nodes, int count, Func<long, int> size)
    {
        foreach (int[] part in Enumerable.Range(0, count).Chunk(500))
        {
            StoreOp[] messages = [.. part.Select(i => Message(size(i), _nodes[0]!.Core.Stamps.Next()))];
            await Task.WhenAll(nodes.SelectMany(n => messages.Select(m => _nodes[n]!.Store.ApplyAsync(m, Now))));
        }
    }

    private async Task BootstrapAsync()
    {
        await _nodes[4]!.DisposeAsync();
        _nodes[4] = null;
        foreach (string file in Directory.GetFiles(_folder, "4.db*")) File.Delete(file);
        await PutAsync([0, 1, 2, 3], 21_000, SizeOf);
        long bytes = _nodes[0]!.ReadFigures().MessageBytes, messages = _nodes[0]!.ReadFigures().Messages, begun = Stopwatch.GetTimestamp();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        await StartAsync(4);
        await UntilAsync(n => n.NotReady.Count == 0);
        double wall = Stopwatch.GetElapsedTime(begun).TotalSeconds, used = (Environment.CpuUsage.TotalTime - cpu).TotalSeconds;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"a member with an empty disk, mixed  {messages} messages, {bytes / 1e6:0.0} MB in {wall:0.0} s ({used:0.0} s of CPU): {wall / bytes * 1e9:0} s for each GB"));
    }

    private async Task PartitionAsync()
    {
        await UntilAsync(n => n.Store.Digests.Root == _nodes[0]!.Store.Digests.Root);
        lock (_cut) _cut.UnionWith([3, 4]);
        await PutAsync([0, 1, 2], 2000, _ => 1000);
        await Task.Delay(3000); // everybody has noticed
        lock (_cut) _cut.Clear();
        long begun = Stopwatch.GetTimestamp();
        await UntilAsync(n => n.Store.Digests.Root == _nodes[0]!.Store.Digests.Root);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"after a partition                  2000 messages that two of five missed: all agree after {Stopwatch.GetElapsedTime(begun).TotalSeconds:0.0} s"));
    }

    public static async Task MemoryAsync()
    {
        string folder = Directory.CreateTempSubdirectory("oxen-bench-").FullName;
        try
        {
            long before = Resident();
            using (MessageStore store = MessageStore.Open(new StoreOptions { Path = Path.Combine(folder, "million.db"), Durable = false }))
            {
                var runs = new SwarmFigureRuns();
                long stamp = Now << 16;
                TimeSpan cpu = Environment.CpuUsage.TotalTime;
                foreach (int[] part in Enumerable.Range(0, Million).Chunk(2000)) await Task.WhenAll(part.Select(_ => store.ApplyAsync(runs.Message(500, ++stamp), Now)));
                double used = (Environment.CpuUsage.TotalTime - cpu).TotalSeconds;
                await runs.DisposeAsync();
                long after = Resident();
                StoreFigures figures = store.Figures(Now);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"a million messages of 500 bytes    {figures.Messages} messages, database {figures.UsedBytes / 1e6:0} MB, process {after / 1e6:0} MB (before {before / 1e6:0} MB), managed heap {GC.GetTotalMemory(forceFullCollection: true) / 1e6:0} MB; {Million / used:0} a second of CPU into the store"));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // After collections, so that garbage of the work before does not count.
    private static long Resident()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        using var self = Process.GetCurrentProcess();
        return self.WorkingSet64;
    }
}
