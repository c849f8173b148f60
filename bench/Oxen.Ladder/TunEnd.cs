using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Tun;
using Oxen.Router.Udp;

namespace Oxen.Ladder;

/// <summary>
/// `tun-end`: one end of the tunnel of <see cref="TunRung"/>, in a namespace of its own, as a process of its own. Says "ready", answers each
/// line on standard input with its counters in the manner of bench/native/tun_forwarder.c, and ends with the input.
/// </summary>
internal static class TunEnd
{
    public static int Run(ReadOnlySpan<string> args)
    {
        if (args.Length != 10)
        {
            Console.Error.WriteLine("usage: tun-end lane|client|far DEVICE LOCAL PEER PORT CPU SEED EPOCH ADDRESS,ADDRESS LEASED,LEASED   (the rung `tun` starts it)");
            return 2;
        }

        string side = args[0];
        ushort port = ushort.Parse(args[4], CultureInfo.InvariantCulture);
        UdpAddress local = UdpAddress.FromBytes(IPAddress.Parse(args[2]).GetAddressBytes(), port);
        UdpAddress peer = UdpAddress.FromBytes(IPAddress.Parse(args[3]).GetAddressBytes(), port);
        int cpu = int.Parse(args[5], CultureInfo.InvariantCulture);
        var secrets = new LayeredSecrets(args[6], uint.Parse(args[7], CultureInfo.InvariantCulture));
        InterfaceAddress[] own = Addresses(args[8]), leased = Addresses(args[9]);
        using TunInterface tun = TunInterface.Open(new TunInterfaceOptions
        {
            Name = args[1],
            Mtu = TunnelConstants.InnerMtu,
            Addresses = own,
            Ranges = [.. own.Concat(side == "far" ? leased : []).Select(RangeOf)],
        });
        NetworkClock network = new MonotonicClock(TimeProvider.System).StartNetworkClock();
        IUdpSocket socket = UdpSocketFactory.Open(local);
        if (side == "lane")
        {
            using ShardCore core = LaneEnd.Make(secrets, peer, network, Inner(own), Inner(leased));
            using var machine = new DrivenMachine<ShardCore>(side, core, core.Receives, cpu, socket, tun.Queues[0], core.Tunnel);
            Serve(machine, core.Drops);
        }
        else
        {
            using var core = new LayeredEnd(side == "client", secrets, peer, network, mergeUdp: true);
            using var machine = new DrivenMachine<LayeredEnd>(side, core, core.Receives, cpu, socket, tun.Queues[0], core);
            Serve(machine, core.Drops);
        }

        return 0;
    }

    private static void Serve<TCore>(DrivenMachine<TCore> machine, DropCounters drops)
        where TCore : class, IShardCore
    {
        Console.WriteLine("ready");
        while (Console.ReadLine() is not null)
        {
            Sample now = machine.Read();
            UdpDriverCounters c = machine.Counters;
            var lost = new Dictionary<string, long>();
            drops.AddTo(lost);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"sent {c.Sent} received {c.Datagrams} cpu {now.CpuNanoseconds} receives {c.Receives} tun_in {c.TunRead} tun_out {c.TunWritten} allocated {now.AllocatedBytes}{string.Concat(lost.Select(l => $" lost_{l.Key} {l.Value}"))}"));
        }
    }

    private static InterfaceAddress[] Addresses(string list) => [.. list.Split(',').Select(a => InterfaceAddress.TryParse(a, out InterfaceAddress parsed) ? parsed : throw new FormatException(a))];

    private static InnerAddresses Inner(InterfaceAddress[] addresses)
        => new(BinaryPrimitives.ReadUInt32BigEndian(addresses[0].Address.GetAddressBytes()), BinaryPrimitives.ReadUInt128BigEndian(addresses[1].Address.GetAddressBytes()));

    private static IPNetwork RangeOf(InterfaceAddress address)
    {
        byte[] bytes = address.Address.GetAddressBytes();
        for (int bit = address.Prefix; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> bit % 8);
        return new IPNetwork(new IPAddress(bytes), address.Prefix);
    }
}
