using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Tunnel;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Relay;

// A client with a TUN, three relays, an exit with a TUN: all five data planes in memory, the paths laid by hand.
public sealed class TunnelLaneTests : IDisposable
{
    private static readonly InnerAddresses Leased = new(0x0A610002, new UInt128(0xFD6F_7865_6E00_0001, 2));

    private readonly ShardNetwork _network = new();
    private readonly SeededEntropy _entropy = new(7);
    private ShardNode _client = null!, _exit = null!;

    public static TheoryData<int> Families => [4, 6];

    [Theory, MemberData(nameof(Families))]
    public void A_packet_leaves_the_exit_with_the_leased_source_and_its_answer_comes_home(int version)
    {
        Begin();
        byte[] sent = SimTunnel.Udp(Own(version), Far(version), version, "hello"u8);
        Assert.True(_client.Tuns[0].SystemSends(sent));
        _network.Pump();
        byte[] left = Assert.Single(Written(_exit)).Bytes;
        AssertWhole(left, out IpPacket ip);
        Assert.Equal(version == 4 ? Leased.IPv4 : Leased.IPv6, ip.Source);
        Assert.Equal(Far(version), ip.Destination);
        Assert.Equal("hello"u8, left.AsSpan(ip.PayloadOffset));

        _exit.Tuns[0].SystemSends(SimTunnel.Udp(Far(version), ip.Source, version, "and back"u8, from: 7, to: 4000));
        _network.Pump();
        byte[] home = Assert.Single(Written(_client)).Bytes;
        AssertWhole(home, out IpPacket back);
        Assert.Equal(Own(version), back.Destination);
        Assert.Equal("and back"u8, home.AsSpan(back.PayloadOffset));
        Assert.Equal(0, _network.Nodes.Sum(n => n.AllDrops));
    }

    [Theory, MemberData(nameof(Families))]
    public void A_super_packet_crosses_as_one_onion_packet_a_segment_and_is_one_again_at_the_exit(int version)
    {
        Begin();
        byte[] payload = Random(48_000);
        int segment = version == 4 ? 1280 : 1260;
        (byte[] packet, VirtioHeader header) = SimTunnel.TcpSuper(Own(version), Far(version), version, payload, segment);
        int onWire = 0;
        _network.OnWire = d =>
        {
            if (d.From == _client) onWire++;
            Assert.Equal(SealedDatagram.FullBytes, d.Bytes.Length);
            return true;
        };
        _client.Tuns[0].SystemSends(packet, header);
        _network.Pump();
        Assert.Equal((payload.Length + segment - 1) / segment, onWire);
        TunPacket merged = Assert.Single(Written(_exit));
        Assert.Equal(segment, merged.Header.SegmentBytes);
        Assert.Equal(payload, merged.Bytes[^payload.Length..]);
        Assert.Equal(0, _network.Nodes.Sum(n => n.AllDrops));
    }

    [Fact]
    public void A_lost_onion_packet_costs_one_segment()
    {
        Begin();
        byte[] payload = Random(40 * 1280);
        (byte[] packet, VirtioHeader header) = SimTunnel.TcpSuper(Own(4), Far(4), 4, payload, 1280);
        int seen = 0;
        _network.OnWire = d => d.From != _client || ++seen != 20;
        _client.Tuns[0].SystemSends(packet, header);
        _network.Pump();
        int arrived = Written(_exit).Sum(p => p.Bytes.Length - 40);
        Assert.Equal(payload.Length - 1280, arrived);
    }

    [Fact]
    public void Small_packets_of_one_turn_share_an_onion_packet()
    {
        Begin();
        int onWire = 0;
        _network.OnWire = d =>
        {
            if (d.From == _client) onWire++;
            return true;
        };
        for (int i = 0; i < 4; i++) _client.Tuns[0].SystemSends(SimTunnel.Udp(Own(4), Far(4), 4, Random(100), from: (ushort)(4000 + i)));
        _network.Pump();
        Assert.Equal(1, onWire);
        Assert.Equal(4, Written(_exit).Count);
    }

