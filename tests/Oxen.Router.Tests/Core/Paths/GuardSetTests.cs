using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Tests.Core.Directory;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

public sealed class GuardSetTests : IDisposable
{
    private const long Now = DirectoryMaker.Now;
    private const long Day = DirectoryMaker.Day;

    private readonly SeededEntropy _entropy = new(960);
    private readonly List<TestRouter> _routers = [];

    private sealed class Memory : IGuardStore
    {
        public IReadOnlyList<GuardRecord> Kept { get; private set; } = [];

        public int Saves { get; private set; }

        public IReadOnlyList<GuardRecord> Load() => Kept;

        public void Save(IReadOnlyList<GuardRecord> guards)
        {
            Kept = guards;
            Saves++;
        }
    }

    public void Dispose()
    {
        foreach (TestRouter router in _routers) router.Dispose();
    }

    [Fact]
    public void A_restart_keeps_the_guards_and_their_order()
    {
        NodeDirectory nodes = Network(30);
        var store = new Memory();
        var first = new GuardSet(new GuardOptions(), store, _entropy);
        first.Refresh(nodes, PathRules.None, Now);
        Assert.Equal(8, first.Records.Count);
        RouterId used = first.Records[5].Id;
        first.OnBuilt(used, Now + 10, Instant.Zero);
        Assert.Equal(used, first.Records[0].Id);
        var second = new GuardSet(new GuardOptions(), store, new SeededEntropy(1));
        second.Refresh(nodes, PathRules.None, Now + 100);
        Assert.Equal(first.Records, second.Records);
        int saves = store.Saves;
        for (int i = 0; i < 100; i++) second.Refresh(nodes, PathRules.None, Now + 200 + (i * 70));
        Assert.Equal(saves, store.Saves);
    }

    [Fact]
    public void Every_path_begins_at_one_of_two_and_paths_beside_each_other_at_different_ones()
    {
        GuardSet guards = Fresh(Network(30));
        RouterId[] firsts = [.. Enumerable.Range(0, 200).Select(_ => guards.Choose(new HashSet<RouterId>(), Instant.Zero)[0])];
        Assert.Equal(2, firsts.Distinct().Count());
        Assert.InRange(firsts.Count(f => f == firsts[0]), 65, 135); // binomial(200, 1/2), five standard deviations
        for (int i = 0; i < 50; i++)
        {
            RouterId other = guards.Choose(new HashSet<RouterId> { firsts[0] }, Instant.Zero)[0];
            Assert.NotEqual(firsts[0], other);
            Assert.Contains(other, firsts);
        }

        // Both busy: one of the two all the same, never a third.
        for (int i = 0; i < 50; i++) Assert.Contains(guards.Choose(firsts.ToHashSet(), Instant.Zero)[0], firsts);
    }

    [Fact]
    public void Guards_are_of_different_operators_and_networks_while_there_are_enough()
    {
        for (int i = 0; i < 20; i++) Add(1 + i, operatorLabel: "one-hand");
        for (int i = 0; i < 10; i++) Add(100 + i);
        NodeDirectory nodes = DirectoryMaker.Directory(_entropy, _routers);
        for (int i = 0; i < 20; i++)
        {
            GuardSet guards = Fresh(nodes);
            Assert.InRange(guards.Records.Count(g => nodes.TryGet(g.Id, out RouterContact? c) && c.Operator == "one-hand"), 0, 1);
        }
    }

    [Fact]
    public void A_dead_guard_is_replaced_for_the_time_by_the_next_and_comes_back()
    {
        GuardSet guards = Fresh(Network(30));
        RouterId[] order = [.. guards.Records.Select(r => r.Id)];
        Instant now = Instant.Zero;
        guards.OnUnreachable(order[0], now);
        HashSet<RouterId> used = Used(now);
        Assert.Equal(order[1..3].ToHashSet(), used);
        now += TimeSpan.FromSeconds(31);
        Assert.Equal(order[..2].ToHashSet(), Used(now));

        // Again and again: each time longer, at most half an hour.
        for (int i = 0; i < 20; i++) guards.OnUnreachable(order[0], now += TimeSpan.FromSeconds(2));
        guards.OnUnreachable(order[0], now); // the same death, told once more
        Assert.DoesNotContain(order[0], Used(now + TimeSpan.FromMinutes(29)));
        Assert.Contains(order[0], Used(now + TimeSpan.FromMinutes(31)));

        HashSet<RouterId> Used(Instant at) => [.. Enumerable.Range(0, 40).Select(_ => guards.Choose(new HashSet<RouterId>(), at)[0])];
    }

