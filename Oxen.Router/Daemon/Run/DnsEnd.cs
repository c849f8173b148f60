using System.Net;
using System.Net.Sockets;
using Oxen.Router.Client;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Dns;
using Oxen.Router.Exit;
using Oxen.Router.Mapped;
using Oxen.Router.Tun;

namespace Oxen.Router.Daemon.Run;

/// <summary>A client's resolver, and what takes connections to the addresses that it gives out. Disposing takes all of it back.</summary>
internal sealed class DnsEnd : IAsyncDisposable
{
    private readonly DnsConfig _config;
    private MappedDoor? _door;
    private MappedRules? _rules;
    private TunInterface? _tun;
    private PacketDoor? _packets;

    private DnsEnd(DnsConfig config, DnsService service)
    {
        _config = config;
        Service = service;
    }

    public DnsService Service { get; }

    /// <summary>Routes and rules of a killed process were found and replaced.</summary>
    public bool Recovered => _rules?.Recovered ?? false;

    /// <param name="streams">The client's paths.</param>
    /// <param name="reach">Connections to services, and their short names; null: the client makes none, and mapped addresses take none.</param>
    /// <param name="records">What services announce; null: nothing.</param>
    /// <param name="packets">IP packets to services that take them.</param>
    /// <param name="drops">Of such packets.</param>
    /// <param name="lost">The interface for them is gone.</param>
    /// <exception cref="UserException">It cannot listen, or the machine refuses routes or rules; with what to do.</exception>
    public static async Task<DnsEnd> OpenAsync(DnsConfig config, IOnionStreams streams, ServiceReach? reach, IServiceRecords? records, IServicePackets packets, SharedDropCounters drops, Action<Exception> lost, TimeProvider time)
    {
        DnsEnd end;
        try
        {
            end = new DnsEnd(config, DnsService.Start(config.Service, streams, reach?.Names, records, time));
        }
        catch (SocketException e)
        {
            throw UserException.CannotBind("DNS resolver", string.Join(" or ", config.Service.Host.Listen), e);
        }

        try
        {
            if (config.Mapped && config.Packets is not null) end.OpenPackets(config.Packets, packets, drops, lost, time);
            if (config.Mapped && reach is not null) end.OpenDoor(reach, time);
            return end;
        }
        catch
        {
            await end.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public DnsStatus Status()
    {
        var counts = new SortedDictionary<string, long>(StringComparer.Ordinal);
        Service.Counters.AddTo(counts);
        return new DnsStatus([.. Service.EndPoints.Select(e => e.ToString())], _config.Service.Forward.ToString().ToLowerInvariant(), Service.Map.Count, Service.Map.Capacity, _door?.Connections, _door?.Flows, counts);
    }

    public async ValueTask DisposeAsync()
    {
        _rules?.Dispose();
        if (_door is not null) await _door.DisposeAsync().ConfigureAwait(false);
        if (_packets is not null) await _packets.DisposeAsync().ConfigureAwait(false);
        _tun?.Dispose();
        await Service.DisposeAsync().ConfigureAwait(false);
        (_rules, _door, _packets, _tun) = (null, null, null, null);
    }

    private void OpenPackets(string name, IServicePackets services, SharedDropCounters drops, Action<Exception> lost, TimeProvider time)
    {
        IPAddress? four = Own(Service.Map.PacketsIPv4), six = Own(Service.Map.PacketsIPv6);
        _tun = TunnelEnd.Open(new TunInterfaceOptions
        {
            Name = name,
            Mtu = TunnelConstants.InnerMtu,
            Addresses = [.. new[] { four, six }.OfType<IPAddress>().Select(a => new InterfaceAddress(a, a.AddressFamily == AddressFamily.InterNetwork ? 32 : 128))],
            Ranges = [.. new[] { Service.Map.PacketsIPv4, Service.Map.PacketsIPv6 }.OfType<IPNetwork>()],
            SuperPackets = false,
        });
        _packets = new PacketDoor(Service.Map, services, _tun.Queues[0], InnerAddresses.From(four, _tun.HasIPv6 ? six : null), drops, time, lost);

        static IPAddress? Own(IPNetwork? half) => half is { } range ? TunnelEnd.Plus(range.BaseAddress, 1) : null;
    }

    private void OpenDoor(ServiceReach reach, TimeProvider time)
    {
        const string Otherwise = "`mapped = false` in [dns] does without: services are then reached through the proxies.";
        try
        {
            _door = MappedDoor.Open(Service.Map, reach.Streams, reach.Datagrams, new MappedDoorOptions(), Service.Counters, time);
            _rules = MappedRules.Open(Service.Map, _door.PortIPv4, _door.PortIPv6, _config.Mark, packets: _config.Packets);
        }
        catch (SocketException e)
        {
            throw new UserException(ExitCode.Environment, "OXN3011", $"connections to mapped addresses: {e.Message}", $"Run it as root, or give the program CAP_NET_ADMIN. {Otherwise}", e);
        }
        catch (ExitNatException e)
        {
            (string code, string remedy) = e.Fault switch
            {
                ExitNatFault.NotPermitted => ("OXN3011", $"Run it as root, or give the program CAP_NET_ADMIN. {Otherwise}"),
                ExitNatFault.NameTaken => ("OXN3013", "Choose other `ranges` in [dns], or stop the other client; `ip address` and `ip route show table local` show what is there."),
                ExitNatFault.NoNft => ("OXN3015", $"Install nftables (apt-get install nftables). {Otherwise}"),
                ExitNatFault.NoJournal => ("OXN3017", "The program writes down what it changes so that it can be undone after a crash: make /run/oxen writable."),
                _ => ("OXN3018", $"`nft list ruleset` shows what is there; the kernel needs nft's `tproxy`. {Otherwise}"),
            };
            throw new UserException(ExitCode.Environment, code, $"connections to mapped addresses: {e.Message}", remedy, e);
        }
    }
}
