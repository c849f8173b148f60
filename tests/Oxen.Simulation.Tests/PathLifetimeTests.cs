using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class PathLifetimeTests
{
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
