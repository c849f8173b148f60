using Oxen.Router.Core;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class BuildFloodTests
{
    [Fact]
    public void A_flood_of_builds_is_cut_to_its_budget_and_others_still_build()
    {
        using var world = new SimWorld(SimWorld.SeedOr(1000), relays: 5, exits: 1);
        SimRouter attacker = world.AddClient();
        SimRouter edge = world.Routers[0];
        var entropy = new SeededEntropy(5);
        int sent = 0;
        Link? link = null;
        attacker.Post(now => link = attacker.Control.Links.Dial(edge.Id, now));
        world.Until(() => link?.State == LinkState.Up, 5, "the attacker's link");
        void Flood()
        {
            attacker.Post(now =>
            {
                for (int i = 0; i < 40; i++)
                {
                    byte[] message = new byte[BuildMessage.RequestBytes];
                    entropy.FillPublic(message);
                    message[0] = (byte)RequestKind.Build;
                    if (attacker.Control.Links.Send(link!, message, BuildMessage.ReplyBytes + 1, now) is not null) sent++;
                }
            });
            if (world.Now < Instant.FromMilliseconds(6000)) world.Network.Schedule(world.Now + TimeSpan.FromMilliseconds(200), Flood);
        }

        Flood();
        world.Run(1);
        SimRouter honest = world.AddClient();
        honest.Want(0);
        world.Until(() => honest.IsReady() && honest.Control.Client!.ReadyCount >= 2, 10, "another client builds");
        world.Until(() => world.Now > Instant.FromMilliseconds(7000), 10, "the flood ends");
        world.Check(sent > 500, $"it was a flood: {sent}");

        // 32 at once and 5 a second pass the budget; those are unreadable and end there.
        world.Check(edge.DataPlane.PathCount <= 4, "the flood left nothing");
        world.Check(edge.Control.Relay!.Refused > 100, $"refused {edge.Control.Relay.Refused}");
        world.Check(edge.Control.Relay.OverBudget > 50, $"over budget {edge.Control.Relay.OverBudget}");
        world.Check(edge.Control.Relay.Refused - edge.Control.Relay.OverBudget < 32 + 5 * 9, $"{edge.Control.Relay.Refused - edge.Control.Relay.OverBudget} builds were opened");
    }
}
