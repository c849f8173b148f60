using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Oxen.Router.Native.Linux;

namespace Oxen.Ladder;

// `tun`: iperf3 between two namespaces joined by veth, through each machine in turn:
//
//   veth      the cable itself                                  c        bench/native/tun_forwarder.c at both ends: no crypto
//   lane      link seal and three layers, no relay between: the product's ShardCore and TunnelLane in A, LayeredEnd in B
//   run       `oxen run`: the client in A, three relays and the exit in B, the server in a namespace behind it (OxenNetwork)
//   layers    the same with LayeredEnd at both ends: what the product's parts cost without its tables and checks
//
// All of namespace A runs on CPU 0 (iperf3, the machine's end, and the kernel's work for both), all of B on CPU 1. "up" is from A to B.
// A run is stalled when one of its intervals of half a second, after the first second, carried less than a twentieth of what the machine's
// median interval of the same test did, or less than 10 Mbit/s.

/// <summary>TCP through the tunnel, beside C and the bare cable.</summary>
internal static class TunRung
{
    private const double StallShare = 0.05;
    private const double StallGigabits = 0.01;
    private const int SkippedIntervals = 2;

    public static int Run(TunOptions options)
    {
        if (TunLab.Missing() is { } missing)
        {
            Console.Error.WriteLine($"tun: {missing}");
            return 2;
        }

        string? program = options.Machines.Contains("c") ? NativeForwarder.Compile("tun_forwarder.c", "-O3") : "";
        string? oxen = options.Machines.Contains("run") ? OxenNetwork.Find() : "";
        if (program is null || oxen is null) return 2;
        DirectoryInfo scratch = Directory.CreateTempSubdirectory("oxen-tun-");
        var busy = new List<Thread>();
        bool stop = false;
        try
        {
            using var lab = new TunLab { Nice = options.Nice, Temporary = [program, scratch.FullName] };
            List<ITunnelUnderTest> machines = [];
            foreach (string name in options.Machines)
            {
                machines.Add(name switch
                {
                    "c" => TwoProcesses.Native(lab, program, machines.Count, options),
                    "lane" => TwoProcesses.Layered(lab, machines.Count, "lane", options),
                    "layers" => TwoProcesses.Layered(lab, machines.Count, "client", options),
                    "run" => OxenNetwork.Start(lab, oxen, scratch.FullName),
                    _ => new BareWire(),
                });
            }

            foreach (int cpu in options.Busy)
            {
                var thread = new Thread(() =>
                {
                    LinuxThread.PinTo(cpu);
                    while (!Volatile.Read(ref stop)) Thread.SpinWait(1000);
                })
                {
                    IsBackground = true,
                };
                thread.Start();
                busy.Add(thread);
            }

            Print(options);
            return Measure(options, lab, machines) ? 0 : 1;
        }
        finally
        {
            Volatile.Write(ref stop, true);
            foreach (Thread thread in busy) thread.Join();
            TunLab.Delete([program, scratch.FullName]); // nobody did if there was no lab
        }
    }

