using Oxen.Router.Core;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class ClockOffTests
{
    [Theory]
    [InlineData(30)]
    [InlineData(-30)]
    [InlineData(-4000)]
    public void A_client_corrects_its_own_clock(int seconds)
    {
        using var world = new SimWorld(SimWorld.SeedOr(700));
        SimRouter client = world.AddClient(skew: TimeSpan.FromSeconds(seconds));
        client.Want(0);
        world.Until(() => client.IsReady(), 30, "ready in spite of the clock");
        long off = client.Clock.UnixNanoseconds(Instant.Zero) - SimClock.StartUnixNanoseconds;
        world.Check(Math.Abs(off) < 250_000_000, $"the clock is off by {off / 1e9} s still");
        world.Run(70);
        SimTransfer transfer = client.Transfer(100_000);
        world.Until(() => transfer.Over, 20, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
    }

    [Fact]
    public void A_relay_whose_clock_is_off_is_refused_with_a_reason()
    {
        using var world = new SimWorld(SimWorld.SeedOr(701), relays: 2, exits: 1, adjust: (i, o) => i == 1 ? o with { ClockSkew = TimeSpan.FromSeconds(10) } : o);
        SimRouter a = world.Routers[0], b = world.Routers[1];
        a.Post(now => a.Control.Links.Dial(b.Id, now));
        world.Until(() => a.Story.Any(s => s.What.Contains("down", StringComparison.Ordinal)), 5, "the link is refused");
        world.Check(a.Story.Any(s => s.What.Contains("clocks differ", StringComparison.Ordinal)), "in words at the dialler");
        world.Check(b.Story.Any(s => s.What.Contains("clock off", StringComparison.Ordinal)), "and at the one that is off");
    }

    [Fact]
    public void A_relay_knows_that_its_own_clock_is_off_when_most_others_say_so_and_one_that_is_off_misleads_nobody()
    {
        using var world = new SimWorld(SimWorld.SeedOr(702), relays: 4, exits: 1, adjust: (i, o) => i == 1 ? o with { ClockSkew = TimeSpan.FromSeconds(10) } : o);
        SimRouter wrong = world.Routers[1];
        SimRouter[] right = [.. world.Routers.Where(r => r != wrong)];
        foreach (SimRouter router in right) router.Post(now => router.Control.Links.Dial(wrong.Id, now));
        foreach (SimRouter router in right[1..]) router.Post(now => router.Control.Links.Dial(right[0].Id, now));
        world.Until(() => wrong.Story.Any(s => s.What.StartsWith("own clock off by -", StringComparison.Ordinal)), 5, "the one that is ahead hears that it is");
        world.Run(5);
        foreach (SimRouter router in right) world.Check(!router.Story.Any(s => s.What.StartsWith("own clock off", StringComparison.Ordinal)), "the others trust their own");
    }
}
