using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class PathLifetimeTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void A_group_that_ends_says_so_before_its_path_does_and_the_exit_keeps_nothing(int hops)
    {
        using var world = new SimWorld(SimWorld.SeedOr(601), relays: 4, exits: 1);
        SimRouter client = world.AddClient(new ClientPathOptions { Hops = hops, Spares = 0 });
        SimRouter exit = world.Routers[^1];
        const int Groups = 40;
        for (int i = 1; i <= Groups; i++)
        {
            int group = i;
            client.Want(group);
            world.Until(() => client.IsReady(group), 20, $"group {group} ready");
            SimTransfer transfer = client.Transfer(20_000, group);
            world.Until(() => transfer.Complete, 10, "its bytes");
            client.CloseGroup(group);
        }

        world.Run(1);
        world.Check(exit.Exit!.Count == 0, $"no session is left: {exit.Exit.Count}");
        world.Check(exit.Exit.PathCount == 0 && exit.Control.Relay!.Count == 0, "nor a path");
        world.Check(exit.Story.Count(s => s.What.StartsWith("session", StringComparison.Ordinal) && s.What.EndsWith("closed", StringComparison.Ordinal)) == Groups, "each one was closed");
        world.Run(90);
        world.Check(world.Dropped(DropReason.NoPath) == 0, $"nobody sent to a path that was gone: {world.Dropped(DropReason.NoPath)}");
        world.Check(client.DataPlane.PathCount == 0, "the client has all numbers back");
    }

    [Fact]
    public void Paths_are_replaced_before_their_end_without_an_interruption()
    {
        using var world = new SimWorld(SimWorld.SeedOr(600), relays: 8, exits: 1);
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady() && client.Group()!.Paths.Count(p => p.Attached) >= 2, 10, "ready with a spare");
        var gone = client.Group()!.Paths.Select(p => p.Path).ToHashSet();

        // Two lifetimes of 20 minutes and a little.
        for (int i = 0; i < 50 * 60; i++)
        {
            client.SendUdp([1, (byte)i]);
            world.Network.Run(TimeSpan.FromSeconds(1));
        }

        world.Check(client.UdpReceived >= client.UdpSent - 1, $"every record came back: {client.UdpReceived} of {client.UdpSent}");
        world.Check(client.Group()!.Paths.All(p => !gone.Contains(p.Path)), "the first paths are gone");
        world.Check(client.Group()!.Switches is > 1 and < 8, $"{client.Group()!.Switches} switches");
        world.Check(!client.Story.Any(s => s.What.Contains("failed", StringComparison.Ordinal) || s.What.Contains("group 0 lost", StringComparison.Ordinal)), "nothing failed");
        world.Check(client.Group()!.Paths.Count <= 4, "no more paths than wanted");
    }
}
