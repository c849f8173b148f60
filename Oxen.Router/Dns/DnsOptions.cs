using System.Net;

namespace Oxen.Router.Dns;

/// <summary>What the resolver is and grants. The limits are ours, except where docs/dns.md names their source.</summary>
internal sealed record DnsOptions
{
    /// <summary>The largest answer by UDP, whatever the client says it takes (DNS flag day 2020).</summary>
    public ushort UdpBytes { get; init; } = 1232;

    public int CacheEntries { get; init; } = 10_000;

    public long CacheBytes { get; init; } = 16 << 20;

    /// <summary>Questions that are being forwarded at one time; each name counts once.</summary>
    public int MaxForwarding { get; init; } = 256;

    /// <summary>Until a client hears that there is no answer; programs ask again after five seconds.</summary>
    public TimeSpan ForwardTime { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>A failure is told again without asking again for this long (RFC 9520 section 3.2: at least a second).</summary>
    public TimeSpan FailureTime { get; init; } = TimeSpan.FromSeconds(1);
}

/// <summary>The sockets of the resolver and what strangers may use of them.</summary>
internal sealed record DnsHostOptions
{
    public IReadOnlyList<IPEndPoint> Listen { get; init; } = [new IPEndPoint(IPAddress.Loopback, 53)];

    /// <summary>Who may ask. Others are dropped without a word: an open resolver is a weapon.</summary>
    public IReadOnlyList<IPNetwork> Clients { get; init; } = [IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("::1/128")];

    /// <summary>Questions by UDP that are being worked on, over all listeners.</summary>
    public int MaxUdpInFlight { get; init; } = 1024;

    public int MaxTcpConnections { get; init; } = 64;

    /// <summary>Questions of one TCP connection that are being worked on; more wait in its socket.</summary>
    public int MaxTcpInFlight { get; init; } = 16;

    /// <summary>A connection that sends no whole question for this long is closed.</summary>
    public TimeSpan TcpIdle { get; init; } = TimeSpan.FromSeconds(10);
}
