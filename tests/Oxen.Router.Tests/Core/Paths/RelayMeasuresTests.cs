using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Tests.Core.Directory;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

/// <summary>Selection over time, with relays whose delay and rate only show in what paths through them measure.</summary>
public sealed class RelayMeasuresTests : IDisposable
{
    private const int Relays = 20;
    private const int Slow = 5;

    private readonly SeededEntropy _entropy = new(980);
    private readonly List<TestRouter> _routers = [];

    public void Dispose()
    {
        foreach (TestRouter router in _routers) router.Dispose();
    }

    [Fact]
    public void Slow_relays_are_chosen_less_when_the_user_prefers_quick_paths_and_alike_when_not()
    {
        NodeDirectory nodes = Network();
        Assert.InRange(ShareOfSlow(nodes, quick: true, delay: 0.150, rate: 0), 0.05, 0.7 * Slow / Relays);
        Assert.InRange(ShareOfSlow(nodes, quick: false, delay: 0.150, rate: 0), 0.85 * Slow / Relays, 1.15 * Slow / Relays);
    }

    [Fact]
    public void Relays_that_carry_little_or_lose_much_are_chosen_less_and_yet_sometimes()
    {
        NodeDirectory nodes = Network();
        Assert.InRange(ShareOfSlow(nodes, quick: false, delay: 0, rate: 300), 0.05, 0.8 * Slow / Relays);
        Assert.InRange(ShareOfSlow(nodes, quick: false, delay: 0, rate: 0, loss: 0.5), 0.05, 0.9 * Slow / Relays);
    }

    [Fact]
    public void What_relays_say_of_themselves_changes_no_choice()
    {
        // The same network twice, the second time with relays that praise themselves in every field that they may fill.
        RouterId[][] choices = new RouterId[2][];
        for (int run = 0; run < 2; run++)
        {
            var entropy = new SeededEntropy(981);
            var routers = new List<TestRouter>();
            for (int i = 0; i < Relays; i++)
            {
                TestRouter router = DirectoryMaker.MakeRouter(entropy, 1 + i, i < 3 ? RouterCapabilities.Exit : RouterCapabilities.Relay);
                if (run == 1)
                {
                    RouterContact c = router.Contact;
                    router = router with { Contact = RouterContact.Create(router.Identity, router.OnionKey, c.Capabilities, c.Addresses, "fast-10gbit", i == 4 ? "fastest" : "", DirectoryMaker.Now - 10, DirectoryMaker.Now + 40 * DirectoryMaker.Day) };
                }

                routers.Add(router);
            }

            NodeDirectory nodes = DirectoryMaker.Directory(new SeededEntropy(982), routers);
            var dice = new SeededEntropy(983);
            var measures = new RelayMeasures();
            var chosen = new List<RouterId>();
            for (int i = 0; i < 300; i++)
            {
                Assert.True(PathSelector.TrySelect(new PathWish { Measures = measures, Rules = new PathRules { PrefersQuick = true } }, nodes, dice, out RouterContact[]? path, out _));
                chosen.AddRange(path.Select(p => p.Id));
                measures.OnMeasured(path, [.. path.Select((_, hop) => TimeSpan.FromMilliseconds(20 * (hop + 1)))], 0, 30, 500);
            }

            choices[run] = [.. chosen];
            foreach (TestRouter router in routers) router.Dispose();
        }

        Assert.Equal(choices[0], choices[1]);
    }

    [Fact]
    public void No_relay_draws_more_than_a_bounded_share_however_good_it_looks_and_bad_the_others()
    {
        NodeDirectory nodes = Network();
        var measures = new RelayMeasures();
        RouterContact star = nodes.Relays[0];
        RouterContact[] others = [.. nodes.Relays.Skip(1)];
        for (int i = 0; i < 200; i++)
        {
            // The attacker's own paths are perfect; through all others everything fails.
            measures.OnMeasured([star, star], [TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1.1)], 0, 60, 1_000_000);
            foreach (RouterContact other in others)
            {
                measures.OnFailed(other.Id);
                measures.OnMeasured([other, other], [TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5)], 0.9, 60, 100);
            }
        }

        double sum = nodes.Relays.Sum(r => measures.WeightOf(r.Id, quick: true));
        double share = measures.WeightOf(star.Id, quick: true) / sum;
        Assert.InRange(share * Relays, 2, RelayMeasures.Most);
        foreach (RouterContact relay in nodes.Relays) Assert.InRange(measures.WeightOf(relay.Id, quick: true), 0.25, 2);

        // Against relays that nothing is known of, it is two.
        var fresh = new RelayMeasures();
        for (int i = 0; i < 200; i++) fresh.OnMeasured([star, star], [TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1.1)], 0, 60, 1_000_000);
        Assert.InRange(fresh.WeightOf(star.Id, quick: true), 0.5, 2);
    }

    /// <summary>Share of middle places that the slow fifth had in the second half of 1500 paths.</summary>
    private double ShareOfSlow(NodeDirectory nodes, bool quick, double delay, double rate, double loss = 0)
    {
        HashSet<RouterId> slow = [.. nodes.Relays.Take(Slow).Select(r => r.Id)];
        var measures = new RelayMeasures();
        var rules = new PathRules { PrefersQuick = quick };
        int places = 0, taken = 0;
        for (int i = 0; i < 1500; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish { Measures = measures, Rules = rules }, nodes, _entropy, out RouterContact[]? path, out _));
            if (i >= 750)
            {
                places += 3;
                taken += path[..^1].Count(p => slow.Contains(p.Id));
            }

            double at = 0;
            var rtt = new TimeSpan[path.Length];
            for (int hop = 0; hop < path.Length; hop++)
            {
                at += 0.01 + (0.02 * _entropy.NextDouble()) + (slow.Contains(path[hop].Id) ? delay : 0);
                rtt[hop] = TimeSpan.FromSeconds(at);
            }

            bool isSlow = path.Any(p => slow.Contains(p.Id));
            measures.OnMeasured(path, rtt, isSlow ? loss : 0, 40, rate == 0 ? 0 : isSlow ? rate : rate * 10);
        }

        return taken / (double)places;
    }

    private NodeDirectory Network()
    {
        for (int i = 0; i < Relays; i++) _routers.Add(DirectoryMaker.MakeRouter(_entropy, 1 + i, RouterCapabilities.Relay));
        for (int i = 0; i < 2; i++) _routers.Add(DirectoryMaker.MakeRouter(_entropy, 100 + i, RouterCapabilities.Exit));
        NodeDirectory nodes = DirectoryMaker.Directory(_entropy, _routers);
        _routers.ForEach(r => r.Dispose());
        _routers.Clear();
        return nodes;
    }
}
