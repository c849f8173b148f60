using System.Diagnostics.CodeAnalysis;

namespace Oxen.Router.Dns;

/// <summary>What another resolver said, or why it said nothing.</summary>
internal readonly record struct UpstreamResult(ForwardedAnswer? Answer, DnsCount Failure, string Reason)
{
    [MemberNotNullWhen(true, nameof(Answer))]
    public bool IsAnswer => Answer is not null;

    public static UpstreamResult Of(ForwardedAnswer answer) => new(answer, default, "");

    /// <param name="reason">In words for whoever looks with `dig`: ASCII, short, without the name.</param>
    public static UpstreamResult Failed(DnsCount failure, string reason) => new(null, failure, reason);
}

/// <summary>Where names of the outside are asked. Any thread may ask; every wait ends by itself.</summary>
internal interface IDnsUpstream
{
    ValueTask<UpstreamResult> AskAsync(DnsQuery query, CancellationToken cancel);
}

/// <summary>What asking another resolver may cost.</summary>
internal sealed record UpstreamOptions
{
    /// <summary>For one attempt by UDP.</summary>
    public TimeSpan UdpTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Attempts by UDP, going round the servers.</summary>
    public int UdpAttempts { get; init; } = 3;

    /// <summary>For the answer to one question on a stream.</summary>
    public TimeSpan StreamTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>For a stream to stand; through a path it takes a few round trips.</summary>
    public TimeSpan ConnectTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A stream without questions is closed after this (RFC 7766 section 6.2.3).</summary>
    public TimeSpan StreamIdle { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Questions on one stream at a time (RFC 7766 section 6.2.1.1).</summary>
    public int StreamInFlight { get; init; } = 64;

    /// <summary>What we say we take by UDP: fits a packet on every network (DNS flag day 2020).</summary>
    public ushort UdpBytes { get; init; } = 1232;

    public DnsTtlBounds Ttl { get; init; } = new();
}
