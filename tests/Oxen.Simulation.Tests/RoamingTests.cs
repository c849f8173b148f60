using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Quic;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

/// <summary>A client at another address, and one that stood still: how soon its session goes on, over links that were made since.</summary>
public sealed class RoamingTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(3);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_session_goes_on_from_another_address_within_three_seconds(bool whileTransferring)
    {
        using SimWorld world = Ready(out SimRouter client);
        QuicConnection session = client.Group()!.Quic!;
        SimTransfer? transfer = whileTransferring ? client.Transfer(50_000_000) : null;
        world.Run(2);
        UdpAddress from = client.Address, to = UdpAddress.FromBytes([172, 31, 7, 7], 4000);
        HashSet<int> before = [.. client.Control.Links.Links.Select(l => l.Number)];
        Instant moved = world.Now;
        client.Move(to);
        long received = transfer?.Received ?? 0, echoed = client.UdpReceived;
        world.Until(() => GoesOn(world, client, before, to), Bound.TotalSeconds, "the path in use begins with a link from the new address");
        if (transfer is null) client.SendUdp([1, 2, 3]);
        double left = (Bound - (world.Now - moved)).TotalSeconds;
        world.Until(() => transfer is null ? client.UdpReceived > echoed : transfer.Received > received, left, "something comes back over it");
        world.Check(client.Group()!.Quic == session && !session.IsClosed, "it is the same session");
        world.Check(client.Address != from, "it has moved");
    }

    [Fact]
    public void A_session_goes_on_within_three_seconds_after_a_stop_that_ended_every_link()
    {
        using SimWorld world = Ready(out SimRouter client);
        QuicConnection session = client.Group()!.Quic!;
        HashSet<int> before = [.. client.Control.Links.Links.Select(l => l.Number)];
        client.Frozen = true;
        world.Run(20);
        client.Frozen = false;
        Instant began = world.Now;
        world.Network.Wake(client);
        world.Until(() => GoesOn(world, client, before, client.Address), Bound.TotalSeconds, "the path in use begins with a link that was made since");
        long echoed = client.UdpReceived;
        client.SendUdp([1, 2, 3]);
        world.Until(() => client.UdpReceived > echoed, (Bound - (world.Now - began)).TotalSeconds, "something comes back over it");
        world.Check(client.Group()!.Quic == session && !session.IsClosed, "it is the same session");
    }

    private static SimWorld Ready(out SimRouter client)
    {
        var world = new SimWorld(SimWorld.SeedOr(4711), link: new SimLink { Delay = TimeSpan.FromMilliseconds(10), BitsPerSecond = 20_000_000 });
        SimRouter made = client = world.AddClient();
        client.Want(0);
        world.Until(() => made.IsReady(), 10, "ready");
        world.Run(3);
        return world;
    }

    // The client's own link and the first hop's end of it, both made since; the number of a link is never given twice.
    private static bool GoesOn(SimWorld world, SimRouter client, HashSet<int> before, UdpAddress from)
    {
        if (client.Group()?.Active is not { Attached: true } active) return false;
        RouterId first = active.Hops[0];
        return client.Control.Links.Links.Any(l => l.State == LinkState.Up && l.PeerKey == first && !before.Contains(l.Number))
            && !client.Control.Links.Links.Any(l => l.State == LinkState.Up && l.PeerKey == first && before.Contains(l.Number))
            && world.ById(first).Control.Links.Links.Any(l => l.State == LinkState.Up && l.Address == from);
    }
}
