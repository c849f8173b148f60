using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Quic;

namespace Oxen.Router.Core.Links;

/// <summary>Numbers of the links. Those of the specification stand in docs/protocol/link.md; the others are ours to choose.</summary>
internal sealed class LinkOptions
{
    public static readonly byte[] Alpn = "oxen-link/1"u8.ToArray();

    // ---- specification ----

    /// <summary>After this long the initiator makes a new handshake.</summary>
    public TimeSpan RenewAfter { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Old keys are kept this long beside the new ones, plus three probe time-outs.</summary>
    public TimeSpan Overlap { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A relay refuses a link when the clocks differ by more.</summary>
    public TimeSpan ClockTolerance { get; init; } = TimeSpan.FromSeconds(2);

    // ---- ours ----

    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A link whose peer has not sent one packet this long after a request began is given up.</summary>
    public TimeSpan SilenceTimeout { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Path handles are 8 bytes and a build message a little over 10 kB.</summary>
    public int MaxPluginBytes { get; init; } = 64 * 1024;

    /// <summary>The directory's requests (docs/protocol/directory.md#requests).</summary>
    public int MaxDirectoryBytes { get; init; } = 60_000;

    /// <summary>Connections that strangers may have with us, those under way too. Links that we dial ourselves are as many as the directory has relays.</summary>
    public int MaxLinks { get; init; } = 4096;

    /// <summary>Links of clients: so many of a thousand of <see cref="MaxLinks"/> and of the receiver indexes; the rest is the relays'.</summary>
    public int ClientPermille { get; init; } = 750;

    /// <summary>Links of clients behind one prefix (/24, /56).</summary>
    public int MaxClientLinksPerPrefix { get; init; } = 128;

    /// <summary>Shards of a client: each costs a receiver index in every shard of ours.</summary>
    public int MaxClientShards { get; init; } = 4;

    /// <summary>Requests of ours that may wait for a stream on one link; the peer decides how many streams we have.</summary>
    public int MaxWaitingRequests { get; init; } = 256;

    /// <summary>Suites that we take, best first.</summary>
    public byte[] Suites { get; init; } = [1, 2, 3];

    /// <summary>
    /// A first datagram that is lost, as in a flood, is sent again after three of these: 0.3 s, not the 1 s of RFC 9002 section 6.2.2.
    /// Over a slower link that is a datagram or two too many.
    /// </summary>
    public static readonly TimeSpan InitialRtt = TimeSpan.FromMilliseconds(100);

    /// <summary>A link says something at least this often.</summary>
    public static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(4);

    public QuicTransportOptions Transport { get; init; } = TransportFor(SizeClass.Full);

    public QuicRetryPolicy Retry { get; init; } = QuicRetryPolicy.UnderLoad;

    /// <summary>
    /// QUIC of links for a client whose paths have the class: in the reduced one its datagrams, both ways, are no longer than sealed
    /// ones either (1232 bytes, IPv6 at MTU 1280). Between relays 1252: 1280 with the headers of IPv4.
    /// </summary>
    public static QuicTransportOptions TransportFor(SizeClass size) => new()
    {
        MaxDatagramBytes = size == SizeClass.Reduced ? SealedDatagram.ReducedBytes : 1252,
        MaxReceiveBytes = size == SizeClass.Reduced ? SealedDatagram.ReducedBytes : 1500,
        InitialMaxData = 1 << 20,
        InitialMaxStreamData = 64 * 1024,
        MaxBidiStreams = 64,
        MaxUniStreams = 0,
        IdleTimeout = TimeSpan.FromSeconds(15),
        KeepAlive = KeepAlive,
        InitialRtt = InitialRtt,
        AmplificationFactor = 1,
    };
}
