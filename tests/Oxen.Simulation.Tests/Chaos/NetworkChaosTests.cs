using System.Diagnostics;
using System.Globalization;
using Oxen.Testing;

namespace Oxen.Simulation.Tests.Chaos;

/// <summary>
/// Networks with everything that can go wrong in them, from one seed each. By hand:
/// <code>
///   OXEN_SEED=1234 dotnet test tests/Oxen.Simulation.Tests --filter FullyQualifiedName~Seeds_survive    one seed again
///   OXEN_CHAOS_SEEDS=5000 (the same filter)                                                                      so many instead of fifty
///   OXEN_CHAOS_NODES=500 OXEN_CHAOS_MINUTES=60 ... --filter FullyQualifiedName~A_large                            a large network
/// </code>
/// </summary>
public sealed class NetworkChaosTests(ITestOutputHelper output)
{
    // Five parts, so that a failure tells a little more, and no test is very long.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Seeds_survive_their_storms(int part)
    {
        ulong asked = SimWorld.SeedOr(0);
        if (asked != 0)
        {
            Assert.SkipUnless(part == 0, "one seed was asked for");
            output.WriteLine(Survive(ChaosPlan.Short(asked)));
            return;
        }

        int seeds = ChaosPlan.Number("OXEN_CHAOS_SEEDS", 50);
        long began = Stopwatch.GetTimestamp();
        for (int i = part; i < seeds; i += 5)
        {
            string report = Survive(ChaosPlan.Short(100 + (ulong)i));
            if (i < 10 || seeds > 50) output.WriteLine(report);
        }

        output.WriteLine($"{Stopwatch.GetElapsedTime(began).TotalSeconds:F1} s");
    }

    [Fact]
    public void A_large_network_survives_storm_after_storm()
    {
        int nodes = ChaosPlan.Number("OXEN_CHAOS_NODES", 50), minutes = ChaosPlan.Number("OXEN_CHAOS_MINUTES", 2);
        var plan = ChaosPlan.Long(SimWorld.SeedOr(77), nodes, minutes);
        long began = Stopwatch.GetTimestamp();
        using var run = new ChaosRun(plan);
        run.Run();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{run.Report()}; {Stopwatch.GetElapsedTime(began).TotalSeconds:F1} s of wall clock"));
    }

    [Fact]
    public void The_same_seed_is_the_same_storm_to_the_last_byte()
    {
        var plan = ChaosPlan.Short(SimWorld.SeedOr(105));
        Assert.Equal(Trace(plan), Trace(plan));
        Assert.NotEqual(Trace(plan), Trace(plan with { Seed = plan.Seed + 1 }));

        static ulong Trace(ChaosPlan plan)
        {
            using var run = new ChaosRun(plan);
            run.Run();
            return run.TraceHash;
        }
    }

    [Fact]
    public void A_client_that_tells_its_address_is_found_out()
    {
        using var world = new SimWorld(3);
        var watch = new ChaosWatch(world);
        byte[] address = [.. ChaosWatch.ClientPrefix, 1, 2, 3, 4, 5, 6];
        SimRouter client = world.AddClient(adjust: o => o with { Address = Router.Core.UdpAddress.FromBytes(address, 4000) });
        watch.Add(client);
        foreach (SimRouter router in world.Routers) watch.Follow(router);
        client.Want(0);
        world.Until(() => client.IsReady(), 20, "ready");
        watch.Look();
        client.SendUdp([9, .. address]);
        SimFailure found = Assert.Throws<SimFailure>(() => world.Run(2));
        Assert.Contains("was read by exit", found.Message, StringComparison.Ordinal);
    }

    // A seed that fails is cut to the fewest faults that still make it fail, and the message says how to see it.
    private static string Survive(ChaosPlan plan)
    {
        try
        {
            using var run = new ChaosRun(plan);
            run.Run();
            return run.Report();
        }
        catch (ChaosFailure first)
        {
            int low = 0, high = Math.Min(first.Faults, plan.MaxFaults);
            ChaosFailure fewest = first;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (Fails(plan with { MaxFaults = middle }) is { } again)
                {
                    fewest = again;
                    high = middle;
                }
                else
                {
                    low = middle + 1;
                }
            }

            throw fewest;
        }
    }

    private static ChaosFailure? Fails(ChaosPlan plan)
    {
        try
        {
            using var run = new ChaosRun(plan);
            run.Run();
            return null;
        }
        catch (ChaosFailure failure)
        {
            return failure;
        }
    }
}
