using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Tests.Core.Paths;

public sealed class BuildBudgetTests
{
    private static readonly BuildBudgetOptions Options = new() { PerClientLink = 2, ClientBurst = 4, PerRelayLink = 50, RelayBurst = 20, PerPrefix = 3, PrefixBurst = 6, Whole = 100, WholeBurst = 30 };

    [Fact]
    public void A_client_gets_its_burst_and_then_its_rate()
    {
        var budget = new BuildBudget(Options);
        Link link = NewLink(1, LinkPeer.Client);
        Assert.Equal(4, Take(budget, link, 10, Instant.Zero));
        Assert.Equal(2, Take(budget, link, 10, Instant.FromMilliseconds(1000)));
        Assert.Equal(12, budget.Refused - 2);
    }

    [Fact]
    public void Clients_of_one_prefix_share_a_budget_and_relays_do_not()
    {
        // Links without a connection share the empty address.
        var budget = new BuildBudget(Options);
        Assert.Equal(4, Take(budget, NewLink(1, LinkPeer.Client), 10, Instant.Zero));
        Assert.Equal(2, Take(budget, NewLink(2, LinkPeer.Client), 10, Instant.Zero));
        Assert.Equal(0, Take(budget, NewLink(3, LinkPeer.Client), 10, Instant.Zero));
        Assert.Equal(20, Take(budget, NewLink(4, LinkPeer.Relay), 50, Instant.Zero));
    }

    [Fact]
    public void The_whole_router_has_a_budget_of_its_own()
    {
        var budget = new BuildBudget(Options);
        Assert.Equal(20, Take(budget, NewLink(1, LinkPeer.Relay), 50, Instant.Zero));
        Assert.Equal(10, Take(budget, NewLink(2, LinkPeer.Relay), 50, Instant.Zero));
    }

    [Fact]
    public void A_link_that_went_away_takes_its_row_with_it()
    {
        var budget = new BuildBudget(Options);
        Link link = NewLink(1, LinkPeer.Relay);
        Take(budget, link, 20, Instant.Zero);
        budget.Forget(link);
        Assert.Equal(10, Take(budget, link, 50, Instant.Zero));
    }

    private static Link NewLink(int number, LinkPeer peer) => new() { Number = number, Peer = peer, PeerKey = default(RouterId), Initiator = false };

    private static int Take(BuildBudget budget, Link link, int times, Instant now) => Enumerable.Range(0, times).Count(_ => budget.TryTake(link, now));
}

public sealed class BuildMessageTests
{
    [Fact]
    public void The_header_is_read_as_it_was_written()
    {
        byte[] message = new byte[BuildMessage.RequestBytes];
        BuildMessage.WriteHeader(message, 1, new PathHandle(0x01020304, 0x05060708));
        Assert.Equal([1, 1, 2, 3, 4, 5, 6, 7, 8, 0], message[..10]);
        Assert.True(BuildMessage.TryRead(message, out byte kind, out PathHandle handle));
        Assert.Equal(1, kind);
        Assert.Equal(new PathHandle(0x01020304, 0x05060708), handle);
    }

    [Fact]
    public void Only_one_length_is_a_build()
    {
        Assert.Equal(10_249, BuildMessage.RequestBytes);
        foreach (int length in new[] { 0, 1, 9, BuildMessage.RequestBytes - 1, BuildMessage.RequestBytes + 1 }) Assert.False(BuildMessage.TryRead(new byte[length], out _, out _));
    }
}