    [Fact]
    public void Records_of_other_kinds_beside_ip_packets_reach_the_session_thread_once()
    {
        TestPath path = Begin();
        byte[] ip = SimTunnel.Udp(Leased.IPv4, Far(4), 4, "x"u8);
        byte[] content = [1, 0, (byte)ip.Length, .. ip, 4, 0, 2, 0xAA, 0xBB];
        _network.SendUp(path, content);
        _network.Pump();
        Assert.Single(Written(_exit));
        (PacketTag tag, byte[] delivered) = Assert.Single(ShardNetwork.Deliveries(_exit.Core));
        Assert.Equal(OnionCommand.FirstOfEnds, tag.Command);
        Assert.Equal(content, delivered[..content.Length]);
    }

    [Fact]
    public void Ip_packets_alone_do_not_wake_the_session_thread()
    {
        Begin();
        _client.Tuns[0].SystemSends(SimTunnel.Udp(Own(4), Far(4), 4, "x"u8));
        _network.Pump();
        Assert.Empty(ShardNetwork.Deliveries(_exit.Core));
        Assert.Empty(ShardNetwork.Deliveries(_client.Core));
    }

    // ---- what is refused ----

    [Theory, MemberData(nameof(Families))]
    public void A_client_cannot_send_from_an_address_that_it_was_not_leased(int version)
    {
        TestPath path = Begin();
        UInt128 stranger = (version == 4 ? (UInt128)Leased.IPv4 : Leased.IPv6) + 1;
        SendRecord(path, SimTunnel.Udp(stranger, Far(version), version, "x"u8));
        Assert.Empty(Written(_exit));
        Assert.Equal(1, _exit.Dropped(DropReason.TunnelAddress));
    }

    [Fact]
    public void A_path_that_is_bound_to_no_lease_carries_no_ip_packet()
    {
        TestPath path = Begin();
        _exit.Core.Post(new BindTunnelPath(-1, path.Numbers[^1]));
        SendRecord(path, SimTunnel.Udp(Leased.IPv4, Far(4), 4, "x"u8));
        Assert.Empty(Written(_exit));
        Assert.Equal(1, _exit.Dropped(DropReason.NoTunnel));
    }

    [Fact]
    public void A_closed_lease_carries_nothing_either_way()
    {
        TestPath path = Begin();
        _exit.Core.Post(new CloseTunnelPeer(0));
        _network.HandleCommands();
        SendRecord(path, SimTunnel.Udp(Leased.IPv4, Far(4), 4, "x"u8));
        _exit.Tuns[0].SystemSends(SimTunnel.Udp(Far(4), Leased.IPv4, 4, "y"u8));
        _network.Pump();
        Assert.Empty(Written(_exit));
        Assert.Empty(Written(_client));
        Assert.Equal(1, _exit.Dropped(DropReason.NoTunnel));
        Assert.Equal(1, _exit.Dropped(DropReason.TunnelAddress));
    }

    [Fact]
    public void An_exit_cannot_send_a_client_what_is_for_another_address()
    {
        TestPath path = Begin();
        byte[] packet = SimTunnel.Udp(Far(4), Leased.IPv4 + 1, 4, "x"u8);
        _network.SendDown(path, [1, 0, (byte)packet.Length, .. packet]);
        _network.Pump();
        Assert.Empty(Written(_client));
        Assert.Equal(1, _client.Dropped(DropReason.TunnelAddress));
    }

    [Fact]
    public void What_the_system_sends_from_another_source_or_to_a_group_stays_here()
    {
        Begin();
        _client.Tuns[0].SystemSends(SimTunnel.Udp(0x0A010101, Far(4), 4, "x"u8));
        _client.Tuns[0].SystemSends(SimTunnel.Udp(Own(4), 0xE00000FB, 4, "mdns"u8));
        _client.Tuns[0].SystemSends(SimTunnel.Udp(Own(6), new UInt128(0xFF02_0000_0000_0000, 2), 6, "x"u8));
        _client.Tuns[0].SystemSends(SimTunnel.Udp(Own(6), new UInt128(0xFE80_0000_0000_0000, 2), 6, "x"u8));
        _network.Pump();
        Assert.Empty(Written(_exit));
        Assert.Equal(4, _client.Dropped(DropReason.TunnelAddress));
    }

