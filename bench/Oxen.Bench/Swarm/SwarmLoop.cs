using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Oxen.Swarm;
using Oxen.Swarm.Clients;
using Oxen.Swarm.Nodes;

namespace Oxen.Bench.Swarm;

// `Oxen.Bench swarm [SECONDS] [https] [clients=32] [PART...]`, parts: onion store large filled memory, all if none is named: five storage nodes in this process, durable, joined by QUIC (or HTTPS) on loopback, and clients
// that ask them by HTTPS: stores and retrievals a second with 0, 1 and 2 dead members, the same through onions of three nodes, the largest
// retrieval, a member that begins with an empty disk; then SwarmFigureRuns.
// CPU time beside wall time: on a shared machine only the former means much.
internal sealed class SwarmLoop : ISwarmDirectory, IAsyncDisposable
{
    private const int Members = 5, Accounts = 64, BatchSize = 20;
    private readonly string _folder = Directory.CreateTempSubdirectory("oxen-bench-").FullName;
    private readonly SwarmIdentity[] _identities = [.. Enumerable.Range(1, Members).Select(i => new SwarmIdentity([.. Enumerable.Repeat((byte)i, 32)]))];
    private readonly SwarmNode?[] _nodes = new SwarmNode?[Members];
    private readonly int[] _ports = new int[Members];
    private readonly SwarmAccount[] _accounts = [.. Enumerable.Range(0, Accounts).Select(i => new SwarmAccount([.. Enumerable.Repeat((byte)(100 + i), 32)]))];
    private readonly HttpsSwarmRoute _route = new(TimeSpan.FromSeconds(20));
    private readonly HttpClient _http = new(Oxen.Swarm.Peers.HttpsPeerTransport.CreateHandler());
    private readonly int[] _quic = new int[Members];
    private bool _byHttps;
    private int _clients = 32;
    private long _sent;

    public event Action? Changed;

    public SwarmRoster Current { get; private set; } = new([], 0);

    public static async Task RunAsync(string[] args)
    {
        double seconds = args.Length > 0 ? double.Parse(args[0], CultureInfo.InvariantCulture) : 5;
        string[] parts = [.. args.Skip(1).Where(a => a != "https" && !a.StartsWith("clients=", StringComparison.Ordinal))];
        await using var loop = new SwarmLoop { _byHttps = args.Contains("https") };
        if (Array.Find(args, a => a.StartsWith("clients=", StringComparison.Ordinal)) is { } clients) loop._clients = int.Parse(clients["clients=".Length..], CultureInfo.InvariantCulture);
        await Task.WhenAll(Enumerable.Range(0, Members).Select(loop.StartAsync));
        loop.Publish();
        await loop.ReadyAsync();
        if (Has("onion"))
        {
            await loop.MeasureAsync("store, onion of 3 nodes", seconds, loop.StoreByOnionAsync);
            await loop.MeasureAsync("info, direct", seconds, turn => loop.AskAsync(turn, Body("info", "{}")));
            await loop.MeasureAsync("info, onion of 3 nodes", seconds, turn => loop.AskByOnionAsync(turn, Body("info", "{}")));
        }

        for (int dead = 0; dead <= 2 && Has("store"); dead++)
        {
            if (dead > 0) await loop.StopAsync(Members - dead);
            await Task.Delay(1000); // the others notice
            await loop.MeasureAsync($"store, {dead} dead", seconds, loop.StoreAsync);
            await loop.MeasureAsync($"store in batches of {BatchSize}, {dead} dead", seconds, loop.StoreBatchAsync, BatchSize);
            await loop.MeasureAsync($"retrieve 10, {dead} dead", seconds, loop.RetrieveAsync);
        }

        if (Has("large"))
        {
            foreach (int dead in Enumerable.Range(0, Members).Where(i => loop._nodes[i] is null)) await loop.StartAsync(dead);
            await loop.ReadyAsync();
            await loop.LargestAsync();
            await loop.BootstrapAsync();
        }

        if (Has("filled")) await SwarmFigureRuns.RunAsync();
        if (Has("memory")) await SwarmFigureRuns.MemoryAsync();
        bool Has(string part) => parts.Length == 0 || parts.Contains(part);
    }

