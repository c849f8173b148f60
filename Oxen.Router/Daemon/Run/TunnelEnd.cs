using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Exit;
using Oxen.Router.Hosting;
using Oxen.Router.Tun;

namespace Oxen.Router.Daemon.Run;

/// <summary>What a tunnel takes of this machine: its interface with addresses, routes and rules, at an exit the address translation too. Disposing gives it back.</summary>
internal sealed class TunnelEnd : IDisposable
{
    private readonly TunInterface _tun;
    private readonly ExitNat? _nat;

    private TunnelEnd(TunInterface tun, ExitNat? nat, TunnelOptions options)
    {
        _tun = tun;
        _nat = nat;
        Router = new RouterTunnel(tun.Queues, options);
    }

    public RouterTunnel Router { get; }

    public string Name => _tun.Name;

    public bool HasIPv6 => _tun.HasIPv6;

    /// <summary>What a killed process had left was taken back.</summary>
    public bool Recovered => _nat?.Recovered ?? false;

    /// <exception cref="UserException">The machine refuses, with what to do.</exception>
    public static TunnelEnd OpenClient(TunConfig config, int shards)
    {
        TunInterface tun = Open(new TunInterfaceOptions
        {
            Name = config.Name,
            Queues = shards,
            Mtu = TunnelConstants.InnerMtu,
            Addresses = config.Addresses,
            Ranges = config.Routes ? config.Ranges : [],
            QueueLength = config.Queue,
            Table = config.Routes ? config.Table : 0,
            Mark = config.Mark,
            RulePriority = config.Priority,
        });
        var own = InnerAddresses.From(
            config.Addresses.FirstOrDefault(a => a.Address.AddressFamily == AddressFamily.InterNetwork).Address,
            tun.HasIPv6 ? config.Addresses.FirstOrDefault(a => a.Address.AddressFamily == AddressFamily.InterNetworkV6).Address : null);
        return new TunnelEnd(tun, null, new TunnelOptions { IsClient = true, Own = own, MergeUdp = tun.MergesUdp });
    }

    /// <exception cref="UserException">The machine refuses, with what to do.</exception>
    public static TunnelEnd OpenExit(ExitTunnelConfig config, ExitPolicy policy, int shards)
    {
        // What a killed exit has left goes first: its rules would stand in the way of the interface's name.
        ExitNat? nat = null;
        try
        {
            if (config.Nat) nat = ExitNat.Open(new ExitNatOptions { Tun = config.Tun, Pool4 = config.Pool4, Pool6 = config.Pool6, Connections = config.Connections, Leases = config.Leases });
            bool six = config.Pool6 is not null;
            TunInterface tun = Open(new TunInterfaceOptions
            {
                Name = config.Tun,
                Queues = shards,
                Mtu = TunnelConstants.InnerMtu,
                Addresses = six
                    ? [new InterfaceAddress(Plus(config.Pool4.BaseAddress, 1), config.Pool4.PrefixLength), new InterfaceAddress(Plus(config.Pool6!.Value.BaseAddress, 1), config.Pool6.Value.PrefixLength)]
                    : [new InterfaceAddress(Plus(config.Pool4.BaseAddress, 1), config.Pool4.PrefixLength)],
                Ranges = six ? [config.Pool4, config.Pool6!.Value] : [config.Pool4],
            });
            six &= tun.HasIPv6;
            (uint base4, UInt128 base6) = InnerAddresses.From(config.Pool4.BaseAddress, six ? config.Pool6!.Value.BaseAddress : null);
            return new TunnelEnd(tun, nat, new TunnelOptions
            {
                IsClient = false,
                Own = new InnerAddresses(base4 + 1, six ? base6 + 1 : 0),
                First = new InnerAddresses(base4 + 2, six ? base6 + 2 : 0),
                Peers = config.Leases,
                MergeUdp = tun.MergesUdp,
                Policy = () => new ExitPacketPolicy(policy, config.Pool4, config.Pool6),
            });
        }
        catch (ExitNatException e)
        {
            throw Refused(e, config.Tun);
        }
        catch
        {
            nat?.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _tun.Dispose();
        _nat?.Dispose();
    }

    /// <exception cref="UserException">The machine refuses, with what to do.</exception>
    public static TunInterface Open(TunInterfaceOptions options)
    {
        try
        {
            return TunInterface.Open(options);
        }
        catch (IOException e) when (TunTroubles.Of(e) is { } trouble)
        {
            (string code, string remedy) = trouble switch
            {
                TunTrouble.NoDevice => ("OXN3010", "Load the driver with `modprobe tun`; in a container, give it the device (for example --device /dev/net/tun)."),
                TunTrouble.NotPermitted => ("OXN3011", "Run it as root, or give the program the capability: setcap cap_net_admin+ep, or AmbientCapabilities=CAP_NET_ADMIN in a systemd unit. Without it, the SOCKS5 and HTTP proxies work."),
                TunTrouble.NameTaken => ("OXN3012", $"Stop the program that has it (`ip -d link show {options.Name}`), or choose another name in the configuration."),
                TunTrouble.RangeTaken => ("OXN3013", "Another program has this address, range, table or rule: `ip rule`, `ip route show table all` and `ip address` show it. Choose others in the configuration."),
                _ => ("OXN3014", "`ip link`, `ip rule` and `dmesg` may tell more."),
            };
            throw new UserException(ExitCode.Environment, code, $"the tunnel's interface {options.Name}: {e.Message}", remedy, e);
        }
    }

    private static UserException Refused(ExitNatException e, string tun)
    {
        (string code, string remedy) = e.Fault switch
        {
            ExitNatFault.NotPermitted => ("OXN3011", "Run it as root, or give the program CAP_NET_ADMIN. `nat = false` in [exit] leaves address translation to you."),
            ExitNatFault.NameTaken => ("OXN3012", "Stop the other exit, or choose another `tun` in [exit]."),
            ExitNatFault.NoNft => ("OXN3015", "Install nftables (apt-get install nftables), or write nat = false in [exit] and translate addresses yourself."),
            ExitNatFault.ForwardingLocked => ("OXN3016", "Turn forwarding on yourself (sysctl net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1) or let the program write to /proc/sys/net."),
            ExitNatFault.NoJournal => ("OXN3017", "The program writes down what it changes so that it can be undone after a crash: make /run/oxen writable."),
            _ => ("OXN3018", "`nft list ruleset` shows what is there."),
        };
        return new UserException(ExitCode.Environment, code, $"address translation for {tun}: {e.Message}", remedy, e);
    }

    public static IPAddress Plus(IPAddress address, uint more)
    {
        byte[] bytes = address.GetAddressBytes();
        Span<byte> tail = bytes.AsSpan(bytes.Length - 4);
        BinaryPrimitives.WriteUInt32BigEndian(tail, BinaryPrimitives.ReadUInt32BigEndian(tail) + more);
        return new IPAddress(bytes);
    }
}
