using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Udp;
using Oxen.Router.Tests.Contracts;
using Oxen.Testing;

namespace Oxen.Router.Tests.Testing;

public sealed class ImpairmentRelayTests
{
    private static readonly UdpAddress V4 = UdpAddress.FromBytes([127, 0, 0, 1], 0);
    private static readonly UdpAddress V6 = UdpAddress.FromBytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 0);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Without_impairment_everything_passes_in_order_both_ways(bool v6)
    {
        using var rig = new Rig(Impairment.None, v6: v6);
        rig.Client.Route(0, rig.Relay.Address);
        for (int i = 0; i < 50; i++) rig.Client.Add(200 + i, 0);
        rig.Client.Send();
        List<UdpTestEnd.Datagram> got = rig.Server.Collect(50);
        Assert.Equal(rig.Client.Sent, got.Select(d => d.Bytes));

        rig.Server.Route(0, got[0].From);
        for (int i = 0; i < 50; i++) rig.Server.Add(300 + i, 0);
        rig.Server.Send();
        List<UdpTestEnd.Datagram> back = rig.Client.Collect(50);
        Assert.Equal(rig.Server.Sent, back.Select(d => d.Bytes));
        Assert.All(back, d => Assert.Equal(rig.Relay.Address, d.From));
    }

    [Fact]
    public void Loss_takes_the_same_packets_for_the_same_seed_and_others_for_another()
    {
        int[] first = Survivors(7), again = Survivors(7), other = Survivors(8);
        Assert.Equal(first, again);
        Assert.NotEqual(first, other);
        Assert.InRange(first.Length, 100, 180); // of 200 at 30 %: 140 and six deviations

        static int[] Survivors(ulong seed)
        {
            using var rig = new Rig(new Impairment { Loss = 0.3 }, seed);
            SendNumbered(rig, 200);
            List<UdpTestEnd.Datagram> got = rig.Server.Collect(200 - CountLost(rig, 200));
            return [.. got.Select(d => BinaryPrimitives.ReadInt32BigEndian(d.Bytes))];
        }
    }

    [Fact]
    public void A_duplicate_arrives_twice_and_is_counted()
    {
        using var rig = new Rig(new Impairment { Duplicate = 1 });
        SendNumbered(rig, 20);
        int[] got = [.. rig.Server.Collect(40).Select(d => BinaryPrimitives.ReadInt32BigEndian(d.Bytes))];
        Assert.Equal(Enumerable.Range(0, 20).SelectMany(i => new[] { i, i }), got);
        Assert.Equal(20, rig.Relay[FateCause.Duplicated]);
    }

    [Fact]
    public void Reordered_packets_are_overtaken()
    {
        using var rig = new Rig(new Impairment { Reorder = 0.3, ReorderBy = TimeSpan.FromMilliseconds(50) }, seed: 3);
        SendNumbered(rig, 30);
        int[] got = [.. rig.Server.Collect(30).Select(d => BinaryPrimitives.ReadInt32BigEndian(d.Bytes))];
        Assert.Equal(Enumerable.Range(0, 30), got.Order());
        Assert.NotEqual(got.Order(), got);
        Assert.InRange(rig.Relay[FateCause.Reordered], 1, 29);
    }

    [Fact]
    public void Delay_and_jitter_hold_packets_back_and_keep_their_order()
    {
        using var rig = new Rig(new Impairment { Delay = TimeSpan.FromMilliseconds(60), Jitter = TimeSpan.FromMilliseconds(20) });
        long start = Environment.TickCount64;
        SendNumbered(rig, 20);
        List<UdpTestEnd.Datagram> got = rig.Server.Collect(20);
        Assert.True(Environment.TickCount64 - start >= 50, "it came too early");
        Assert.Equal(Enumerable.Range(0, 20), got.Select(d => BinaryPrimitives.ReadInt32BigEndian(d.Bytes)));
    }

    [Fact]
    public void After_a_rebind_the_target_sees_another_port_and_answers_still_reach_the_client()
    {
        using var rig = new Rig(Impairment.None);
        SendNumbered(rig, 1);
        UdpAddress before = rig.Server.Collect(1)[0].From;
        rig.Relay.Rebind();
        rig.Client.Clear();
        SendNumbered(rig, 1);
        UdpAddress after = rig.Server.Collect(1)[0].From;
        Assert.NotEqual(before.Port, after.Port);
        rig.Server.Route(0, after);
        rig.Server.Add(77, 0);
        rig.Server.Send();
        rig.Client.CollectEqual(rig.Server.Sent);
    }

    [Fact]
    public void A_rate_spreads_packets_over_time_and_its_queue_is_bounded()
    {
        var clock = new SimClock();
        var model = new ImpairmentModel(1);
        var network = new Impairment { BitsPerSecond = 8_000_000, QueueBytes = 10_000 };
        // 1 byte a microsecond: ten packets of 1000 fill the queue, the eleventh is lost.
        for (int i = 1; i <= 10; i++) Assert.Equal(i * 1_000_000L, model.Next(network, 1000, clock.Now).First.Nanoseconds);
        Assert.Equal(FateCause.QueueFull, model.Next(network, 1000, clock.Now).Cause);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(11_000_000, model.Next(network, 1000, clock.Now).First.Nanoseconds);
    }

    [Fact]
    public void The_rate_holds_over_real_sockets()
    {
        using var rig = new Rig(new Impairment { BitsPerSecond = 8_000_000 });
        long start = Environment.TickCount64;
        rig.Client.Route(0, rig.Relay.Address);
        for (int i = 0; i < 100; i++) rig.Client.Add(1000, 0);
        rig.Client.Send();
        Assert.Equal(100, rig.Server.Collect(100).Count);
        Assert.True(Environment.TickCount64 - start >= 85, "100 000 bytes at 1 byte a microsecond took less than 85 ms");
    }

    [Fact]
    public void Two_clients_keep_apart()
    {
        using var rig = new Rig(Impairment.None);
        using IUdpSocket second = new ManagedUdpSocket(V4);
        using var other = new UdpTestEnd(second);
        SendNumbered(rig, 1);
        UdpAddress first = rig.Server.Collect(1)[0].From;
        other.Route(0, rig.Relay.Address);
        other.Add(10, 0);
        other.Send();
        UdpAddress from = rig.Server.Collect(1)[0].From;
        Assert.NotEqual(first, from);
        rig.Server.Route(0, from);
        rig.Server.Add(20, 0);
        rig.Server.Send();
        other.CollectEqual(rig.Server.Sent);
    }

    private static void SendNumbered(Rig rig, int count)
    {
        rig.Client.Route(0, rig.Relay.Address);
        for (int i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteInt32BigEndian(rig.Client.Add(100, 0), i);
            rig.Client.Resent();
        }

        Assert.Equal(count, rig.Client.Send());
    }

    private static int CountLost(Rig rig, int sent)
    {
        Assert.True(SpinWait.SpinUntil(() => rig.Relay[FateCause.Lost] + rig.Relay[FateCause.Passed] == sent, TimeSpan.FromSeconds(10)));
        return (int)rig.Relay[FateCause.Lost];
    }

    private sealed class Rig : IDisposable
    {
        private readonly IUdpSocket _client, _server;

        public Rig(Impairment network, ulong seed = 1, bool v6 = false)
        {
            _client = UdpSocketFactory.Open(v6 ? V6 : V4);
            _server = UdpSocketFactory.Open(v6 ? V6 : V4);
            Client = new UdpTestEnd(_client);
            Server = new UdpTestEnd(_server);
            Relay = new ImpairmentRelay(_server.LocalAddress, seed, network);
        }

        public UdpTestEnd Client { get; }

        public UdpTestEnd Server { get; }

        public ImpairmentRelay Relay { get; }

        public void Dispose()
        {
            Relay.Dispose();
            _client.Dispose();
            _server.Dispose();
            Client.Dispose();
            Server.Dispose();
        }
    }
}
