using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class IdleUnderLossTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(0.01, 0)]
    [InlineData(0.05, 2)]
    public void Idle_paths_on_lossy_links_are_not_given_up_for_a_lost_probe(double loss, int failures)
    {
        using var world = new SimWorld(SimWorld.SeedOr(1100), relays: 10, exits: 1, link: new SimLink { Loss = loss, Jitter = TimeSpan.FromMilliseconds(3) });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady() && client.Group()!.Paths.Count(p => p.Attached) >= 2, 30, "ready with a spare");
        int before = Failures(client);
        world.Run(300);
        int failed = Failures(client) - before;
        output.WriteLine($"loss {loss:P0} a link: {failed} of two paths given up in five minutes");
        world.Check(failed <= failures, $"{failed} paths were given up");
        world.Check(client.IsReady() && !client.Story.Any(s => s.What.StartsWith("group 0 lost", StringComparison.Ordinal)), "the session stands");
    }

    private static int Failures(SimRouter client) => client.Story.Count(s => s.What.Contains(" failed: ", StringComparison.Ordinal));
}
