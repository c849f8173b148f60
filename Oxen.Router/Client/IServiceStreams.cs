using System.Threading.Channels;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>What doors ask of the session layer about hidden services: a fresh byte stream to a port of one.</summary>
internal interface IServiceStreams
{
    /// <summary>
    /// Opens a stream to the service, asks it for `port`, and waits for its answer. What comes back carries only raw bytes, both ways.
    /// </summary>
    /// <param name="host">What the user wrote, such as `www.&lt;52 digits&gt;.loki`: the service may tell its sites apart by it.</param>
    /// <param name="isolation">Streams with different keys share no path, no rendezvous and no session.</param>
    /// <exception cref="OnionRefusedException">The service answered, and it was not "connected".</exception>
    /// <exception cref="OnionUnavailableException">The service is not reached; the message says why, in words for the user.</exception>
    ValueTask<OnionStream> OpenAsync(ServiceAddress service, string host, ushort port, IsolationKey isolation, CancellationToken cancel);
}

/// <summary>What the UDP doors ask of the session layer about hidden services.</summary>
internal interface IServiceDatagrams
{
    /// <summary>A number of our own at the service, by which answers find their way back. Completes when the service is reached.</summary>
    /// <exception cref="OnionUnavailableException">The service is not reached; the message says why, in words for the user.</exception>
    ValueTask<IServiceAssociation> AssociateAsync(ServiceAddress service, IsolationKey isolation, CancellationToken cancel);
}

/// <summary>Unreliable datagrams to the ports of one service. Dispose ends it.</summary>
internal interface IServiceAssociation : IDisposable
{
    /// <summary>Sends one datagram (a copy is made), of at most 1328 bytes. False: it was dropped, and counted by whoever dropped it.</summary>
    bool TrySend(ushort port, ReadOnlySpan<byte> payload);

    /// <summary>What came back. Bounded: when nobody reads, the oldest are dropped and counted.</summary>
    ChannelReader<ServiceReply> Received { get; }
}

/// <summary>What the door for IP packets asks of the session layer about hidden services.</summary>
internal interface IServicePackets
{
    /// <summary>IP packets with a service that takes them, one such exchange at a time. Completes when the service is reached.</summary>
    /// <param name="handler">Gets what comes back, unread, on the session thread; the bytes may be changed and are gone afterwards.</param>
    /// <exception cref="OnionUnavailableException">The service is not reached, or takes no packets; the message says why, in words for the user.</exception>
    ValueTask<IPacketExchange> ExchangeAsync(ServiceAddress service, ServicePacketHandler handler, CancellationToken cancel);
}

/// <summary>Gets one IP packet of a service.</summary>
internal delegate void ServicePacketHandler(Span<byte> record);

/// <summary>Unreliable IP packets with one service. Once it is disposed of, nothing comes back any more.</summary>
internal interface IPacketExchange : IAsyncDisposable
{
    /// <summary>Sends one packet (a copy is made), with the addresses of <see cref="ServicePackets"/>. False: it was dropped, and counted by whoever dropped it.</summary>
    bool TrySend(ReadOnlySpan<byte> packet);
}

/// <summary>A datagram that came back from a service, and the port that it was an answer of.</summary>
internal readonly record struct ServiceReply(ushort Port, ReadOnlyMemory<byte> Payload);

/// <summary>Whoever was reached said no. The message is for the user.</summary>
internal sealed class OnionRefusedException(ProxyStatus status, string message) : Exception(message)
{
    /// <summary>As it came (docs/protocol/proxy.md#reply); never <see cref="ProxyStatus.Connected"/>.</summary>
    public ProxyStatus Status { get; } = status;

    /// <summary>The refusal of a hidden service, in words.</summary>
    public static OnionRefusedException OfService(ProxyStatus status) => new(status, status switch
    {
        ProxyStatus.PolicyRefused => "the service does not serve this port",
        ProxyStatus.NameNotResolved => "the service does not know this name",
        ProxyStatus.ConnectionRefused => "nothing answers behind this port of the service",
        ProxyStatus.NetworkUnreachable or ProxyStatus.HostUnreachable => "the service does not reach what is behind this port",
        ProxyStatus.TimedOut => "what is behind this port of the service did not answer in time",
        ProxyStatus.Limit => "the service has too many connections open",
        ProxyStatus.Malformed => "the service did not understand the request",
        ProxyStatus.NotOffered => "the service does not offer such streams",
        _ => "the service failed",
    });
}