    public async ValueTask DisposeAsync()
    {
        for (int i = 0; i < Members; i++) await StopAsync(i);
        foreach (SwarmIdentity identity in _identities) identity.Dispose();
        foreach (SwarmAccount account in _accounts) account.Dispose();
        _route.Dispose();
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task StartAsync(int node)
    {
        _nodes[node] = await SwarmNode.StartAsync(new SwarmNodeOptions { Identity = _identities[node], Directory = this, DatabasePath = PathOf(node), Listen = new IPEndPoint(IPAddress.Loopback, _ports[node]), ListenQuic = _byHttps ? null : new IPEndPoint(IPAddress.Loopback, _quic[node]), Proxy = false, RequestsPerSecond = 1e6, OnionRates = new Oxen.Swarm.Duties.OnionRates(1e9, 1e9, 1e9, 1e9, 1e9) });
        (_ports[node], _quic[node]) = (_nodes[node]!.HttpsPort, _nodes[node]!.QuicPort);
    }

    private async Task StopAsync(int node)
    {
        if (_nodes[node] is { } running) await running.DisposeAsync();
        _nodes[node] = null;
    }

    private string PathOf(int node) => Path.Combine(_folder, $"{node}.db");

    private void Publish()
    {
        Current = new SwarmRoster([.. Enumerable.Range(0, Members).Select(i => new SwarmMember(_identities[i].Ed25519, 0, IPAddress.Loopback, _ports[i], _quic[i]))], 1);
        Changed?.Invoke();
    }

    private async Task ReadyAsync()
    {
        while (_nodes.Any(n => n is { NotReady.Count: > 0 })) await Task.Delay(20);
    }

    private SwarmMember Alive(long turn)
    {
        SwarmMember[] alive = [.. Current.Members.Where((_, i) => _nodes[i] is not null)];
        return alive[turn % alive.Length];
    }

    private async Task StoreAsync(long turn)
    {
        SwarmAccount account = _accounts[turn % Accounts];
        await AskAsync(turn, Body("store", Store(account)));
    }

    private Task StoreBatchAsync(long turn) =>
        AskAsync(turn, Body("batch", $$"""{"requests":[{{string.Join(',', Enumerable.Range(0, BatchSize).Select(i => Body("store", Store(_accounts[(turn + i) % Accounts]))))}}]}"""));

    private async Task RetrieveAsync(long turn)
    {
        var client = new SwarmClient(_route, [Alive(turn)]);
        await client.RetrieveAsync(_accounts[turn % Accounts], limit: 10);
    }

    private Task StoreByOnionAsync(long turn) => AskByOnionAsync(turn, Body("store", Store(_accounts[turn % Accounts])));

    private async Task AskByOnionAsync(long turn, string body)
    {
        SwarmIdentity[] path = [.. Enumerable.Range(0, 3).Select(i => _identities[(turn + i) % Members])];
        using var content = new ByteArrayContent(OnionRequests.Build(Encoding.UTF8.GetBytes(body), path));
        using HttpResponseMessage reply = await _http.PostAsync(new Uri($"https://127.0.0.1:{_ports[turn % Members]}/onion_req/v2"), content);
        byte[] answer = await reply.Content.ReadAsByteArrayAsync();
        if ((int)reply.StatusCode != 200) throw new InvalidOperationException(Encoding.UTF8.GetString(answer));
    }

    private string Store(SwarmAccount account)
    {
        long now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        byte[] data = new byte[500];
        BitConverter.TryWriteBytes(data, Interlocked.Increment(ref _sent));
        return $$"""{"pubkey":"{{account.Id.ToHex()}}","timestamp":{{now}},"ttl":86400000,"data":"{{Convert.ToBase64String(data)}}"}""";
    }

    private static string Body(string method, string parameters) => $$$"""{"method":"{{{method}}}","params":{{{parameters}}}}""";

    private async Task AskAsync(long turn, string body)
    {
        SwarmAnswer answer = await _route.AskAsync(Alive(turn), Encoding.UTF8.GetBytes(body), CancellationToken.None);
        if (answer.Status != 200) throw new InvalidOperationException($"{answer.Status}: {Encoding.UTF8.GetString(answer.Body.Span)}");
    }

    // As long unmeasured before: else what the compiler does to code that has just become hot counts as the store's work.
    private async Task MeasureAsync(string what, double seconds, Func<long, Task> work, int each = 1)
    {
        await RunAsync(null, seconds, work, each);
        await RunAsync(what, seconds, work, each);
    }

    private async Task RunAsync(string? what, double seconds, Func<long, Task> work, int each)
    {
        long turn = 0, begun = Stopwatch.GetTimestamp();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        (long commits, long writes, long requests) = Totals();
        List<double>[] times = await Task.WhenAll(Enumerable.Range(0, _clients).Select(_ => Task.Run(async () =>
        {
            var mine = new List<double>();
            while (Stopwatch.GetElapsedTime(begun).TotalSeconds < seconds)
            {
                long start = Stopwatch.GetTimestamp();
                await work(Interlocked.Increment(ref turn));
                mine.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }

            return mine;
        })));
        double wall = Stopwatch.GetElapsedTime(begun).TotalSeconds, used = (Environment.CpuUsage.TotalTime - cpu).TotalSeconds;
        double[] sorted = [.. times.SelectMany(t => t).Order()];
        if (what is null) return;
        (long commitsNow, long writesNow, long requestsNow) = Totals();
        int alive = _nodes.Count(n => n is not null);
        string shared = writesNow - writes < sorted.Length ? "" : string.Create(CultureInfo.InvariantCulture, $", {(double)(writesNow - writes) / (commitsNow - commits):0.0} writes a commit") + (_byHttps ? "" : string.Create(CultureInfo.InvariantCulture, $", {(double)(writesNow - writes) * (alive - 1) / alive / Math.Max(1, requestsNow - requests):0.0} a request between nodes"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{what,-34} {sorted.Length * each / wall,8:0}/s, {sorted.Length * each / used,8:0} a second of CPU, p50 {sorted[sorted.Length / 2]:0.0} ms, p99 {sorted[sorted.Length * 99 / 100]:0.0} ms{shared}"));
    }

    private (long Commits, long Writes, long Requests) Totals()
    {
        SwarmNode[] alive = [.. _nodes.OfType<SwarmNode>()];
        return (alive.Sum(n => n.Store.Totals.Commits), alive.Sum(n => n.Store.Totals.Writes), alive.Sum(n => n.PeerCalls is { } calls ? calls.Quic + calls.Https : 0));
    }

    private async Task LargestAsync()
    {
        using var account = new SwarmAccount(RandomNumberGenerator.GetBytes(32));
        var client = new SwarmClient(_route, Current.Members);
        for (int i = 0; i < 110; i++)
        {
            byte[] data = RandomNumberGenerator.GetBytes(70_000);
            await client.StoreAsync(account.Id, data, TimeSpan.FromHours(1));
        }

        long begun = Stopwatch.GetTimestamp();
        IReadOnlyList<SwarmMessage> found = await client.RetrieveAsync(account, limit: 83); // as many as the budget of 7.8 MB takes
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"largest retrieval                  {found.Count} messages, {found.Sum(m => m.Data.Length) / 1e6:0.0} MB in {Stopwatch.GetElapsedTime(begun).TotalMilliseconds:0} ms, decoding included"));
    }

    private async Task BootstrapAsync()
    {
        long bytes = _nodes[0]!.ReadFigures().MessageBytes, messages = _nodes[0]!.ReadFigures().Messages;
        await StopAsync(4);
        foreach (string file in Directory.GetFiles(_folder, "4.db*")) File.Delete(file);
        long begun = Stopwatch.GetTimestamp();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        await StartAsync(4);
        await ReadyAsync();
        double wall = Stopwatch.GetElapsedTime(begun).TotalSeconds, used = (Environment.CpuUsage.TotalTime - cpu).TotalSeconds;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"a member with an empty disk        {messages} messages, {bytes / 1e6:0.0} MB in {wall:0.0} s ({used:0.0} s of CPU): {wall / bytes * 1e9:0} s for each GB"));
    }
}
