using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Tests.Client;

namespace Oxen.Swarm.Tests.Cluster.Processes;

/// <summary>Clients of a history: batches of stores, deletions and reads at members of their choice, and one that measures how old reads are.</summary>
internal sealed class HistoryClients(NodeCluster cluster, HistoryChecker checker, int seed)
{
    public const int Count = 16;
    private const int Accounts = 24, BatchSize = 16;
    private readonly MiniAccount[] _accounts = [.. Enumerable.Range(0, Accounts).Select(i => new MiniAccount([.. Enumerable.Repeat((byte)(100 + i), 32)], 5))];
    private readonly List<double> _calm = [], _broken = [];
    private long _reads, _requests;

    /// <summary>Faults that last now; set by whoever makes them.</summary>
    public int Faults;

    public long Reads => Interlocked.Read(ref _reads);

    public long Requests => Interlocked.Read(ref _requests);

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    public Task RunAsync(CancellationToken stop) => Task.WhenAll(Enumerable.Range(0, Count).Select(c => Task.Run(() => ClientAsync(c, stop), CancellationToken.None)).Append(Task.Run(() => ProbeAsync(stop), CancellationToken.None)));

    /// <summary>Milliseconds until what was acknowledged shows at every member: without and with a fault meanwhile.</summary>
    public string StaleWindow()
    {
        return $"stale reads: {Show(_calm)} in calm, {Show(_broken)} under faults";

        static string Show(List<double> times)
        {
            double[] sorted = [.. times.Order()];
            return sorted.Length == 0 ? "not measured" : $"p50 {sorted[sorted.Length / 2]:f0} ms, p99 {sorted[sorted.Length * 99 / 100]:f0} ms, longest {sorted[^1]:f0} ms of {sorted.Length}";
        }
    }

    /// <summary>Everything that a node shows; null if it does not answer for all.</summary>
    public async Task<HashSet<string>?> ReadAllAsync(int node)
    {
        var all = new HashSet<string>();
        foreach (MiniAccount account in _accounts)
        {
            string? last = null;
            while (true)
            {
                JsonObject request = MiniRequests.Retrieve(account, Now, last: last);
                request["max_size"] = -1;
                (int status, JsonNode? json) = await cluster.AskAsync(node, MiniRequests.Call("retrieve", request));
                if (status != 200) return null;
                JsonArray messages = json!["messages"]!.AsArray();
                foreach (JsonNode? message in messages) all.Add(last = (string)message!["hash"]!);
                if (!(bool)json["more"]!) break;
            }
        }

        return all;
    }

    private async Task ClientAsync(int client, CancellationToken stop)
    {
        var dice = new Random(seed + client);
        var known = new List<(MiniAccount Account, byte[] Data)>();
        for (int round = 0; !stop.IsCancellationRequested; round++)
        {
            var requests = new JsonArray();
            var operations = new List<HistoryChecker.Operation?>();
            for (int i = 0; i < BatchSize; i++)
            {
                int action = dice.Next(100);
                if (action < 6)
                {
                    MiniAccount whose = _accounts[dice.Next(Accounts)];
                    JsonObject read = MiniRequests.Retrieve(whose, Now, last: known.Count > 0 && known[^1].Account == whose ? whose.Hash(known[^1].Data) : null);
                    read["max_count"] = 20;
                    requests.Add(MiniRequests.Call("retrieve", read));
                    operations.Add(null);
                    continue;
                }

                bool add = action >= 25 || known.Count == 0;
                // Mostly new; now and then one that is or was there.
                (MiniAccount account, byte[] data) = known.Count > 0 && action < 30 ? known[dice.Next(known.Count)] : (_accounts[dice.Next(Accounts)], Encoding.ASCII.GetBytes($"{client}/{round}/{i}"));
                if (add)
                {
                    known.Add((account, data));
                    if (known.Count > 80) known.RemoveAt(0);
                }

                operations.Add(checker.Begin(account.Hash(data), add));
                requests.Add(add ? MiniRequests.Call("store", MiniRequests.Store(account, data, Now)) : MiniRequests.Call("delete", MiniRequests.Delete(account, account.Hash(data))));
            }

            Interlocked.Increment(ref _requests);
            (int status, JsonNode? json) = await cluster.AskAsync(cluster.Current[dice.Next(NodeCluster.Members)], MiniRequests.Call("batch", new JsonObject { ["requests"] = requests }));
            Conclude(operations, status, json);
            if (status != 200) await Task.Delay(20, CancellationToken.None); // a client would look for another node
        }
    }

    private void Conclude(List<HistoryChecker.Operation?> operations, int status, JsonNode? json)
    {
        JsonArray? results = json?["results"]?.AsArray();
        for (int i = 0; i < operations.Count; i++)
        {
            int code = results is null ? status : (int)results[i]!["code"]!;
            if (operations[i] is { } operation)
            {
                if (results is not null && code == 200) checker.Acknowledge(operation);
                else if (code is >= 400 and < 500 || (results is null && status == 503)) checker.Refuse(operation); // said before anything was done
            }
            else if (results is not null && code == 200)
            {
                Interlocked.Increment(ref _reads);
                checker.Saw(results[i]!["body"]!["messages"]!.AsArray().Select(m => (string)m!["hash"]!));
            }
        }
    }

    // One message at a time; every other member is asked until it shows it.
    private async Task ProbeAsync(CancellationToken stop)
    {
        var dice = new Random(seed - 1);
        for (int n = 0; !stop.IsCancellationRequested; n++)
        {
            MiniAccount account = _accounts[dice.Next(Accounts)];
            byte[] data = Encoding.ASCII.GetBytes($"probe/{n}");
            string hash = account.Hash(data);
            int[] members = [.. cluster.Current];
            HistoryChecker.Operation operation = checker.Begin(hash, isAdd: true);
            (int status, _) = await cluster.AskAsync(members[dice.Next(members.Length)], MiniRequests.Call("store", MiniRequests.Store(account, data, Now)));
            if (status == 200)
            {
                checker.Acknowledge(operation);
                long begun = Stopwatch.GetTimestamp();
                bool calm = Volatile.Read(ref Faults) == 0;
                await Task.WhenAll(members.Select(async member =>
                {
                    while (!stop.IsCancellationRequested && cluster.Current.Contains(member))
                    {
                        (int code, JsonNode? json) = await cluster.AskAsync(member, MiniRequests.Call("get_expiries", MiniRequests.GetExpiries(account, Now, hash)));
                        if (code == 200 && json!["expiries"]!.AsObject().ContainsKey(hash)) return;
                        await Task.Delay(10, CancellationToken.None);
                    }
                }));
                if (!stop.IsCancellationRequested) (calm && Volatile.Read(ref Faults) == 0 ? _calm : _broken).Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            }

            await Task.Delay(50, CancellationToken.None);
        }
    }
}
