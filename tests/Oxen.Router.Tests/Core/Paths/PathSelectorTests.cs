using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Tests.Core.Directory;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

public sealed class PathSelectorTests : IDisposable
{
    private readonly SeededEntropy _entropy = new(200);
    private readonly List<TestRouter> _routers = [];

    public void Dispose()
    {
        foreach (TestRouter router in _routers) router.Dispose();
    }

    [Fact]
    public void A_path_ends_at_an_exit_and_passes_everybody_once()
    {
        NodeDirectory nodes = Network(relays: 8, exits: 2);
        for (int hops = 2; hops <= 8; hops++)
        {
            for (int i = 0; i < 50; i++)
            {
                Assert.True(PathSelector.TrySelect(new PathWish { Hops = hops }, nodes, _entropy, out RouterContact[]? path, out _));
                Assert.Equal(hops, path.Length);
                Assert.Equal(hops, path.Select(p => p.Id).Distinct().Count());
                Assert.True(path[^1].IsExit);
                Assert.All(path[..^1], relay => Assert.True(relay.IsRelay));
            }
        }
    }

    [Fact]
    public void The_last_hop_asked_for_is_kept()
    {
        NodeDirectory nodes = Network(relays: 6, exits: 2);
        RouterId last = nodes.Exits[1].Id;
        for (int i = 0; i < 50; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish { Last = last }, nodes, _entropy, out RouterContact[]? path, out _));
            Assert.Equal(last, path[^1].Id);
        }
    }

    [Fact]
    public void The_first_guard_that_fits_is_the_first_hop_and_never_another_relay()
    {
        NodeDirectory nodes = Network(relays: 8, exits: 2);
        RouterId[] guards = [nodes.Relays[3].Id, nodes.Relays[5].Id];
        for (int i = 0; i < 50; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish { Guards = guards }, nodes, _entropy, out RouterContact[]? path, out _));
            Assert.Equal(guards[0], path[0].Id);

            // What is left out for now is left out of the rest of the path; the guards' own set has judged those.
            Assert.True(PathSelector.TrySelect(new PathWish { Guards = guards[1..], Excluded = new HashSet<RouterId> { guards[0], guards[1] } }, nodes, _entropy, out path, out _));
            Assert.Equal(guards[1], path[0].Id);
            Assert.DoesNotContain(path, p => p.Id == guards[0]);
        }
    }

    [Fact]
    public void Neighbours_and_one_operators_relays_never_share_a_path()
    {
        // Three relays in one /16, three of one operator, three in one /32, and three free ones.
        for (int i = 0; i < 3; i++) Add(20 + i, RouterCapabilities.Relay, addresses: [UdpAddress.FromBytes([10, 9, (byte)i, 1], 1)]);
        for (int i = 0; i < 3; i++) Add(30 + i, RouterCapabilities.Relay, operatorLabel: "one-hand");
        for (int i = 0; i < 3; i++) Add(40 + i, RouterCapabilities.Relay, addresses: [UdpAddress.FromBytes([0x20, 1, 0xd, 0xb8, (byte)i, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 1)]);
        NodeDirectory nodes = Network(relays: 3, exits: 1);
        var seen = new HashSet<RouterId>();
        for (int i = 0; i < 300; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish { Hops = 5 }, nodes, _entropy, out RouterContact[]? path, out _));
            for (int a = 0; a < path.Length; a++)
            {
                seen.Add(path[a].Id);
                for (int b = 0; b < a; b++) Assert.True(PathSelector.MayShareAPath(path[a], path[b]));
            }

            Assert.True(path.Count(p => p.Operator == "one-hand") <= 1);
            Assert.True(path.Count(p => p.Addresses[0].Family == UdpFamily.IPv6) <= 1);
            Assert.True(path.Count(p => p.Addresses[0].High >> 48 == 0x0A09) <= 1);
        }

        Assert.Equal(13, seen.Count);   // and yet nobody is left out
    }

    [Fact]
    public void Every_relay_is_chosen_as_often_as_any_other()
    {
        NodeDirectory nodes = Network(relays: 10, exits: 2);
        const int Paths = 4000;
        var counts = nodes.All.ToDictionary(c => c.Id, _ => 0);
        for (int i = 0; i < Paths; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish(), nodes, _entropy, out RouterContact[]? path, out _));
            foreach (RouterContact hop in path) counts[hop.Id]++;
        }

        // Binomial: 3 of 10 places, and 1 of 2; five standard deviations.
        double Deviation(double p) => 5 * Math.Sqrt(Paths * p * (1 - p));
        foreach (RouterContact relay in nodes.Relays) Assert.InRange(counts[relay.Id], (0.3 * Paths) - Deviation(0.3), (0.3 * Paths) + Deviation(0.3));
        foreach (RouterContact exit in nodes.Exits) Assert.InRange(counts[exit.Id], (0.5 * Paths) - Deviation(0.5), (0.5 * Paths) + Deviation(0.5));
    }

    [Fact]
    public void What_cannot_be_chosen_is_refused_in_words()
    {
        NodeDirectory nodes = Network(relays: 2, exits: 1);
        Assert.False(PathSelector.TrySelect(new PathWish(), nodes, _entropy, out RouterContact[]? path, out string? reason));
        Assert.Null(path);
        Assert.Contains("4 hops asked for, but only 3 fit together", reason);
        Assert.False(PathSelector.TrySelect(new PathWish(), NodeDirectory.Empty, _entropy, out _, out reason));
        Assert.Equal("the directory knows no exit", reason);
        Assert.False(PathSelector.TrySelect(new PathWish { Hops = 2, Excluded = new HashSet<RouterId> { nodes.Exits[0].Id } }, nodes, _entropy, out _, out reason));
        Assert.Equal("all 1 exits of the directory are excluded", reason);
        Assert.False(PathSelector.TrySelect(new PathWish { Hops = 2, Last = nodes.Exits[0].Id, Excluded = new HashSet<RouterId> { nodes.Exits[0].Id } }, nodes, _entropy, out _, out reason));
        Assert.Equal("the last hop asked for is excluded", reason);
        using RouterIdentity stranger = RouterIdentity.Create(_entropy);
        Assert.False(PathSelector.TrySelect(new PathWish { Last = stranger.Id }, nodes, _entropy, out _, out reason));
        Assert.Equal("the last hop asked for is not in the directory", reason);
        Assert.Throws<ArgumentException>(() => PathSelector.TrySelect(new PathWish { Hops = 9 }, nodes, _entropy, out _, out _));
    }

    private void Add(int number, RouterCapabilities capabilities, string operatorLabel = "", UdpAddress[]? addresses = null)
        => _routers.Add(DirectoryMaker.MakeRouter(_entropy, number, capabilities, operatorLabel, addresses));

    private NodeDirectory Network(int relays, int exits)
    {
        for (int i = 0; i < relays; i++) Add(1 + i, RouterCapabilities.Relay);
        for (int i = 0; i < exits; i++) Add(100 + i, RouterCapabilities.Exit);
        return DirectoryMaker.Directory(_entropy, _routers);
    }
}
