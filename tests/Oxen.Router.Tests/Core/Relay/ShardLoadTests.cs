using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Relay;

/// <summary>Many packets: nothing is allocated, no path takes another's share, full tables refuse.</summary>
public sealed class ShardLoadTests
{
    [Fact]
    public void A_hundred_thousand_packets_over_two_hops_both_ways_allocate_nothing()
    {
        using var net = new ShardNetwork(41);
        TestPath path = net.LayPath(2);
        ShardCore client = path.ClientCore, relay = path.CoreOf(0), exit = path.TerminalCore;
        ShardNode[] n = path.Nodes;
        byte[] content = new byte[1359];
        long delivered = 0;

        void Turn(ShardCore core, Instant now)
        {
            core.HandleCommands(now);
            core.HandleDatagrams(core.Receives, now);
            core.HandleOriginations(now);
            if (core.NextDeadline <= now) core.HandleTimeout(now);
        }

        void Round()
        {
            Instant now = net.Now;
            for (int i = 0; i < 90; i++)
            {
                ShardNetwork.Originate(client, path.Numbers[0], 16, content);
                ShardNetwork.Originate(exit, path.Numbers[^1], 16, content);
            }

            client.HandleOriginations(now);
            exit.HandleOriginations(now);
            ShardWire.Carry(client, n[0].Address, relay, n[1].Address);
            client.TransmitsSent();
            Turn(relay, now);
            ShardWire.Carry(relay, n[1].Address, exit, n[2].Address);
            relay.TransmitsSent();
            Turn(exit, now);
            ShardWire.Carry(exit, n[2].Address, relay, n[1].Address);
            exit.TransmitsSent();
            Turn(relay, now);
            ShardWire.Carry(relay, n[1].Address, client, n[0].Address);
            relay.TransmitsSent();
            Turn(client, now);
            client.TransmitsSent();
            delivered += Drain(client) + Drain(exit);
            net.Clock.Advance(TimeSpan.FromMilliseconds(10));
        }

        static int Drain(ShardCore core)
        {
            int count = 0;
            while (core.Deliveries.TryTake(out _, out _)) count++;
            core.Deliveries.ReleaseTaken();
            return count;
        }

        for (int i = 0; i < 100; i++) Round();
        delivered = 0;
        long allocated = AllocationAssert.Measure(Round, times: 600, warmUp: 0);
        Assert.Equal(600 * 180, delivered);
        Assert.Equal(0, allocated);
    }

    // Jain, Chiu, Hawe: (sum x)^2 / (n * sum x^2), 1 when all have the same.
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void One_hog_among_ninety_nine_light_paths_takes_nothing_of_theirs_and_equals_get_equal_shares(int hogs)
    {
        const int Paths = 100;
        var fairness = new PathFairness(Paths);
        var dice = new SeededEntropy(99);
        long[] came = new long[Paths], passed = new long[Paths];
        for (int batch = 0; batch < 4000; batch++)
        {
            // Sixteen receives of 45: the hogs fill what the light ones leave, in an order that chance gives.
            fairness.BeginBatch(full: true, kernelDrops: 50);
            for (int i = 0; i < 720; i++)
            {
                int slot = dice.Next(100) < 25 ? hogs + dice.Next(Paths - hogs) : dice.Next(hogs);
                bool counts = batch >= 500;
                if (counts) came[slot]++;
                if (fairness.TryPass(slot) && counts) passed[slot]++;
            }

            fairness.EndBatch();
        }

        double lightPassed = 0, lightCame = 0;
        for (int slot = hogs; slot < Paths; slot++)
        {
            lightPassed += passed[slot];
            lightCame += came[slot];
        }

        Assert.True(lightPassed / lightCame >= 0.99, $"the light paths lost {lightCame - lightPassed} of {lightCame}");
        Assert.True(Jain(passed[hogs..]) >= 0.95 && Jain(passed[..hogs]) >= 0.95, $"{Jain(passed[hogs..])} and {Jain(passed[..hogs])}");
        Assert.True(passed[..hogs].Sum() < 0.75 * came[..hogs].Sum(), "the hogs were cut");

        static double Jain(long[] x) => Math.Pow(x.Sum(), 2) / (x.Length * x.Sum(v => (double)v * v));
    }

