using System.Net;
using Oxen.Router.Client;
using Oxen.Router.Handlers;

namespace Oxen.Router.Dns;

/// <summary>Where names of the outside go.</summary>
internal enum DnsForward : byte
{
    /// <summary>Nowhere: they are refused.</summary>
    None,

    /// <summary>Through a path and its exit to <see cref="DnsServiceOptions.Servers"/>.</summary>
    Exit,

    /// <summary>From this machine to <see cref="DnsServiceOptions.Servers"/>: whoever watches its network sees every name.</summary>
    Upstream,
}

/// <summary>All that a configuration says of the resolver.</summary>
internal sealed record DnsServiceOptions
{
    public DnsForward Forward { get; init; } = DnsForward.Exit;

    /// <summary>Resolvers of the outside, in order of preference.</summary>
    public IReadOnlyList<IPEndPoint> Servers { get; init; } = [new IPEndPoint(IPAddress.Parse("9.9.9.9"), 53), new IPEndPoint(IPAddress.Parse("149.112.112.112"), 53)];

    /// <summary>Which paths the questions take; default: the shared ones.</summary>
    public IsolationKey Isolation { get; init; }

    public AddressMapOptions Map { get; init; } = new();

    public OnionZoneOptions Zones { get; init; } = new();

    public UpstreamOptions Upstream { get; init; } = new();

    public DnsOptions Resolver { get; init; } = new();

    public DnsHostOptions Host { get; init; } = new();
}

/// <summary>The resolver with everything that belongs to it, from options to open sockets and back.</summary>
internal sealed class DnsService : IAsyncDisposable
{
    private readonly StreamUpstream? _streams;
    private readonly DnsHost _host;

    private DnsService(AddressMap map, DnsCounters counters, StreamUpstream? streams, DnsHost host)
    {
        Map = map;
        Counters = counters;
        _streams = streams;
        _host = host;
    }

    /// <summary>For the tunnel and the doors: what an address stands for.</summary>
    public AddressMap Map { get; }

    public DnsCounters Counters { get; }

    public IReadOnlyList<IPEndPoint> EndPoints => _host.EndPoints;

    /// <param name="streams">The paths; may be null unless questions go through the exit.</param>
    /// <param name="names">Short names; null: there are none.</param>
    /// <param name="services">What services announce; null: nothing.</param>
    /// <exception cref="ArgumentException">The options contradict themselves; the message is for whoever wrote them.</exception>
    /// <exception cref="System.Net.Sockets.SocketException">It cannot listen; the message says where and why.</exception>
    public static DnsService Start(DnsServiceOptions options, IOnionStreams? streams, INameSource? names, IServiceRecords? services, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        if (options.Forward != DnsForward.None && options.Servers.Count == 0) throw new ArgumentException("names of the outside are to be forwarded, and no resolver is named", nameof(options));
        if (options.Forward == DnsForward.Exit && streams is null) throw new ArgumentException("names of the outside are to go through the exit, and there is no client to open paths", nameof(options));
        var counters = new DnsCounters();
        var map = new AddressMap(options.Map, time);
        var zones = new OnionZones(map, names, services, options.Zones, time, counters);
        IDnsDialer? dialer = options.Forward switch
        {
            DnsForward.Exit => new OnionDialer(streams!, options.Isolation, options.Upstream.ConnectTime, time),
            DnsForward.Upstream => new TcpDialer(options.Upstream.ConnectTime, time),
            _ => null,
        };
        StreamUpstream? stream = dialer is null ? null : new StreamUpstream(options.Servers, dialer, options.Upstream, map, time, counters);
        IDnsUpstream? upstream = options.Forward == DnsForward.Upstream ? new UdpUpstream(options.Servers, stream!, options.Upstream, map, time, counters) : stream;
        var resolver = new DnsResolver(zones, upstream, options.Resolver, time, counters);
        return new DnsService(map, counters, stream, DnsHost.Start(resolver, options.Host, time));
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync().ConfigureAwait(false);
        if (_streams is not null) await _streams.DisposeAsync().ConfigureAwait(false);
    }
}
