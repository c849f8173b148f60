using Oxen.Router.Core;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class PathBuildUnderLossTests
{
    [Theory]
    [InlineData(0.0, 2)]
    [InlineData(0.05, 10)]
    [InlineData(0.20, 40)]
    public void A_client_gets_a_path_and_a_spare_whatever_the_links_lose(double loss, double seconds)
    {
        ulong seed = SimWorld.SeedOr(100);
        using var world = new SimWorld(seed, link: new SimLink { Loss = loss, Jitter = TimeSpan.FromMilliseconds(4) });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady() && client.Control.Client!.ReadyCount >= 2, seconds, "a session and two paths");
        world.Check(client.Group()!.Paths.All(p => p.Hops.Length == 4), "four hops each");
        world.Check(world.KeyReuse.Length == 0, world.KeyReuse);
    }

    [Fact]
    public void A_dead_relay_is_named_by_the_refusal_and_left_out()
    {
        using var world = new SimWorld(SimWorld.SeedOr(101), relays: 5, exits: 1);
        SimRouter dead = world.Routers[2];
        dead.Kill();
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.Control.Client!.ReadyCount >= 2, 60, "two paths around the dead relay");
        world.Check(client.Group()!.Paths.All(p => !p.Hops.Contains(dead.Id)), "no path crosses the dead relay");
    }

    [Fact]
    public void A_network_of_dead_exits_is_said_in_words()
    {
        using var world = new SimWorld(SimWorld.SeedOr(102), relays: 4, exits: 1);
        world.Routers[^1].Kill();
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.Control.Client!.Failed >= 2, 60, "builds fail");
        world.Check(client.Control.Client!.Trouble.Contains("refused the path", StringComparison.Ordinal) || client.Control.Client.Trouble.Contains("answer", StringComparison.Ordinal), client.Control.Client.Trouble);
        world.Check(!client.IsReady(), "there is no session");
    }

    [Fact]
    public void Two_relays_that_dial_each_other_at_once_both_get_a_link()
    {
        using var world = new SimWorld(SimWorld.SeedOr(103), relays: 2, exits: 1);
        SimRouter a = world.Routers[0], b = world.Routers[1];
        a.Post(now => a.Control.Links.Dial(b.Id, now));
        b.Post(now => b.Control.Links.Dial(a.Id, now));
        bool Up(SimRouter from, SimRouter to) => from.Control.Links.Links.Any(l => l.PeerKey == to.Id && l.State == LinkState.Up);
        world.Until(() => Up(a, b) && Up(b, a), 5, "links");
        world.Run(60);
        world.Check(Up(a, b) && Up(b, a), "the links stay");
        Link? again = null;
        a.Post(now => again = a.Control.Links.Dial(b.Id, now));
        world.Run(0.1);
        world.Check(again?.State == LinkState.Up, "a dial finds a link that is up");
    }

    [Fact]
    public void A_relay_whose_peer_restarted_dials_it_anew()
    {
        using var world = new SimWorld(SimWorld.SeedOr(104), relays: 4, exits: 1);
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady() && client.Control.Client!.ReadyCount >= 2, 10, "paths");
        for (int i = 0; i < world.Routers.Count; i++) world.Restart(world.Routers[i]);
        world.Until(() => client.Story.Any(s => s.What.StartsWith("group 0 lost", StringComparison.Ordinal)), 10, "the group notices");
        world.Until(() => client.IsReady() && client.Control.Client!.ReadyCount >= 2, 60, "paths through the restarted network");
        SimTransfer transfer = client.Transfer(200_000);
        world.Until(() => transfer.Over, 30, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
    }
}
