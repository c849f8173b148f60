using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

// A client's tunnel through four hops; the world beyond the exit sends every packet back. One packet each millisecond: what
// comes home, and when, tells how long the tunnel was down.
public sealed class TunnelSurvivalTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(0, "kill")]
    [InlineData(1, "kill")]
    [InlineData(2, "kill")]
    [InlineData(1, "freeze")]
    [InlineData(2, "freeze")]
    public void The_tunnel_moves_to_the_spare_and_keeps_its_addresses(int position, string how)
    {
        using SimWorld world = Begin(700 + (ulong)position, out SimRouter client);
        var echo = new Echo(world, client);
        echo.Run(1);
        world.Check(echo.Lost == 0, $"all is well before: {echo.Lost} lost");
        var leased = client.Group(1)!.Leased;
        SimRouter victim = world.ById(client.Group(1)!.Active!.Hops[position]);
        if (how == "kill") victim.Kill();
        else victim.Frozen = true;
        echo.Run(3);
        output.WriteLine($"{how} hop {position}: {echo.LongestGap.TotalMilliseconds:F0} ms without an answer, {echo.Lost} packets lost");
        world.Check(client.Group(1)!.Switches == 1, "it moved once");
        world.Check(echo.LongestGap < TimeSpan.FromMilliseconds(1000), $"down for {echo.LongestGap.TotalMilliseconds} ms");
        world.Check(client.Group(1)!.Leased == leased, "the lease stays: connections live on");
        world.Until(() => client.Group(1)!.Paths.Count(p => p.Attached) >= 2, 20, "a new spare");
        int lost = echo.Lost;
        echo.Run(1);
        world.Check(echo.Lost == lost, "nothing more is lost");
    }

    [Fact]
    public void A_dead_exit_is_replaced_and_the_interface_keeps_its_own_addresses()
    {
        using SimWorld world = Begin(720, out SimRouter client);
        var echo = new Echo(world, client);
        echo.Run(1);
        RouterId before = client.Group(1)!.Exit;
        world.ById(before).Kill();
        echo.Run(1.5);
        world.Until(() => client.Group(1)!.Leased is not null && client.Group(1)!.Exit != before, 30, "a lease at the other exit");
        int lost = echo.Lost;
        echo.Run(1);
        world.Check(echo.Lost == lost, "packets pass through the other exit");
    }

    [Fact]
    public void An_exit_without_a_tunnel_is_never_asked()
    {
        using var world = new SimWorld(730, relays: 8, exits: 2, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        SimRouter client = world.AddClient(adjust: o => o with { Tunnel = SimTunnel.Client() });
        client.WantTunnel();
        world.Run(3);
        world.Check(client.Group(1)!.Paths.Count == 0, "no path was built");
        world.Check(client.Control.Client!.Trouble.Contains("no exit with a tunnel", StringComparison.Ordinal), $"and the reason is said: {client.Control.Client.Trouble}");
    }

    [Fact]
    public void Two_clients_get_different_addresses_and_only_their_own_packets()
    {
        using var world = new SimWorld(740, relays: 8, exits: 1, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) }, tunnels: true);
        SimRouter one = world.AddClient(adjust: o => o with { Tunnel = SimTunnel.Client() });
        SimRouter two = world.AddClient(adjust: o => o with { Tunnel = SimTunnel.Client() });
        one.WantTunnel();
        two.WantTunnel();
        world.Until(() => one.Group(1)?.Leased is not null && two.Group(1)?.Leased is not null, 20, "two leases");
        world.Check(one.Group(1)!.Leased != two.Group(1)!.Leased, "different addresses");
        var first = new Echo(world, one);
        var second = new Echo(world, two);
        first.Run(1);
        second.Run(1);
        world.Check(first.Lost == 0 && second.Lost == 0, $"nothing goes astray: {first.Lost}, {second.Lost}");
    }

    [Fact]
    public void The_same_seed_tells_the_same_story()
    {
        ulong Trace()
        {
            using SimWorld world = Begin(750, out SimRouter client);
            new Echo(world, client).Run(1);
            return world.Network.TraceHash;
        }

        Assert.Equal(Trace(), Trace());
    }

    private static SimWorld Begin(ulong seed, out SimRouter client)
    {
        var world = new SimWorld(seed, relays: 10, exits: 2, link: new SimLink { Delay = TimeSpan.FromMilliseconds(5) }, tunnels: true);
        SimRouter made = world.AddClient(adjust: o => o with { Tunnel = SimTunnel.Client() });
        client = made;
        client.WantTunnel();
        world.Until(() => made.Group(1)?.Leased is not null && made.Group(1)!.Paths.Count(p => p.Attached) >= 2, 20, "a tunnel with a spare");
        return world;
    }

    /// <summary>Sends one packet a millisecond, of alternating families, and watches what comes back.</summary>
    private sealed class Echo(SimWorld world, SimRouter client)
    {
        private readonly HashSet<uint> _out = [];
        private Instant _lastHome;
        private uint _number;

        public int Lost => _out.Count;

        public TimeSpan LongestGap { get; private set; }

        public void Run(double seconds)
        {
            _lastHome = world.Now;
            Span<byte> payload = stackalloc byte[64];
            for (int i = 0; i < seconds * 1000; i++)
            {
                int version = (_number & 1) == 0 ? 4 : 6;
                BinaryPrimitives.WriteUInt32BigEndian(payload, ++_number);
                _out.Add(_number);
                client.Tuns[0].SystemSends(SimTunnel.Udp(
                    version == 4 ? SimTunnel.ClientOwn.IPv4 : SimTunnel.ClientOwn.IPv6, version == 4 ? SimTunnel.Target.IPv4 : SimTunnel.Target.IPv6, version, payload));
                world.Run(0.001);
                Take();
            }

            world.Run(0.2);
            Take();
        }

        private void Take()
        {
            while (client.Tuns[0].TryTakeWritten(out TunPacket packet))
            {
                int at = (packet.Bytes[0] >> 4 == 4 ? 20 : 40) + 8;
                if (packet.Bytes[packet.Bytes[0] >> 4 == 4 ? 9 : 6] != 17) continue; // an error of our own system's making
                int segment = packet.Header.SegmentBytes == 0 ? packet.Bytes.Length - at : packet.Header.SegmentBytes;
                for (; at < packet.Bytes.Length; at += segment)
                {
                    uint number = BinaryPrimitives.ReadUInt32BigEndian(packet.Bytes.AsSpan(at));
                    world.Check(_out.Remove(number), $"packet {number} came home once");
                }

                if (world.Now - _lastHome > LongestGap) LongestGap = world.Now - _lastHome;
                _lastHome = world.Now;
            }
        }
    }
}
