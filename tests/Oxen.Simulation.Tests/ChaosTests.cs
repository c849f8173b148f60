using Oxen.Router.Core;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

/// <summary>Kills, restarts, freezes, loss, partitions at random; then the network heals and everything must be well again.</summary>
public sealed class ChaosTests(ITestOutputHelper output)
{
    private const int Relays = 9;
    private const int Exits = 3;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void A_healed_network_serves_again_and_nothing_leaks(int part)
    {
        ulong asked = SimWorld.SeedOr(0);
        if (asked != 0)
        {
            Run(asked);
            return;
        }

        // As many as fit; the first few always.
        long began = Environment.TickCount64;
        int runs = 0;
        for (; runs < 40 && (runs < 3 || Environment.TickCount64 - began < 12_000); runs++) Run(9000 + (ulong)(part * 100) + (ulong)runs);
        output.WriteLine($"{runs} worlds");
    }

    private static void Run(ulong seed)
    {
        using var world = new SimWorld(seed, Relays, Exits, new SimLink { Delay = TimeSpan.FromMilliseconds(7), Jitter = TimeSpan.FromMilliseconds(3), BitsPerSecond = 10_000_000 });
        var dice = new SeededEntropy(seed + 77);
        SimRouter[] clients = [world.AddClient(), world.AddClient()];
        foreach (SimRouter client in clients) client.Want(0);
        world.Run(2);
        SimLink calm = world.Network.Default;
        for (int round = 0; round < 8; round++)
        {
            foreach (SimRouter client in clients) if (client.IsReady()) client.Transfer(50_000);
            SimRouter victim = world.Routers[dice.Next(world.Routers.Count)];
            SimRouter other = world.Routers[dice.Next(world.Routers.Count)];
            switch (dice.Next(6))
            {
                case 0: victim.Kill(); break;
                case 1: world.Restart(victim); break;
                case 2:
                    victim.Frozen = true;
                    double seconds = 0.1 + dice.NextDouble() * 20;
                    world.Network.Schedule(world.Now + TimeSpan.FromSeconds(seconds), () =>
                    {
                        victim.Frozen = false;
                        world.Network.Wake(victim);
                    });
                    break;
                case 3: world.Network.Default = calm with { Loss = dice.NextDouble() * 0.4 }; break;
                case 4: world.Network.SetLink(victim.Address, other.Address, calm with { Cut = true }, bothWays: dice.Next(2) == 0); break;
                default: victim.DropSealed = dice.NextDouble(); break;
            }

            world.Run(dice.NextDouble() * 12);
            if (dice.Next(2) == 0) world.Network.Default = calm;
        }

        // Heal.
        world.Network.Default = calm;
        foreach (SimRouter a in world.Routers.ToArray())
        {
            a.DropSealed = 0;
            a.Frozen = false;
            foreach (SimRouter b in world.Routers) world.Network.SetLink(a.Address, b.Address, null);
            if (a.IsDead) world.Restart(a);
            else world.Network.Wake(a);
        }

        foreach (SimRouter client in clients)
        {
            world.Until(() => client.IsReady(), 90, $"{client.Name} is ready after the network healed");
            SimTransfer transfer = client.Transfer(100_000);
            world.Until(() => transfer.Over || !client.IsReady(), 60, $"{client.Name}'s transfer ends");
            if (transfer.Complete) continue;

            // A session that stood on its last, dying path may fall once more.
            world.Until(() => client.IsReady(), 60, $"{client.Name} is ready once more");
            transfer = client.Transfer(100_000);
            world.Until(() => transfer.Over, 60, $"{client.Name}'s second transfer");
            world.Check(transfer.Complete, "the bytes came back");
        }

        foreach (SimRouter client in clients) client.CloseGroup(0);
        world.Run(10);
        foreach (SimRouter client in clients)
        {
            world.Check(client.Client!.Groups.Count == 0, $"{client.Name} has a group left");
            world.Check(client.Control.Client!.ReadyCount == 0 && client.DataPlane.PathCount == 0, $"{client.Name} has {client.DataPlane.PathCount} paths left");
            world.Check(client.DataPlane.InUse.Handles == 0, $"{client.Name} has handles left");
        }

        // What relays keep of paths whose closing was lost ends with the links or with its lifetime.
        world.Run(21 * 60);
        foreach (SimRouter router in world.Routers)
        {
            world.Check(router.DataPlane.PathCount == 0, $"{router.Name} has {router.DataPlane.PathCount} paths left");
            world.Check(router.DataPlane.InUse.Handles == 0, $"{router.Name} has {router.DataPlane.InUse.Handles} handles left");
            world.Check(router.Exit!.Count == 0 && router.Exit.PathCount == 0, $"{router.Name} has {router.Exit.Count} sessions left");
            world.Check(router.Echoes == 0, $"{router.Name} has {router.Echoes} streams left");
            world.Check(router.Control.Relay!.PendingCount == 0, $"{router.Name} has builds left");
            world.Check(router.DataPlane.InUse.Indexes == router.Control.Links.ConnectionCount, $"{router.Name} has {router.DataPlane.InUse.Indexes} receiver indexes for {router.Control.Links.ConnectionCount} connections");
        }

        world.Check(world.KeyReuse.Length == 0, world.KeyReuse);
    }
}