    [Fact]
    public void A_record_longer_than_its_packet_is_refused()
    {
        TestPath path = Begin();
        byte[] packet = [.. SimTunnel.Udp(Leased.IPv4, Far(4), 4, "x"u8), 0];
        SendRecord(path, packet);
        Assert.Empty(Written(_exit));
        Assert.Equal(1, _exit.Dropped(DropReason.BadRecord));
    }

    [Fact]
    public void Padding_that_is_not_zero_is_counted()
    {
        TestPath path = Begin();
        byte[] packet = SimTunnel.Udp(Leased.IPv4, Far(4), 4, "x"u8);
        _network.SendUp(path, [1, 0, (byte)packet.Length, .. packet, 0, 0, 0, 9]);
        _network.Pump();
        Assert.Single(Written(_exit));
        Assert.Equal(1, _exit.Dropped(DropReason.BadRecord));
    }

    [Theory, MemberData(nameof(Families))]
    public void What_the_policy_refuses_is_answered_with_administratively_prohibited(int version)
    {
        Begin(policy: () => new RefuseAll());
        byte[] sent = SimTunnel.Udp(Own(version), Far(version), version, "secret"u8);
        _client.Tuns[0].SystemSends(sent);
        _network.Pump();
        Assert.Empty(Written(_exit));
        Assert.Equal(1, _exit.Dropped(DropReason.ExitPolicy));
        byte[] error = Assert.Single(Written(_client)).Bytes;
        AssertWhole(error, out IpPacket ip);
        Assert.Equal(Own(version), ip.Destination);
        Assert.Equal(version == 4 ? (3, 13) : (1, 1), (ip.IcmpType, ip.IcmpCode));

        // The packet that it is about is the one that the program sent: the system looks for its socket by it.
        Assert.Equal(sent[..(version == 4 ? 20 : 40)].AsSpan(version == 4 ? 12 : 8), error.AsSpan(ip.PayloadOffset + (version == 4 ? 12 : 8), version == 4 ? 8 : 32));
    }

    [Fact]
    public void Refusals_are_answered_at_a_limited_rate()
    {
        Begin(policy: () => new RefuseAll());
        for (int round = 0; round < 10; round++)
        {
            for (int i = 0; i < 60; i++) _client.Tuns[0].SystemSends(SimTunnel.Udp(Own(4), Far(4), 4, "x"u8, to: (ushort)(1 + i)));
            _network.Pump();
        }

        Assert.Equal(600, _exit.Dropped(DropReason.ExitPolicy));
        Assert.InRange(Written(_client).Count, 1, 20);
    }

    // ---- without a path ----

    [Fact]
    public void Packets_wait_while_the_path_is_exchanged_and_leave_by_the_next_one()
    {
        TestPath first = Begin();
        TestPath second = _network.LayPath([_client, .. _network.Nodes.Skip(1).Take(3), _exit]);
        _exit.Core.Post(new BindTunnelPath(0, second.Numbers[^1]));
        _client.Core.Post(new BindTunnelPath(0, second.Numbers[0]));
        _client.Core.Post(new RouteTunnelPeer(0, null));
        _network.HandleCommands();
        _client.Tuns[0].SystemSends(SimTunnel.Udp(Own(4), Far(4), 4, "patience"u8));
        _network.Pump();
        Assert.Empty(Written(_exit));
        Assert.Equal(0, _client.AllDrops);

        _client.Core.Post(new RemovePath(first.Numbers[0]));
        _client.Core.Post(new RouteTunnelPeer(0, new PathRef(0, second.Numbers[0])));
        _network.Pump();
        Assert.Single(Written(_exit));
    }

    [Theory, MemberData(nameof(Families))]
    public void After_two_seconds_without_a_path_programs_are_told(int version)
    {
        Begin();
        _client.Core.Post(new RouteTunnelPeer(0, null));
        _network.HandleCommands();
        _client.Tuns[0].SystemSends(SimTunnel.Udp(Own(version), Far(version), version, "x"u8));
        _network.Run(TimeSpan.FromSeconds(1.9), TimeSpan.FromMilliseconds(50));
        Assert.Empty(Written(_client));
        _network.Run(TimeSpan.FromSeconds(0.2), TimeSpan.FromMilliseconds(50));
        byte[] error = Assert.Single(Written(_client)).Bytes;
        AssertWhole(error, out IpPacket ip);
        Assert.Equal(version == 4 ? (3, 1) : (1, 0), (ip.IcmpType, ip.IcmpCode));
        Assert.NotEqual(Own(version), ip.Source); // the system takes no packet from itself
        Assert.Equal(1, _client.Dropped(DropReason.NoPath));
    }

