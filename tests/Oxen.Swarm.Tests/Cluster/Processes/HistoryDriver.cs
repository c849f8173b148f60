using System.Diagnostics;
using System.Globalization;

namespace Oxen.Swarm.Tests.Cluster.Processes;

/// <summary>
/// `history FOLDER SPACES`: a history of many clients at five node processes, and somebody who breaks up to two of them at a time.
/// Says what it saw in one line; leaves with 0 if all was kept. OXEN_SWARM_SEED, OXEN_SWARM_SECONDS (60) and OXEN_SWARM_OPERATIONS
/// (as many as fit) are taken from the environment; it goes on until both are reached and there were twenty faults.
/// </summary>
internal static class HistoryDriver
{
    public const string Verb = "history";
    private const int LeastFaults = 20;
    private static readonly TimeSpan AgreePatience = TimeSpan.FromMinutes(3);

    public static async Task<int> RunAsync(string[] args)
    {
        int seed = Number("OXEN_SWARM_SEED", 20261127), seconds = Number("OXEN_SWARM_SECONDS", 60), wanted = Number("OXEN_SWARM_OPERATIONS", 0);
        await using var cluster = new NodeCluster(args[0], args.Length > 1 ? args[1] : null);
        await cluster.StartAsync();
        var checker = new HistoryChecker();
        var clients = new HistoryClients(cluster, checker, seed);
        using var stop = new CancellationTokenSource();
        long begun = Stopwatch.GetTimestamp();
        Task running = clients.RunAsync(stop.Token);
        var nemesis = new ProcessNemesis(cluster, clients, new Random(seed));
        while (nemesis.Strikes.Count < LeastFaults || Stopwatch.GetElapsedTime(begun).TotalSeconds < seconds || checker.Operations < wanted) await nemesis.StrikeAsync();
        await stop.CancelAsync();
        await running;
        TimeSpan took = Stopwatch.GetElapsedTime(begun);

        begun = Stopwatch.GetTimestamp();
        HashSet<string>[] sets = await AgreeAsync(cluster, clients);
        TimeSpan agreed = Stopwatch.GetElapsedTime(begun);
        int bad = 0;
        foreach ((int node, HashSet<string> set) in cluster.Current.Zip(sets))
        {
            (List<string> lost, List<string> resurrected, List<string> phantom) = checker.Judge(set);
            bad += lost.Count + resurrected.Count + phantom.Count;
            if (lost.Count + resurrected.Count + phantom.Count > 0) Console.WriteLine($"node {node}: {lost.Count} lost, {resurrected.Count} resurrected, {phantom.Count} phantom: {string.Join(' ', lost.Concat(resurrected).Concat(phantom).Take(5))}");
        }

        bool differ = sets.Any(s => !s.SetEquals(sets[0]));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{checker.Operations} operations ({checker.AcknowledgedCount} acknowledged) and {clients.Reads} reads by {HistoryClients.Count} clients in {took.TotalSeconds:f0} s through {nemesis.Strikes.Count} faults (seed {seed}; {string.Join(", ", nemesis.Strikes.GroupBy(s => s).OrderBy(g => g.Key).Select(g => $"{g.Key} {g.Count()}"))}): {(bad == 0 ? "0 lost, 0 resurrected, 0 phantom" : $"{bad} WRONG")}{(differ ? ", members DIFFER" : "")}; all members agreed {agreed.TotalSeconds:f1} s after the last fault; {clients.StaleWindow()}"));
        return bad == 0 && !differ && checker.AcknowledgedCount > 1000 ? 0 : 1;
    }

    // As clients see it: every member shows the same set, twice in a row.
    private static async Task<HashSet<string>[]> AgreeAsync(NodeCluster cluster, HistoryClients clients)
    {
        long begun = Stopwatch.GetTimestamp();
        while (true)
        {
            HashSet<string>?[] sets = await Task.WhenAll(cluster.Current.Select(clients.ReadAllAsync));
            bool late = Stopwatch.GetElapsedTime(begun) > AgreePatience;
            if (sets.All(s => s is not null) && (late || sets.All(s => s!.SetEquals(sets[0]!)))) return sets!;
            if (late) throw new TimeoutException("a member does not answer");
            await Task.Delay(200);
        }
    }

    private static int Number(string name, int otherwise) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}
