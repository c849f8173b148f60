using System.Net.Sockets;
using Oxen.Router.Client;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Dns;
using Oxen.Router.Handlers;

namespace Oxen.Router.Daemon.Run;

/// <summary>A client's resolver with what belongs to it. Disposing closes its sockets.</summary>
internal sealed class DnsEnd : IAsyncDisposable
{
    private readonly DnsConfig _config;

    private DnsEnd(DnsConfig config, DnsService service)
    {
        _config = config;
        Service = service;
    }

    public DnsService Service { get; }

    /// <param name="streams">The client's paths.</param>
    /// <param name="names">Short names; null: there are none.</param>
    /// <param name="services">What services announce; null: nothing.</param>
    /// <exception cref="UserException">It cannot listen, with what to do.</exception>
    public static DnsEnd Open(DnsConfig config, IOnionStreams streams, INameSource? names, IServiceRecords? services, TimeProvider time)
    {
        try
        {
            return new DnsEnd(config, DnsService.Start(config.Service, streams, names, services, time));
        }
        catch (SocketException e)
        {
            throw UserException.CannotBind("DNS resolver", string.Join(" or ", config.Service.Host.Listen), e);
        }
    }

    public DnsStatus Status()
    {
        var counts = new SortedDictionary<string, long>(StringComparer.Ordinal);
        Service.Counters.AddTo(counts);
        return new DnsStatus([.. Service.EndPoints.Select(e => e.ToString())], _config.Service.Forward.ToString().ToLowerInvariant(), Service.Map.Count, Service.Map.Capacity, counts);
    }

    public ValueTask DisposeAsync() => Service.DisposeAsync();
}
