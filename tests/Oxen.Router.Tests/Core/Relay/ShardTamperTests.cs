using System.Buffers.Binary;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Relay;

/// <summary>A relay that changes, repeats or misplaces what it carries: each time the right drop, and never a delivery.</summary>
public sealed class ShardTamperTests
{
    private const int Header = SealedDatagram.HeaderBytes - SealedDatagram.ClearBytes; // of the inner bytes

    public static TheoryData<int, bool, int> EveryLinkDirectionAndHalf()
    {
        var data = new TheoryData<int, bool, int>();
        for (int link = 0; link < 4; link++)
        {
            foreach (int at in new[] { 0, 7, 15, 16, 17, 900, 1375 })
            {
                data.Add(link, true, at);
                data.Add(link, false, at);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(EveryLinkDirectionAndHalf))]
    public void A_body_changed_between_open_and_seal_is_not_recognised_and_three_close_the_path(int link, bool upstream, int at)
    {
        using var net = new ShardNetwork(21);
        TestPath path = net.LayPath();
        ShardNode from = path.Nodes[upstream ? link : link + 1];
        ShardNode to = path.Nodes[upstream ? link + 1 : link];
        ShardCore end = upstream ? path.TerminalCore : path.ClientCore;
        int changed = 0;
        net.OnWire = d =>
        {
            if (d.From == from && d.To == to) net.Rewrite(d, inner => inner[Header + at] ^= (byte)(1 << (changed++ % 8)));
            return true;
        };

        byte[] content = new byte[1359];
        for (int i = 0; i < 4; i++)
        {
            if (upstream) net.SendUp(path, content);
            else net.SendDown(path, content);
            net.Pump();
            Assert.Empty(ShardNetwork.Deliveries(end));
        }

        Assert.Equal(4, changed);
        Assert.Equal(3, end.Drops[DropReason.NotRecognised]);
        Assert.Equal(1, end.Drops[DropReason.PathClosed]);
        ShardEvent closed = Assert.Single(ShardNetwork.Events(end));
        Assert.Equal(ShardEventKind.PathClosed, closed.Kind);
        Assert.Equal(upstream ? path.Numbers[^1] : path.Numbers[0], closed.Path);
    }

    [Theory]
    [InlineData("free slot", DropReason.UnknownPath)]
    [InlineData("slot out of range", DropReason.UnknownPath)]
    [InlineData("generation", DropReason.StaleHandle)]
    [InlineData("other direction", DropReason.WrongLink)]
    [InlineData("other link", DropReason.WrongLink)]
    [InlineData("class", DropReason.WrongClass)]
    [InlineData("next epoch", DropReason.WrongEpoch)]
    [InlineData("opposite epoch", DropReason.WrongEpoch)]
    [InlineData("previous epoch", DropReason.WrongEpoch)]
    [InlineData("zero bits", DropReason.ReservedNotZero)]
    [InlineData("flags", DropReason.ReservedNotZero)]
    [InlineData("zero bytes", DropReason.ReservedNotZero)]
    internal void A_misused_header_says_why(string what, DropReason expected)
    {
        using var net = new ShardNetwork(22);
        TestPath path = net.LayPath();
        ShardNode other = net.AddNode();
        TestPath elsewhere = net.LayPath([other, path.Nodes[1], path.Nodes[2]]);
        net.OnWire = d =>
        {
            if (d.To != path.Nodes[1]) return true;
            net.Rewrite(d, inner =>
            {
                PathHandle handle = PathHandle.Read(inner);
                Assert.Equal(path.UpHandles[0], handle);
                switch (what)
                {
                    case "free slot":
                        uint free = 0;
                        while (path.CoreOf(0).Tables.Hops.Slot((int)free).Kind != SlotKind.Free) free++;
                        new PathHandle(free, handle.Generation).Write(inner);
                        break;
                    case "slot out of range": new PathHandle(0xFFFFFFF0, handle.Generation).Write(inner); break;
                    case "generation": new PathHandle(handle.Slot, handle.Generation + 1).Write(inner); break;
                    case "other direction": path.DownHandles[1].Write(inner); break;
                    case "other link": elsewhere.UpHandles[0].Write(inner); break;
                    case "class": inner[8] ^= 0x20; break;
                    case "next epoch": inner[8] += 0x40; break;
                    case "opposite epoch": inner[8] += 0x80; break;
                    case "previous epoch": inner[8] -= 0x40; break;
                    case "zero bits": inner[8] |= 1; break;
                    case "flags": inner[9] = 1; break;
                    case "zero bytes": inner[15] = 1; break;
                }
            });
            return true;
        };
        net.SendUp(path, [1]);
        net.Pump();
        Assert.Equal(1, path.CoreOf(0).Drops[expected]);
        Assert.Equal(1, net.Nodes.Sum(n => n.AllDrops));
        Assert.Empty(ShardNetwork.Deliveries(path.TerminalCore));
    }

    [Fact]
    public void Replays_are_found_on_the_link_at_each_relay_and_at_the_terminal()
    {
        using var net = new ShardNetwork(23);
        TestPath path = net.LayPath();
        List<WireDatagram> seen = [];
        net.OnWire = d =>
        {
            seen.Add(d);
            return true;
        };
        net.SendUp(path, [1]);
        net.SendDown(path, [2]);
        net.Pump();
        net.OnWire = null;
        WireDatagram[] all = [.. seen];
        Assert.Equal(8, all.Length);
        ulong ahead = 100;
        foreach (WireDatagram d in all)
        {
            long links = d.To.Dropped(DropReason.LinkReplay);
            net.Inject(d.From, d.To, [.. d.Bytes]);
            net.Pump();
            Assert.Equal(links + 1, d.To.Dropped(DropReason.LinkReplay));

            DropReason reason = d.To == path.Nodes[0] || d.To == path.Nodes[^1] ? DropReason.PathReplay : DropReason.ReplayFilter;
            long before = d.To.Dropped(reason);
            net.Inject(d.From, d.To, net.Again(d, ahead++));
            net.Pump();
            Assert.Equal(before + 1, d.To.Dropped(reason));
        }

        Assert.Single(ShardNetwork.Deliveries(path.TerminalCore));
        Assert.Single(ShardNetwork.Deliveries(path.ClientCore));
    }

    [Fact]
    public void A_repeated_probe_is_answered_once()
    {
        using var net = new ShardNetwork(24);
        TestPath path = net.LayPath();
        WireDatagram? last = null;
        net.OnWire = d =>
        {
            if (d.To == path.Nodes[3] && d.From == path.Nodes[2]) last = d;
            return true;
        };
        net.Ask(path, OnionCommand.Probe, 77, 2);
        net.Pump();
        net.Inject(last!.From, last.To, net.Again(last, 50));
        net.Pump();
        Assert.Equal(1, path.CoreOf(2).Drops[DropReason.PathReplay]);
        Assert.Single(ShardNetwork.Deliveries(path.ClientCore));
    }

    [Fact]
    public void Ten_thousand_packets_show_nothing_in_common_on_two_links()
    {
        using var net = new ShardNetwork(25);
        TestPath path = net.LayPath();
        const int Packets = 10_000;
        int words = (SealedDatagram.FullBytes - Header - SealedDatagram.ClearBytes) / 8; // body and tag
        var xor = new ulong[3][];
        var delta = new ulong[3][];
        var xorHeld = new int[3];
        var deltaHeld = new int[3];
        int equal = 0;
        var flying = new Dictionary<int, byte[]>();
        net.OnWire = d =>
        {
            int link = d.From.Number;
            if (d.To.Number != link + 1) return true;
            if (link > 0)
            {
                // The same packet, one link before: packets are sent one at a time here.
                byte[] before = flying[link - 1];
                ulong[] lastXor = xor[link - 1] ??= new ulong[words];
                ulong[] lastDelta = delta[link - 1] ??= new ulong[words];
                for (int w = 0; w < words; w++)
                {
                    ulong x = BinaryPrimitives.ReadUInt64BigEndian(before.AsSpan(SealedDatagram.HeaderBytes + w * 8));
                    ulong y = BinaryPrimitives.ReadUInt64BigEndian(d.Bytes.AsSpan(SealedDatagram.HeaderBytes + w * 8));
                    if (x == y) equal++;
                    if (lastXor[w] == (x ^ y)) xorHeld[link - 1]++;
                    if (lastDelta[w] == y - x) deltaHeld[link - 1]++;
                    lastXor[w] = x ^ y;
                    lastDelta[w] = y - x;
                }
            }

            flying[link] = d.Bytes;
            return true;
        };
        byte[] zeros = new byte[1000];
        for (int i = 0; i < Packets; i++)
        {
            net.SendUp(path, zeros);
            net.Pump();
            if (i % 100 == 99) Assert.Equal(100, ShardNetwork.Deliveries(path.TerminalCore).Count);
        }

        Assert.Equal(0, equal);
        Assert.All(xorHeld, n => Assert.Equal(0, n));
        Assert.All(deltaHeld, n => Assert.Equal(0, n));
        Assert.Equal(8, new HashSet<PathHandle>([.. path.UpHandles, .. path.DownHandles]).Count);
    }

    [Fact]
    public void The_inner_bytes_of_two_links_share_no_aligned_word_but_the_declared_epoch_and_class()
    {
        using var net = new ShardNetwork(26);
        TestPath path = net.LayPath();
        List<byte[]> inner = [];
        net.OnWire = d =>
        {
            inner.Add(net.Inner(d));
            return true;
        };
        net.SendUp(path, new byte[1359]);
        net.Pump();
        Assert.Equal(4, inner.Count);
        for (int a = 0; a < 4; a++)
        {
            for (int b = a + 1; b < 4; b++)
            {
                for (int w = 0; w < inner[a].Length; w += 8)
                {
                    if (w == 8) continue; // path epoch, class, zeros
                    Assert.False(inner[a].AsSpan(w, 8).SequenceEqual(inner[b].AsSpan(w, 8)));
                }
            }
        }

        Assert.Equal(SizeClass.Full, path.Class);
    }
}
