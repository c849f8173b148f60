using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Relay;

/// <summary>Path epochs and link epochs roll under traffic, in virtual time.</summary>
public sealed class ShardEpochTests
{
    [Theory]
    [InlineData(1, -1, 1, -1, 1)]
    [InlineData(-1, 1, -1, 1, -1)]
    [InlineData(-1, 1, 1, 1, 1)]
    [InlineData(1, -1, -1, -1, -1)]
    [InlineData(0, 0, 0, 0, 0)]
    public void One_second_of_skew_and_two_in_flight_lose_nothing_when_an_epoch_rolls(int client, int a, int b, int c, int exit)
    {
        using var net = new ShardNetwork(31) { Delay = TimeSpan.FromMilliseconds(500) };
        ShardNode[] nodes = [.. new[] { client, a, b, c, exit }.Select(s => net.AddNode(1, TimeSpan.FromSeconds(s)))];
        TestPath path = net.LayPath(nodes);
        int sent = 0, up = 0, down = 0, answers = 0;
        net.Run(TimeSpan.FromSeconds(170), TimeSpan.FromMilliseconds(250), () =>
        {
            net.SendUp(path, [1]);
            net.SendDown(path, [2]);
            net.Ask(path, OnionCommand.Probe, (ulong)sent, sent % 4);
            sent++;
            Collect();
        });
        net.Run(TimeSpan.FromSeconds(5), TimeSpan.FromMilliseconds(250), Collect);
        Collect();
        Assert.Equal(680, sent);
        Assert.Equal(sent, up);
        Assert.Equal(sent, down);
        Assert.Equal(sent, answers);
        Assert.Equal(0, net.Nodes.Sum(n => n.AllDrops));

        void Collect()
        {
            up += ShardNetwork.Deliveries(path.TerminalCore).Count;
            foreach ((PacketTag tag, _) in ShardNetwork.Deliveries(path.ClientCore))
            {
                if (tag.Command == 16) down++;
                else answers++;
            }
        }
    }

    [Fact]
    public void Old_keys_are_wiped_five_seconds_into_the_epoch_and_the_next_stand_ready_before_it_begins()
    {
        using var net = new ShardNetwork(32);
        TestPath path = net.LayPath();
        ShardCore relay = path.CoreOf(1);
        int row = path.Numbers[2].Row;
        net.Run(TimeSpan.FromSeconds(39), TimeSpan.FromMilliseconds(100)); // 59 s into the epoch
        uint epoch = path.StartEpoch;
        Assert.True(relay.Tables.Keys.Has(row, epoch));
        Assert.True(relay.Tables.Keys.Has(row, epoch + 1));
        net.Run(TimeSpan.FromSeconds(5), TimeSpan.FromMilliseconds(100)); // 4 s into the next
        Assert.True(relay.Tables.Keys.Has(row, epoch));
        net.Run(TimeSpan.FromSeconds(1.5), TimeSpan.FromMilliseconds(100));
        Assert.False(relay.Tables.Keys.Has(row, epoch));
        Assert.True(relay.Tables.Keys.Has(row, epoch + 1));
        Assert.True(relay.Tables.Keys.Has(row, epoch + 2));
        Assert.True(relay.NextDeadline > net.Now);
        Assert.False(relay.NextDeadline.IsNever);
    }

