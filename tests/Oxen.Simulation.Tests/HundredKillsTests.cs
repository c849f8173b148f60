using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class HundredKillsTests(ITestOutputHelper output)
{
    [Fact]
    public void A_hundred_dead_relays_of_the_path_in_use_make_no_gap_longer_than_a_second()
    {
        using var world = new SimWorld(SimWorld.SeedOr(700), relays: 20, link: new SimLink { Delay = TimeSpan.FromMilliseconds(10), BitsPerSecond = 20_000_000 });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady() && Attached(client) >= 2, 10, "ready with a spare");
        SimTransfer transfer = client.Transfer(1L << 40, offered: 0);
        var dice = new SeededEntropy(world.Seed);
        var gaps = new List<double>();
        int crowded = 0;
        for (int kill = 0; kill < 100; kill++)
        {
            // The next one dies when the spare stands again, which takes moments, and some time after.
            Go(() => Attached(client) >= 2, 10, $"a spare before kill {kill}");
            Instant next = world.Now + TimeSpan.FromSeconds(0.5 + (2 * dice.NextDouble()));
            Go(() => world.Now >= next, 3, "some time");
            if (client.Group()!.Paths.Count(p => p.Attached) < 2) continue;
            ClientPathState active = client.Group()!.Active!;
            bool shares = client.Group()!.Paths.Where(p => p != active).All(p => p.Hops[..^1].Intersect(active.Hops[..^1]).Any());
            SimRouter victim = world.ById(active.Hops[(int)(dice.NextDouble() * (active.Hops.Length - 1))]);
            transfer.ForgetGaps();
            Instant hit = world.Now;
            if (kill % 3 == 2) victim.Frozen = true;
            else victim.Kill();
            Go(() => world.Now - hit > TimeSpan.FromSeconds(1.5), 3, "the repair");
            Go(() => transfer.Received + 20_000 > transfer.Offered, 10, $"the bytes after kill {kill}");
            double gap = transfer.LongestGap.TotalMilliseconds;
            if (shares) crowded++;
            else world.Check(gap <= 1000, $"kill {kill} of {victim.Name}: bytes again after {gap:F0} ms");
            gaps.Add(gap);
            if (victim.Frozen) victim.Frozen = false;
            else world.Restart(victim);
        }

        gaps.Sort();
        output.WriteLine($"{gaps.Count} kills, {crowded} of a crowded pair: gap median {gaps[gaps.Count / 2]:F0} ms, p99 {gaps[^2]:F0} ms, worst {gaps[^1]:F0} ms");
        world.Check(crowded <= 12, $"{crowded} pairs shared a relay, and the network is large enough that hardly one need");
        world.Check(!transfer.Lost && !transfer.Corrupt && client.IsReady(), "session and stream survive all of it");

        // A program that sends 100 kB each second.
        void Go(Func<bool> done, double seconds, string what)
        {
            for (Instant end = world.Now + TimeSpan.FromSeconds(seconds); !done();)
            {
                world.Check(world.Now < end, what);
                client.Offer(transfer, 2000);
                world.Run(0.02);
            }
        }
    }

    [Fact]
    public void A_crowded_spare_is_replaced_when_there_is_a_choice_again()
    {
        // Five relays: two of them guards, and the spare needs two more middles than the path in use leaves while one relay is gone.
        using var world = new SimWorld(SimWorld.SeedOr(710), relays: 6, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        SimRouter client = world.AddClient(new ClientPathOptions { Guards = new GuardOptions { FirstRetry = TimeSpan.FromSeconds(5) } });
        SimRouter gone = world.Routers[3];
        gone.Frozen = true;
        client.Want(0);
        world.Until(() => client.IsReady() && Attached(client) >= 2, 60, "ready with a spare");
        world.Until(() => Shares(client), 30, "a crowded spare, for want of another");
        world.Run(20);
        world.Check(Shares(client), "there is no other choice while a relay is gone");
        long built = client.Control.Client!.Built;
        gone.Frozen = false;
        world.Until(() => !Shares(client) && Attached(client) == 2, 400, "a spare that shares no relay");
        output.WriteLine($"{client.Control.Client.Built - built} builds later");
        world.Check(client.Control.Client.Built - built < 12, "without building for the sake of it");
        long after = client.Control.Client.Built;
        world.Run(120);
        world.Check(client.Control.Client.Built - after <= 1, "and then there is rest");
    }

    [Fact]
    public void Middles_are_never_guards_and_spares_share_nothing_when_there_are_relays_enough()
    {
        var middles = new Dictionary<RouterId, int>();
        for (ulong run = 0; run < 6; run++)
        {
            using var world = new SimWorld(720 + run, relays: 20, exits: 2);
            SimRouter client = world.AddClient();
            var paths = new List<RouterId[]>();
            client.PathBuilt = paths.Add;
            for (int group = 0; group < 3; group++) client.Want(group);
            world.Until(() => Enumerable.Range(0, 3).All(g => client.IsReady(g) && Attached(client, g) >= 2), 20, "ready with spares");
            HashSet<RouterId> guards = [.. client.Control.Client!.Guards.Sample];
            world.Check(paths.All(p => guards.Contains(p[0])), "paths begin at guards");
            world.Check(paths.Select(p => p[0]).Distinct().Count() == 2, "at two of them");
            world.Check(paths.All(p => !p[1..^1].Any(guards.Contains)), "no middle is a guard");
            for (int group = 0; group < 3; group++) world.Check(!Shares(client, group), "spares share nothing");
            foreach (RouterId id in paths.SelectMany(p => p[1..^1])) middles[id] = middles.GetValueOrDefault(id) + 1;
        }

        // Of each network 12 places over 12 relays that are no guards; spares take others, so no relay stands in more than each group once.
        Assert.True(middles.Values.Max() <= 3, $"one relay was chosen {middles.Values.Max()} times");
    }

    private static int Attached(SimRouter client, int group = 0) => client.Group(group)!.Paths.Count(p => p.Attached);

    private static bool Shares(SimRouter client, int group = 0)
    {
        ClientPathState[] paths = [.. client.Group(group)!.Paths];
        for (int i = 0; i < paths.Length; i++)
            for (int j = 0; j < i; j++) if (paths[i].Hops[..^1].Intersect(paths[j].Hops[..^1]).Any()) return true;
        return false;
    }
}
