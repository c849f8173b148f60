using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Relay;

/// <summary>A client, relays and a terminal in memory: what arrives, and what does not.</summary>
public sealed class ShardDeliveryTests
{
    [Theory]
    [InlineData(1, 4, false)]
    [InlineData(2, 4, false)]
    [InlineData(3, 4, false)]
    [InlineData(1, 4, true)]
    [InlineData(1, 1, false)]
    [InlineData(1, 2, false)]
    [InlineData(1, 8, true)]
    public void Content_crosses_the_path_both_ways(int suite, int hops, bool reduced)
    {
        using var net = new ShardNetwork(7, suite: (LinkSuite)suite);
        SizeClass size = reduced ? SizeClass.Reduced : SizeClass.Full;
        TestPath path = net.LayPath(hops, size);
        byte[] full = new byte[SealedDatagram.ContentBytes(size)];
        net.Entropy.FillPublic(full);
        for (int i = 0; i < 40; i++)
        {
            net.SendUp(path, full.AsSpan(0, full.Length - i));
            net.SendDown(path, full.AsSpan(i));
        }

        net.Pump();
        List<(PacketTag Tag, byte[] Content)> up = ShardNetwork.Deliveries(path.TerminalCore);
        List<(PacketTag Tag, byte[] Content)> down = ShardNetwork.Deliveries(path.ClientCore);
        Assert.Equal(40, up.Count);
        Assert.Equal(40, down.Count);
        for (int i = 0; i < 40; i++)
        {
            Assert.Equal(full.Length, up[i].Content.Length);
            Assert.True(up[i].Content.AsSpan(0, full.Length - i).SequenceEqual(full.AsSpan(0, full.Length - i)));
            Assert.False(up[i].Content.AsSpan(full.Length - i).ContainsAnyExcept((byte)0), "the rest is zero padding");
            Assert.True(down[i].Content.AsSpan(0, full.Length - i).SequenceEqual(full.AsSpan(i)));
            Assert.Equal(path.Numbers[^1], new PathNumber(up[i].Tag.Subject, up[i].Tag.Generation));
            Assert.Equal(path.Numbers[0], new PathNumber(down[i].Tag.Subject, down[i].Tag.Generation));
            Assert.Equal(hops - 1, down[i].Tag.Hop);
            Assert.Equal(16, up[i].Tag.Command);
        }

        Assert.Equal(0, net.Nodes.Sum(n => n.AllDrops));
    }

