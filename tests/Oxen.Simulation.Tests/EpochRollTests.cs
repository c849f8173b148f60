using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class EpochRollTests
{
    [Theory]
    [InlineData(10)]
    [InlineData(80)]
    public void Keys_roll_for_five_minutes_and_nothing_is_lost(int delay)
    {
        // Clocks differ by up to 1.8 s between neighbours; a packet is on the way for up to five delays.
        using var world = new SimWorld(
            SimWorld.SeedOr(400), relays: 6, exits: 1,
            link: new SimLink { Delay = TimeSpan.FromMilliseconds(delay), Jitter = TimeSpan.FromMilliseconds(5) },
            adjust: (i, o) => o with { ClockSkew = TimeSpan.FromMilliseconds(i % 2 == 0 ? 900 : -900) });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady() && client.Group()!.Paths.Count(p => p.Attached) >= 2, 20, "ready");
        uint first = client.Clock.EpochAt(world.Now);
        for (int i = 0; i < 6000; i++)
        {
            client.SendUdp([1, (byte)i, (byte)(i >> 8)]);
            world.Network.Run(TimeSpan.FromMilliseconds(50));
        }

        world.Run(2);
        world.Check(client.Clock.EpochAt(world.Now) >= first + 4, "epochs went by");
        world.Check(client.UdpReceived == 6000, $"every record came back: {client.UdpReceived}");
        world.Check(client.Group()!.Switches == 0, "nothing made the client leave its path");
        foreach ((string name, long count) in world.Drops()) world.Check(name == "replay_filter", $"{count} drops: {name}");
    }

    [Fact]
    public void Link_keys_roll_after_their_time()
    {
        using var world = new SimWorld(SimWorld.SeedOr(401), relays: 4, exits: 1, link: new SimLink { Jitter = TimeSpan.FromMilliseconds(8), Reorder = 0.05 });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady(), 10, "ready");
        double seconds = 3.5 * LinkTable.EpochLength.TotalSeconds;
        for (int i = 0; i < seconds * 10; i++)
        {
            client.SendUdp([1, 2]);
            world.Network.Run(TimeSpan.FromMilliseconds(100));
        }

        world.Run(1);
        world.Check(client.UdpReceived == client.UdpSent, $"every record came back: {client.UdpReceived} of {client.UdpSent}");
        world.Check(client.Shards[0].Tables.Links.Sender(0).Epoch >= 3, "the client's sending key has moved on");
    }
}