    private static bool Measure(TunOptions options, TunLab lab, List<ITunnelUnderTest> machines)
    {
        // The JIT of our own machine settles; the others get the same.
        foreach (ITunnelUnderTest m in machines)
        {
            foreach (string direction in new[] { "up", "down" }) One(options, lab, m, new Test(1, 4, direction), 2);
        }

        var results = new Dictionary<(Test Test, ITunnelUnderTest Machine), List<TunRun>>();
        Test[] tests = [.. options.Families.SelectMany(f => options.Streams.SelectMany(s => options.Directions.Select(d => new Test(s, f, d))))];
        var before = machines.ToDictionary(m => m, m => m.Read());
        for (int round = 0; round < options.Rounds; round++)
        {
            foreach (Test test in tests)
            {
                foreach (ITunnelUnderTest m in machines)
                {
                    if (!results.TryGetValue((test, m), out List<TunRun>? runs)) results.Add((test, m), runs = []);
                    try
                    {
                        runs.Add(One(options, lab, m, test, options.Seconds));
                    }
                    catch (Exception e) when (e is IOException or TimeoutException)
                    {
                        // A result too: counted as a stalled run.
                        Console.WriteLine($"  failed: {e.Message}");
                        runs.Add(TunRun.Failed);
                    }
                }
            }
        }

        Console.WriteLine("  TCP                  machine             Gbit/s  best   / C  / veth  stalled  retransmits        samples");
        bool clean = true;
        foreach (Test test in tests)
        {
            double Median(ITunnelUnderTest? m) => m is null ? double.NaN : TunRun.Median(results[(test, m)].Select(r => r.Gigabits));
            double c = Median(machines.Find(m => m.Name == "C")), wire = Median(machines.Find(m => m.Name == "veth"));
            foreach (ITunnelUnderTest m in machines)
            {
                List<TunRun> runs = results[(test, m)];
                double typical = TunRun.Median(runs.SelectMany(r => r.Intervals.Skip(SkippedIntervals)));
                int stalled = runs.Count(r => r == TunRun.Failed || r.Intervals.Skip(SkippedIntervals).Any(v => v < Math.Max(typical * StallShare, StallGigabits)));
                clean &= m is BareWire || stalled == 0;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"  IPv{test.Family}, {test.Streams} x {test.Direction,-4}       {m.Name,-18} {Median(m),7:F2} {runs.Max(r => r.Gigabits),5:F2} {Median(m) / c,5:F2} {Median(m) / wire,6:F2}  {stalled,3}/{runs.Count,-3}  {string.Join(' ', runs.Select(r => r.Retransmits)),-18} [{string.Join(' ', runs.Select(r => r.Gigabits.ToString("F2", CultureInfo.InvariantCulture)))}]"));
            }
        }

        foreach (ITunnelUnderTest m in machines)
        {
            IReadOnlyDictionary<string, long> after = m.Read(), first = before[m];
            if (after.Count == 0) continue;
            long packets = after["sent"] - first["sent"];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {m.Name}: {packets} datagrams, {(double)(after["cpu"] - first["cpu"]) / packets:F0} ns CPU each (both ends together), {string.Join(", ", after.Where(p => p.Key.StartsWith("lost", StringComparison.Ordinal)).Select(p => $"{p.Key} {p.Value - first.GetValueOrDefault(p.Key)}"))}{(after.TryGetValue("allocated", out long bytes) ? $", {(double)(bytes - first["allocated"]) / packets:F4} bytes allocated a datagram" : "")}"));
        }

        return clean;
    }

    private static TunRun One(TunOptions options, TunLab lab, ITunnelUnderTest machine, Test test, int seconds)
    {
        List<string> arguments = ["-c", test.Family == 4 ? machine.Address4 : machine.Address6, "-t", Text(seconds), "-i", "0.5", "-P", Text(test.Streams), "-J", "--connect-timeout", "3000"];
        if (test.Direction == "down") arguments.Add("-R");
        if (options.Congestion is { } congestion) arguments.AddRange(["-C", congestion]);

        // A server for each run: one that hangs or is killed spoils no other.
        Process server = lab.Start(machine.ServerSpace ?? lab.B, "iperf3", "-s", "-1", "--forceflush");
        Process? client = null;
        try
        {
            // "-----", "Server listening on 5201"
            while (server.StandardOutput.ReadLine() is { } line && !line.Contains("listening", StringComparison.Ordinal))
            {
            }

            _ = server.StandardOutput.ReadToEndAsync();
            client = lab.Start(lab.A, "iperf3", [.. arguments]);
            Task<string> output = client.StandardOutput.ReadToEndAsync();
            if (!output.Wait(TimeSpan.FromSeconds(seconds + 20))) throw new TimeoutException($"{machine.Name}: iperf3 did not end");
            return TunRun.Parse(output.Result, $"{machine.Name}, {test}");
        }
        finally
        {
            if (client is not null) lab.Forget(client);
            lab.Forget(server);
        }
    }

    private static void Print(TunOptions options)
    {
        string load = File.ReadAllText("/proc/loadavg").Trim();
        string congestion = options.Congestion ?? File.ReadAllText("/proc/sys/net/ipv4/tcp_congestion_control").Trim();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"tun: TCP between two namespaces; {Environment.OSVersion}, {Environment.ProcessorCount} CPUs, .NET {Environment.Version}, load {load}; {options.Rounds} rounds of {options.Seconds} s, taking turns; {congestion}; queue {options.Queue}{(options.Busy.Length > 0 ? $"; busy loops on CPU {string.Join(',', options.Busy)}" : "")}{(options.Nice != 0 ? $"; ends at nice {options.Nice}" : "")}"));
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    private sealed record Test(int Streams, int Family, string Direction);
}

/// <summary>What one run of iperf3 said.</summary>
internal sealed record TunRun(double Gigabits, long Retransmits, double[] Intervals)
{
    public static readonly TunRun Failed = new(0, 0, []);

    /// <exception cref="IOException">It said that it failed.</exception>
    public static TunRun Parse(string json, string what)
    {
        if (json.Length == 0) throw new IOException($"{what}: iperf3 said nothing");
        using JsonDocument document = JsonDocument.Parse(json);
        JsonElement root = document.RootElement;
        if (root.TryGetProperty("error", out JsonElement error)) throw new IOException($"{what}: iperf3 says: {error.GetString()}");
        JsonElement end = root.GetProperty("end");
        long retransmits = end.GetProperty("sum_sent").TryGetProperty("retransmits", out JsonElement r) ? r.GetInt64() : 0;
        return new TunRun(
            end.GetProperty("sum_received").GetProperty("bits_per_second").GetDouble() / 1e9,
            retransmits,
            [.. root.GetProperty("intervals").EnumerateArray().Select(i => i.GetProperty("sum").GetProperty("bits_per_second").GetDouble() / 1e9)]);
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? double.NaN : sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
