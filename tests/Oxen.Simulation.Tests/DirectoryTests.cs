using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

/// <summary>The directory over real links: relays that tell each other, clients that ask.</summary>
public sealed class DirectoryTests
{
    [Fact]
    public void Relays_learn_each_others_fresh_contacts_over_their_links()
    {
        using var world = new SimWorld(SimWorld.SeedOr(980), relays: 8, exits: 2, gossip: true);
        world.Until(() => world.Routers.All(r => world.Contacts.All(c => HoldsNewer(r, c))), 120, "everybody has everybody's fresh contact");
        foreach (SimRouter router in world.Routers) world.Check(router.Nodes.Relays.Count == 8 && router.Nodes.Exits.Count == 2, $"{router.Name} sees the whole network");
    }

    [Fact]
    public void A_new_client_with_an_expired_list_finds_the_network_and_builds_paths()
    {
        using var world = new SimWorld(SimWorld.SeedOr(981), relays: 8, exits: 2, gossip: true);
        world.Until(() => world.Routers.All(r => world.Contacts.All(c => HoldsNewer(r, c))), 120, "the relays know each other");
        SimRouter client = AddClient(world, expired: true, old: true);
        client.Want(0);
        world.Until(() => client.IsReady(), 60, "a session");
        SimTransfer transfer = client.Transfer(100_000);
        world.Until(() => transfer.Over, 30, "transfer");
        world.Check(transfer.Complete, "the bytes came back");
        world.Check(client.Control.Directory!.Fetch!.CurrentAsOfUnixSeconds > 0, "relays were asked");
        world.Check(client.Control.Trouble.Length == 0, client.Control.Trouble);
    }

    [Fact]
    public void Whoever_knows_a_client_is_one_of_its_guards()
    {
        using var world = new SimWorld(SimWorld.SeedOr(982), relays: 24, exits: 3, gossip: true);
        SimRouter client = AddClient(world, expired: true, old: false);
        for (int group = 0; group < 3; group++) client.Want(group);
        HashSet<UdpAddress> reached = [];
        world.Network.Tap = (from, to, _) =>
        {
            if (from == client.Address) reached.Add(to);
        };
        world.Until(() => Enumerable.Range(0, 3).All(g => client.IsReady(g)), 60, "three sessions");
        world.Run(120);
        HashSet<RouterId> guards = [.. client.Control.Client!.Guards.Sample];
        world.Check(guards.Count == 8, "eight guards");
        foreach (UdpAddress address in reached) world.Check(world.Routers.Any(r => r.Address == address && guards.Contains(r.Id)), $"{address} is no guard");
        RouterId[] firsts = [.. Enumerable.Range(0, 3).SelectMany(g => client.Group(g)!.Paths).Select(p => p.Hops[0]).Distinct()];
        world.Check(firsts.Length <= 2, $"{firsts.Length} first hops in use");
    }

    [Fact]
    public void A_client_that_slept_for_hours_comes_back_by_itself()
    {
        using var world = new SimWorld(SimWorld.SeedOr(983), relays: 8, exits: 2, gossip: true);
        SimRouter client = AddClient(world, expired: true, old: false);
        client.Want(0);
        const long Slept = 60L * 1_000_000_000;
        Tell(-Slept);
        world.Until(() => client.IsReady(), 60, "ready");
        world.Run(5);
        long rounds = client.Control.Directory!.Fetch!.Rounds;

        // Asleep: nothing is taken, and the monotonic clock stands still. In the simulation it cannot; so the wall clock began behind
        // by the time of the sleep, and the network clock, which follows the monotonic one, falls behind by as much.
        client.Frozen = true;
        world.Run(60);
        client.Frozen = false;
        client.Clock.Offset -= Slept;
        Tell(0);
        world.Until(() => client.Control.Directory!.Fetch!.Rounds > rounds, 30, "it asks anew");
        world.Until(() => client.IsReady(), 60, "a session again");
        long off = client.Clock.UnixNanoseconds(Instant.Zero) - SimClock.StartUnixNanoseconds;
        world.Check(Math.Abs(off) < 1_000_000_000, $"its clock is off by {off / 1e9} s");

        void Tell(long behind) => client.Post(now => client.Control.HandleWallClock(SimClock.StartUnixNanoseconds + now.Nanoseconds + behind, now));
    }

    [Fact]
    public void A_rule_that_leaves_no_exit_is_told_and_no_path_is_built()
    {
        using var world = new SimWorld(SimWorld.SeedOr(984), relays: 8, exits: 2, gossip: true);
        SimRouter client = AddClient(world, expired: false, old: false, new ClientPathOptions { Rules = new PathRules { Regions = new HashSet<string> { "mars" } } });
        client.Want(0);
        world.Run(20);
        world.Check(!client.IsReady(), "no session");
        world.Check(client.Control.Trouble.Contains("regions", StringComparison.Ordinal), client.Control.Trouble);
    }

    private static SimRouter AddClient(SimWorld world, bool expired, bool old, ClientPathOptions? paths = null)
    {
        long unix = SimClock.StartUnixNanoseconds / 1_000_000_000;
        return world.AddClient(paths, adjust: o => o with
        {
            Directory = new DirectoryOptions
            {
                Roster = world.Roster,
                RosterUntilUnixSeconds = expired ? unix - 86_400 : unix + 86_400,
                Contacts = world.Contacts,

                // With `old`, the list's contacts may be used to find routers and for nothing else.
                Fetch = old ? new FetchOptions { FreshFor = TimeSpan.FromHours(1) } : new FetchOptions(),
            },
        });
    }

    private static bool HoldsNewer(SimRouter router, RouterContact than) =>
        router.Nodes.TryGet(than.Id, out RouterContact? held) && held.PublishedUnixSeconds > than.PublishedUnixSeconds;
}
