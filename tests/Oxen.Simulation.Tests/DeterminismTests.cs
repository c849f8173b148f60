using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class DeterminismTests(ITestOutputHelper output)
{
    [Fact]
    public void The_same_seed_makes_the_same_trace_and_another_seed_another()
    {
        ulong seed = SimWorld.SeedOr(800);
        ulong first = Run(seed);
        Assert.Equal(first, Run(seed));
        Assert.NotEqual(first, Run(seed + 1));
    }

    [Fact]
    public void Fifty_routers_run_for_minutes_and_every_drop_has_a_name()
    {
        using var world = new SimWorld(SimWorld.SeedOr(801), relays: 44, exits: 6, link: new SimLink { Delay = TimeSpan.FromMilliseconds(8), Jitter = TimeSpan.FromMilliseconds(4), Loss = 0.002 });
        for (int i = 0; i < 6; i++) world.AddClient().Want(0);
        world.Until(() => world.Clients.All(c => c.IsReady() && c.Group()!.Paths.Count(p => p.Attached) >= 2), 60, "all clients ready");
        long began = Environment.TickCount64;
        int minutes = 0;
        while (Environment.TickCount64 - began < 12_000 && minutes < 10)
        {
            SimTransfer[] transfers = [.. world.Clients.Select(c => c.Transfer(100_000))];
            world.Until(() => transfers.All(t => t.Over), 60, "transfers");
            world.Check(transfers.All(t => t.Complete), "the bytes came back");
            foreach (SimRouter client in world.Clients) client.SendUdp([9]);
            world.Run(60);
            minutes++;
        }

        output.WriteLine($"{minutes} virtual minutes, {world.Network.Sent} datagrams, drops {string.Join(", ", world.Drops().Select(d => $"{d.Key} {d.Value}"))}");
        world.Check(world.KeyReuse.Length == 0, world.KeyReuse);

        // Every sealed datagram that reached a router was delivered, forwarded or counted: what is left is the network's.
        world.Check(world.Network.Sent == world.Network.Delivered + world.Network.Lost + world.Network.QueueDrops + InFlight(world), "the network accounts for every datagram");
        string[] allowed = ["replay_filter", "unknown_path", "stale_handle", "no_path", "unexpected_answer", "path_replay"];
        foreach ((string name, long count) in world.Drops()) world.Check(allowed.Contains(name), $"{count} unexpected drops: {name}");
    }

    private static long InFlight(SimWorld world)
    {
        long flying = world.Network.Sent - world.Network.Delivered - world.Network.Lost - world.Network.QueueDrops;
        return flying is >= 0 and < 2000 ? flying : -1;
    }

    private static ulong Run(ulong seed)
    {
        using var world = new SimWorld(seed, link: new SimLink { Loss = 0.01, Jitter = TimeSpan.FromMilliseconds(5) });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady(), 20, "ready");
        SimTransfer transfer = client.Transfer(300_000);
        world.Run(2);
        world.ById(client.Group()!.Paths[0].Hops[1]).Kill();
        world.Until(() => transfer.Over, 60, "transfer");
        return world.Network.TraceHash;
    }
}
