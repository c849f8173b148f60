using System.Threading.Channels;
using Oxen.Router.Core.Hidden;

namespace Oxen.Router.Hosting;

/// <summary>What programs ask of a client's router to be a hidden service.</summary>
internal interface IServiceHosting
{
    /// <summary>
    /// Begins to host; completes as soon as the router has taken it, before anybody can find it (<see cref="IHostedService.WaitPublishedAsync"/>).
    /// </summary>
    /// <exception cref="ArgumentException">The options break a rule, or the service is hosted here already.</exception>
    Task<IHostedService> HostAsync(HiddenServiceOptions options, CancellationToken cancel);
}

/// <summary>A hidden service of this router. Dispose ends it: its clients hear of it, and its introduction relays forget it.</summary>
internal interface IHostedService : IAsyncDisposable
{
    ServiceAddress Address { get; }

    /// <summary>
    /// Streams that clients opened, their headers read. Whoever takes one answers it. Bounded: when nobody takes them, new ones are
    /// refused with "limit of streams". Completed when the service ends.
    /// </summary>
    ChannelReader<ServiceStream> Streams { get; }

    /// <summary>Datagrams that clients sent to its UDP ports. Bounded: when nobody reads, the oldest are dropped and counted.</summary>
    ChannelReader<ServiceDatagram> Datagrams { get; }

    /// <summary>Sends a datagram to a client: its number, association and port are those of one that came. False: dropped, and counted.</summary>
    bool TrySend(long client, ushort association, ushort port, ReadOnlySpan<byte> payload);

    /// <summary>Gives the IP packets of its clients to `taker` from now on (<see cref="HiddenServiceOptions.TakesPackets"/>); without one they are dropped and counted.</summary>
    void TakePackets(IServicePacketTaker taker);

    /// <summary>Sends an IP packet to a client, with the addresses of <see cref="ServicePackets"/>. Any thread. False: dropped, and counted.</summary>
    bool TrySendPacket(long client, ReadOnlySpan<byte> packet);

    /// <summary>Completes when clients can find the service.</summary>
    Task WaitPublishedAsync(CancellationToken cancel);

    /// <summary>For the operator's screen.</summary>
    Task<HostedServiceView> ReadViewAsync();
}

/// <summary>What takes the IP packets of a service's clients. Called on the session thread: it is to be quick.</summary>
internal interface IServicePacketTaker
{
    /// <param name="client">A number for one client's session; it says nothing of who it is.</param>
    /// <param name="record">Unread, as the client wrote it; it may be changed and is gone afterwards.</param>
    void OnPacket(long client, Span<byte> record);

    /// <summary>The client's session is over.</summary>
    void OnClientGone(long client);
}

/// <summary>One datagram from a client of a service.</summary>
/// <param name="Client">A number for one client's session; it says nothing of who it is.</param>
/// <param name="Association">The client's number for one of its programs' sockets.</param>
/// <param name="Port">The service's port that it is for; 0, at an exit: the outside, and a destination stands before the datagram.</param>
internal readonly record struct ServiceDatagram(long Client, ushort Association, ushort Port, ReadOnlyMemory<byte> Payload);

/// <param name="Published">Whether clients can find it.</param>
/// <param name="Keepers">Keepers that have the latest introset of this period, of those that were asked.</param>
/// <param name="Introductions">Relays that introduce clients now.</param>
/// <param name="Sessions">Clients that are connected.</param>
/// <param name="Meetings">Clients that are being met.</param>
internal sealed record HostedServiceView(ServiceAddress Address, bool Published, int Keepers, int KeepersAsked, IReadOnlyList<string> Introductions, int Sessions, int Meetings, int Streams);