    [Fact]
    public void When_nobody_answers_no_new_guard_is_drawn_and_the_client_says_so()
    {
        GuardSet guards = Fresh(Network(30));
        RouterId[] order = [.. guards.Records.Select(r => r.Id)];
        foreach (RouterId id in order) guards.OnUnreachable(id, Instant.Zero);
        Assert.Equal(order.ToHashSet(), guards.Choose(new HashSet<RouterId>(), Instant.Zero).ToHashSet());
        Assert.Contains("none of this client's 8 guards", guards.Trouble(Instant.Zero), StringComparison.Ordinal);
        Assert.Contains("check this machine's connection", guards.Trouble(Instant.Zero), StringComparison.Ordinal);
        Assert.Equal(order, guards.Records.Select(r => r.Id));

        // One answers: the primaries are tried again soon.
        guards.OnBuilt(order[4], Now, Instant.Zero);
        Assert.Equal("", guards.Trouble(Instant.Zero));
    }

    [Fact]
    public void A_guard_that_drops_paths_is_used_last_but_never_gets_the_client_to_leave_its_guards()
    {
        GuardSet guards = Fresh(Network(30));
        RouterId[] order = [.. guards.Records.Select(r => r.Id)];
        for (int i = 0; i < 40; i++)
        {
            if (i % 4 == 0) guards.OnBuilt(order[0], Now, Instant.Zero);
            else guards.OnFailed(order[0], own: false, Instant.Zero);
        }

        Assert.Contains("more than half of the paths", guards.Trouble(Instant.Zero), StringComparison.Ordinal);
        Assert.DoesNotContain(order[0], Enumerable.Range(0, 40).Select(_ => guards.Choose(new HashSet<RouterId>(), Instant.Zero)[0]));
        Assert.Equal(order.ToHashSet(), guards.Records.Select(r => r.Id).ToHashSet());
    }

    [Fact]
    public void A_rule_sets_a_guard_aside_and_does_not_forget_it()
    {
        NodeDirectory nodes = Network(30);
        var store = new Memory();
        var guards = new GuardSet(new GuardOptions(), store, _entropy);
        guards.Refresh(nodes, PathRules.None, Now);
        RouterId first = guards.Records[0].Id;
        var strict = new GuardSet(new GuardOptions(), store, _entropy);
        strict.Refresh(nodes, new PathRules { ExcludedRouters = new HashSet<RouterId> { first } }, Now + 100);
        Assert.DoesNotContain(first, strict.Choose(new HashSet<RouterId>(), Instant.Zero));
        Assert.Contains(strict.Records, r => r.Id == first);
        var nothing = new GuardSet(new GuardOptions(), store, _entropy);
        nothing.Refresh(nodes, new PathRules { Regions = new HashSet<string> { "mars" } }, Now + 200);
        Assert.Empty(nothing.Choose(new HashSet<RouterId>(), Instant.Zero));
        Assert.Contains("allowed by your rules", nothing.Trouble(Instant.Zero), StringComparison.Ordinal);
    }

    [Fact]
    public void A_guard_that_left_the_network_is_replaced_after_twenty_days_and_not_before()
    {
        NodeDirectory nodes = Network(30);
        GuardSet guards = Fresh(nodes);
        RouterId gone = guards.Records[0].Id;
        RelayRoster less = new(nodes.All.Where(c => c.Id != gone).Select(c => new RosterEntry(c.Id, "")));
        nodes.Show(less, nodes.All.Where(c => c.Id != gone).ToArray(), static _ => true);
        guards.Refresh(nodes, PathRules.None, Now + Day);
        Assert.Contains(guards.Records, r => r.Id == gone);
        Assert.DoesNotContain(gone, guards.Choose(new HashSet<RouterId>(), Instant.Zero));
        guards.Refresh(nodes, PathRules.None, Now + (20 * Day));
        Assert.Contains(guards.Records, r => r.Id == gone);
        guards.Refresh(nodes, PathRules.None, Now + (22 * Day));
        Assert.DoesNotContain(guards.Records, r => r.Id == gone);
        Assert.Equal(8, guards.Records.Count);
    }

