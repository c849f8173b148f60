using System.Net.Sockets;
using Oxen.Router.Client;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Dns;
using Oxen.Router.Exit;
using Oxen.Router.Mapped;

namespace Oxen.Router.Daemon.Run;

/// <summary>A client's resolver, and what takes connections to the addresses that it gives out. Disposing takes all of it back.</summary>
internal sealed class DnsEnd : IAsyncDisposable
{
    private readonly DnsConfig _config;
    private MappedDoor? _door;
    private MappedRules? _rules;

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
    /// <exception cref="UserException">It cannot listen, or the machine refuses routes or rules; with what to do.</exception>
    public static async Task<DnsEnd> OpenAsync(DnsConfig config, IOnionStreams streams, ServiceReach? reach, IServiceRecords? records, TimeProvider time)
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
        await Service.DisposeAsync().ConfigureAwait(false);
        (_rules, _door) = (null, null);
    }

    private void OpenDoor(ServiceReach reach, TimeProvider time)
    {
        const string Otherwise = "`mapped = false` in [dns] does without: services are then reached through the proxies.";
        try
        {
            _door = MappedDoor.Open(Service.Map, reach.Streams, reach.Datagrams, new MappedDoorOptions(), Service.Counters, time);
            _rules = MappedRules.Open(Service.Map, _door.PortIPv4, _door.PortIPv6, _config.Mark);
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
