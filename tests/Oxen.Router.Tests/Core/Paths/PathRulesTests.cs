using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Tests.Core.Directory;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

public sealed class PathRulesTests : IDisposable
{
    private readonly SeededEntropy _entropy = new(970);
    private readonly List<TestRouter> _routers = [];

    public void Dispose()
    {
        foreach (TestRouter router in _routers) router.Dispose();
    }

    [Fact]
    public void What_is_excluded_is_on_no_path()
    {
        NodeDirectory nodes = Network(10, 2);
        RouterId one = nodes.Relays[0].Id;
        Assert.True(IpPrefix.TryParse("127.3.0.0/16", out IpPrefix network));
        var rules = new PathRules { ExcludedRouters = new HashSet<RouterId> { one }, ExcludedNetworks = [network] };
        for (int i = 0; i < 300; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish { Rules = rules }, nodes, _entropy, out RouterContact[]? path, out _));
            Assert.DoesNotContain(path, h => h.Id == one || h.Addresses[0].ToString().StartsWith("127.3.", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void A_rule_that_leaves_nothing_is_named_with_what_to_do_and_nothing_is_bent()
    {
        NodeDirectory nodes = Network(10, 2);
        Assert.True(IpPrefix.TryParse("127.100.0.0/15", out IpPrefix exits));
        Assert.False(PathSelector.TrySelect(new PathWish { Rules = new PathRules { ExcludedNetworks = [exits] } }, nodes, _entropy, out _, out string? reason));
        Assert.Contains("of the 2 exits that are known, your rules in [client] leave out 2 (`exclude` 2): loosen it", reason, StringComparison.Ordinal);
        Assert.False(PathSelector.TrySelect(new PathWish { Rules = new PathRules { Regions = new HashSet<string> { "mars" } } }, nodes, _entropy, out _, out reason));
        Assert.Contains("`regions` 2", reason, StringComparison.Ordinal);
        Assert.False(PathSelector.TrySelect(new PathWish { Last = nodes.Exits[0].Id, Rules = new PathRules { Regions = new HashSet<string> { "mars" } } }, nodes, _entropy, out _, out reason));
        Assert.Contains("breaks your rule `regions`", reason, StringComparison.Ordinal);
        Assert.False(PathSelector.TrySelect(new PathWish { Guards = [_routers[0].Identity.Id], Last = nodes.Exits[0].Id, Rules = new PathRules { ExcludedRouters = new HashSet<RouterId> { _routers[0].Identity.Id } } }, nodes, _entropy, out _, out reason));
        Assert.Contains("guards", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guard_beside_the_exit_is_passed_over_and_when_all_are_it_is_said()
    {
        Add(1, RouterCapabilities.Relay, "exit-op");
        Add(2, RouterCapabilities.Relay);
        for (int i = 3; i < 10; i++) Add(i, RouterCapabilities.Relay);
        Add(100, RouterCapabilities.Exit, "exit-op");
        NodeDirectory nodes = DirectoryMaker.Directory(_entropy, _routers);
        RouterId bad = _routers[0].Identity.Id, good = _routers[1].Identity.Id;
        for (int i = 0; i < 50; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish { Guards = [bad, good] }, nodes, _entropy, out RouterContact[]? path, out _));
            Assert.Equal(good, path[0].Id);
        }

        Assert.False(PathSelector.TrySelect(new PathWish { Guards = [bad] }, nodes, _entropy, out _, out string? reason));
        Assert.Contains("none of this client's 1 guards may share a path with an exit", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void The_second_hop_is_of_the_second_layer_when_there_is_one()
    {
        NodeDirectory nodes = Network(12, 2);
        RouterId[] seconds = [nodes.Relays[4].Id, nodes.Relays[5].Id];
        HashSet<RouterId> seen = [];
        for (int i = 0; i < 100; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish { Guards = [nodes.Relays[0].Id], Seconds = seconds }, nodes, _entropy, out RouterContact[]? path, out _));
            seen.Add(path[1].Id);
        }

        Assert.Equal(seconds.ToHashSet(), seen);
    }

    [Fact]
    public void Countries_and_systems_come_from_the_operators_table_and_the_longest_prefix_counts()
    {
        var table = new NetworkTable();
        foreach (string line in new[] { "# comment", "", "127.1.0.0/16,AS64500,DE", "127.2.0.0/16,64500,fr", "127.0.0.0/8,64999,nl", "2001:db8::/32,64501,", "127.5.0.1,,us" }) Assert.True(table.TryAdd(line), line);
        foreach (string line in new[] { "127.1.0.0/8,1,de", "x,1,de", "127.1.0.0/16,1", "127.1.0.0/16,x,de", "127.1.0.0/16,1,deu", "127.1.0.0/33,1,de", "::ffff:1.2.3.4/128,1,de" }) Assert.False(table.TryAdd(line), line);
        Assert.Equal(new NetworkPlace(64500, "de"), table.Find(UdpAddress.FromBytes([127, 1, 2, 3], 1)));
        Assert.Equal(new NetworkPlace(64999, "nl"), table.Find(UdpAddress.FromBytes([127, 9, 2, 3], 1)));
        Assert.Equal(new NetworkPlace(0, "us"), table.Find(UdpAddress.FromBytes([127, 5, 0, 1], 1)));
        Assert.Equal(new NetworkPlace(0, ""), table.Find(UdpAddress.FromBytes([9, 9, 9, 9], 1)));
        Assert.Equal(64501u, table.Find(UdpAddress.FromBytes([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 1)).System);

        NodeDirectory nodes = Network(9, 1);
        var rules = new PathRules { Networks = table, ExcludedCountries = new HashSet<string> { "us" } };
        RouterContact a = _routers[0].Contact, b = _routers[1].Contact;
        Assert.True(PathSelector.MayShareAPath(a, b));
        Assert.False(rules.MayShareAPath(a, b, nodes)); // one autonomous system
        Assert.Equal("exclude_countries", rules.BrokenBy(_routers[4].Contact));
        Assert.Null(rules.BrokenBy(a));
        using TestRouter unknown = DirectoryMaker.MakeRouter(_entropy, 1, addresses: [UdpAddress.FromBytes([9, 9, 9, 9], 1)]);
        Assert.Equal("exclude_countries", rules.BrokenBy(unknown.Contact)); // who wants to be sure gets what he asked for
    }

    [Fact]
    public void The_registrys_operator_counts_where_the_routers_say_nothing()
    {
        NodeDirectory nodes = Network(6, 1);
        nodes.Show(new RelayRoster(nodes.All.Select((c, i) => new RosterEntry(c.Id, i < 4 ? "one-hand" : ""))), nodes.All.ToArray(), static _ => true);
        RouterContact[] theirs = [.. nodes.All.Where(c => nodes.OperatorOf(c) == "one-hand")];
        Assert.Equal(4, theirs.Length);
        Assert.False(PathRules.None.MayShareAPath(theirs[0], theirs[1], nodes));
        for (int i = 0; i < 100; i++)
        {
            if (!PathSelector.TrySelect(new PathWish { Hops = 3 }, nodes, _entropy, out RouterContact[]? path, out _)) continue;
            Assert.InRange(path.Count(theirs.Contains), 0, 1);
        }
    }

    [Fact]
    public void Weights_stay_within_their_bounds_and_choices_follow_them()
    {
        NodeDirectory nodes = Network(10, 1);
        var measures = new RelayMeasures();
        RouterId poor = nodes.Relays[0].Id, fine = nodes.Relays[1].Id;
        for (int i = 0; i < 500; i++) measures.OnFailed(poor);
        Assert.Equal(0.25, measures.WeightOf(poor, quick: false));
        Assert.Equal(1, measures.WeightOf(fine, quick: true));
        RouterContact quickOne = nodes.Relays[2], slow = nodes.Relays[3];
        for (int i = 0; i < 50; i++)
        {
            measures.OnBuilt([quickOne], TimeSpan.FromMilliseconds(10));
            measures.OnBuilt([quickOne], TimeSpan.FromMilliseconds(10));
            measures.OnBuilt([slow], TimeSpan.FromSeconds(5));
        }

        Assert.Equal(2, measures.WeightOf(quickOne.Id, quick: true));
        Assert.InRange(measures.WeightOf(slow.Id, quick: true), 0.5, 0.6);
        Assert.Equal(1, measures.WeightOf(slow.Id, quick: false));

        // 3000 two-hop paths: the first hop is one of ten, by weight.
        var rules = new PathRules { PrefersQuick = true };
        double sum = nodes.Relays.Sum(r => measures.WeightOf(r.Id, quick: true));
        var counts = nodes.Relays.ToDictionary(r => r.Id, _ => 0);
        const int Paths = 3000;
        for (int i = 0; i < Paths; i++)
        {
            Assert.True(PathSelector.TrySelect(new PathWish { Hops = 2, Measures = measures, Rules = rules }, nodes, _entropy, out RouterContact[]? path, out _));
            counts[path[0].Id]++;
        }

        double chi = counts.Sum(c => Math.Pow(c.Value - (Paths * measures.WeightOf(c.Key, quick: true) / sum), 2) / (Paths * measures.WeightOf(c.Key, quick: true) / sum));
        Assert.InRange(chi, 0, 9 + (5 * Math.Sqrt(18)));
    }

    [Theory]
    [InlineData("192.0.2.0/24", true)]
    [InlineData("192.0.2.1", true)]
    [InlineData("2001:db8::/32", true)]
    [InlineData("0.0.0.0/0", true)]
    [InlineData("192.0.2.1/24", false)]
    [InlineData("192.0.2.0/33", false)]
    [InlineData("192.0.2.0/-1", false)]
    [InlineData("fe80::1%1", false)]
    [InlineData("nonsense", false)]
    public void A_network_is_a_prefix_without_loose_bits(string text, bool good) => Assert.Equal(good, IpPrefix.TryParse(text, out _));

    private void Add(int number, RouterCapabilities capabilities, string operatorLabel = "") => _routers.Add(DirectoryMaker.MakeRouter(_entropy, number, capabilities, operatorLabel));

    private NodeDirectory Network(int relays, int exits)
    {
        for (int i = 0; i < relays; i++) Add(1 + i, RouterCapabilities.Relay);
        for (int i = 0; i < exits; i++) Add(100 + i, RouterCapabilities.Exit);
        return DirectoryMaker.Directory(_entropy, _routers);
    }
}