    [Fact]
    public void An_exit_drops_what_comes_for_a_lease_without_a_path()
    {
        Begin();
        _exit.Core.Post(new RouteTunnelPeer(0, null));
        _network.HandleCommands();
        _exit.Tuns[0].SystemSends(SimTunnel.Udp(Far(4), Leased.IPv4, 4, "x"u8));
        _network.Pump();
        Assert.Equal(1, _exit.Dropped(DropReason.NoPath));
    }

    // ---- sizes ----

    [Fact]
    public void A_long_ipv4_packet_that_may_be_fragmented_crosses_in_fragments()
    {
        Begin();
        var tun = _client.Tuns[0];
        byte[] packet = SimTunnel.Udp(Own(4), Far(4), 4, Random(3000), dontFragment: false);
        Inject(_client, packet);
        List<TunPacket> pieces = Written(_exit);
        Assert.Equal(3, pieces.Count);
        Assert.All(pieces, p => Assert.InRange(p.Bytes.Length, 21, TunnelConstants.InnerMtu));
        Assert.Equal(3008, pieces.Sum(p => p.Bytes.Length - 20));
        Assert.NotNull(tun);
    }

    [Fact]
    public void A_long_packet_that_may_not_is_answered_with_the_mtu()
    {
        Begin();
        Inject(_client, SimTunnel.Udp(Own(4), Far(4), 4, Random(1400)));
        Inject(_client, SimTunnel.Udp(Own(6), Far(6), 6, Random(1400)));
        Assert.Empty(Written(_exit));
        List<TunPacket> errors = Written(_client);
        Assert.Equal(2, errors.Count);
        AssertWhole(errors[0].Bytes, out IpPacket four);
        Assert.Equal((3, 4), (four.IcmpType, four.IcmpCode));
        Assert.Equal(TunnelConstants.InnerMtu, BinaryPrimitives.ReadUInt16BigEndian(errors[0].Bytes.AsSpan(four.HeaderBytes + 6)));
        AssertWhole(errors[1].Bytes, out IpPacket six);
        Assert.Equal((2, 0), (six.IcmpType, six.IcmpCode));
        Assert.Equal(2, _client.Dropped(DropReason.TooLarge));
    }

    // ---- shards ----

    [Fact]
    public void A_packet_read_by_one_shard_leaves_by_the_path_of_another()
    {
        Begin(shards: 2, pathShard: 1);
        for (int i = 0; i < 20; i++) Assert.True(_client.Tuns[0].SystemSends(SimTunnel.Udp(Own(4), Far(4), 4, Random(1000), from: (ushort)(4000 + i))));
        _network.Pump();
        Assert.Equal(20, Written(_exit).Count);
        _exit.Tuns[0].SystemSends(SimTunnel.Udp(Far(4), Leased.IPv4, 4, "back"u8));
        _network.Pump();
        Assert.Single(Written(_client)); // out of the queue of the shard that its path is in
        Assert.Equal(0, _network.Nodes.Sum(n => n.AllDrops));
    }

    // ---- memory ----

    [Fact]
    public void Carrying_packets_both_ways_allocates_nothing()
    {
        TestPath path = Begin(hops: 1);
        (byte[] up, VirtioHeader header) = SimTunnel.TcpSuper(Own(4), Far(4), 4, Random(40_000), 1280);
        (byte[] down, VirtioHeader back) = SimTunnel.TcpSuper(Far(4), Leased.IPv4, 4, Random(40_000), 1280);
        Assert.NotNull(path);
        int rounds = 0;
        void Round()
        {
            Carry(_client, _exit, up, header);
            Carry(_exit, _client, down, back);
            rounds++;
        }

        Assert.Equal(0, AllocationAssert.Measure(Round, times: 50, warmUp: 100));
        Assert.True(rounds >= 100);
        Assert.Equal(0, _network.Nodes.Sum(n => n.AllDrops));
    }