    [Fact]
    public void A_client_whose_clock_steps_back_stays_in_the_later_epoch_and_repeats_no_number()
    {
        using var net = new ShardNetwork(33);
        TestPath path = net.LayPath(1);
        var numbers = new HashSet<ulong>();
        var wire = new HashSet<(uint, byte, ulong)>();
        net.OnWire = d =>
        {
            if (d.From != path.Nodes[0]) return true;
            Assert.True(wire.Add((SealedDatagram.Index(d.Bytes), d.Bytes[0], SealedDatagram.Counter(d.Bytes))), "link nonce repeated");
            byte[] inner = net.Inner(d);
            uint epoch = path.StartEpoch;
            while ((epoch & 3) != inner[8] >> 6) epoch++;
            byte[] body = inner[16..];
            OnionLayer.Forward(body, KeysOf(path.ChainsUp[0], path.StartEpoch, epoch), LayerTweak.ForData(SizeClass.Full, PathDirection.Upstream, epoch));
            Assert.True(ShardTables.HasTenZeros(body));
            ulong head = BinaryPrimitives.ReadUInt64BigEndian(body);
            Assert.True(numbers.Add(head), "onion number repeated");
            return true;
        };
        for (int i = 0; i < 100; i++)
        {
            net.SendUp(path, [1]);
            net.Pump();
            net.Clock.Advance(TimeSpan.FromSeconds(1));
            if (i == 50) path.Nodes[0].Clock.Offset -= 30_000_000_000; // 30 s back, over the roll
        }

        Assert.Equal(100, numbers.Count);
        Assert.Equal(path.ClientCore.Tables.Hops.Path(path.Numbers[0].Row).NumberEpoch, path.StartEpoch + 1);
        Assert.Equal(100, ShardNetwork.Deliveries(path.TerminalCore).Count);
    }

    [Fact]
    public void A_clock_that_was_an_hour_ahead_spoils_no_path_that_is_built_after_it()
    {
        using var net = new ShardNetwork(35);
        TestPath before = net.LayPath(1);
        net.SendUp(before, [1]);
        net.Pump();
        before.Nodes[0].Clock.Offset += 3_600_000_000_000;
        net.SendUp(before, [1]);
        net.Pump();
        before.Nodes[0].Clock.Offset -= 3_600_000_000_000;
        ShardNetwork.Deliveries(before.TerminalCore);
        TestPath after = net.LayPath(before.Nodes);
        net.SendUp(after, [1]);
        net.Pump();
        Assert.Single(ShardNetwork.Deliveries(after.TerminalCore));
    }

    [Fact]
    public void Ten_minutes_of_link_epochs_lose_nothing()
    {
        using var net = new ShardNetwork(34);
        TestPath path = net.LayPath(2);
        int sent = 0, up = 0;
        var epochs = new HashSet<byte>();
        net.OnWire = d => epochs.Add(d.Bytes[0]) | true;
        net.Run(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(1), () =>
        {
            net.SendUp(path, [1]);
            sent++;
            up += ShardNetwork.Deliveries(path.TerminalCore).Count;
        });
        Assert.Equal(sent, up + ShardNetwork.Deliveries(path.TerminalCore).Count);
        Assert.Equal(5, epochs.Count);
        Assert.Equal(0, net.Nodes.Sum(n => n.AllDrops));
    }

    [Fact]
    public void Numbers_of_a_path_stop_at_their_limit_and_say_so_once()
    {
        using var net = new ShardNetwork(35);
        TestPath path = net.LayPath(1);
        net.SendUp(path, [1]);
        net.Pump();
        ref Oxen.Router.Core.Paths.PathRow row = ref path.ClientCore.Tables.Hops.Path(path.Numbers[0].Row);
        row.NextNumber = (1UL << 32) - 1;
        for (int i = 0; i < 4; i++) net.SendUp(path, [2]);
        net.Pump();
        Assert.Equal(2, ShardNetwork.Deliveries(path.TerminalCore).Count);
        Assert.Equal(3, path.ClientCore.Drops[DropReason.LinkKeyExhausted]);
        Assert.Equal(ShardEventKind.NumbersExhausted, Assert.Single(ShardNetwork.Events(path.ClientCore)).Kind);
    }

    private static byte[] KeysOf(byte[] first, uint start, uint epoch)
    {
        byte[] chain = [.. first], next = new byte[32], raw = new byte[LayerKeys.RawBytes], expanded = new byte[LayerKeys.ExpandedBytes];
        for (uint e = start; e < epoch; e++)
        {
            EpochChain.Next(chain, next);
            next.CopyTo(chain, 0);
        }

        EpochChain.LayerKeys(chain, raw);
        LayerKeys.Expand(raw, expanded);
        return expanded;
    }
}