    [Fact]
    public void Under_overload_the_heavy_path_is_cut_and_the_light_ones_lose_nothing()
    {
        var fairness = new PathFairness(16);
        int[] passed = new int[10];
        for (int batch = 0; batch < 40; batch++)
        {
            fairness.BeginBatch(full: true, kernelDrops: 100);
            if (batch >= 10) Assert.True(fairness.IsAwake);
            for (int i = 0; i < 810; i++)
            {
                int slot = i % 9 == 0 && i / 9 < 90 ? i / 90 % 9 + 1 : 0; // 90 packets of nine light paths among 720 heavy ones
                if (fairness.TryPass(slot) && batch >= 10) passed[slot]++;
            }

            fairness.EndBatch();
        }

        for (int slot = 1; slot < 10; slot++) Assert.Equal(30 * 10, passed[slot]);
        Assert.InRange(passed[0], 30 * 250, 30 * 400); // half of what came, less the light ones' part

        for (int batch = 0; batch < 100; batch++)
        {
            fairness.BeginBatch(full: false, kernelDrops: 0);
            fairness.EndBatch();
        }

        Assert.False(fairness.IsAwake);
    }

    [Fact]
    public void A_capped_path_loses_what_is_over_its_rate_and_others_do_not()
    {
        using var net = new ShardNetwork(42);
        TestPath capped = net.LayPath(2);
        TestPath free = net.LayPath([.. capped.Nodes]);
        capped.CoreOf(0).Post(new SetRateCap(capped.Numbers[1], 100));
        net.HandleCommands();
        int one = 0, two = 0;
        net.Run(TimeSpan.FromSeconds(10), TimeSpan.FromMilliseconds(100), () =>
        {
            for (int i = 0; i < 30; i++)
            {
                net.SendUp(capped, [1]);
                net.SendUp(free, [2]);
            }

            net.Pump();
            foreach ((_, byte[] content) in ShardNetwork.Deliveries(capped.TerminalCore))
            {
                if (content[0] == 1) one++;
                else two++;
            }
        });
        Assert.Equal(3000, two);
        Assert.InRange(one, 1000, 1080); // 100 a second, and a burst at the start
        Assert.Equal(3000 - one, capped.CoreOf(0).Drops[DropReason.PathShare]);
    }

    [Fact]
    public void Commands_that_find_no_room_are_refused_with_an_event_and_leave_nothing_behind()
    {
        using var net = new ShardNetwork(43);
        TestPath path = net.LayPath(1);
        ShardCore core = path.ClientCore;
        HopChains Chains() => new(new byte[32], new byte[32], path.StartEpoch);
        core.Post(new AddTerminalPath(path.Numbers[0], 0, PathIngress.None, PathEgress.None, Chains(), Instant.Never)); // number in use
        core.Post(new AddTerminalPath(new PathNumber(30, 1), 0, new PathIngress(1, path.DownHandles[0]), PathEgress.None, Chains(), Instant.Never)); // slot in use
        core.Post(new AddTerminalPath(new PathNumber(30, 1), 0, new PathIngress(1, new PathHandle(100_000, 1)), PathEgress.None, Chains(), Instant.Never)); // no such slot
        core.Post(new RemovePath(new PathNumber(31, 1)));
        for (int i = 0; i < 12; i++)
        {
            // Eight client paths of eight hops have keys for their further hops; a ninth does not.
            Assert.True(path.Nodes[0].Handles[0].TryTake(out PathHandle handle));
            Assert.True(path.Nodes[0].Numbers[0].TryTake(out PathNumber number));
            core.Post(new AddClientPath(number, 0, PathEgress.None, new PathIngress(1, handle), [.. Enumerable.Range(0, 8).Select(_ => Chains())], Instant.Never));
        }

        net.HandleCommands();
        List<ShardEvent> events = ShardNetwork.Events(core);
        Assert.All(events, e => Assert.Equal(ShardEventKind.CommandRefused, e.Kind));
        Assert.Equal(4 + 4, events.Count);
        net.SendUp(path, [1]);
        net.Pump();
        Assert.Single(ShardNetwork.Deliveries(path.TerminalCore));
    }

    [Fact]
    public void The_address_of_a_link_moves_when_the_control_plane_says_so()
    {
        using var net = new ShardNetwork(44);
        TestPath path = net.LayPath(1);
        path.Nodes[0].Address = UdpAddress.FromVirtual(99);
        net.SendUp(path, [1]);
        net.Pump();
        Assert.Equal(1, path.TerminalCore.Drops[DropReason.WrongAddress]);
        ShardEvent moved = Assert.Single(ShardNetwork.Events(path.TerminalCore));
        Assert.Equal(ShardEventKind.LinkAddressChanged, moved.Kind);
        Assert.Equal(path.Nodes[0].Address, moved.Address);
        path.TerminalCore.Post(new MoveLink(moved.Link, moved.Address));
        net.SendUp(path, [2]);
        net.SendDown(path, [3]);
        net.Pump();
        Assert.Single(ShardNetwork.Deliveries(path.TerminalCore));
        Assert.Single(ShardNetwork.Deliveries(path.ClientCore));
    }
}