    public void Dispose() => _network.Dispose();

    // One turn of the sender with what its system sent, one of the receiver with what arrived: as the driver makes them, without a device.
    private void Carry(ShardNode from, ShardNode to, byte[] packet, in VirtioHeader header)
    {
        TunnelLane lane = from.Core.Tunnel!;
        if (!lane.TunReads.TryReserve(out int place)) throw new InvalidOperationException("no room");
        packet.CopyTo(lane.TunReads.Slab.Slice(place, packet.Length));
        lane.TunReads.Add(packet.Length, header);
        lane.HandleTunnel(_network.Now);
        from.Core.HandleOriginations(_network.Now);
        ShardWire.Carry(from.Core, from.Address, to.Core, to.Address);
        from.Core.TransmitsSent();
        to.Core.HandleDatagrams(to.Core.Receives, _network.Now);
        to.Core.Tunnel!.HandleTunnel(_network.Now);
        if (to.Core.Tunnel.TunWrites.Count != 1) throw new InvalidOperationException("not one super-packet");
        to.Core.TransmitsSent();
    }

    private static UInt128 Own(int version) => version == 4 ? SimTunnel.ClientOwn.IPv4 : SimTunnel.ClientOwn.IPv6;

    private static UInt128 Far(int version) => version == 4 ? SimTunnel.Target.IPv4 : SimTunnel.Target.IPv6;

    private TestPath Begin(Func<IPacketPolicy>? policy = null, int shards = 1, int pathShard = 0, int hops = 4)
    {
        _client = _network.AddNode(shards, tunnel: SimTunnel.Client());
        for (int i = 1; i < hops; i++) _network.AddNode();
        _exit = _network.AddNode(shards, tunnel: SimTunnel.Exit(policy: policy));
        int[] where = new int[hops + 1];
        where[0] = where[^1] = pathShard;
        TestPath path = _network.LayPath([.. _network.Nodes], shards: where);
        foreach (ShardNode end in (ReadOnlySpan<ShardNode>)[_client, _exit])
        {
            PathNumber number = path.Numbers[end == _client ? 0 : ^1];
            foreach (ShardCore shard in end.Shards) shard.Post(new OpenTunnelPeer(0, Leased));
            end.Shards[pathShard].Post(new BindTunnelPath(0, number));
            foreach (ShardCore shard in end.Shards) shard.Post(new RouteTunnelPeer(0, new PathRef(pathShard, number)));
        }

        _network.HandleCommands();
        return path;
    }

    private void SendRecord(TestPath path, byte[] packet)
    {
        _network.SendUp(path, [1, (byte)(packet.Length >> 8), (byte)packet.Length, .. packet]);
        _network.Pump();
    }

    // Past the device, which keeps its MTU: an interface whose MTU somebody raised.
    private void Inject(ShardNode at, byte[] packet)
    {
        TunnelLane lane = at.Core.Tunnel!;
        Assert.True(lane.TunReads.TryReserve(out int place));
        packet.CopyTo(lane.TunReads.Slab.Slice(place, packet.Length));
        lane.TunReads.Add(packet.Length, default);
        _network.Pump();
    }

    private static List<TunPacket> Written(ShardNode node)
    {
        List<TunPacket> all = [];
        foreach (MemoryTun tun in node.Tuns) while (tun.TryTakeWritten(out TunPacket packet)) all.Add(packet);
        return all;
    }

    private static void AssertWhole(byte[] packet, out IpPacket ip)
    {
        Assert.Equal(DropReason.None, IpClassifier.Read(packet, out ip));
        Assert.True(InternetChecksum.IsTransportValid(packet, ip));
    }

    private byte[] Random(int length)
    {
        byte[] bytes = new byte[length];
        _entropy.FillPublic(bytes);
        return bytes;
    }

    private sealed class RefuseAll : IPacketPolicy
    {
        public DropReason Check(in IpPacket packet, ReadOnlySpan<byte> bytes) => DropReason.ExitPolicy;
    }
}
