using Oxen.Router.Core.Links;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class LinkRenewalTests
{
    private static readonly LinkOptions Often = new() { RenewAfter = TimeSpan.FromSeconds(60) };

    [Fact]
    public void A_new_handshake_continues_the_link_and_its_paths()
    {
        using SimWorld world = Begin(500, out SimRouter client);
        SimTransfer transfer = client.Transfer(500_000);
        int links = client.Story.Count(s => s.What.StartsWith("link", StringComparison.Ordinal));
        for (int i = 0; i < 2000; i++)
        {
            client.SendUdp([1]);
            world.Network.Run(TimeSpan.FromMilliseconds(100));
        }

        world.Run(1);
        world.Check(transfer.Complete, "the bytes came back");
        world.Check(client.UdpReceived == client.UdpSent, $"nothing was lost: {client.UdpReceived} of {client.UdpSent}");
        world.Check(client.Story.Count(s => s.What.StartsWith("link", StringComparison.Ordinal)) == links, "no link ended, none was added");
        world.Check(client.Group()!.Switches == 0, "the path lives on");
        world.Check(client.Control.Links.Links.All(l => l.Current!.Quic.Stats.PacketsSent < 2000 && world.Now - l.UpSince > TimeSpan.FromSeconds(100)), "the links are the old ones");
        world.Check(client.DataPlane.InUse.Indexes <= 2 * client.Control.Links.Links.Count, $"old receiver indexes are given back: {client.DataPlane.InUse.Indexes}");
        world.Check(world.KeyReuse.Length == 0, world.KeyReuse);
    }

    [Fact]
    public void A_peer_that_has_forgotten_the_link_gets_a_clean_new_one()
    {
        using SimWorld world = Begin(501, out SimRouter client);
        SimRouter edge = world.ById(client.Group()!.Active!.Hops[0]);
        world.Restart(edge);
        world.Run(100);
        world.Until(() => client.IsReady() && client.Group()!.Paths.Count(p => p.Attached) >= 2, 60, "two paths again");
        SimTransfer transfer = client.Transfer(200_000);
        world.Until(() => transfer.Over, 20, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
        world.Check(world.KeyReuse.Length == 0, world.KeyReuse);
    }

    private static SimWorld Begin(ulong seed, out SimRouter client)
    {
        var world = new SimWorld(SimWorld.SeedOr(seed), relays: 6, exits: 1, adjust: (_, o) => o with { Links = Often });
        SimRouter begun = world.AddClient(adjust: o => o with { Links = Often });
        client = begun;
        begun.Want(0);
        world.Until(() => begun.IsReady() && begun.Group()!.Paths.Count(p => p.Attached) >= 2, 10, "ready with a spare");
        return world;
    }
}