    [Fact]
    public void In_a_month_of_churn_few_relays_ever_see_a_client()
    {
        // 200 clients, relays of which each is down a tenth of the hours: how many first hops did a client use in 30 days?
        NodeDirectory nodes = Network(60);
        var used = new List<int>();
        var down = new SeededEntropy(961);
        for (int client = 0; client < 200; client++)
        {
            GuardSet guards = Fresh(nodes);
            HashSet<RouterId> seen = [];
            for (int hour = 0; hour < 30 * 24; hour += 2)
            {
                Instant now = Instant.Zero + TimeSpan.FromHours(hour);
                guards.Refresh(nodes, PathRules.None, Now + (hour * 3600L));
                for (int attempt = 0; attempt < 4; attempt++)
                {
                    RouterId first = guards.Choose(new HashSet<RouterId>(), now)[0];
                    seen.Add(first);
                    if (down.NextDouble() < 0.1)
                    {
                        guards.OnUnreachable(first, now);
                        continue;
                    }

                    guards.OnBuilt(first, Now + (hour * 3600L), now);
                    break;
                }
            }

            used.Add(seen.Count);
        }

        // Without guards it would be all 60. The sample bounds it at 8; in the mean it stays near the primaries.
        Assert.True(used.Max() <= 8, $"{used.Max()} first hops");
        Assert.InRange(used.Average(), 2, 7);
    }

    [Fact]
    public void Guards_are_drawn_alike_from_all_relays()
    {
        NodeDirectory nodes = Network(40);
        var counts = nodes.Relays.ToDictionary(r => r.Id, _ => 0);
        const int Draws = 1000;
        for (int i = 0; i < Draws; i++) foreach (GuardRecord guard in Fresh(nodes).Records) counts[guard.Id]++;

        // Chi-square over 40 cells; the draws of one set exclude each other, which makes it smaller. 39 + 5 * sqrt(2 * 39).
        double expected = Draws * 8 / 40.0;
        double chi = counts.Values.Sum(c => (c - expected) * (c - expected) / expected);
        Assert.InRange(chi, 5, 39 + (5 * Math.Sqrt(78)));
    }

    [Fact]
    public void The_second_layer_lives_for_days_and_no_known_time()
    {
        GuardSet guards = new(GuardOptions.SecondLayer, null, _entropy);
        NodeDirectory nodes = Network(60);
        guards.Refresh(nodes, PathRules.None, Now);
        Assert.Equal(6, guards.Records.Count);
        Assert.All(guards.Records, r => Assert.InRange(r.Ends - r.Sampled, Day, 12 * Day));
        var lives = new List<double>();
        for (int i = 0; i < 200; i++)
        {
            var one = new GuardSet(GuardOptions.SecondLayer, null, _entropy);
            one.Refresh(nodes, PathRules.None, Now);
            lives.AddRange(one.Records.Select(r => (r.Ends - r.Sampled) / (double)Day));
        }

        // The later of two uniform times of 1 to 12 days has the mean 1 + 11 * 2/3.
        Assert.InRange(lives.Average(), 8.0, 8.7);
    }

    private GuardSet Fresh(NodeDirectory nodes)
    {
        var guards = new GuardSet(new GuardOptions(), null, _entropy);
        guards.Refresh(nodes, PathRules.None, Now);
        return guards;
    }

    private void Add(int number, string operatorLabel = "") => _routers.Add(DirectoryMaker.MakeRouter(_entropy, number, RouterCapabilities.Relay, operatorLabel));

    private NodeDirectory Network(int relays)
    {
        for (int i = 0; i < relays; i++) Add(1 + i);
        return DirectoryMaker.Directory(_entropy, _routers);
    }
}