    [Fact]
    public void Every_hop_answers_probes_and_statistics_once()
    {
        using var net = new ShardNetwork(8);
        TestPath path = net.LayPath();
        net.SendUp(path, [1, 2, 3]);
        for (int hop = 0; hop < 4; hop++)
        {
            net.Ask(path, OnionCommand.Probe, (ulong)(0x1000 + hop), hop);
            net.Ask(path, OnionCommand.Statistics, (ulong)(0x2000 + hop), hop);
        }

        net.Pump();
        List<(PacketTag Tag, byte[] Content)> answers = ShardNetwork.Deliveries(path.ClientCore);
        Assert.Equal(8, answers.Count);
        for (byte hop = 0; hop < 4; hop++)
        {
            Assert.Contains(answers, a => a.Tag.Hop == hop && a.Tag.Command == OnionCommand.Answer && a.Content.Length == 8 && a.Content[7] == hop && a.Content[6] == 0x10);
            Assert.Contains(answers, a => a.Tag.Hop == hop && a.Tag.Command == OnionCommand.StatisticsAnswer && a.Content.Length == 24 && a.Content[15] >= 1);
        }

        Assert.Single(ShardNetwork.Deliveries(path.TerminalCore));
        Assert.Equal(0, net.Nodes.Sum(n => n.AllDrops));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_teardown_is_an_event_at_the_hop_that_it_names_only(int hop)
    {
        using var net = new ShardNetwork(9);
        TestPath path = net.LayPath();
        net.Ask(path, OnionCommand.Teardown, 5, hop);
        net.Pump();
        for (int i = 0; i < 4; i++)
        {
            List<ShardEvent> events = ShardNetwork.Events(path.CoreOf(i));
            if (i != hop)
            {
                Assert.Empty(events);
                continue;
            }

            Assert.Equal(ShardEventKind.TeardownReceived, Assert.Single(events).Kind);
            Assert.Equal(path.Numbers[i + 1], events[0].Path);
        }
    }

    [Fact]
    public void A_teardown_said_often_is_one_event_and_nothing_passes_after_it()
    {
        using var net = new ShardNetwork(11);
        TestPath path = net.LayPath();
        for (ulong i = 0; i < 20; i++) net.Ask(path, OnionCommand.Teardown, i, 2);
        net.Pump();
        Assert.Equal(ShardEventKind.TeardownReceived, Assert.Single(ShardNetwork.Events(path.CoreOf(2))).Kind);
        net.SendUp(path, [1]);
        net.Pump();
        Assert.Empty(ShardNetwork.Deliveries(path.TerminalCore));
    }

    [Fact]
    public void A_removed_path_is_unknown_and_its_keys_are_gone()
    {
        using var net = new ShardNetwork(10);
        TestPath path = net.LayPath();
        net.SendUp(path, [1]);
        net.Pump();
        ShardCore relay = path.CoreOf(1);
        int row = path.Numbers[2].Row;
        Assert.False(relay.Tables.Keys.IsWiped(row));
        relay.Post(new RemovePath(path.Numbers[2]));
        net.SendUp(path, [2]);
        net.Pump();
        Assert.True(relay.Tables.Keys.IsWiped(row));
        Assert.Equal(1, relay.Drops[DropReason.UnknownPath]);
        Assert.Single(ShardNetwork.Deliveries(path.TerminalCore));

        // The client's own keys as well, those of all hops.
        path.ClientCore.Post(new RemovePath(path.Numbers[0]));
        net.HandleCommands();
        for (int i = 0; i < path.ClientCore.Tables.Keys.Rows; i++) Assert.True(path.ClientCore.Tables.Keys.IsWiped(i));
    }

    [Fact]
    public void A_path_that_is_retired_sends_what_was_written_for_it_and_only_then_ends_and_tells()
    {
        using var net = new ShardNetwork(12);
        TestPath path = net.LayPath();
        ShardCore client = path.ClientCore;

        // The command is there before any of them is looked at.
        int before = client.Originations.Slots - 1;
        for (int i = 0; i < before; i++) Assert.True(ShardNetwork.Originate(client, path.Numbers[0], EndCommand.Records, [(byte)i, (byte)(i >> 8)]), $"{i} fit");
        client.Post(new RetirePath(path.Numbers[0]));
        Assert.True(ShardNetwork.Originate(client, path.Numbers[0], EndCommand.Records, [1])); // behind it: may come too late
        client.HandleCommands(net.Now);
        Assert.True(client.Events.IsEmpty, "nothing has left yet");
        Assert.True(client.HasPendingWork);
        int told = 0, left = 0;
        while (client.HasPendingWork)
        {
            client.HandleOriginations(net.Now);
            left += client.Transmits.Count;
            Assert.True(client.Events.IsEmpty, "not while a datagram waits for the socket");
            client.TransmitsSent();
            while (client.Events.TryTake(out ShardEvent happened))
            {
                Assert.Equal((ShardEventKind.PathRetired, path.Numbers[0]), (happened.Kind, happened.Path));
                told++;
            }
        }

        Assert.Equal(1, told);
        Assert.InRange(left, before, before + 1);
        for (int i = 0; i < client.Tables.Keys.Rows; i++) Assert.True(client.Tables.Keys.IsWiped(i));

        // One that is not there any more is told of all the same: whoever asked waits for it.
        client.Post(new RetirePath(path.Numbers[0]));
        client.HandleCommands(net.Now);
        client.TransmitsSent();
        Assert.True(client.Events.TryTake(out ShardEvent again) && again.Kind == ShardEventKind.PathRetired);
        Assert.False(client.HasPendingWork);
    }

    [Fact]
    public void Data_for_a_relay_and_commands_it_does_not_know_are_bad_commands()
    {
        using var net = new ShardNetwork(11);
        TestPath path = net.LayPath();
        net.SendUp(path, [1], command: 16, hop: 1);
        net.SendUp(path, [1], command: 15, hop: 1);
        net.SendUp(path, [1], command: 0, hop: 3);
        net.SendUp(path, [1], command: OnionCommand.Answer, hop: 3);
        net.Pump();
        Assert.Equal(2, path.CoreOf(1).Drops[DropReason.BadCommand]);
        Assert.Equal(2, path.CoreOf(3).Drops[DropReason.BadCommand]);
        Assert.Empty(ShardNetwork.Deliveries(path.TerminalCore));
    }

    [Fact]
    public void An_answer_that_nobody_asked_for_is_dropped()
    {
        using var net = new ShardNetwork(12);
        TestPath path = net.LayPath();
        net.SendDown(path, [0, 0, 0, 0, 0, 0, 0, 9], OnionCommand.Answer);
        net.Ask(path, OnionCommand.Probe, 10, 2);
        net.SendDown(path, [0, 0, 0, 0, 0, 0, 0, 10], OnionCommand.Answer); // another hop's answer
        net.Pump();
        Assert.Equal(2, path.ClientCore.Drops[DropReason.UnexpectedAnswer]);
        Assert.Single(ShardNetwork.Deliveries(path.ClientCore));
    }

    [Fact]
    public void Answers_of_one_path_are_limited()
    {
        using var net = new ShardNetwork(13);
        TestPath path = net.LayPath();
        for (int i = 0; i < 100; i++) net.Ask(path, OnionCommand.Probe, (ulong)i, 1);
        net.Pump();
        Assert.InRange(path.CoreOf(1).Drops[DropReason.AnswerLimit], 30, 40);
        net.Clock.Advance(TimeSpan.FromSeconds(1));
        ShardNetwork.Deliveries(path.ClientCore);
        net.Ask(path, OnionCommand.Probe, 1000, 1);
        net.Pump();
        Assert.Single(ShardNetwork.Deliveries(path.ClientCore));
    }

    [Fact]
    public void Shards_of_every_node_may_differ_along_the_path()
    {
        using var net = new ShardNetwork(14);
        ShardNode[] nodes = [net.AddNode(2), net.AddNode(3), net.AddNode(1), net.AddNode(2), net.AddNode(4)];
        TestPath a = net.LayPath(nodes, shards: [0, 2, 0, 1, 3]);
        TestPath b = net.LayPath(nodes, shards: [1, 1, 0, 0, 2]);
        for (int i = 0; i < 20; i++)
        {
            net.SendUp(a, [1, (byte)i]);
            net.SendUp(b, [2, (byte)i]);
            net.SendDown(a, [3, (byte)i]);
            net.SendDown(b, [4, (byte)i]);
        }

        net.Ask(a, OnionCommand.Probe, 1, 0);
        net.Pump();
        Assert.Equal(Enumerable.Range(0, 20), ShardNetwork.Deliveries(a.TerminalCore).Select(d => d.Content[0] == 1 ? d.Content[1] : -1));
        Assert.Equal(Enumerable.Range(0, 20), ShardNetwork.Deliveries(b.TerminalCore).Select(d => d.Content[0] == 2 ? d.Content[1] : -1));
        Assert.Equal(21, ShardNetwork.Deliveries(a.ClientCore).Count);
        Assert.Equal(20, ShardNetwork.Deliveries(b.ClientCore).Count);
        Assert.Equal(0, net.Nodes.Sum(n => n.AllDrops));
    }

    [Fact]
    public void Quic_goes_to_the_control_ring_and_strangers_are_counted()
    {
        using var net = new ShardNetwork(15);
        ShardNode a = net.AddNode();
        ShardNode b = net.AddNode();
        byte[] quic = new byte[1200];
        quic[0] = 0xC3;
        net.Inject(a, b, quic);
        net.Inject(a, b, [0x40, 1, 2]);
        net.Inject(a, b, [0x16, 3, 1]);
        net.Inject(a, b, new byte[1300]);
        net.Inject(a, b, [0x81, 3, 1]);
        byte[] odd = new byte[1425];
        odd[0] = 0x80;
        net.Inject(a, b, odd);
        net.Pump();
        Assert.True(b.Core.Control.TryTake(out PacketTag tag, out int offset));
        Assert.Equal(1200, tag.Length);
        Assert.Equal(a.Address, tag.From);
        Assert.Equal(0xC3, b.Core.Slab.Span[offset + PacketRing.Headroom]);
        Assert.True(b.Core.Control.TryTake(out tag, out _));
        Assert.False(b.Core.Control.TryTake(out tag, out _));
        Assert.Equal(2, b.Dropped(DropReason.UnknownKind));
        Assert.Equal(1, b.Dropped(DropReason.Runt));
        Assert.Equal(1, b.Dropped(DropReason.BadLength));
    }

    [Fact]
    public void Full_rings_drop_with_their_reason_and_recover()
    {
        using var net = new ShardNetwork(16);
        TestPath path = net.LayPath(2);
        for (int round = 0; round < 4; round++)
        {
            for (int i = 0; i < 128; i++) net.SendUp(path, [1]);
            net.Pump();
        }

        Assert.Equal(256, path.TerminalCore.Drops[DropReason.DeliveryQueueFull]);
        Assert.Equal(256, ShardNetwork.Deliveries(path.TerminalCore).Count);
        net.SendUp(path, [2]);
        net.Pump();
        Assert.Single(ShardNetwork.Deliveries(path.TerminalCore));
    }

    [Fact]
    public void What_cannot_be_originated_is_counted()
    {
        using var net = new ShardNetwork(17);
        TestPath path = net.LayPath(2);
        TestPath brief = net.LayPath([.. path.Nodes], lifetime: TimeSpan.FromSeconds(1));
        ShardCore client = path.ClientCore;
        ShardNetwork.Originate(client, new PathNumber(40, 1), 16, [1]);
        ShardNetwork.Originate(client, new PathNumber(path.Numbers[0].Row, 99), 16, [1]);
        ShardNetwork.Originate(path.CoreOf(0), path.Numbers[1], 16, [1]);
        ShardNetwork.Originate(client, path.Numbers[0], 16, new byte[1360]);
        net.Clock.Advance(TimeSpan.FromSeconds(2));
        net.SendUp(brief, [1]);
        net.Pump();
        Assert.Equal(2, client.Drops[DropReason.NoPath]);
        Assert.Equal(1, path.CoreOf(0).Drops[DropReason.NoPath]);
        Assert.Equal(1, client.Drops[DropReason.TooLarge]);
        Assert.Equal(1, client.Drops[DropReason.PathExpired]);
        client.Post(new RemoveLink(net.LinkOf(path.Nodes[0], path.Nodes[1])));
        net.SendUp(path, [1]);
        net.Pump();
        Assert.Equal(1, client.Drops[DropReason.NoEgressLink]);
    }
}
