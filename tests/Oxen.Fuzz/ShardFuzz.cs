using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>Any bytes into a shard: nothing throws, nothing is delivered, everything is counted.</summary>
public sealed class ShardFuzz
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Random_truncated_and_mutated_datagrams_are_dropped_and_counted(int seed)
    {
        using var net = new ShardNetwork((ulong)seed, suite: (LinkSuite)seed);
        TestPath path = net.LayPath(2);
        List<byte[]> real = [];
        net.OnWire = d =>
        {
            if (d.To == path.Nodes[1]) real.Add(d.Bytes);
            return d.To != path.Nodes[1];
        };
        for (int i = 0; i < 50; i++) net.SendUp(path, [1]);
        net.Pump();
        net.OnWire = null;
        SeededEntropy entropy = net.Entropy;
        ShardNode target = path.Nodes[1];
        const int Total = 20_000;
        for (int i = 0; i < Total; i++)
        {
            byte[] bytes = [.. real[entropy.Next(real.Count)]];
            switch (entropy.Next(5))
            {
                case 0:
                    bytes = new byte[1 + entropy.Next(1500)];
                    entropy.FillPublic(bytes);
                    break;
                case 1:
                    bytes = bytes[..(1 + entropy.Next(bytes.Length - 1))];
                    break;
                case 2:
                    for (int k = entropy.Next(4); k >= 0; k--) bytes[entropy.Next(bytes.Length)] ^= (byte)(1 + entropy.Next(255));
                    break;
                case 3:
                    entropy.FillPublic(bytes.AsSpan(16));
                    break;
                default:
                    entropy.FillPublic(bytes.AsSpan(1, entropy.Next(15)));
                    bytes[^1] ^= 1;
                    break;
            }

            net.Inject(path.Nodes[0], target, bytes);
            if (i % 100 == 99)
            {
                net.Pump();
                while (target.Core.Control.TryTake(out _, out _)) target.Core.Control.ReleaseTaken();
            }
        }

        net.Pump();
        Assert.Empty(ShardNetwork.Deliveries(path.TerminalCore));
        Assert.True(target.Dropped(DropReason.LinkAuthentication) > Total / 10, "enough of it gets past the first checks");
        Assert.Equal(0, target.Dropped(DropReason.NotRecognised));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_hostile_neighbour_with_the_links_key_can_make_nothing_throw(int seed)
    {
        using var net = new ShardNetwork((ulong)seed);
        TestPath path = net.LayPath(2);
        SeededEntropy entropy = net.Entropy;
        net.OnWire = d =>
        {
            net.Rewrite(d, inner =>
            {
                // Header fields near what is valid, bodies of any kind.
                if (entropy.Next(3) == 0) inner[entropy.Next(16)] ^= (byte)(1 << entropy.Next(8));
                if (entropy.Next(2) == 0) entropy.FillPublic(inner.AsSpan(16, entropy.Next(inner.Length - 16)));
            });
            return true;
        };
        for (int i = 0; i < 3000; i++)
        {
            net.SendUp(path, [1], (byte)entropy.Next(256), entropy.Next(4));
            net.SendDown(path, [2], (byte)entropy.Next(256));
            net.Pump();
            ShardNetwork.Deliveries(path.TerminalCore);
            ShardNetwork.Deliveries(path.ClientCore);
            ShardNetwork.Events(path.TerminalCore);
            if (i % 10 == 0) net.Clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.True(net.Nodes.Sum(n => n.AllDrops) > 1000);
    }

    [Fact]
    public void Receives_of_any_shape_are_taken_apart_within_their_bounds()
    {
        using var net = new ShardNetwork(9);
        ShardCore core = net.AddNode().Core;
        SeededEntropy entropy = net.Entropy;
        entropy.FillPublic(core.Slab.Slice(0, core.Receives.Slots * ReceiveBatch.SlotBytes));
        for (int i = 0; i < 300; i++)
        {
            ReceiveBatch batch = core.Receives;
            batch.Count = 1 + entropy.Next(batch.Slots);
            for (int r = 0; r < batch.Count; r++)
            {
                int length = entropy.Next(ReceiveBatch.SlotBytes + 1);
                int segment = entropy.Next(4) switch { 0 => entropy.Next(8), 1 => 1424, 2 => 1232, _ => 1 + entropy.Next(65536) };
                batch.Items[r] = new Received { Offset = r * ReceiveBatch.SlotBytes, Length = length, SegmentBytes = segment, From = net.Nodes[0].Address };
            }

            core.HandleDatagrams(batch, net.Now);
            core.TransmitsSent();
            while (core.Control.TryTake(out _, out _)) core.Control.ReleaseTaken();
        }

        Assert.True(core.Drops.Total > 0);
    }
}
