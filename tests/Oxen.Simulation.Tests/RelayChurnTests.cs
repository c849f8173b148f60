using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class RelayChurnTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(0, "kill")]
    [InlineData(1, "kill")]
    [InlineData(2, "kill")]
    [InlineData(0, "freeze")]
    [InlineData(1, "freeze")]
    [InlineData(2, "freeze")]
    public void Traffic_goes_on_over_the_spare(int position, string how)
    {
        using SimWorld world = Begin(300 + (ulong)position, out SimRouter client);
        SimTransfer transfer = client.Transfer(60_000_000);
        world.Run(1);
        RouterId[] before = client.Group()!.Active!.Hops;
        SimRouter victim = world.ById(before[position]);
        Instant hit = world.Now;
        long seen = transfer.Received;
        if (how == "kill") victim.Kill();
        else victim.Frozen = true;
        world.Until(() => client.Group()!.Switches > 0, 2, "the switch");
        TimeSpan noticed = world.Now - hit;
        seen = transfer.Received;
        world.Until(() => transfer.Received > seen + 100_000, 2, "bytes over the spare");
        TimeSpan repaired = world.Now - hit;
        output.WriteLine($"{how} hop {position}: noticed after {noticed.TotalMilliseconds:F0} ms, bytes flow after {repaired.TotalMilliseconds:F0} ms");
        world.Check(noticed < TimeSpan.FromMilliseconds(450), $"noticed after {noticed.TotalMilliseconds} ms");
        world.Check(repaired < TimeSpan.FromMilliseconds(1000), $"repaired after {repaired.TotalMilliseconds} ms");
        world.Check(!client.Group()!.Active!.Hops.Contains(victim.Id), "the spare avoids the victim");
        world.Until(() => client.Group()!.Paths.Count(p => p.Attached) >= 2, 20, "a new spare");
        world.Check(client.Group()!.Paths.All(p => !p.Hops.Contains(victim.Id)), "so does the new spare");
        world.Check(!transfer.Lost && client.IsReady(), "session and streams survive");
        seen = transfer.Received;
        world.Run(0.5);
        world.Check(transfer.Received > seen || transfer.Complete, "the transfer goes on");
    }

    [Fact]
    public void A_relay_that_drops_half_of_its_packets_is_left()
    {
        using SimWorld world = Begin(310, out SimRouter client);
        SimTransfer transfer = client.Transfer(90_000_000);
        world.Run(10);
        SimRouter victim = world.ById(client.Group()!.Active!.Hops[1]);
        Instant hit = world.Now;
        victim.DropSealed = 0.5;
        world.Until(() => client.Group()!.Switches > 0 && !client.Group()!.Active!.Hops.Contains(victim.Id), 10, "the client leaves the path");
        output.WriteLine($"left after {(world.Now - hit).TotalMilliseconds:F0} ms");
        world.Check(world.Now - hit < TimeSpan.FromSeconds(4), "soon");
        long seen = transfer.Received;
        world.Until(() => transfer.Received > seen + 100_000, 5, "bytes over the spare");
        world.Check(!transfer.Lost, "the stream survives");
    }

    [Fact]
    public void A_dead_exit_is_replaced_by_another_one()
    {
        using SimWorld world = Begin(320, out SimRouter client);
        SimTransfer old = client.Transfer(60_000_000);
        world.Run(1);
        SimRouter victim = world.ById(client.Group()!.Exit);
        Instant hit = world.Now;
        string lost = "";
        client.GroupLost = reason => lost = reason;
        victim.Kill();
        world.Until(() => lost.Length > 0, 3, "the group is lost");
        TimeSpan noticed = world.Now - hit;
        world.Until(() => client.IsReady(), 20, "a session at another exit");
        output.WriteLine($"lost after {noticed.TotalMilliseconds:F0} ms, ready again after {(world.Now - hit).TotalMilliseconds:F0} ms");
        world.Check(noticed < TimeSpan.FromMilliseconds(1700), $"lost after {noticed}");
        world.Check(client.Group()!.Exit != victim.Id, "another exit");
        world.Check(old.Lost, "the old stream is told");
        SimTransfer transfer = client.Transfer(200_000);
        world.Until(() => transfer.Over, 20, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
    }

    [Fact]
    public void An_exit_that_forgot_the_session_is_told_apart_from_a_dead_one()
    {
        using SimWorld world = Begin(330, out SimRouter client);
        SimRouter exit = world.ById(client.Group()!.Exit);
        string lost = "";
        client.GroupLost = reason => lost = reason;
        world.Restart(exit);
        world.Until(() => lost.Length > 0, 10, "the group is lost");
        world.Until(() => client.IsReady(), 30, "a new session");
        SimTransfer transfer = client.Transfer(200_000);
        world.Until(() => transfer.Over, 20, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
    }

    [Fact]
    public void One_dead_relay_after_another_ends_nothing()
    {
        using SimWorld world = Begin(340, out SimRouter client, relays: 14);
        SimTransfer transfer = client.Transfer(60_000_000);
        for (int round = 0; round < 8; round++)
        {
            world.Run(3);
            SimRouter victim = world.ById(client.Group()!.Active!.Hops[round % 3]);
            int switches = client.Group()!.Switches;
            victim.Kill();
            world.Until(() => client.Group()!.Switches > switches, 2, $"switch {round}");
            world.Until(() => client.Group()!.Paths.Count(p => p.Attached) >= 2, 20, $"a new spare in round {round}");
            world.Restart(victim);
        }

        world.Check(!transfer.Lost && client.IsReady(), "session and stream survive all of it");
    }

    private static SimWorld Begin(ulong seed, out SimRouter client, int relays = 10)
    {
        // 20 Mbit/s keeps the number of packets in bounds.
        var world = new SimWorld(SimWorld.SeedOr(seed), relays, link: new SimLink { Delay = TimeSpan.FromMilliseconds(6), BitsPerSecond = 20_000_000 });
        SimRouter begun = world.AddClient();
        client = begun;
        begun.Want(0);
        world.Until(() => begun.IsReady() && begun.Group()!.Paths.Count(p => p.Attached) >= 2, 10, "ready with a spare");
        return world;
    }
}
