using System.Net;
using Oxen.Swarm.Duties;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Duties;

public class ReachabilityTests
{
    private sealed class Reports : IPeerReports
    {
        public List<(string Node, bool Reachable)> Got { get; } = [];

        public int Pings { get; private set; }

        public void Report(ReadOnlyMemory<byte> node, bool reachable) => Got.Add((Convert.ToHexStringLower(node.Span), reachable));

        public void Ping() => Pings++;
    }

    private sealed class Tester(Func<SwarmMember, bool> reaches) : IReachTester
    {
        public Task<bool> TestAsync(SwarmMember member, CancellationToken cancel) => Task.FromResult(reaches(member));
    }

    [Fact]
    public async Task Others_are_tested_by_chance_and_who_failed_again_after_a_longer_and_longer_pause()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(4);
        SkewedClock clock = swarm.Entries[0].Clock;
        string dead = swarm.Entries[3].Hex;
        bool isDead = true;
        var reports = new Reports();
        var reach = new Reachability(swarm[0].Core, new Tester(m => m.Hex != dead || !isDead), reports, new Random(5));
        while (!reach.Failures.ContainsKey(dead)) await StepAfterAsync(20);
        Assert.DoesNotContain(reports.Got, r => r.Node == swarm.Entries[0].Hex); // nobody tests itself
        Assert.Contains(reports.Got, r => r == (swarm.Entries[1].Hex, true));
        Assert.Contains((dead, false), reports.Got);

        // 10 s after the first failure, 20 s after the second.
        Assert.Equal(0, await FailuresAfterAsync(9));
        Assert.Equal(1, await FailuresAfterAsync(2));
        Assert.Equal(0, await FailuresAfterAsync(18));
        Assert.Equal(1, await FailuresAfterAsync(3));
        for (int i = 0; i < 20; i++) await StepAfterAsync(121); // never more than two minutes
        int before = reports.Got.Count(r => r == (dead, false));
        Assert.Equal(1, await FailuresAfterAsync(121));
        Assert.Equal(before + 1, reports.Got.Count(r => r == (dead, false)));

        isDead = false;
        await StepAfterAsync(121);
        Assert.Contains((dead, true), reports.Got);
        Assert.Empty(reach.Failures);

        async Task StepAfterAsync(int seconds)
        {
            clock.Skew += TimeSpan.FromSeconds(seconds);
            await reach.StepAsync(TestContext.Current.CancellationToken);
        }

        async Task<int> FailuresAfterAsync(int seconds)
        {
            int known = reports.Got.Count(r => r == (dead, false));
            await StepAfterAsync(seconds);
            return reports.Got.Count(r => r == (dead, false)) - known;
        }
    }

    [Fact]
    public async Task The_registry_hears_every_half_minute_that_the_node_lives_and_a_decommissioned_one_tests_nobody()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3);
        var reports = new Reports();
        var reach = new Reachability(swarm[0].Core, new Tester(_ => true), reports, new Random(5));
        for (int i = 0; i < 12; i++)
        {
            await reach.StepAsync(TestContext.Current.CancellationToken);
            swarm.Entries[0].Clock.Skew += TimeSpan.FromSeconds(10);
        }

        Assert.Equal(4, reports.Pings);
        int tested = reports.Got.Count;
        Assert.InRange(tested, 5, 12);
        swarm.Entries[0].SwarmId = SwarmRing.Unassigned;
        swarm.Publish();
        await swarm.WaitAsync(() => swarm[0].Core.View.SwarmId == SwarmRing.Unassigned, "the node knows that it is in no swarm");
        for (int i = 0; i < 5; i++)
        {
            swarm.Entries[0].Clock.Skew += TimeSpan.FromSeconds(60);
            await reach.StepAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(tested, reports.Got.Count);
        Assert.True(reports.Pings > 4);
    }

    [Fact]
    public async Task A_node_counts_as_reached_when_all_its_doors_answer_with_its_key()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, https: true, quic: true);
        using var http = new HttpClient(Oxen.Swarm.Peers.HttpsPeerTransport.CreateHandler());
        var tester = new DoorsReachTester(swarm[0].Core, swarm[0].Core.Transport, http, swarm[0].Quic);
        SwarmMember one = At(1, swarm[1].QuicPort);
        Assert.True(await tester.TestAsync(one, TestContext.Current.CancellationToken));
        Assert.True(await tester.TestAsync(At(1, 0), TestContext.Current.CancellationToken)); // it has no QUIC door
        Assert.False(await tester.TestAsync(At(1, swarm[2].QuicPort), TestContext.Current.CancellationToken)); // another node's
        Assert.False(await tester.TestAsync(new SwarmMember(swarm.Entries[2].Identity.Ed25519, 0, IPAddress.Loopback, swarm[1].HttpsPort, 0), TestContext.Current.CancellationToken));
        await swarm.StopNodeAsync(1);
        Assert.False(await tester.TestAsync(one, TestContext.Current.CancellationToken));

        SwarmMember At(int node, int quic) => new(swarm.Entries[node].Identity.Ed25519, 0, IPAddress.Loopback, swarm[node].HttpsPort, quic);
    }
}
