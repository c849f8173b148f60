using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Oxen.Swarm.Tests.Client;

namespace Oxen.Swarm.Tests.Cluster;

/// <summary>
/// Five nodes, sixteen clients, and somebody who breaks up to two nodes at a time: stops them, empties their disks, cuts their
/// wires, turns their clocks. OXEN_SWARM_SECONDS sets how long (20 here), OXEN_SWARM_OPERATIONS a number of operations instead.
/// </summary>
public class NemesisTests
{
    private const int Nodes = 5, Clients = 16, Accounts = 12;

    [Fact]
    public async Task Nothing_acknowledged_is_lost_nothing_deleted_comes_back_and_nothing_appears_from_nowhere()
    {
        int seed = Environment.GetEnvironmentVariable("OXEN_SWARM_SEED") is { Length: > 0 } s ? int.Parse(s, CultureInfo.InvariantCulture) : 20261127;
        int seconds = Environment.GetEnvironmentVariable("OXEN_SWARM_SECONDS") is { Length: > 0 } t ? int.Parse(t, CultureInfo.InvariantCulture) : 20;
        long wanted = Environment.GetEnvironmentVariable("OXEN_SWARM_OPERATIONS") is { Length: > 0 } o ? long.Parse(o, CultureInfo.InvariantCulture) : 0;
        await using TestSwarm swarm = await TestSwarm.StartAsync(Nodes, patient: false);
        MiniAccount[] accounts = [.. Enumerable.Range(0, Accounts).Select(i => new MiniAccount(Enumerable.Repeat((byte)(50 + i), 32).ToArray(), 5))];
        var checker = new HistoryChecker();
        using var stop = new CancellationTokenSource();
        Task[] clients = [.. Enumerable.Range(0, Clients).Select(c => Task.Run(() => ClientAsync(swarm, accounts, checker, c, new Random(seed + c), stop.Token)))];
        var clock = Stopwatch.StartNew();
        var nemesis = new Nemesis(swarm, new Random(seed));
        while (wanted > 0 ? checker.Operations < wanted : clock.Elapsed < TimeSpan.FromSeconds(seconds)) await nemesis.StrikeAsync();
        await stop.CancelAsync();
        await Task.WhenAll(clients);
        await nemesis.HealAsync();
        await swarm.WaitAsync(swarm.Agree, "all nodes agree");

        for (int node = 0; node < Nodes; node++)
        {
            var final = new HashSet<string>();
            foreach (MiniAccount account in accounts) final.UnionWith(await ReadAllAsync(swarm, node, account));
            (List<string> lost, List<string> resurrected, List<string> phantom) = checker.Judge(final);
            Assert.True(
                lost.Count == 0 && resurrected.Count == 0 && phantom.Count == 0,
                $"seed {seed}, node {node}: {lost.Count} lost, {resurrected.Count} resurrected, {phantom.Count} phantom after {checker.Operations} operations and {string.Join(", ", nemesis.Strikes)}");
        }

        string summary = $"{checker.Operations} operations, {checker.AcknowledgedCount} acknowledged, by {Clients} clients in {clock.Elapsed.TotalSeconds:f0} s through {nemesis.Strikes.Count} faults (seed {seed}): 0 lost, 0 resurrected, 0 phantom. "
            + string.Join(", ", nemesis.Strikes.GroupBy(x => x.Split(' ')[0]).Select(g => $"{g.Key} {g.Count()}"))
            + $"; retries {swarm.Entries.Sum(e => e.Node!.Core.Counters.Retries)}, write-backs {swarm.Entries.Sum(e => e.Node!.Core.Counters.WriteBacks)}, repaired {swarm.Entries.Sum(e => e.Node!.Core.Counters.Repaired)}";
        TestContext.Current.TestOutputHelper?.WriteLine(summary);
        Assert.True(checker.AcknowledgedCount > 100, summary);
        Assert.True(nemesis.Strikes.Count >= 3, summary);
        foreach (MiniAccount account in accounts) account.Dispose();
    }

