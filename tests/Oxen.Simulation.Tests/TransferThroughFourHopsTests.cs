using Oxen.Router.Core.Packets;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class TransferThroughFourHopsTests
{
    [Theory]
    [InlineData(0.0, 0, 0.0, 4_000_000, 60)]
    [InlineData(0.0, 8, 0.05, 2_000_000, 60)]
    [InlineData(0.01, 4, 0.01, 1_000_000, 120)]
    [InlineData(0.05, 4, 0.01, 300_000, 240)]
    public void The_bytes_come_back_as_they_were_sent(double loss, int jitter, double reorder, int bytes, double seconds)
    {
        ulong seed = SimWorld.SeedOr(200);
        using var world = new SimWorld(seed);
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady(), 5, "ready");
        world.Network.Default = new SimLink { Loss = loss, Jitter = TimeSpan.FromMilliseconds(jitter), Reorder = reorder };
        SimTransfer transfer = client.Transfer(bytes);
        int udp = 0;
        while (!transfer.Over && udp < 200)
        {
            client.SendUdp([1, 2, 3, (byte)udp++]);
            world.Network.RunUntil(() => transfer.Over, TimeSpan.FromMilliseconds(20));
        }

        world.Until(() => transfer.Over, seconds, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
        if (loss == 0) world.Check(client.UdpReceived >= udp - 20, $"UDP records come back: {client.UdpReceived} of {udp}");
        Expect(world, loss > 0);
    }

    [Fact]
    public void Ten_megabytes_pass_without_a_drop_of_any_kind()
    {
        using var world = new SimWorld(SimWorld.SeedOr(201), link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady(), 5, "ready");
        SimTransfer transfer = client.Transfer(10_000_000);
        world.Until(() => transfer.Over, 60, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
        Expect(world, lossy: false);
        world.Check(client.Group()!.Switches == 0, "nothing made the client leave its path");
    }

    [Fact]
    public void Routers_of_several_shards_carry_the_same()
    {
        using var world = new SimWorld(SimWorld.SeedOr(202), adjust: (i, o) => o with { Shards = 1 + i % 3 });
        SimRouter client = world.AddClient(adjust: o => o with { Shards = 2 });
        client.Want(0);
        world.Until(() => client.IsReady() && client.Control.Client!.ReadyCount >= 2, 5, "ready");
        SimTransfer transfer = client.Transfer(1_000_000);
        world.Until(() => transfer.Over, 60, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
        Expect(world, lossy: false);
    }

    // The filter's small false rate is part of the design; a path that a lossy probe gave up leaves packets under way.
    private static void Expect(SimWorld world, bool lossy)
    {
        string[] allowed = lossy ? ["replay_filter", "unknown_path", "stale_handle", "no_path", "unexpected_answer"] : ["replay_filter"];
        foreach ((string name, long count) in world.Drops()) world.Check(allowed.Contains(name), $"{count} unexpected drops: {name}");
    }
}
