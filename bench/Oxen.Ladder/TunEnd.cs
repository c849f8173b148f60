using System.Globalization;
using System.Net;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native.Linux;
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
        if (args.Length != 9)
        {
            Console.Error.WriteLine("usage: tun-end client|far DEVICE LOCAL PEER PORT CPU SEED EPOCH ADDRESS,ADDRESS   (the rung `tun` starts it)");
            return 2;
        }

        bool client = args[0] == "client";
        ushort port = ushort.Parse(args[4], CultureInfo.InvariantCulture);
        UdpAddress local = UdpAddress.FromBytes(IPAddress.Parse(args[2]).GetAddressBytes(), port);
        UdpAddress peer = UdpAddress.FromBytes(IPAddress.Parse(args[3]).GetAddressBytes(), port);
        int cpu = int.Parse(args[5], CultureInfo.InvariantCulture);
        var secrets = new LayeredSecrets(args[6], uint.Parse(args[7], CultureInfo.InvariantCulture));
        InterfaceAddress[] addresses = [.. args[8].Split(',').Select(a => InterfaceAddress.TryParse(a, out InterfaceAddress parsed) ? parsed : throw new FormatException(a))];
        using TunInterface tun = TunInterface.Open(new TunInterfaceOptions { Name = args[1], Mtu = Router.Core.Tunnel.TunnelConstants.InnerMtu, Addresses = addresses, Ranges = [.. addresses.Select(RangeOf)] });
        using var core = new LayeredEnd(client, secrets, peer, new MonotonicClock(TimeProvider.System).StartNetworkClock(), mergeUdp: true);
        using var machine = new DrivenMachine<LayeredEnd>(args[0], core, core.Receives, cpu, UdpSocketFactory.Open(local), tun.Queues[0], core);
        Console.WriteLine("ready");
        while (Console.ReadLine() is not null)
        {
            Sample now = machine.Read();
            UdpDriverCounters c = machine.Counters;
            DropCounters d = core.Drops;
            long lostSend = d[DropReason.SendQueueFull] + d[DropReason.SendFailed];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"sent {c.Sent} received {c.Datagrams} cpu {now.CpuNanoseconds} receives {c.Receives} tun_in {c.TunRead} tun_out {c.TunWritten} lost_send {lostSend} lost_receive {d[DropReason.KernelReceiveQueue]} lost_tun {d[DropReason.TunRefused]} lost_bad {d.Total - lostSend - d[DropReason.KernelReceiveQueue] - d[DropReason.TunRefused]} allocated {now.AllocatedBytes}"));
        }

        return 0;
    }

    private static IPNetwork RangeOf(InterfaceAddress address)
    {
        byte[] bytes = address.Address.GetAddressBytes();
        for (int bit = address.Prefix; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> bit % 8);
        return new IPNetwork(new IPAddress(bytes), address.Prefix);
    }
}
