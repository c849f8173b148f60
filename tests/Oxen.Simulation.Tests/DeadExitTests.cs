using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class DeadExitTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("kill")]
    [InlineData("freeze")]
    public void A_dead_exit_is_an_error_within_a_second_and_another_one_serves_what_comes_next(string how)
    {
        using var world = new SimWorld(SimWorld.SeedOr(750), relays: 12, exits: 3, link: new SimLink { Delay = TimeSpan.FromMilliseconds(8) });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady() && client.Group()!.Paths.Count(p => p.Attached) >= 2, 10, "ready with a spare");
        SimTransfer open = client.Transfer(1L << 40, offered: 0);
        client.Offer(open, 20_000);
        world.Run(1);
        SimRouter exit = world.ById(client.Group()!.Exit);
        Instant hit = world.Now;
        if (how == "kill") exit.Kill();
        else exit.Frozen = true;
        client.Offer(open, 20_000);
        world.Until(() => open.Lost, 3, "what is open is told");
        TimeSpan told = world.Now - hit;
        world.Until(() => client.IsReady(), 5, "another exit");
        TimeSpan ready = world.Now - hit;
        output.WriteLine($"{how}: told after {told.TotalMilliseconds:F0} ms, another exit after {ready.TotalMilliseconds:F0} ms");
        world.Check(told <= TimeSpan.FromSeconds(1), $"told after {told.TotalMilliseconds:F0} ms");
        world.Check(client.Group()!.Exit != exit.Id, "another one");
        SimTransfer next = client.Transfer(100_000);
        world.Until(() => next.Over, 10, "the next transfer");
        world.Check(next.Complete, "it is served");
    }

    [Fact]
    public void An_exit_that_is_left_for_its_bad_service_is_not_taken_again_at_once()
    {
        using var world = new SimWorld(SimWorld.SeedOr(753), relays: 12, exits: 3, link: new SimLink { Delay = TimeSpan.FromMilliseconds(8) });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady(), 10, "ready");
        RouterId left = client.Group()!.Exit;
        client.Client!.Leave(client.Group()!, "the exit is slow", world.Now);
        world.Check(!client.IsReady(), "left");
        world.Until(() => client.IsReady(), 5, "another exit");
        world.Check(client.Group()!.Exit != left, "another one");
        world.Check(world.ById(left).Exit!.Count == 0, "the first was told, and keeps no session");
        world.Run(20);
        world.Check(client.Group()!.Exit != left && client.IsReady(), "which it stays with");
        SimTransfer next = client.Transfer(100_000);
        world.Until(() => next.Over, 10, "the next transfer");
        world.Check(next.Complete, "it is served");
    }

    [Fact]
    public void The_next_of_the_named_exits_takes_over_and_no_other()
    {
        using var world = new SimWorld(SimWorld.SeedOr(751), relays: 12, exits: 4, link: new SimLink { Delay = TimeSpan.FromMilliseconds(8) });
        RouterId[] exits = [.. world.Contacts.Where(c => c.IsExit).Select(c => c.Id)];
        SimRouter client = world.AddClient();
        client.Want(0, [exits[2], exits[1]]);
        world.Until(() => client.IsReady(), 10, "ready");
        world.Check(client.Group()!.Exit == exits[2], "the first of the two");
        world.ById(exits[2]).Kill();
        world.Until(() => client.IsReady() && client.Group()!.Exit == exits[1], 10, "the second");
        world.ById(exits[1]).Kill();
        world.Run(20);
        world.Check(!client.IsReady(), "no third");
        world.Restart(world.Routers.Single(r => r.Id == exits[2]));
        world.Until(() => client.IsReady() && client.Group()!.Exit == exits[2], 90, "the first is back");
    }

    [Fact]
    public void A_session_outlives_a_network_that_is_gone_for_ten_seconds()
    {
        using var world = new SimWorld(SimWorld.SeedOr(752), relays: 10, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(8) });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady() && client.Group()!.Paths.Count(p => p.Attached) >= 2, 10, "ready with a spare");
        SimTransfer open = client.Transfer(200_000, offered: 100_000);
        world.Run(1);
        foreach (SimRouter router in world.Routers) router.Frozen = true; // as if our cable were pulled
        world.Run(10);
        foreach (SimRouter router in world.Routers) router.Frozen = false;
        Instant back = world.Now;
        client.Post(now => client.Control.HandleNetworkChange(now));
        client.Offer(open, 100_000);
        world.Until(() => open.Over, 20, "the transfer goes on");
        output.WriteLine($"complete {(world.Now - back).TotalMilliseconds:F0} ms after the network came back");
        world.Check(open.Complete, "and nothing is lost");
        world.Check(world.Now - back < TimeSpan.FromSeconds(3), "within 3 s");
    }
}