    private static async Task ClientAsync(TestSwarm swarm, MiniAccount[] accounts, HistoryChecker checker, int client, Random dice, CancellationToken stop)
    {
        var known = new List<(MiniAccount Account, byte[] Data)>();
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            int node = dice.Next(Nodes), action = dice.Next(100);
            try
            {
                if (action < 8)
                {
                    checker.Saw(await ReadAllAsync(swarm, node, accounts[dice.Next(accounts.Length)]));
                }
                else if (action < 25 && known.Count > 0)
                {
                    (MiniAccount account, byte[] data) = known[dice.Next(known.Count)];
                    await WriteAsync(account, data, isAdd: false);
                }
                else
                {
                    // Mostly new; now and then one that is or was there.
                    (MiniAccount account, byte[] data) = action < 32 && known.Count > 0 ? known[dice.Next(known.Count)] : (accounts[dice.Next(accounts.Length)], System.Text.Encoding.ASCII.GetBytes($"{client}/{i}"));
                    known.Add((account, data));
                    if (known.Count > 60) known.RemoveAt(0);
                    await WriteAsync(account, data, isAdd: true);
                }
            }
            catch (Exception e) when (e is NullReferenceException or ObjectDisposedException or InvalidOperationException or Oxen.Swarm.Storage.StoreException)
            {
                // the node was stopped under the request: no result
            }
            catch (OperationCanceledException)
            {
            }

            if (i % 8 == 0) await Task.Yield();

            async Task WriteAsync(MiniAccount account, byte[] data, bool isAdd)
            {
                HistoryChecker.Operation operation = checker.Begin(account.Hash(data), isAdd);
                long now = TestSwarm.Now;
                (int status, _, string text) = isAdd
                    ? await swarm.AskAsync(node, "store", MiniRequests.Store(account, data, now))
                    : await swarm.AskAsync(node, "delete", MiniRequests.Delete(account, account.Hash(data)));
                if (status == 200) checker.Acknowledge(operation);
                else if (status is >= 400 and < 500 || text == "not ready") checker.Refuse(operation);
                if (status == 503) await Task.Delay(5, CancellationToken.None); // a client would look for another node
            }
        }
    }

    private static async Task<List<string>> ReadAllAsync(TestSwarm swarm, int node, MiniAccount account)
    {
        var hashes = new List<string>();
        while (true)
        {
            JsonObject request = MiniRequests.Retrieve(account, TestSwarm.Now, last: hashes.Count == 0 ? null : hashes[^1]);
            request["max_size"] = -1;
            (int status, JsonNode? json, _) = await swarm.AskAsync(node, "retrieve", request);
            if (status != 200) return hashes;
            hashes.AddRange(json!["messages"]!.AsArray().Select(m => (string)m!["hash"]!));
            if (!(bool)json["more"]!) return hashes;
        }
    }

    // One fault at a time, on one or two nodes; it lasts a moment and heals. The next begins when every node has caught up.
    private sealed class Nemesis(TestSwarm swarm, Random dice)
    {
        public List<string> Strikes { get; } = [];

        public async Task StrikeAsync()
        {
            int[] victims = [.. Enumerable.Range(0, Nodes).OrderBy(_ => dice.Next()).Take(1 + dice.Next(2))];
            string who = string.Join('+', victims);
            TimeSpan pause = TimeSpan.FromMilliseconds(100 + dice.Next(400));
            switch (dice.Next(5))
            {
                case 0:
                    Strikes.Add($"stop {who}");
                    foreach (int v in victims) await swarm.StopNodeAsync(v);
                    await Task.Delay(pause);
                    foreach (int v in victims) await swarm.StartNodeAsync(v);
                    break;
                case 1:
                    Strikes.Add($"wipe {who}");
                    foreach (int v in victims) await swarm.StopNodeAsync(v);
                    await Task.Delay(pause);
                    foreach (int v in victims) await swarm.StartNodeAsync(v, wipe: true);
                    break;
                case 2:
                    Strikes.Add($"cut {who}");
                    swarm.Wires.CutWiresAreSilent = dice.Next(2) == 0;
                    foreach (int v in victims)
                    {
                        foreach (TestSwarm.Entry other in swarm.Entries.Where(e => e.Hex != swarm.Entries[v].Hex)) swarm.Wires.Cut(swarm.Entries[v].Hex, other.Hex);
                    }

                    await Task.Delay(pause);
                    break;
                case 3:
                    Strikes.Add($"cut-some {who}");
                    for (int n = 0; n < 4; n++)
                    {
                        int a = dice.Next(Nodes), b = dice.Next(Nodes);
                        if (a != b) swarm.Wires.Cut(swarm.Entries[a].Hex, swarm.Entries[b].Hex);
                    }

                    await Task.Delay(pause);
                    break;
                default:
                    Strikes.Add($"clock {who}");
                    foreach (int v in victims) swarm.Entries[v].Clock.Skew = TimeSpan.FromMinutes(dice.Next(-10, 11));
                    await Task.Delay(pause);
                    break;
            }

            await HealAsync();
        }

        public async Task HealAsync()
        {
            swarm.Wires.MendAll();
            foreach (TestSwarm.Entry entry in swarm.Entries) entry.Clock.Skew = TimeSpan.Zero;
            await swarm.WaitAsync(() => swarm.Entries.All(e => e.Node is { NotReady.Count: 0 }), "all nodes are ready again");
        }
    }
}
