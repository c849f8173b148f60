using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Router.Tests.Hosting;

public class ContactListNodesTests
{
    private static RouterContact Contact(int seed, RouterCapabilities capabilities = RouterCapabilities.Relay | RouterCapabilities.Storage)
    {
        byte[] bytes = new byte[32];
        bytes[0] = (byte)seed;
        bytes[1] = (byte)(seed >> 8);
        using var identity = new RouterIdentity(bytes);
        byte[] onionSeed = new byte[OnionKeyPair.SeedBytes];
        Array.Fill(onionSeed, (byte)seed);
        using var onion = new OnionKeyPair(onionSeed);
        return RouterContact.Create(identity, onion, capabilities, [UdpAddress.FromBytes([192, 0, 2, (byte)(1 + (seed % 250))], 1090)], "", "", 1_000_000, 2_000_000);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 1)]
    [InlineData(9, 1)]
    [InlineData(10, 2)]
    [InlineData(24, 4)]
    [InlineData(53, 10)]
    public void Swarms_have_at_least_five_members_and_sizes_differ_by_at_most_one(int nodes, int swarms)
    {
        NodeRegistry registry = ContactListNodes.Assign(Enumerable.Range(1, nodes).Select(i => Contact(i)));
        int[] sizes = [.. registry.Nodes.GroupBy(n => n.SwarmId).Select(g => g.Count())];
        Assert.Equal(swarms, sizes.Length);
        Assert.Equal(nodes, sizes.Sum());
        Assert.True(sizes.Max() - sizes.Min() <= 1);
    }

    [Fact]
    public void Only_who_keeps_messages_counts_and_the_order_of_the_list_does_not()
    {
        RouterContact[] list = [.. Enumerable.Range(1, 12).Select(i => Contact(i)), Contact(13, RouterCapabilities.Relay), Contact(14, RouterCapabilities.Exit)];
        NodeRegistry one = ContactListNodes.Assign(list), other = ContactListNodes.Assign(list.Reverse());
        Assert.Equal(12, one.Nodes.Count);
        Assert.All(one.Nodes, n => Assert.Equal(n.SwarmId, other.Find(n.RouterId.Span)!.SwarmId));
        Assert.Null(one.Find(list[12].Id.ToArray()));
    }

    [Fact]
    public void One_node_more_moves_at_most_one_node_at_each_cut()
    {
        NodeRegistry before = ContactListNodes.Assign(Enumerable.Range(1, 25).Select(i => Contact(i))), after = ContactListNodes.Assign(Enumerable.Range(1, 26).Select(i => Contact(i)));
        Assert.True(before.Nodes.Count(n => after.Find(n.RouterId.Span)!.SwarmId != n.SwarmId) <= 4);
    }

    [Fact]
    public void Another_list_is_told()
    {
        var source = new ContactListNodes([Contact(1)], generation: 7);
        Assert.Equal(7UL, source.Current.Generation);
        int told = 0;
        source.Changed += () => told++;
        source.Set([Contact(1), Contact(2)], generation: 8);
        Assert.Equal(8UL, source.Current.Generation);
        Assert.Equal(1, told);
        Assert.Equal(2, source.Current.Nodes.Count);
    }
}
